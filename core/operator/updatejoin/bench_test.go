package updatejoin_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/operator/updatejoin"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

type dropped struct{ rows int }

func (d *dropped) Emit(b *stream.Batch) error {
	d.rows += b.Len()
	b.Release()
	return nil
}

// BenchmarkJoin joins streams of inserts that come in turns. 1:1 and 1:10 are by a
// million random keys; windows is by key and time, which goes on, and closes.
func BenchmarkJoin(b *testing.B) {
	inner := &jobgraph.UpdatingJoin{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0}, RightKeys: []uint32{0}}
	const keys, size = 1 << 20, 8192
	r := rand.New(rand.NewPCG(1, 1))
	one, two := r.Perm(keys), r.Perm(keys)
	none := func(int) int64 { return 0 }
	b.Run("1:1", func(b *testing.B) {
		left := batches(keys, func(i int) int64 { return int64(one[i]) * 1_000_003 }, none)
		right := batches(keys, func(i int) int64 { return int64(two[i]) * 1_000_003 }, none)
		benchmark(b, inner, left, right, 1, keys)
	})
	b.Run("1:10", func(b *testing.B) {
		left := batches(keys/8, func(i int) int64 { return int64(i) * 1_000_003 }, none)
		right := batches(keys/8*10, func(int) int64 { return r.Int64N(keys/8) * 1_000_003 }, none)
		benchmark(b, inner, left, right, 10, keys/8*10)
	})
	b.Run("windows", func(b *testing.B) {
		windows := &jobgraph.UpdatingJoin{
			Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{0, 2}, RightKeys: []uint32{0, 2},
			LeftClosing: &jobgraph.Closing{Column: 2}, RightClosing: &jobgraph.Closing{Column: 2},
		}
		time := func(i int) int64 { return int64(i/(8*size)) * 10_000 }
		left := batches(keys, func(i int) int64 { return int64(one[i] % (8 * size)) }, time)
		right := batches(keys, func(i int) int64 { return int64(two[i] % (8 * size)) }, time)
		benchmark(b, windows, left, right, 1, 0)
	})
}

// benchmark feeds a batch of the left side, then some of the right one, and so on.
func benchmark(b *testing.B, spec *jobgraph.UpdatingJoin, left, right []*stream.Batch, each, want int) {
	schema := operatortest.ParseSchema("k BIGINT, v BIGINT, t TIMESTAMP(3)")
	for b.Loop() {
		op, err := updatejoin.New(spec, schema, schema, deps)
		if err != nil {
			b.Fatal(err)
		}
		out, account := &dropped{}, &budget{}
		s := memstate.New(1024, keygroup.Range{Last: 1024}, memory.DefaultAllocator, account)
		ctx := &operator.Context{Context: context.Background(), Output: out, Memory: account, Alloc: memory.DefaultAllocator, State: s, BatchRows: 8192}
		if err := op.Open(ctx); err != nil {
			b.Fatal(err)
		}
		for i, x := range left {
			err := op.Process(0, x.Share())
			for _, y := range right[i*each : (i+1)*each] {
				err = errors.Join(err, op.Process(1, y.Share()))
			}
			if i%8 == 7 && spec.LeftClosing != nil {
				err = errors.Join(err, op.Watermark(stream.Watermark(i/8*10_000)))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(op.Close(), s.Close()); err != nil || want > 0 && out.rows != want {
			b.Fatalf("%d rows, want %d; %v", out.rows, want, err)
		}
	}
	rows := 8192 * (len(left) + len(right))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
}

func batches(rows int, key, time func(int) int64) (out []*stream.Batch) {
	schema := operatortest.ParseSchema("k BIGINT, v BIGINT, t TIMESTAMP(3)").Arrow()
	for from := 0; from < rows; from += 8192 {
		k := array.NewInt64Builder(memory.DefaultAllocator)
		t := array.NewTimestampBuilder(memory.DefaultAllocator, schema.Field(2).Type.(*arrow.TimestampType))
		for i := from; i < from+8192; i++ {
			k.Append(key(i))
			t.Append(arrow.Timestamp(time(i)))
		}
		a, c := k.NewArray(), t.NewArray()
		out = append(out, operator.NewBatch(schema, []arrow.Array{a, a, c}, a.Len()))
	}
	return out
}
