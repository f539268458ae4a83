package parquet

import (
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Equal strings have one number, in order of appearance, whatever their length and
// what stands behind them; after a reset numbers begin anew.
func TestByteTable(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	var table byteTable
	table.use(mem)
	defer table.release()
	rnd := rand.New(rand.NewPCG(2, 2))
	data := make([]byte, 400)
	for round := range 4 {
		for i := range data {
			data[i] = "\x00ab\xff"[rnd.IntN(min(round+1, 4))]
		}
		want := map[string]int32{}
		for range 5_000 {
			from := rnd.Int32N(int32(len(data)) + 1)
			to := min(from+rnd.Int32N(11), int32(len(data)))
			v := data[from:to]
			number, known := want[string(v)]
			if !known {
				number = int32(len(want))
				want[string(v)] = number
			}
			if got := table.indexOf(data, from, to); got != number || string(table.entry(int(got))) != string(v) {
				t.Fatalf("%q has number %d, want %d", v, got, number)
			}
		}
		if table.len() != len(want) {
			t.Fatalf("%d entries of %d strings", table.len(), len(want))
		}
		table.reset()
	}
}
