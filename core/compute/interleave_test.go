package compute

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// Rows of several arrays, plain and encoded in any mixture, are those of the arrays
// joined.
func TestInterleave(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(11, 11))
	for _, typ := range someTypes() {
		for round := range 40 {
			arrs := make([]arrow.Array, 1+r.IntN(4))
			for i := range arrs {
				arrs[i] = interleaved(mem, r, typ, round, arrs[:i])
			}
			var picks []Pick
			for range r.IntN(200) {
				if i := r.IntN(len(arrs)); arrs[i].Len() > 0 {
					picks = append(picks, Pick{int32(i), int32(r.IntN(arrs[i].Len()))})
				}
			}
			checkInterleave(t, mem, arrs, picks)
			ReleaseAll(arrs)
		}
	}
	if _, err := Interleave(mem, nil, nil); err == nil {
		t.Error("no arrays: no error")
	}
	if _, err := InterleaveRecords(mem, nil, nil); err == nil {
		t.Error("no records: no error")
	}
}

// interleaved is an array: in most rounds of text encoded, in some with the
// dictionary of the one before.
func interleaved(mem memory.Allocator, r *rand.Rand, typ datatype.Type, round int, before []arrow.Array) arrow.Array {
	if round%4 == 3 && len(before) > 0 && before[0].Len() > 0 {
		rows := randomRows(r, before[0].Len(), r.IntN(30), false)
		out, err := Take(mem, before[0], rows)
		if err != nil {
			panic(err)
		}
		return out
	}
	arr := randomArray(mem, r, typ, r.IntN(40), round%2 == 0)
	if !typ.IsString() && typ.Kind != datatype.Varbinary || r.IntN(8) < round%4 {
		return arr
	}
	defer arr.Release()
	return encode(mem, r, arr)
}

func checkInterleave(t *testing.T, mem memory.Allocator, arrs []arrow.Array, picks []Pick) {
	t.Helper()
	got, err := Interleave(mem, arrs, picks)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	want, err := interleaver{mem, arrs, picks}.joined()
	if err != nil {
		t.Fatal(err)
	}
	defer want.Release()
	g, err := Decode(mem, got)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Release()
	w, err := Decode(mem, want)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	if fmt.Sprint(g) != fmt.Sprint(w) || g.NullN() != w.NullN() || !arrow.TypeEqual(g.DataType(), w.DataType()) {
		t.Fatalf("%s from %d arrays:\n%v\nwant\n%v", g.DataType(), len(arrs), g, w)
	}
}
