package rowsort

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
)

// The tests sort random records by random keys and compare with a stable sort
// that uses nothing but comparers.

var columns = []arrow.Field{
	{Name: "i", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "f", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "w", Type: &arrow.Decimal128Type{Precision: 38}, Nullable: true},
	{Name: "b", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "row", Type: arrow.PrimitiveTypes.Int64},
	{Name: "d", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
}

func random(r *rand.Rand, mem memory.Allocator, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, arrow.NewSchema(columns, nil))
	defer b.Release()
	distinct := int64([]int{3, 50, math.MaxInt32}[r.IntN(3)])
	nullable := r.IntN(2) == 0
	long := r.IntN(2) == 0 // some texts are longer than a prefix
	for row := range n {
		x := r.Int64N(distinct) - distinct/2
		values := []any{
			x, []float64{float64(x), math.NaN(), math.Copysign(0, -1), math.Inf(1)}[r.IntN(4)],
			text(r, x, long), decimal128.New(x%3, uint64(x)), x%2 == 0, int64(row), x,
		}
		for i, v := range values {
			if nullable && columns[i].Nullable && r.IntN(6) == 0 {
				v = nil
			}
			if err := compute.AppendValue(b.Field(i), v); err != nil {
				panic(err)
			}
		}
	}
	return b.NewRecordBatch()
}

// text is one of texts that begin alike; some end in zeros.
func text(r *rand.Rand, x int64, long bool) string {
	s := fmt.Sprintf("prefix%d", x)
	switch {
	case r.IntN(10) == 0:
		return s[:r.IntN(4)+1] + "\x00\x00"[:r.IntN(3)]
	case long:
		return s
	}
	return s[:r.IntN(7)+1]
}

func randomKeys(r *rand.Rand) []Key {
	var keys []Key
	for range 1 + r.IntN(3) {
		keys = append(keys, Key{Column: []int{0, 1, 2, 3, 4, 6}[r.IntN(6)], Order: compute.Order{Descending: r.IntN(2) == 0, NullsFirst: r.IntN(2) == 0}})
	}
	return keys
}

func naive(t *testing.T, record arrow.RecordBatch, keys []Key) []int32 {
	rows := make([]int32, record.NumRows())
	for i := range rows {
		rows[i] = int32(i)
	}
	c, err := Comparers(record, record, keys)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return Compare(c, int(a), int(b)) })
	return rows
}

func TestPermutation(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		record := random(r, mem, r.IntN(900))
		keys := randomKeys(r)
		got, err := Permutation(record, keys)
		if err != nil {
			t.Fatal(err)
		}
		if want := naive(t, record, keys); !slices.Equal(got, want) {
			t.Fatalf("seed %d, keys %v: wrong order", seed, keys)
		}
		record.Release()
	}
}

// Entries of every distribution, more and fewer than the cache holds, are sorted as a
// stable sort does.
func TestRadix(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	for _, n := range []int{0, 1, fewEntries, cachedEntries, cachedEntries + 1, 5 * cachedEntries} {
		for name, prefix := range map[string]func() uint64{
			"any":    r.Uint64,
			"one":    func() uint64 { return 7 << 40 },
			"few":    func() uint64 { return r.Uint64N(3) << 61 },
			"narrow": func() uint64 { return r.Uint64N(1 << 19) },
			"middle": func() uint64 { return 1<<63 | r.Uint64N(1<<20)<<20 | 5 },
			"skewed": func() uint64 { return 1 << r.IntN(64) },
		} {
			entries := make([]entry, n)
			for i := range entries {
				entries[i] = entry{prefix: prefix(), row: int32(i)}
			}
			want := slices.Clone(entries)
			slices.SortStableFunc(want, func(a, b entry) int { return cmp.Compare(a.prefix, b.prefix) })
			if radix(entries, make([]entry, n)); !slices.Equal(entries, want) {
				t.Errorf("%d entries, %s: not in order", n, name)
			}
		}
	}
}

// slicesOf serves a record in pieces, and fails where told.
type slicesOf struct {
	record arrow.RecordBatch
	at     int64
	r      *rand.Rand
	fail   bool
}

var errBroken = errors.New("broken")

func (s *slicesOf) Next() (arrow.RecordBatch, error) {
	if s.at == s.record.NumRows() {
		if s.fail {
			return nil, errBroken
		}
		return nil, nil
	}
	to := min(s.at+s.r.Int64N(20), s.record.NumRows())
	piece := s.record.NewSlice(s.at, to)
	s.at = to
	return piece, nil
}

func TestMerge(t *testing.T) {
	for seed := range uint64(100) {
		mergeOnce(t, seed, false)
		mergeOnce(t, seed, true)
	}
}

func mergeOnce(t *testing.T, seed uint64, fail bool) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(seed, 2))
	keys := randomKeys(r)
	var inputs []Input
	var sorted []arrow.RecordBatch
	for range 1 + r.IntN(6) {
		record := random(r, mem, r.IntN(100))
		rows, err := Permutation(record, keys)
		if err != nil {
			t.Fatal(err)
		}
		s, err := compute.TakeRecord(mem, record, rows)
		if err != nil {
			t.Fatal(err)
		}
		record.Release()
		sorted = append(sorted, s)
		inputs = append(inputs, &slicesOf{record: s, r: r, fail: fail})
	}
	m := NewMerger(mem, inputs, keys, 1+r.IntN(50))
	var out []arrow.RecordBatch
	for {
		next, err := m.Next()
		if fail && errors.Is(err, errBroken) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if next == nil {
			break
		}
		out = append(out, next)
	}
	m.Close()
	if !fail {
		checkMerged(t, mem, sorted, out, keys)
	}
	for _, s := range append(sorted, out...) {
		s.Release()
	}
}

func checkMerged(t *testing.T, mem memory.Allocator, sorted, out []arrow.RecordBatch, keys []Key) {
	t.Helper()
	all, err := compute.ConcatRecords(mem, sorted)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Release()
	rows := naive(t, all, keys)
	at := 0
	for _, o := range out {
		for i := range int(o.NumRows()) {
			for c := range columns {
				got, want := fmt.Sprint(compute.ValueAt(o.Column(c), i)), fmt.Sprint(compute.ValueAt(all.Column(c), int(rows[at])))
				if got != want {
					t.Fatalf("row %d column %d is %s, want %s", at, c, got, want)
				}
			}
			at++
		}
	}
	if at != len(rows) {
		t.Fatalf("%d rows, want %d", at, len(rows))
	}
}

func BenchmarkPermutation(b *testing.B) {
	const n = 1 << 20
	for _, column := range []int{0, 2} {
		r := rand.New(rand.NewPCG(1, 1))
		builder := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(columns, nil))
		for range n {
			x := r.Int64()
			for i, v := range []any{x, float64(x), fmt.Sprintf("%d", x), decimal128.FromI64(x), x%2 == 0, x, int64(int32(x))} {
				if err := compute.AppendValue(builder.Field(i), v); err != nil {
					b.Fatal(err)
				}
			}
		}
		record := builder.NewRecordBatch()
		b.Run(columns[column].Name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Permutation(record, []Key{{Column: column}}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

func TestBefore(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		a, b := random(r, mem, r.IntN(200)), random(r, mem, 1+r.IntN(20))
		keys := randomKeys(r)
		bound := r.IntN(int(b.NumRows()))
		var sel []int32
		if r.IntN(2) == 0 {
			sel = []int32{}
		}
		c, err := Comparers(a, b, keys)
		if err != nil {
			t.Fatal(err)
		}
		want := []int32{}
		for i := range int32(a.NumRows()) {
			if sel != nil && r.IntN(2) == 0 {
				continue
			}
			if sel != nil {
				sel = append(sel, i)
			}
			if Compare(c, int(i), bound) < 0 {
				want = append(want, i)
			}
		}
		got, err := Before(a, sel, b, bound, keys)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d, keys %v: %v, got %v, want %v", seed, keys, err, got, want)
		}
		a.Release()
		b.Release()
	}
}
