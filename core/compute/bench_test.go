package compute

import (
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

const benchRows = stream.TargetRows

func benchInts() arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for range benchRows {
		b.Append(rand.Int64N(1 << 20))
	}
	return b.NewArray()
}

func benchStrings(dictionary bool) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	r := rand.New(rand.NewPCG(1, 2))
	for range benchRows {
		b.Append("some text " + string(rune('a'+r.IntN(20))))
	}
	if dictionary {
		return encode(memory.DefaultAllocator, r, b.NewArray())
	}
	return b.NewArray()
}

func perRow(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkHash(b *testing.B) {
	ints := benchInts()
	for name, cols := range map[string][]arrow.Array{
		"int64": {ints}, "2xint64": {ints, ints}, "string": {benchStrings(false)}, "dictionary": {benchStrings(true)},
	} {
		b.Run(name, func(b *testing.B) {
			out := make([]uint64, benchRows)
			for b.Loop() {
				HashColumns(cols, nil, out)
			}
			perRow(b)
		})
	}
}

func BenchmarkTake(b *testing.B) {
	rows := rand.Perm(benchRows)
	idx := make([]int32, benchRows)
	for i, r := range rows {
		idx[i] = int32(r)
	}
	for name, arr := range map[string]arrow.Array{"int64": benchInts(), "string": benchStrings(false), "dictionary": benchStrings(true)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				out, _ := Take(memory.DefaultAllocator, arr, idx)
				out.Release()
			}
			perRow(b)
		})
	}
}

func BenchmarkScatter4xInt64(b *testing.B) {
	ints := benchInts()
	f := arrow.Field{Name: "n", Type: ints.DataType()}
	batch := stream.NewBatch(array.NewRecordBatch(arrow.NewSchema([]arrow.Field{f, f, f, f}, nil), []arrow.Array{ints, ints, ints, ints}, benchRows))
	parts := make([]uint32, benchRows)
	for i, h := range HashColumns([]arrow.Array{ints}, nil, nil) {
		parts[i] = uint32(h % 8)
	}
	for b.Loop() {
		c, _ := Cluster(memory.DefaultAllocator, batch, parts, 8)
		c.Record.Release()
	}
	perRow(b)
}
