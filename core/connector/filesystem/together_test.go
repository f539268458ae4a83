package filesystem

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// One of several files cannot be sealed: the writer leaves none of them.
func TestFailedSealLeavesNothing(t *testing.T) {
	for skip := range 2 {
		w := newWorld(t)
		writer, err := w.c.Writer(t.Context(), w.sink(false), connector.WriterEnv{Alloc: w.mem})
		if err != nil {
			t.Fatal(err)
		}
		record, _, err := array.RecordFromJSON(w.mem, w.table.Schema.Arrow(), strings.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Write(t.Context(), stream.NewBatch(record)); err != nil {
			t.Fatal(err)
		}
		w.faults.Inject(faultfs.Rule{Op: faultfs.Seal, Skip: skip, Times: 1, Err: errors.New("the disk is gone")})
		if _, err := writer.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
			t.Fatalf("got %v", err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		staged := 0
		_ = w.faults.List(t.Context(), "t", fs.ListOptions{Recursive: true, Staged: true}, func(fs.Info) error { staged++; return nil })
		if staged != 0 {
			t.Errorf("%d staged files left", staged)
		}
	}
}

// Many calls take as long as a few, and after a failure no other begins.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var calls, now, most atomic.Int64
		err := together(100, func(int) error {
			calls.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			return nil
		})
		if took := time.Since(begun); err != nil || calls.Load() != 100 || most.Load() > mostTogether || took != 7*time.Second {
			t.Errorf("%v after %v: %d calls, %d at a time", err, took, calls.Load(), most.Load())
		}
		calls.Store(0)
		boom := errors.New("boom")
		err = together(100, func(i int) error {
			calls.Add(1)
			time.Sleep(time.Duration(i) * time.Second)
			if i == 3 {
				return boom
			}
			return nil
		})
		if !errors.Is(err, boom) || calls.Load() != mostTogether+3 {
			t.Errorf("%v after %d calls", err, calls.Load())
		}
		if err := together(0, func(int) error { return boom }); err != nil {
			t.Error(err)
		}
	})
}
