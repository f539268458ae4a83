package aggregate

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// TestSketchEstimates adds consecutive numbers, each twice, to two sketches that are
// merged: the error stays below four times the standard error.
func TestSketchEstimates(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000, 30_000, 100_000, 3_000_000} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		var halves [2]*state.Column
		k := &sketch{}
		for half := range halves {
			halves[half] = hashtable.NullColumn(datatype.Of(datatype.Varbinary), 1)
			for from := 0; from < n; from += 10_000 {
				b := array.NewInt64Builder(mem)
				for i := from; i < min(n, from+10_000); i++ {
					if half == 0 || i%2 == 0 { // the other half knows only some
						b.Append(int64(i))
					}
				}
				values := b.NewArray()
				b.Release()
				slots := make([]int32, values.Len())
				if err := k.add([]*state.Column{halves[half]}, []arrow.Array{values}, nil, slots); err != nil {
					t.Fatal(err)
				}
				values.Release()
			}
		}
		other, err := hashtable.ToArrow(mem, halves[1], 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.merge([]*state.Column{halves[0]}, []arrow.Array{other}, nil, []int32{0}); err != nil {
			t.Fatal(err)
		}
		other.Release()
		out, err := k.result(mem, []*state.Column{halves[0]}, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := float64(out.(*array.Int64).Value(0))
		out.Release()
		if off := math.Abs(got - float64(n)); off > 4*0.0082*float64(n) {
			t.Errorf("%d values: estimate %.0f", n, got)
		}
		if want := int64(2 * sketchRegisters); n > 0 && k.grown() != want {
			t.Errorf("%d values: not %d bytes were charged", n, want)
		}
		mem.AssertSize(t, 0)
	}
}
