package hashtable

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
)

// Batches of one Parquet column chunk share a dictionary: what was found, and what was
// not, is remembered from batch to batch, for one column as for combinations of several.
func TestSharedDictionaries(t *testing.T) {
	for _, types := range [][]string{{"STRING"}, {"STRING", "BYTES"}, {"STRING", "STRING", "STRING"}} {
		for _, nulls := range []bool{false, true} {
			t.Run(fmt.Sprint(types, nulls), func(t *testing.T) {
				for seed := range uint64(6) {
					sharedDictionaries(t, types, nulls, seed)
				}
			})
		}
	}
}

// A lookup that memory is refused for leaves nothing behind that the next one trusts.
func TestDictionariesOutOfMemory(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(1, 3))
	schema, account := schemaOf(t, "STRING", "STRING"), &budget{limit: math.MaxInt64}
	table, err := New(schema, nil, account)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	cols := []arrow.Array{
		randomColumn(r, mem, schema[0].Type, 4000, 40, false, true), randomColumn(r, mem, schema[1].Type, 4000, 40, false, true),
	}
	defer compute.ReleaseAll(cols)
	known := map[string]int32{}
	for _, sel := range [][]int32{{3, 4}, nil} {
		account.limit = account.used
		if err := table.Resolve(cols, nil, make([]uint64, 4000), make([]int32, 4000)); !errors.Is(err, errExhausted) {
			t.Fatalf("without memory: %v", err)
		}
		account.limit = math.MaxInt64
		checkShared(t, table, known, cols, sel, 0)
	}
}

func sharedDictionaries(t *testing.T, types []string, nulls bool, seed uint64) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(seed, 2))
	schema, account := schemaOf(t, types...), &budget{limit: math.MaxInt64}
	table, err := New(schema, nil, account)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	known := map[string]int32{}
	for range 3 { // dictionaries
		var all []arrow.Array
		for _, f := range schema {
			all = append(all, randomColumn(r, mem, f.Type, 4000, 1+r.IntN(12), nulls, true))
		}
		for at := 0; at < 4000; at += 800 {
			cols := make([]arrow.Array, len(all))
			for i, a := range all {
				cols[i] = array.NewSlice(a, int64(at), int64(at+800))
			}
			var sel []int32
			if r.IntN(2) == 0 {
				for i := int32(0); i < 800; i += 1 + int32(r.IntN(20)) {
					sel = append(sel, i)
				}
			}
			checkShared(t, table, known, cols, sel, seed)
			compute.ReleaseAll(cols)
		}
		compute.ReleaseAll(all)
	}
}

// checkShared finds rows of which not all are known, adds some of them, then finds all.
func checkShared(t *testing.T, table *Table, known map[string]int32, cols []arrow.Array, sel []int32, seed uint64) {
	t.Helper()
	hashes := compute.HashColumns(cols, sel, nil)
	for _, step := range []struct {
		add bool
		sel []int32
	}{{false, sel}, {true, []int32{0, 1, 5, 799}}, {false, nil}, {true, sel}} {
		hashes = compute.HashColumns(cols, step.sel, hashes)
		slots := make([]int32, len(hashes))
		find := table.Find
		if step.add {
			find = table.Resolve
		}
		if err := find(cols, step.sel, hashes, slots); err != nil {
			t.Fatal(err)
		}
		for i, s := range slots {
			key := printed(cols, rowOf(step.sel, i))
			want, ok := known[key]
			if !ok && step.add {
				known[key], want = s, s
			} else if !ok {
				want = -1
			}
			if s != want {
				t.Fatalf("seed %d, adding %v: row %d key %s: slot %d, want %d", seed, step.add, i, key, s, want)
			}
		}
	}
	if table.Len() != len(known) {
		t.Fatalf("%d keys, want %d", table.Len(), len(known))
	}
}
