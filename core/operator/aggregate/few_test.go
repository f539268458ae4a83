package aggregate

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// Sums by way of lanes are those of adding one value after the other, also where
// values are so large that lanes would overflow, and of some rows only.
func TestSumsOfFewGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, groups := range []int{1, 3, few, few + 1} {
		for _, size := range []uint{1, 30, 50, 63, 64, 90} {
			for _, rows := range []int{1, 5, 4 * groups, 4*groups + 3, 5000} {
				values, slots := make([]decimal128.Num, rows), make([]int32, rows)
				for i := range values {
					x := random(r, size)
					if r.IntN(2) == 0 {
						x.Neg(x)
					}
					values[i], slots[i] = decimal128.FromBigInt(x), int32(r.IntN(groups))
				}
				checkSums(t, datatype.DecimalOf(38, 2), groups, values, slots)
				if size < 63 {
					checkSums(t, datatype.DecimalOf(18, 2), groups, values, slots)
				}
			}
		}
	}
}

func checkSums(t *testing.T, typ datatype.Type, groups int, values []decimal128.Num, slots []int32) {
	t.Helper()
	in := hashtable.NullColumn(typ, len(values))
	for i, v := range values {
		if in.Valid[i] = true; in.Dec128 != nil {
			in.Dec128[i] = v
		} else {
			in.Int64[i] = int64(v.LowBits())
		}
	}
	arr, err := hashtable.ToArrow(memory.DefaultAllocator, in, 0, len(values))
	if err != nil {
		t.Fatal(err)
	}
	defer arr.Release()
	got := hashtable.NullColumn(datatype.DecimalOf(38, 2), groups)
	var a adder
	some, someSlots := []int32{}, []int32{}
	for i := 0; i < len(slots); i += 1 + i%3 {
		some, someSlots = append(some, int32(i)), append(someSlots, slots[i])
	}
	a.add(got, arr, nil, slots)
	a.add(got, arr, some, someSlots)
	want := make([]big.Int, groups)
	for i, s := range slots {
		want[s].Add(&want[s], values[i].BigInt())
	}
	for i, r := range some {
		want[someSlots[i]].Add(&want[someSlots[i]], values[r].BigInt())
	}
	present := map[int32]bool{}
	for _, s := range slots {
		present[s] = true
	}
	for g := range want {
		if want[g].Cmp(got.Dec128[g].BigInt()) != 0 || got.Valid[g] != present[int32(g)] {
			t.Fatalf("%d groups, %d rows, group %d: %v (%v), want %v", groups, len(slots), g, got.Dec128[g].BigInt(), got.Valid[g], &want[g])
		}
	}
}

// Sums of integers wrap around.
func TestSumsWrapAround(t *testing.T) {
	values := []int64{math.MaxInt64, 1, math.MaxInt64, 7, 9}
	arr, err := hashtable.ToArrow(memory.DefaultAllocator, &state.Column{
		Type: datatype.Of(datatype.BigInt), Int64: values, Valid: []bool{true, true, true, true, true},
	}, 0, len(values))
	if err != nil {
		t.Fatal(err)
	}
	defer arr.Release()
	got := hashtable.NullColumn(datatype.Of(datatype.BigInt), 1)
	var a adder
	a.add(got, arr, nil, make([]int32, len(values)))
	want := int64(0)
	for _, v := range values {
		want += v
	}
	if got.Int64[0] != want {
		t.Errorf("%d, want %d", got.Int64[0], want)
	}
}

func random(r *rand.Rand, size uint) *big.Int {
	x := new(big.Int).Lsh(new(big.Int).SetUint64(r.Uint64()), 64)
	x.Or(x, new(big.Int).SetUint64(r.Uint64()))
	return x.Rsh(x, 128-size)
}
