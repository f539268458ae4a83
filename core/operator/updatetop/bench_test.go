package updatetop_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatetop"
	"github.com/tidemill/tidemill/core/stream"
)

type nothing struct{}

func (nothing) Emit(b *stream.Batch) error {
	b.Release()
	return nil
}

func (nothing) Grow(int64) error { return nil }
func (nothing) Shrink(int64)     {}

// Rows of many groups, in batches: the last one of each, the ten largest of each.
func BenchmarkTop(b *testing.B) {
	const batches = 64
	for _, c := range []struct {
		name   string
		groups int64
		limit  int64
		column uint32
	}{{"last of 1M", 1 << 20, 1, 2}, {"ten of 10k", 10_000, 10, 1}} {
		b.Run(c.name, func(b *testing.B) {
			in := operatortest.ParseSchema("g BIGINT NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP(3) NOT NULL, t STRING")
			r := rand.New(rand.NewPCG(1, 2))
			mem := memory.NewGoAllocator()
			all := make([]*stream.Batch, batches)
			for i := range all {
				rows := make([][]any, stream.TargetRows)
				for j := range rows {
					rows[j] = []any{r.Int64N(c.groups), r.Int64(), int64(i*stream.TargetRows + j), fmt.Sprint("some text ", j)}
				}
				all[i] = stream.NewBatch(operatortest.Record(mem, in, rows))
			}
			spec := &jobgraph.UpdatingTopN{
				Groups: []uint32{0}, Order: []*jobgraph.SortKey{{Column: c.column, Descending: true}}, Ranking: number, Limit: c.limit, UpdateBefore: true,
			}
			op, err := updatetop.New(spec, in, in)
			if err != nil {
				b.Fatal(err)
			}
			kept, _ := backend(mem, nothing{})
			ctx := &operator.Context{Context: context.Background(), Output: nothing{}, Memory: nothing{}, Alloc: mem, State: kept, BatchRows: stream.TargetRows, Log: slog.New(slog.DiscardHandler)}
			if err := op.Open(ctx); err != nil {
				b.Fatal(err)
			}
			n := 0
			for b.Loop() {
				if err := op.Process(0, all[n%batches].Share()); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n)*stream.TargetRows/b.Elapsed().Seconds()/1e6, "Mrows/s")
			if err := op.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
