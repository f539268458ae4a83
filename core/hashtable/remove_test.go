package hashtable

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// Keys come and go: slots stay whose key stays, values of new keys are zero and null
// whatever was in their slot before, and memory that runs out changes nothing.
func TestRemove(t *testing.T) {
	for _, types := range keyForms {
		t.Run(fmt.Sprint(types), func(t *testing.T) {
			for seed := range uint64(12) {
				removeAtRandom(t, schemaOf(t, types...), seed)
			}
		})
	}
}

func removeAtRandom(t *testing.T, schema datatype.Schema, seed uint64) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(seed, 2))
	account := &budget{limit: math.MaxInt64}
	if seed%3 == 2 {
		account.limit = int64(r.IntN(300_000))
	}
	table, err := New(schema, schemaOf(t, "BIGINT", "STRING"), account)
	if err != nil {
		t.Fatal(err)
	}
	table.Removable()
	defer func() {
		table.Release()
		if account.used != 0 {
			t.Fatalf("%d bytes stay charged", account.used)
		}
	}()
	known, marks := map[string]int32{}, map[string]int64{}
	for round := range int64(20) {
		cols, sel, hashes := randomBatch(r, mem, schema)
		slots := make([]int32, len(hashes))
		err := table.Resolve(cols, sel, hashes, slots)
		if errors.Is(err, errExhausted) {
			account.limit *= 2
		} else if err != nil {
			t.Fatal(err)
		}
		v := table.Values()
		for i, s := range slots {
			if err != nil {
				break
			}
			key := printed(cols, rowOf(sel, i))
			want, ok := known[key]
			if ok && want != s {
				t.Fatalf("seed %d: key %s moved from slot %d to %d", seed, key, want, s)
			}
			if !ok {
				if v[0].Valid[s] || v[0].Int64[s] != 0 || v[1].Valid[s] || v[1].Bytes[s] != nil {
					t.Fatalf("seed %d: new key %s has values", seed, key)
				}
				known[key], marks[key] = s, round<<32|int64(i)
				v[0].Valid[s], v[0].Int64[s] = true, marks[key]
				v[1].Valid[s], v[1].Bytes[s] = true, []byte(key)
			}
		}
		compute.ReleaseAll(cols)
		removeSome(r, table, known, marks)
		if err := table.Compact(mem); err != nil && !errors.Is(err, errExhausted) {
			t.Fatal(err)
		}
		checkKnown(t, mem, table, known, marks)
	}
}

// removeSome removes a random share of the keys.
func removeSome(r *rand.Rand, table *Table, known map[string]int32, marks map[string]int64) {
	share := []int{0, 2, 10, 1}[r.IntN(4)]
	var gone []int32
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if share > 0 && r.IntN(share) == 0 {
			gone = append(gone, known[key])
			delete(known, key)
			delete(marks, key)
		}
	}
	table.Remove(gone)
}

// checkKnown compares keys and values in all ways in which they can be asked for.
func checkKnown(t *testing.T, mem memory.Allocator, table *Table, known map[string]int32, marks map[string]int64) {
	t.Helper()
	if len(known)+len(table.Free()) != table.Len() {
		t.Fatalf("%d keys and %d free of %d slots", len(known), len(table.Free()), table.Len())
	}
	slots := slices.Sorted(maps.Values(known))
	taken, err := table.Take(mem, slots)
	if err != nil {
		t.Fatal(err)
	}
	checkRows(t, table, taken, slots, known, marks)
	for i, h := range compute.HashColumns(taken, nil, nil) {
		if h != table.Hashes()[slots[i]] {
			t.Fatalf("slot %d has hash %x, want %x", slots[i], table.Hashes()[slots[i]], h)
		}
	}
	found := make([]int32, len(slots))
	if err := table.Find(taken, nil, compute.HashColumns(taken, nil, nil), found); err == nil && !slices.Equal(found, slots) {
		t.Fatalf("found %v, want %v", found, slots)
	}
	compute.ReleaseAll(taken)
	seen := 0
	err = table.Runs(100, func(from, to int) error {
		keys, err := table.Keys(mem, from, to)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(keys)
		run := make([]int32, to-from)
		for i := range run {
			run[i] = int32(from + i)
		}
		checkRows(t, table, keys, run, known, marks)
		seen += len(run)
		return nil
	})
	if err != nil || seen != len(known) {
		t.Fatalf("runs have %d of %d keys: %v", seen, len(known), err)
	}
}

func checkRows(t *testing.T, table *Table, keys []arrow.Array, slots []int32, known map[string]int32, marks map[string]int64) {
	t.Helper()
	v := table.Values()
	for i, s := range slots {
		key := printed(keys, i)
		if at, ok := known[key]; !ok || at != s || v[0].Int64[s] != marks[key] || string(v[1].Bytes[s]) != key {
			t.Fatalf("slot %d has key %s, which is at %d (%v), with value %d, want %d", s, key, at, ok, v[0].Int64[s], marks[key])
		}
	}
}

// What removed texts held is given up once it is much.
func TestCompact(t *testing.T) {
	for _, types := range [][]string{{"STRING"}, {"STRING", "INT"}} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		account := &budget{limit: math.MaxInt64}
		schema := schemaOf(t, types...)
		table, err := New(schema, nil, account)
		if err != nil {
			t.Fatal(err)
		}
		table.Removable()
		r, most := rand.New(rand.NewPCG(1, 1)), int64(0)
		for round := range 60 {
			cols := []arrow.Array{longTexts(mem, round)}
			if len(types) == 2 {
				cols = append(cols, randomColumn(r, mem, schema[1].Type, cols[0].Len(), 5, true, false))
			}
			slots := make([]int32, cols[0].Len())
			if err := table.Resolve(cols, nil, compute.HashColumns(cols, nil, nil), slots); err != nil {
				t.Fatal(err)
			}
			compute.ReleaseAll(cols)
			slices.Sort(slots)
			table.Remove(slices.Compact(slots))
			if err := table.Compact(mem); err != nil {
				t.Fatal(err)
			}
			if round == 10 {
				most = account.used
			}
		}
		if account.used > 2*most {
			t.Errorf("%v: %d bytes after 60 rounds, %d after 10", types, account.used, most)
		}
		table.Release()
		mem.AssertSize(t, 0)
	}
}

func longTexts(mem memory.Allocator, round int) arrow.Array {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	for i := range 1000 {
		b.Append(fmt.Sprintf("round %d and row %d, with 200 more bytes: %0200d", round, i, i))
	}
	return b.NewArray()
}
