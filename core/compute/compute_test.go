package compute

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
)

// eachArray runs f on random arrays of every layout: with and without nulls,
// plain and, where that exists, dictionary-encoded.
func eachArray(t *testing.T, f func(t *testing.T, mem memory.Allocator, r *rand.Rand, arr arrow.Array)) {
	for _, typ := range someTypes() {
		for _, nulls := range []bool{false, true} {
			for _, dictionary := range []bool{false, true} {
				if dictionary && !typ.IsString() && !typ.IsBinary() {
					continue
				}
				t.Run(fmt.Sprintf("%s/nulls=%v/dict=%v", typ, nulls, dictionary), func(t *testing.T) {
					mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
					defer mem.AssertSize(t, 0)
					for seed := range uint64(5) {
						r := rand.New(rand.NewPCG(seed, 7))
						arr := randomArray(mem, r, typ, 1+r.IntN(40), nulls)
						if dictionary {
							plain := arr
							arr = encode(mem, r, plain)
							plain.Release()
						}
						f(t, mem, r, arr)
						arr.Release()
					}
				})
			}
		}
	}
}

// same compares physical values; NaN is itself.
func same(a, b any) bool { return fmt.Sprintf("%T %v", a, a) == fmt.Sprintf("%T %v", b, b) }

// Gathers return the rows asked for, in every layout, in any order, repeated,
// none at all, and with nulls for negative rows.
func TestTake(t *testing.T) {
	eachArray(t, func(t *testing.T, mem memory.Allocator, r *rand.Rand, arr arrow.Array) {
		for _, count := range []int{0, 1, 50} {
			for _, orNull := range []bool{false, true} {
				rows := randomRows(r, arr.Len(), count, orNull)
				take := Take
				if orNull {
					take = TakeOrNull
				}
				got, err := take(mem, arr, rows)
				if err != nil {
					t.Fatal(err)
				}
				checkRows(t, arr, got, rows)
				got.Release()
			}
		}
	})
}

func checkRows(t *testing.T, from, got arrow.Array, rows []int32) {
	t.Helper()
	if got.Len() != len(rows) || !arrow.TypeEqual(got.DataType(), from.DataType()) {
		t.Fatalf("got %d rows of %s, want %d of %s", got.Len(), got.DataType(), len(rows), from.DataType())
	}
	nulls := 0
	for i, row := range rows {
		var want any
		if row >= 0 {
			want = ValueAt(from, int(row))
		}
		if want == nil {
			nulls++
		}
		if g := ValueAt(got, i); !same(g, want) {
			t.Fatalf("row %d: got %v, want %v", i, g, want)
		}
	}
	if got.NullN() != nulls {
		t.Fatalf("null count %d, want %d", got.NullN(), nulls)
	}
}

// An outer join against an empty side asks for nothing but nulls.
func TestTakeFromEmpty(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, typ := range someTypes() {
		empty := array.MakeArrayOfNull(mem, typ.Arrow(), 0)
		got, err := TakeOrNull(mem, empty, []int32{-1, -1})
		if err != nil || got.NullN() != 2 {
			t.Errorf("%s: %v, %v", typ, got, err)
		}
		got.Release()
		empty.Release()
	}
}

// Hashes follow the values, not the encoding, the offset or the selection.
func TestHashFollowsValues(t *testing.T) {
	eachArray(t, func(t *testing.T, mem memory.Allocator, r *rand.Rand, arr arrow.Array) {
		all := HashColumns([]arrow.Array{arr}, nil, nil)
		plain, err := Decode(mem, arr)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Release()
		if got := HashColumns([]arrow.Array{plain}, nil, nil); !reflect.DeepEqual(got, all) {
			t.Fatalf("decoded array hashes to %v, not %v", got, all)
		}
		sel := randomRows(r, arr.Len(), 30, false)
		for i, h := range HashColumns([]arrow.Array{arr}, sel, make([]uint64, 0, 64)) {
			if h != all[sel[i]] {
				t.Fatalf("selected row %d hashes to %x, not %x", sel[i], h, all[sel[i]])
			}
		}
		order, err := NewComparer(arr, plain, Order{})
		if err != nil {
			return // maps have no order
		}
		for i := range arr.Len() {
			for j := range arr.Len() {
				if (order.Compare(i, j) == 0) != (all[i] == all[j]) {
					t.Fatalf("%v and %v: order %d, hashes %x %x", ValueAt(arr, i), ValueAt(arr, j), order.Compare(i, j), all[i], all[j])
				}
			}
		}
	})
}

// A slice does not know how many nulls it has until somebody counts: the bytes
// below its nulls must not reach the hash, in the first column or a later one.
func TestHashOfSlicedNulls(t *testing.T) {
	words := func(text string) arrow.Array {
		a, err := Constant(memory.DefaultAllocator, datatype.Of(datatype.Varchar), text, 3)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, below := range []int32{0, 7} {
		b := array.NewInt32Builder(memory.DefaultAllocator)
		b.AppendValues([]int32{1, below, below, 2}, []bool{true, false, false, true})
		part := array.NewSlice(b.NewArray(), 1, 4)
		got := HashColumns([]arrow.Array{words("a"), part}, nil, nil)
		null := HashColumns([]arrow.Array{words("a"), Nulls(memory.DefaultAllocator, part.DataType(), 3)}, nil, nil)
		if got[0] != null[0] || got[1] != null[0] || got[2] == null[0] {
			t.Errorf("nulls over %d hash to %x, not %x", below, got, null[0])
		}
	}
}

// Values that SQL calls equal hash equally across widths, and columns do not
// commute.
func TestHashByValue(t *testing.T) {
	hash := func(typ datatype.Type, v any) uint64 {
		a, err := Constant(memory.DefaultAllocator, typ, v, 1)
		if err != nil {
			t.Fatal(err)
		}
		return HashColumns([]arrow.Array{a}, nil, nil)[0]
	}
	of := datatype.Of
	if hash(of(datatype.Int), int64(-7)) != hash(of(datatype.BigInt), int64(-7)) {
		t.Error("INT and BIGINT differ")
	}
	if hash(datatype.DecimalOf(10, 2), int64(-150)) != hash(datatype.DecimalOf(30, 2), int64(-150)) {
		t.Error("short and long decimals differ")
	}
	if hash(of(datatype.Double), 0.0) != hash(of(datatype.Double), math.Copysign(0, -1)) {
		t.Error("-0.0 differs from 0.0")
	}
	other := math.Float64frombits(math.Float64bits(math.NaN()) ^ 1<<63)
	if hash(of(datatype.Double), math.NaN()) != hash(of(datatype.Double), other) {
		t.Error("NaNs differ")
	}
	one, _ := Constant(memory.DefaultAllocator, of(datatype.Int), int64(1), 1)
	two, _ := Constant(memory.DefaultAllocator, of(datatype.Int), int64(2), 1)
	wide, _ := Constant(memory.DefaultAllocator, of(datatype.Int), int64(2), 2)
	nullable, _ := Concat(memory.DefaultAllocator, []arrow.Array{two, Nulls(memory.DefaultAllocator, two.DataType(), 1)})
	pair, _ := Constant(memory.DefaultAllocator, of(datatype.Int), int64(1), 2)
	if HashColumns([]arrow.Array{pair, wide}, nil, nil)[0] != HashColumns([]arrow.Array{pair, nullable}, nil, nil)[0] {
		t.Error("a null elsewhere in the column changes a hash")
	}
	if HashColumns([]arrow.Array{one, two}, nil, nil)[0] == HashColumns([]arrow.Array{two, one}, nil, nil)[0] {
		t.Error("(1, 2) collides with (2, 1)")
	}
}

// The low bits choose a table's slot, the high half the key group: both must be
// even for the keys that occur.
func TestHashSpread(t *testing.T) {
	patterns := map[string]func(i int) int64{
		"counted":  func(i int) int64 { return int64(i) },
		"by 1024":  func(i int) int64 { return int64(i) << 10 },
		"by 2^40":  func(i int) int64 { return int64(i) << 40 },
		"by 1000":  func(i int) int64 { return int64(i) * 1000 },
		"negative": func(i int) int64 { return -int64(i) },
		"doubles":  func(i int) int64 { return int64(math.Float64bits(float64(i))) },
	}
	const n, buckets = 1 << 16, 1024
	for name, f := range patterns {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := range n {
			b.Append(f(i))
		}
		arr := b.NewArray()
		for _, columns := range [][]arrow.Array{{arr}, {arr, arr}, {arr, arr, arr}} {
			var low, high, groups [buckets]float64
			for _, h := range HashColumns(columns, nil, nil) {
				low[h%buckets]++
				high[h>>54]++
				groups[keygroup.Of(h, buckets)]++
			}
			for part, counts := range map[string][buckets]float64{"low": low, "high": high, "group": groups} {
				chi := 0.0
				for _, c := range counts {
					chi += (c - n/buckets) * (c - n/buckets) / (n / buckets)
				}
				if chi > buckets+10*math.Sqrt(2*buckets) {
					t.Errorf("%s, %d columns, %s bits: chi-square %.0f for %d buckets", name, len(columns), part, chi, buckets)
				}
			}
		}
	}
}

func TestConcat(t *testing.T) {
	eachArray(t, func(t *testing.T, mem memory.Allocator, r *rand.Rand, arr arrow.Array) {
		plain, err := Decode(mem, arr)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Release()
		half := Slice(arr, 0, arr.Len()/2)
		defer half.Release()
		sets := [][]arrow.Array{{arr}, {arr, half, arr}, {half, plain}}
		if typ, err := datatype.FromArrow(arr.DataType(), true); err == nil && (typ.IsString() || typ.IsBinary()) {
			other := encode(mem, r, plain)
			defer other.Release()
			sets = append(sets, []arrow.Array{arr, other})
			if _, encoded := arr.(*array.Dictionary); encoded { // many rows share few dictionaries
				many := []arrow.Array{}
				for range 3 * unifyFactor {
					many = append(many, arr, other, half)
				}
				sets = append(sets, many)
			}
		}
		for _, parts := range sets {
			got, err := Concat(mem, parts)
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for _, p := range parts {
				for i := range p.Len() {
					if g, want := ValueAt(got, at), ValueAt(p, i); !same(g, want) {
						t.Fatalf("row %d: got %v, want %v", at, g, want)
					}
					at++
				}
			}
			got.Release()
		}
	})
}

func testBatch(mem memory.Allocator, r *rand.Rand, n int, sel, kinds bool) *stream.Batch {
	var fields []arrow.Field
	var columns []arrow.Array
	for i, typ := range someTypes() {
		columns = append(columns, randomArray(mem, r, typ, n, true))
		fields = append(fields, arrow.Field{Name: fmt.Sprintf("c%d", i), Type: typ.Arrow(), Nullable: true})
	}
	defer ReleaseAll(columns)
	b := stream.NewBatch(array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(n)))
	if sel {
		b.Sel = []int32{}
		for i := range n {
			if r.IntN(3) > 0 {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	if kinds {
		b.Kinds = make([]stream.RowKind, n)
		for i := range b.Kinds {
			b.Kinds[i] = stream.RowKind(1 + r.IntN(4))
		}
	}
	return b
}

// printRows writes the rows that count, with their kinds.
func printRows(b *stream.Batch) (rows []string) {
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		line := b.Kind(row).String()
		for _, c := range b.Record.Columns() {
			line += fmt.Sprint(" ", ValueAt(c, row))
		}
		rows = append(rows, line)
	}
	return rows
}

// Scattering loses no row, no kind and no order, with and without overlays, with
// empty partitions and with all rows in one.
func TestScatter(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := testBatch(mem, r, 1+r.IntN(60), seed%2 == 0, seed%4 < 2)
		used := 1 + r.IntN(5)
		parts := make([]uint32, b.Len())
		want := make([][]string, 7)
		rows := printRows(b)
		for i := range parts {
			parts[i] = uint32(1 + r.IntN(used))
			want[parts[i]] = append(want[parts[i]], rows[i])
		}
		out, err := Scatter(mem, b, parts, len(want))
		if err != nil {
			t.Fatal(err)
		}
		for p, got := range out {
			if got == nil {
				if want[p] != nil {
					t.Fatalf("partition %d is lost", p)
				}
				continue
			}
			if lines := printRows(got); !reflect.DeepEqual(lines, want[p]) {
				t.Fatalf("seed %d, partition %d:\n%q\nwant\n%q", seed, p, lines, want[p])
			}
			got.Release()
		}
		b.Release()
	}
}

func TestTakeBatchAndSlice(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := testBatch(mem, r, 30, seed%2 == 0, seed%4 < 2)
		rows := printRows(b)
		from := b.Len() / 3
		part := SliceBatch(b, from, from+5)
		if got := printRows(part); !reflect.DeepEqual(got, rows[from:from+5]) {
			t.Fatalf("slice: %q", got)
		}
		part.Release()
		dense, err := TakeBatch(mem, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := printRows(dense); dense.Sel != nil || !reflect.DeepEqual(got, rows) {
			t.Fatalf("dense: %q\nwant %q", got, rows)
		}
		dense.Release()
	}
}

func TestCompareOrder(t *testing.T) {
	double := datatype.Of(datatype.Double)
	values := []any{nil, math.Inf(-1), -1.0, 0.0, 3.5, math.Inf(1), math.NaN()} // ascending, nulls first
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	for _, v := range values {
		if err := AppendValue(b, v); err != nil {
			t.Fatal(double, err)
		}
	}
	arr := b.NewArray()
	for _, o := range []Order{{}, {Descending: true}, {NullsFirst: true}, {Descending: true, NullsFirst: true}} {
		c, err := NewComparer(arr, arr, o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range values {
			for j := range values {
				want := i - j
				if i != j && (i == 0 || j == 0) {
					if !o.NullsFirst {
						want = -want
					}
				} else if o.Descending {
					want = -want
				}
				if got := c.Compare(i, j); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
					t.Errorf("%+v: %v against %v is %d", o, values[i], values[j], got)
				}
			}
		}
	}
}

func TestConstantRefusesOtherTypes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, v := range []any{"text", 1.5, true, []byte{1}, []any{int64(1)}, 7} {
		if a, err := Constant(mem, datatype.Of(datatype.Int), v, 2); err == nil {
			t.Errorf("%T became %v", v, a)
		}
	}
}
