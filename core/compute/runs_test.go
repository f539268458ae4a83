package compute

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// Rows of a run are equal; where values are integers, equal neighbours without
// nulls are in one run.
func TestRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var run, heads []int32
	for _, typ := range someTypes() {
		for round := range 20 {
			a := randomArray(memory.DefaultAllocator, r, typ, 40, round%2 == 0)
			cols := []arrow.Array{a}
			if round%3 == 0 && typ.Kind == datatype.Varchar {
				cols[0] = encode(memory.DefaultAllocator, r, a)
			}
			if round%5 == 0 {
				cols = append(cols, randomArray(memory.DefaultAllocator, r, datatype.Of(datatype.BigInt), 40, false))
			}
			var sel []int32
			if round%4 > 1 {
				sel = randomRows(r, 40, 25, false)
				slices.Sort(sel)
			}
			run, heads = Runs(cols, sel, run, heads)
			checkRuns(t, cols, sel, run, heads)
			if typ.Kind != datatype.BigInt || round%2 == 0 || len(cols) > 1 {
				continue
			}
			if want := 1 + changes(a, sel); len(heads) != want {
				t.Errorf("%d runs of %v at %v, want %d", len(heads), a, sel, want)
			}
		}
	}
	if run, heads = Runs([]arrow.Array{randomArray(memory.DefaultAllocator, r, datatype.Of(datatype.Varchar), 0, true)}, nil, run, heads); len(run)+len(heads) > 0 {
		t.Errorf("runs %v %v of no rows", run, heads)
	}
}

func checkRuns(t *testing.T, cols []arrow.Array, sel, run, heads []int32) {
	t.Helper()
	if len(run) != rowCount(cols[0], sel) || heads[0] != rowAt(sel, 0) {
		t.Fatalf("runs %v from %v of rows %v", run, heads, sel)
	}
	for i, k := range run {
		if i > 0 && k != run[i-1] && (k != run[i-1]+1 || heads[k] != rowAt(sel, i)) {
			t.Fatalf("row %d: run %d after %d, heads %v", i, k, run[i-1], heads)
		}
		for _, c := range cols {
			// NaN is not DeepEqual to itself; as text, the bits that differ do not show.
			x, y := c.ValueStr(int(heads[k])), c.ValueStr(int(rowAt(sel, i)))
			if d, ok := c.(*array.Dictionary); ok && d.IsValid(int(heads[k])) && d.IsValid(int(rowAt(sel, i))) {
				x, y = d.Dictionary().ValueStr(d.GetValueIndex(int(heads[k]))), d.Dictionary().ValueStr(d.GetValueIndex(int(rowAt(sel, i))))
			}
			if x != y {
				t.Fatalf("%s: row %d is %s, in a run that begins with %s", c.DataType(), i, y, x)
			}
		}
	}
}

func changes(a arrow.Array, sel []int32) int {
	n := 0
	for i := 1; i < rowCount(a, sel); i++ {
		if !reflect.DeepEqual(ValueAt(a, int(rowAt(sel, i))), ValueAt(a, int(rowAt(sel, i-1)))) {
			n++
		}
	}
	return n
}
