package local_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// A writer that waits for credit does what is wanted meanwhile, but not at once, and
// only when it is wanted.
func TestWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		schema := datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}}
		batch := func() *stream.Batch {
			b := array.NewRecordBuilder(mem, schema.Arrow())
			defer b.Release()
			b.Field(0).(*array.Int64Builder).AppendValues(make([]int64, 100), nil)
			return stream.NewBatch(b.NewRecordBatch())
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := local.New(local.Options{Alloc: mem, Budget: 1, LaneGuarantee: 1})
		spec := shuffle.Spec{Job: id.Job{1}, Exchange: 1, Schema: schema, Lanes: 1, Partitions: 1, Retention: shuffle.RetainNone}
		if err := s.Open(ctx, spec); err != nil {
			t.Fatal(err)
		}
		w, err := s.Writer(ctx, spec.Job, spec.Exchange, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Reader(ctx, spec.Job, spec.Exchange, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		wanted := make(chan struct{}, 1)
		var done atomic.Int32
		w.(shuffle.PatientWriter).WhileWaiting(wanted, func() { done.Add(1) })
		sent := make(chan error)
		send := func() { sent <- w.Send(ctx, 0, batch()) }
		take := func() {
			if e, ok, err := r.Poll(); !ok || err != nil {
				t.Fatal(ok, err)
			} else {
				e.Release()
			}
		}
		go send() // the first has credit
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		go send()
		time.Sleep(time.Minute)
		if done.Load() != 0 {
			t.Error("did what nobody wanted")
		}
		wanted <- struct{}{}
		if synctest.Wait(); done.Load() != 0 {
			t.Error("did it at once")
		}
		time.Sleep(time.Second)
		wanted <- struct{}{}
		time.Sleep(time.Second)
		if n := done.Load(); n != 2 {
			t.Errorf("did it %d times", n)
		}
		take()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		go send()
		synctest.Wait()
		cancel()
		if err := <-sent; !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
		if err := errors.Join(w.Close(), r.Close(), s.Drop(t.Context(), spec.Job, spec.Exchange)); err != nil {
			t.Error(err)
		}
	})
}
