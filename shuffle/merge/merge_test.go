package merge_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/merge"
)

const lanes = 3

// lanesOf sends sorted random numbers into each lane, in batches of any size, a
// lane empty; it returns all of them in order.
func lanesOf(t *testing.T, s shuffle.Service, mem memory.Allocator) (all []int64) {
	schema := datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}}
	if err := s.Open(t.Context(), shuffle.Spec{Schema: schema, Lanes: lanes, Partitions: lanes, Paired: true, Retention: shuffle.RetainNone, BudgetBytes: 100}); err != nil {
		t.Fatal(err)
	}
	for lane := range uint32(lanes) {
		r := rand.New(rand.NewPCG(1, uint64(lane)))
		w, err := s.Writer(t.Context(), id.Job{}, 0, lane, 0)
		if err != nil {
			t.Fatal(err)
		}
		numbers := make([]int64, int(lane)*100)
		for i := range numbers {
			numbers[i] = r.Int64N(500)
		}
		slices.Sort(numbers)
		all = append(all, numbers...)
		go func() {
			for rest := numbers; len(rest) > 0; {
				n := 1 + r.IntN(min(9, len(rest)))
				b := array.NewRecordBuilder(mem, schema.Arrow())
				b.Field(0).(*array.Int64Builder).AppendValues(rest[:n], nil)
				if err := w.Send(context.Background(), lane, stream.NewBatch(b.NewRecordBatch())); err != nil && !errors.Is(err, shuffle.ErrReleased) {
					t.Error(err)
				}
				b.Release()
				rest = rest[n:]
			}
			if _, err := w.Finish(context.Background()); err != nil && !errors.Is(err, shuffle.ErrReleased) {
				t.Error(err)
			}
		}()
	}
	slices.Sort(all)
	return all
}

func open(t *testing.T, ctx context.Context, s shuffle.Service, mem memory.Allocator) shuffle.Reader {
	r, err := merge.Open(ctx, s, merge.Options{Lanes: lanes, Keys: []rowsort.Key{{Column: 0}}, Alloc: mem, BatchRows: 16})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Sorted lanes, slow and fast, come out as one order; then time and input end.
func TestLanesComeInTheirCommonOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		s := local.New(local.Options{Alloc: mem, LaneGuarantee: 1})
		want := lanesOf(t, s, mem)
		r := open(t, t.Context(), s, mem)
		var have []int64
		for {
			e, ok, err := r.Poll()
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if e.Kind == stream.EndOfInput {
				break
			}
			if e.Kind == stream.DataElement {
				have = append(have, e.Batch.Column(0).(*array.Int64).Int64Values()...)
			}
			e.Release()
		}
		if !slices.Equal(have, want) {
			t.Errorf("%d rows of %d, or in another order", len(have), len(want))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Cancelled while it waits for a lane, and dropped under its hands: errors that
// say so, and nothing is left.
func TestEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		s := local.New(local.Options{Alloc: mem})
		if err := s.Open(t.Context(), shuffle.Spec{Lanes: lanes, Partitions: lanes, Paired: true, Retention: shuffle.RetainNone}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := open(t, ctx, s, mem)
		ended := make(chan error, 1)
		go func() {
			_, _, err := r.Poll()
			ended <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
		if err := s.Drop(t.Context(), id.Job{}, 0); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := merge.Open(t.Context(), s, merge.Options{Lanes: lanes, Alloc: mem}); !errors.Is(err, shuffle.ErrReleased) {
			t.Errorf("have %v", err)
		}
	})
}
