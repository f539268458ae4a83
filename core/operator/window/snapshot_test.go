package window_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/window"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// free is an account without a limit.
type free struct{}

func (free) Grow(int64) error { return nil }
func (free) Shrink(int64)     {}

// A slice without keys is written to by each batch: each snapshot of changes has it.
func TestChangesWithoutKeys(t *testing.T) {
	in := operatortest.Parse(events)
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	op, err := window.New(&jobgraph.WindowAggregate{
		Phase: jobgraph.Phase_PHASE_SINGLE, Window: shapes["tumble"], TimeColumn: 1, Calls: calls[:1],
	}, in.Schema, operatortest.ParseSchema("n BIGINT"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := backend(mem, free{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := &operator.Context{Context: context.Background(), State: st, Memory: free{}, Alloc: mem, BatchRows: 4, Log: slog.New(slog.DiscardHandler)}
	if err := op.Open(ctx); err != nil {
		t.Fatal(err)
	}
	// Shares of everything go round the groups: one of them has the slice by chance.
	for n, scope := range []state.Scope{state.Everything, state.Changes, state.Changes, state.Changes} {
		if err := op.Process(0, stream.NewBatch(operatortest.Record(mem, in.Schema, in.Rows()[:2]))); err != nil {
			t.Fatal(err)
		}
		s, err := st.Snapshot(scope)
		if err == nil {
			err = state.Complete(s)
		}
		if err != nil {
			t.Fatal(err)
		}
		put := int64(0)
		if err := s.Write(ctx, func(p state.Piece) error {
			if p.Kind == state.PutKey {
				put += p.Rows.NumRows()
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.Release()
		if put != 1 {
			t.Errorf("snapshot %d of %s has %d slices, want 1", n, scope, put)
		}
	}
	if err := op.Close(); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
