package local_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// As long as nothing was read a writer fills a small part of a partition's budget, then
// all of it; one that writes for a producer elsewhere may always send its window. The bug
// that this keeps away: scans went on while a join was built, and read what its keys
// exclude.
func TestUnreadPartition(t *testing.T) {
	const batchBytes, budget = 64 << 10, 2 << 20
	for name, c := range map[string]struct {
		elsewhere     bool
		unread, after int // batches that are taken
	}{
		"of this process": {false, 4, 32},
		"elsewhere":       {true, 32, 32},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				defer mem.AssertSize(t, 0)
				schema := datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}}
				s := local.New(local.Options{Alloc: mem})
				spec := shuffle.Spec{
					Job: id.Job{1}, Exchange: 1, Schema: schema, Lanes: 1, Partitions: 1, Retention: shuffle.RetainNone, BudgetBytes: budget,
				}
				if err := s.Open(t.Context(), spec); err != nil {
					t.Fatal(err)
				}
				w, err := s.Writer(t.Context(), spec.Job, spec.Exchange, 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				r, err := s.Reader(t.Context(), spec.Job, spec.Exchange, 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				if c.elsewhere {
					w.(local.Watched).Watch(make(chan struct{}, 1))
				}
				sent := 0
				ended := make(chan error, 1)
				go func() {
					for range 3 * budget / batchBytes {
						b := array.NewRecordBuilder(mem, schema.Arrow())
						b.Field(0).(*array.Int64Builder).AppendValues(make([]int64, batchBytes/8), nil)
						batch := stream.NewBatch(b.NewRecordBatch())
						b.Release()
						if err := w.Send(t.Context(), 0, batch); err != nil {
							ended <- err
							return
						}
						sent++
					}
					ended <- w.Close()
				}()
				taken := 0
				take := func() {
					e, ok, err := r.Poll()
					if err != nil || !ok {
						t.Fatal(ok, err)
					}
					e.Release()
					taken++
				}
				if synctest.Wait(); sent != c.unread {
					t.Errorf("%d batches sent before any is read, want %d", sent, c.unread)
				}
				take()
				if synctest.Wait(); sent != taken+c.after {
					t.Errorf("%d batches sent when %d are read, want %d more", sent, taken, c.after)
				}
				for taken < 3*budget/batchBytes {
					take()
					synctest.Wait()
				}
				if err := errors.Join(<-ended, r.Close(), s.Drop(t.Context(), spec.Job, spec.Exchange)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
