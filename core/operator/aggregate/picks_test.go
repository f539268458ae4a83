package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// MIN and MAX of a dictionary's values are those of plain texts, whether there are few
// values for the rows or many, with all rows and with some.
func TestPickOfDictionaries(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(1, 2))
	for _, function := range []string{"MIN", "MAX", "FIRST_VALUE", "LAST_VALUE"} {
		for _, groups := range []int{1, 3, 40} {
			for _, distinct := range []int{1, 7, 90} {
				for _, wide := range []bool{false, true} {
					for _, selected := range []bool{false, true} {
						checkPicks(t, mem, r, function, groups, distinct, wide, selected)
					}
				}
			}
		}
	}
}

func checkPicks(t *testing.T, mem memory.Allocator, r *rand.Rand, function string, groups, distinct int, wide, selected bool) {
	t.Helper()
	var index arrow.DataType = arrow.PrimitiveTypes.Int32
	if wide {
		index = arrow.PrimitiveTypes.Int64
	}
	typ := datatype.Of(datatype.Varchar)
	encoded := array.NewDictionaryBuilder(mem, &arrow.DictionaryType{IndexType: index, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	defer encoded.Release()
	plain := array.NewStringBuilder(mem)
	defer plain.Release()
	var sel, slots []int32
	for i := range 1000 {
		text := fmt.Sprintf("text %d", r.IntN(distinct))
		if err := encoded.AppendString(text); err != nil {
			t.Fatal(err)
		}
		plain.Append(text)
		if !selected || r.IntN(3) > 0 {
			sel, slots = append(sel, int32(i)), append(slots, int32(r.IntN(groups)))
		}
	}
	if !selected {
		sel = nil
	}
	var got []string
	for _, a := range []arrow.Array{encoded.NewArray(), plain.NewArray()} {
		defer a.Release()
		acc, err := newPick(function, typ)
		if err != nil {
			t.Fatal(err)
		}
		c := hashtable.NullColumn(typ, groups)
		if err := acc.add([]*state.Column{c}, []arrow.Array{a}, sel, slots); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%q %v, %d bytes", c.Bytes, c.Valid, acc.(keeper).grown()))
	}
	if got[0] != got[1] {
		t.Errorf("%s of %d groups, %d values, selected %v: %s of a dictionary, %s of plain texts", function, groups, distinct, selected, got[0], got[1])
	}
}
