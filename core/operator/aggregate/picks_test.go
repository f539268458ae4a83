package aggregate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// MIN and MAX of texts are those of a naive loop, plain or behind a dictionary, whether
// there are few values for the rows or many, with all rows and with some.
func TestPickOfTexts(t *testing.T) {
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
	index := arrow.PrimitiveTypes.Int32
	if wide {
		index = arrow.PrimitiveTypes.Int64
	}
	typ := datatype.Of(datatype.Varchar)
	encoded := array.NewDictionaryBuilder(mem, &arrow.DictionaryType{IndexType: index, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	defer encoded.Release()
	plain := array.NewStringBuilder(mem)
	defer plain.Release()
	var sel, slots []int32
	want := map[int32]string{}
	for i := range 1000 {
		text := []string{"", "t", "text", "text\x00", "text number "}[r.IntN(5)]
		if x := r.IntN(distinct); x > 0 {
			text += fmt.Sprint(x)
		}
		if err := encoded.AppendString(text); err != nil {
			t.Fatal(err)
		}
		plain.Append(text)
		if !selected || r.IntN(3) > 0 {
			s := int32(r.IntN(groups))
			sel, slots = append(sel, int32(i)), append(slots, s)
			if k, ok := want[s]; !ok || function == "LAST_VALUE" || function == "MIN" && text < k || function == "MAX" && text > k {
				want[s] = text
			}
		}
	}
	if !selected {
		sel = nil
	}
	for _, a := range []arrow.Array{encoded.NewArray(), plain.NewArray()} {
		defer a.Release()
		acc, err := newPick(function, typ)
		if err != nil {
			t.Fatal(err)
		}
		c := hashtable.NullColumn(typ, groups)
		for range 2 { // the second time nothing changes
			if err := acc.add([]*state.Column{c}, []arrow.Array{a}, sel, slots); err != nil {
				t.Fatal(err)
			}
		}
		bytes := int64(0)
		for s := range groups {
			text, ok := want[int32(s)]
			bytes += int64(len(text))
			if text != string(c.Bytes[s]) || ok != c.Valid[s] {
				t.Errorf("%s of %d groups, %d values, selected %v, %T: %q (%v), want %q", function, groups, distinct, selected, a, c.Bytes[s], c.Valid[s], text)
			}
		}
		if kept := acc.(keeper).grown(); kept != bytes {
			t.Errorf("%s: %d bytes kept, said %d", function, bytes, kept)
		}
	}
}

// The least and greatest of whole numbers, of one group and of several, of odd and even
// numbers of rows.
func TestPickOfNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for _, groups := range []int{1, 2} {
		for rows := 1; rows < 9; rows++ {
			for range 40 {
				v, slots := make([]int64, rows), make([]int32, rows)
				for i := range v {
					v[i], slots[i] = r.Int64N(20)-10, int32(r.IntN(groups))
				}
				for _, rule := range []rule{least, greatest} {
					kept, valid := make([]int64, groups), make([]bool, groups)
					want, known := make([]int64, groups), make([]bool, groups)
					for i, s := range slots {
						if !known[s] || rule == least && v[i] < want[s] || rule == greatest && v[i] > want[s] {
							want[s], known[s] = v[i], true
						}
					}
					if pickInts(rule, kept, valid, v, slots); !slices.Equal(kept, want) || !slices.Equal(valid, known) {
						t.Fatalf("rule %d of %v in %v: %v (%v), want %v", rule, v, slots, kept, valid, want)
					}
				}
			}
		}
	}
}
