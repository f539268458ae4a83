package join_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

type dropped struct{ rows int }

func (d *dropped) Emit(b *stream.Batch) error {
	d.rows += b.Len()
	b.Release()
	return nil
}

// BenchmarkJoin joins 4M rows with 1.5M: half of them match, each at most one.
// The keys lie close together or far apart.
func BenchmarkJoin(b *testing.B) {
	b.Run("dense", func(b *testing.B) { benchmarkJoin(b, 1) })
	b.Run("sparse", func(b *testing.B) { benchmarkJoin(b, 1_000_003) })
}

func benchmarkJoin(b *testing.B, stride int64) {
	const builds, probes, size = 1_500_000, 4 << 20, 8192
	left, right := operatortest.ParseSchema("k BIGINT, v BIGINT"), operatortest.ParseSchema("k BIGINT, w BIGINT")
	r := rand.New(rand.NewPCG(1, 1))
	order := r.Perm(builds)
	build := batches(right.Arrow(), builds, size, func(i int) int64 { return stride * int64(order[i]) })
	probe := batches(left.Arrow(), probes, size, func(int) int64 { return stride * r.Int64N(2*builds) })
	for b.Loop() {
		op, err := join.New(&jobgraph.Join{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}}, left, right, deps)
		if err != nil {
			b.Fatal(err)
		}
		if err := op.Open(&operator.Context{Context: context.Background(), Output: &dropped{}, Memory: unlimited{}, Alloc: memory.DefaultAllocator, BatchRows: size}); err != nil {
			b.Fatal(err)
		}
		for _, x := range build {
			if err := op.Process(1, x.Share()); err != nil {
				b.Fatal(err)
			}
		}
		if err := op.EndInput(1); err != nil {
			b.Fatal(err)
		}
		for _, x := range probe {
			if err := op.Process(0, x.Share()); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(op.EndInput(0), op.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/probes, "ns/row")
}

func batches(schema *arrow.Schema, rows, size int, key func(int) int64) (out []*stream.Batch) {
	for from := 0; from < rows; from += size {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := from; i < min(from+size, rows); i++ {
			b.Append(key(i))
		}
		a := b.NewArray()
		out = append(out, operator.NewBatch(schema, []arrow.Array{a, a}, a.Len()))
	}
	return out
}
