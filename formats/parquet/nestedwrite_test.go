package parquet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
)

// randomType is a type of any nesting up to a depth.
func randomType(rnd *rand.Rand, depth int) datatype.Type {
	flat := formattest.FlatTypes()
	t := flat[rnd.IntN(len(flat))]
	if depth > 0 {
		switch rnd.IntN(4) {
		case 0:
			t = datatype.ArrayOf(randomType(rnd, depth-1))
		case 1:
			t = datatype.MapOf(datatype.Of(datatype.Varchar).NotNull(), randomType(rnd, depth-1))
		case 2:
			var fields []datatype.Field
			for i := range 1 + rnd.IntN(3) {
				fields = append(fields, datatype.Field{Name: fmt.Sprintf("f%d", i), Type: randomType(rnd, depth-1)})
			}
			t = datatype.RowOf(fields...)
		}
	}
	if rnd.IntN(3) == 0 {
		t = t.NotNull()
	}
	return t
}

// TestNestedRoundTrip writes random values of random types, some batches as
// slices, in row groups, pages and steps of all sizes, and reads them again.
func TestNestedRoundTrip(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer alloc.AssertSize(t, 0)
			rnd := rand.New(rand.NewPCG(seed, 7))
			var s datatype.Schema
			for i := range 1 + rnd.IntN(4) {
				s = append(s, datatype.Field{Name: fmt.Sprintf("c%d", i), Type: randomType(rnd, 3)})
			}
			var want []string
			var batches []arrow.RecordBatch
			for range 3 {
				whole := formattest.Batch(memory.DefaultAllocator, s, 1+rnd.IntN(2000), 1+rnd.IntN(300), rnd)
				from := rnd.Int64N(whole.NumRows())
				b := whole.NewSlice(from, from+rnd.Int64N(whole.NumRows()-from+1))
				batches = append(batches, b)
				want = append(want, lines(b)...)
			}
			options := formats.Options{"parquet.row-group-rows": fmt.Sprint(1 + rnd.IntN(3000))}
			file := writeWith(t, alloc, s, options, batches...)
			got, _, err := readAll(input(file), formats.ReadOptions{Columns: s, BatchRows: 1 + rnd.IntN(500), Alloc: alloc})
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got)
			schema, err := Format{}.Schema(t.Context(), input(file), nil)
			if err != nil || !schema.Equal(s) {
				t.Errorf("schema: %v, %v; want %v", schema, err, s)
			}
		})
	}
}
