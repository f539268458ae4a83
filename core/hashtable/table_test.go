package hashtable

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// The tests compare tables with Go maps over printed keys, for every form of key,
// and take memory away at random.

type budget struct{ used, limit int64 }

var errExhausted = errors.New("exhausted")

func (b *budget) Grow(n int64) error {
	if b.used+n > b.limit {
		return errExhausted
	}
	b.used += n
	return nil
}
func (b *budget) Shrink(n int64) { b.used -= n }

func schemaOf(t testing.TB, types ...string) datatype.Schema {
	t.Helper()
	var s datatype.Schema
	for i, name := range types {
		typ, err := datatype.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, datatype.Field{Name: fmt.Sprintf("k%d", i), Type: typ})
	}
	return s
}

// randomColumn makes n values of few or many kinds, with nulls, as a dictionary
// or plain.
func randomColumn(r *rand.Rand, mem memory.Allocator, typ datatype.Type, n, distinct int, nulls, encoded bool) arrow.Array {
	b := array.NewBuilder(mem, typ.Arrow())
	defer b.Release()
	for range n {
		x := r.IntN(distinct)
		var v any = int64(x*7919 - distinct)
		switch {
		case nulls && r.IntN(4) == 0:
			v = nil
		case typ.IsString():
			v = text(x)
		case typ.IsBinary():
			v = []byte(text(x))
		case typ.Kind == datatype.Boolean:
			v = x%2 == 0
		case StorageOf(typ) == Real:
			v = []float64{0, math.Copysign(0, -1), math.NaN(), float64(x)}[r.IntN(4)]
		case typ.IsInteger() && typ.Kind != datatype.BigInt:
			v = int64(int8(x))
		}
		if err := compute.AppendValue(b, v); err != nil {
			panic(err)
		}
	}
	a := b.NewArray()
	if !encoded {
		return a
	}
	defer a.Release()
	return encode(mem, a)
}

// text has every length around the inline limit, and odd last bytes.
func text(x int) string {
	s := fmt.Sprintf("%d:abcdefghijklmnopqrstuvwxyz", x)
	s = s[:x%len(s)]
	if x%5 == 0 {
		s += string([]byte{byte(x), 0, 0xFF}[x%3])
	}
	return s
}

func encode(mem memory.Allocator, a arrow.Array) arrow.Array {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: a.DataType()}
	b := array.NewDictionaryBuilder(mem, dt)
	defer b.Release()
	for i := range a.Len() {
		var err error
		switch b := b.(type) {
		case *array.BinaryDictionaryBuilder:
			switch v := a.(type) {
			case *array.String:
				if v.IsNull(i) {
					b.AppendNull()
				} else {
					err = b.AppendString(v.Value(i))
				}
			case *array.Binary:
				if v.IsNull(i) {
					b.AppendNull()
				} else {
					err = b.Append(v.Value(i))
				}
			}
		}
		if err != nil {
			panic(err)
		}
	}
	return b.NewArray()
}

// printed is a row's key as GROUP BY sees it.
func printed(cols []arrow.Array, row int) string {
	s := ""
	for _, c := range cols {
		v := compute.ValueAt(c, row)
		if f, ok := v.(float64); ok && f == 0 {
			v = 0.0
		}
		s += fmt.Sprintf("%T %q|", v, fmt.Sprint(v))
	}
	return s
}

var keyForms = [][]string{
	{"BIGINT"},
	{"INT"},
	{"BOOLEAN"},
	{"DOUBLE"},
	{"FLOAT"},
	{"STRING"},
	{"BYTES"},
	{"DATE"},
	{"DECIMAL(30, 2)"},
	{"DECIMAL(12, 2)"},
	{"STRING", "STRING"},
	{"BIGINT", "INT"},
	{"BIGINT", "BIGINT"},
	{"BIGINT", "BIGINT", "BIGINT"},
	{"BIGINT", "BIGINT", "BIGINT", "BIGINT", "DATE"},
	{"STRING", "INT", "BOOLEAN"},
	{"BIGINT", "DECIMAL(30, 2)", "STRING", "DOUBLE"},
	{"TINYINT", "SMALLINT", "TIMESTAMP(3)"},
}

func TestAgainstMap(t *testing.T) {
	for _, types := range keyForms {
		t.Run(fmt.Sprint(types), func(t *testing.T) {
			for seed := range uint64(12) {
				againstMap(t, schemaOf(t, types...), seed)
			}
		})
	}
}

func FuzzAgainstMap(f *testing.F) {
	f.Add(uint64(1), byte(3))
	f.Fuzz(func(t *testing.T, seed uint64, form byte) {
		againstMap(t, schemaOf(t, keyForms[int(form)%len(keyForms)]...), seed)
	})
}

func againstMap(t *testing.T, schema datatype.Schema, seed uint64) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(seed, 1))
	account := &budget{limit: math.MaxInt64}
	if seed%3 == 2 {
		account.limit = int64(r.IntN(600_000))
	}
	table, err := New(schema, schemaOf(t, "BIGINT", "STRING"), account)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		table.Release()
		if account.used != 0 {
			t.Fatalf("%d bytes stay charged", account.used)
		}
	}()
	known := map[string]int32{}
	var order []string
	for range 6 {
		cols, sel, hashes := randomBatch(r, mem, schema)
		slots := make([]int32, len(hashes))
		if err := table.Find(cols, sel, hashes, slots); err == nil {
			for i, s := range slots {
				if want, ok := known[printed(cols, rowOf(sel, i))]; (ok && want != s) || (!ok && s != -1) {
					t.Fatalf("seed %d: find row %d: slot %d, want %d (known %v)", seed, i, s, want, ok)
				}
			}
		}
		err := table.Resolve(cols, sel, hashes, slots)
		switch {
		case errors.Is(err, errExhausted):
			if table.Len() != len(order) {
				t.Fatalf("failed Resolve left %d keys of %d", table.Len(), len(order))
			}
			account.limit *= 2
		case err != nil:
			t.Fatal(err)
		default:
			fresh := map[string]bool{}
			for i, s := range slots {
				key := printed(cols, rowOf(sel, i))
				want, ok := known[key]
				if !ok {
					known[key], fresh[key] = s, true
					continue
				}
				if s != want {
					t.Fatalf("seed %d: row %d key %s: slot %d, want %d", seed, i, key, s, want)
				}
			}
			order = make([]string, len(known))
			for k, s := range known {
				order[s] = k
			}
			if table.Len() != len(known) || len(table.Values()[0].Valid) != len(known) || len(table.Values()[1].Bytes) != len(known) {
				t.Fatalf("%d keys, want %d", table.Len(), len(known))
			}
		}
		compute.ReleaseAll(cols)
		checkKeys(t, mem, table, order, r)
	}
	if seed%4 == 0 {
		checkViews(t, mem, table, schema, known, seed)
	}
}

// checkViews has several goroutines find what the table knows.
func checkViews(t *testing.T, mem memory.Allocator, table *Table, schema datatype.Schema, known map[string]int32, seed uint64) {
	var all sync.WaitGroup
	defer all.Wait()
	for n := range uint64(2) {
		view := table.View()
		all.Go(func() {
			defer view.Release()
			r := rand.New(rand.NewPCG(seed, n))
			for range 2 {
				cols, sel, hashes := randomBatch(r, mem, schema)
				slots := make([]int32, len(hashes))
				if err := view.Find(cols, sel, hashes, slots); err != nil {
					t.Errorf("seed %d: view %d: %v", seed, n, err)
				}
				for i, s := range slots {
					if want, ok := known[printed(cols, rowOf(sel, i))]; (ok && want != s) || (!ok && s != -1) {
						t.Errorf("seed %d: view %d finds row %d at slot %d, want %d (known %v)", seed, n, i, s, want, ok)
						break
					}
				}
				compute.ReleaseAll(cols)
			}
		})
	}
}

func rowOf(sel []int32, i int) int {
	if sel == nil {
		return i
	}
	return int(sel[i])
}

func randomBatch(r *rand.Rand, mem memory.Allocator, schema datatype.Schema) (cols []arrow.Array, sel []int32, hashes []uint64) {
	n, distinct := 1+r.IntN(3000), 1+r.IntN(5000)
	if r.IntN(2) == 0 {
		distinct = 1 + r.IntN(10)
	}
	for _, f := range schema {
		chars := StorageOf(f.Type) == Chars
		cols = append(cols, randomColumn(r, mem, f.Type, n, distinct, r.IntN(2) == 0, chars && r.IntN(2) == 0))
	}
	if r.IntN(2) == 0 {
		sel = []int32{}
		for i := range n {
			if r.IntN(3) > 0 {
				sel = append(sel, int32(i))
			}
		}
	}
	return cols, sel, compute.HashColumns(cols, sel, nil)
}

func checkKeys(t *testing.T, mem memory.Allocator, table *Table, order []string, r *rand.Rand) {
	t.Helper()
	from := r.IntN(len(order) + 1)
	to := from + r.IntN(len(order)-from+1)
	keys, err := table.Keys(mem, from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer compute.ReleaseAll(keys)
	for i := from; i < to; i++ {
		if got := printed(keys, i-from); got != order[i] {
			t.Fatalf("key of slot %d is %s, want %s", i, got, order[i])
		}
	}
}

// Keys whose hashes collide in full are still told apart.
func TestEqualHashes(t *testing.T) {
	mem := memory.NewGoAllocator()
	for _, types := range [][]string{{"BIGINT"}, {"STRING"}, {"BIGINT", "BIGINT"}, {"BIGINT", "BIGINT", "BIGINT"}} {
		schema := schemaOf(t, types...)
		table, err := New(schema, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewInt64Builder(mem)
		s := array.NewStringBuilder(mem)
		for i := range 50 {
			b.Append(int64(i % 25))
			s.Append(fmt.Sprintf("a long string that does not fit inline %02d", i%25))
		}
		ints, texts := b.NewArray(), s.NewArray()
		cols := make([]arrow.Array, len(types))
		for i := range cols {
			if cols[i] = ints; types[i] == "STRING" {
				cols[i] = texts
			}
		}
		slots := make([]int32, 50)
		for range 2 {
			if err := table.Resolve(cols, nil, make([]uint64, 50), slots); err != nil {
				t.Fatal(err)
			}
		}
		if table.Len() != 25 || slots[49] != 24 {
			t.Fatalf("%v: %d keys, last slot %d", types, table.Len(), slots[49])
		}
	}
}

func TestRefusedTypes(t *testing.T) {
	if _, err := New(schemaOf(t, "ARRAY<INT>"), nil, nil); err == nil {
		t.Error("array as a key")
	}
	if _, err := New(schemaOf(t, "INT"), schemaOf(t, "MAP<INT, INT>"), nil); err == nil {
		t.Error("map as a value")
	}
	if _, err := New(nil, nil, nil); err == nil {
		t.Error("no keys")
	}
}

func BenchmarkGroupBy(b *testing.B) {
	const rows, batch = 4 << 20, 8192
	keys := map[string][]string{"BIGINT": {"BIGINT"}, "STRING": {"STRING"}, "DICTIONARY": {"STRING"}, "PAIR": {"BIGINT", "BIGINT"}}
	for _, groups := range []int{8, 1_000, 100_000, 1_000_000} {
		r := rand.New(rand.NewPCG(1, 2))
		ids := make([]int64, rows)
		for i := range ids {
			ids[i] = r.Int64N(int64(groups)) * 7919
		}
		for _, form := range []string{"BIGINT", "STRING", "DICTIONARY", "PAIR"} {
			if form == "DICTIONARY" && groups > batch {
				continue
			}
			var batches []arrow.Array
			for i := 0; i < rows; i += batch {
				batches = append(batches, benchColumn(form, ids[i:i+batch]))
			}
			b.Run(fmt.Sprintf("%s/%d", form, groups), func(b *testing.B) {
				schema, values := schemaOf(b, keys[form]...), schemaOf(b, "BIGINT")
				slots, hashes := make([]int32, batch), make([]uint64, batch)
				for b.Loop() {
					table, _ := New(schema, values, nil)
					for _, a := range batches {
						cols := []arrow.Array{a, a}[:len(schema)]
						if table.NeedsHashes(cols, batch) {
							hashes = compute.HashColumns(cols, nil, hashes)
						}
						if err := table.Resolve(cols, nil, hashes, slots); err != nil {
							b.Fatal(err)
						}
						sum := table.Values()[0].Int64
						for _, s := range slots {
							sum[s]++
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}

func benchColumn(form string, ids []int64) arrow.Array {
	if form == "BIGINT" || form == "PAIR" {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		b.AppendValues(ids, nil)
		return b.NewArray()
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for _, x := range ids {
		b.Append(fmt.Sprintf("key-%012d", x))
	}
	if form == "DICTIONARY" {
		return encode(memory.DefaultAllocator, b.NewArray())
	}
	return b.NewArray()
}
