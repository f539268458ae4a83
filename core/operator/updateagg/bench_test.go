package updateagg_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

const benchRows = 1 << 13

// dropped takes batches and counts their rows.
type dropped struct{ rows int }

func (d *dropped) Emit(b *stream.Batch) error {
	d.rows += b.Len()
	b.Release()
	return nil
}

// benchBatches are inserts of random keys; where something is taken back, every other
// batch takes back what the one before has brought.
func benchBatches(keys int, retracting bool) []*stream.Batch {
	schema := operatortest.ParseSchema("k BIGINT NOT NULL, v BIGINT").Arrow()
	r := rand.New(rand.NewPCG(1, 2))
	var out []*stream.Batch
	for i := range 256 {
		if retracting && i%2 == 1 {
			last := out[i-1]
			last.Record.Retain()
			b := stream.NewBatch(last.Record)
			b.Kinds = make([]stream.RowKind, benchRows)
			for j := range b.Kinds {
				b.Kinds[j] = stream.Insert
				if j%2 == 0 {
					b.Kinds[j] = stream.Delete
				}
			}
			out = append(out, b)
			continue
		}
		k, v := array.NewInt64Builder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
		for range benchRows {
			k.Append(r.Int64N(int64(keys)))
			v.Append(r.Int64N(1000))
		}
		columns := []arrow.Array{k.NewArray(), v.NewArray()}
		out = append(out, operator.NewBatch(schema, columns, benchRows))
	}
	return out
}

func BenchmarkAggregate(b *testing.B) {
	in := operatortest.ParseSchema("k BIGINT NOT NULL, v BIGINT")
	texts := []string{"COUNT() -> BIGINT NOT NULL", "SUM(1) -> BIGINT", "MAX(1) -> BIGINT"}
	for _, keys := range []int{1000, 1_000_000} {
		for _, retracting := range []bool{false, true} {
			for _, hold := range []int64{0, 1000} {
				b.Run(fmt.Sprintf("keys=%d/retracting=%v/hold=%d", keys, retracting, hold), func(b *testing.B) {
					spec := specOf(calls(in, texts...), []uint32{0}, retracting)
					spec.HoldMillis = hold
					benchmark(b, spec, benchBatches(keys, retracting))
				})
			}
		}
	}
}

func benchmark(b *testing.B, spec *jobgraph.UpdatingAggregate, batches []*stream.Batch) {
	in := operatortest.ParseSchema("k BIGINT NOT NULL, v BIGINT")
	op, err := updateagg.New(spec, in, outputOf(spec, in))
	if err != nil {
		b.Fatal(err)
	}
	out := &dropped{}
	st := memstate.New(operatortest.Groups, keygroup.Range{Last: operatortest.Groups}, memory.DefaultAllocator, unlimited{})
	if err := op.Open(&operator.Context{
		Context: context.Background(), Output: out, State: st, Memory: unlimited{}, Alloc: memory.DefaultAllocator,
		BatchRows: benchRows, Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		b.Fatal(err)
	}
	feed := func(i int) {
		batch := *batches[i%len(batches)]
		batch.Record.Retain()
		if err := op.Process(0, &batch); err != nil {
			b.Fatal(err)
		}
	}
	for i := range batches {
		feed(i)
	}
	b.ResetTimer()
	for i := range b.N {
		feed(i)
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds()/1e6, "Mrows/s")
	b.StopTimer()
	if err := op.Close(); err != nil {
		b.Fatal(err)
	}
}
