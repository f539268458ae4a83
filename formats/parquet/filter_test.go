package parquet

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// valueFilter keeps a row by the values of its columns alone, about so many percent
// of them, so that it can be asked again of rows already read.
type valueFilter struct {
	names   []string
	percent int
	late    int // how often it is not ready yet
}

func (f *valueFilter) Columns() []string { return f.names }

func (f *valueFilter) Ready() bool {
	f.late--
	return f.late < 0
}

func (f *valueFilter) Excludes(func(string) (predicate.Summary, bool)) bool { return false }

func (f *valueFilter) Keep(columns []arrow.Array, n int) ([]int32, error) {
	kept := []int32{}
	for i := range n {
		text := ""
		for _, c := range columns {
			text += valueText(c, i) + "|"
		}
		if f.keeps(text) {
			kept = append(kept, int32(i))
		}
	}
	if len(kept) == n && n%2 == 0 {
		return nil, nil
	}
	return kept, nil
}

func (f *valueFilter) keeps(text string) bool {
	h := fnv.New32a()
	h.Write([]byte(text))
	return int(h.Sum32()%100) < f.percent
}

func valueText(c arrow.Array, i int) string {
	if c.IsNull(i) {
		return "null"
	}
	if d, ok := c.(*array.Dictionary); ok {
		return d.Dictionary().ValueStr(d.GetValueIndex(i))
	}
	return c.ValueStr(i)
}

// rangeFilter keeps rows whose number, the column "row", lies in a range: pages and
// row groups have none of them.
type rangeFilter struct{ from, to int64 }

func (f *rangeFilter) Columns() []string { return []string{"row"} }
func (f *rangeFilter) Ready() bool       { return true }

func (f *rangeFilter) Excludes(lookup func(string) (predicate.Summary, bool)) bool {
	s, ok := lookup("row")
	if !ok {
		return false
	}
	low, lowOK := s.Min.(int64)
	high, highOK := s.Max.(int64)
	return lowOK && low >= f.to || highOK && high < f.from
}

func (f *rangeFilter) Keep(columns []arrow.Array, n int) ([]int32, error) {
	kept := []int32{}
	for i, v := range columns[0].(*array.Int64).Int64Values() {
		if v >= f.from && v < f.to {
			kept = append(kept, int32(i))
		}
	}
	return kept, nil
}

// numbered puts a column "row" of ascending numbers before the batch.
func numbered(alloc memory.Allocator, b arrow.RecordBatch, from int64) arrow.RecordBatch {
	defer b.Release()
	n := array.NewInt64Builder(alloc)
	defer n.Release()
	for i := range b.NumRows() {
		n.Append(from + i)
	}
	row := n.NewArray()
	defer row.Release()
	fields := append([]arrow.Field{{Name: "row", Type: arrow.PrimitiveTypes.Int64}}, b.Schema().Fields()...)
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), append([]arrow.Array{row}, b.Columns()...), b.NumRows())
}

// checkFiltered compares what a reader leaves of a file with the same filters applied
// to all of its rows. A filter that rests or is late drops nothing, so rows that come
// too many must be among all rows, and none that is kept may be missing.
func checkFiltered(t *testing.T, in formats.Input, opts formats.ReadOptions, exact bool) formats.ReadStats {
	t.Helper()
	got, stats, err := readAll(in, opts)
	if err != nil {
		t.Fatal(err)
	}
	checkKept(t, in, opts, got, exact)
	if stats.Rows != int64(len(got)) {
		t.Errorf("%d rows, the statistics say %+v", len(got), stats)
	}
	return stats
}

// checkKept is checkFiltered for rows that were read.
func checkKept(t *testing.T, in formats.Input, opts formats.ReadOptions, got []string, exact bool) {
	t.Helper()
	whole := opts
	whole.Filters = nil
	all, _, err := readAll(in, whole)
	if err != nil {
		t.Fatal(err)
	}
	keeps, err := keptRows(in, whole, opts.Filters)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for i, row := range all {
		switch {
		case at < len(got) && got[at] == row:
			if at++; exact && !keeps[i] {
				t.Fatalf("row %d should have been dropped: %s", i, row)
			}
		case keeps[i]:
			t.Fatalf("row %d of %d is missing, row %d of %d is %v instead of\n%s", i, len(all), at, len(got), got[min(at, len(got)):min(at+1, len(got))], row)
		}
	}
	if at != len(got) {
		t.Fatalf("%d rows that are not in the file or out of order", len(got)-at)
	}
}

// keptRows applies filters to all rows.
func keptRows(in formats.Input, opts formats.ReadOptions, filters []predicate.RowFilter) (keeps []bool, err error) {
	r, err := Format{}.NewReader(context.Background(), in, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		b, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return keeps, nil
		}
		if err != nil {
			return nil, err
		}
		from, n := len(keeps), int(b.NumRows())
		for range n {
			keeps = append(keeps, true)
		}
		for _, f := range filters {
			var columns []arrow.Array
			for _, name := range f.Columns() {
				columns = append(columns, b.Column(opts.Columns.Index(name)))
			}
			rows, err := f.Keep(columns, n)
			if err != nil {
				return nil, err
			}
			if rows == nil {
				continue
			}
			kept := map[int32]bool{}
			for _, r := range rows {
				kept[r] = true
			}
			for i := range n {
				keeps[from+i] = keeps[from+i] && kept[int32(i)]
			}
		}
		b.Release()
	}
}

// Random filters over files of all types, with few and many distinct values (pages of
// indexes, of plain values, and chunks that turn from one to the other), nulls, small
// pages and batches: the rows are those that are left after reading everything.
func TestFilters(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rnd := rand.New(rand.NewPCG(3, 1))
	for round := range 6 {
		s := append(datatype.Schema{{Name: "row", Type: datatype.Of(datatype.BigInt).NotNull()}}, allTypes()...)
		distinct := []int{2, 300, 1 << 40}[round%3]
		codec := []string{"snappy", "uncompressed"}[round%2]
		var batches []arrow.RecordBatch
		for i := range 3 {
			batches = append(batches, numbered(alloc, randomBatch(alloc, allTypes(), 500, distinct, rnd), int64(500*i)))
		}
		file := writeAll(t, s, formats.Options{"parquet.compression": codec, "parquet.row-group-rows": "1100"}, batches...)
		for _, b := range batches {
			b.Release()
		}
		for range 3 {
			opts := formats.ReadOptions{Columns: shuffled(s, rnd), BatchRows: []int{7, 100, 1000}[rnd.IntN(3)], Alloc: alloc}
			opts.Filters = randomFilters(opts.Columns, rnd)
			checkFiltered(t, input(file), opts, false)
		}
	}
}

// shuffled is some of the columns, "row" among them.
func shuffled(s datatype.Schema, rnd *rand.Rand) (out datatype.Schema) {
	for _, i := range rnd.Perm(len(s)) {
		if i == 0 || rnd.IntN(3) > 0 {
			out = append(out, s[i])
		}
	}
	return out
}

func randomFilters(s datatype.Schema, rnd *rand.Rand) (out []predicate.RowFilter) {
	if rnd.IntN(3) == 0 {
		from := rnd.Int64N(1500)
		out = append(out, &rangeFilter{from: from, to: from + rnd.Int64N(400)})
	}
	for range 1 + rnd.IntN(3) {
		f := &valueFilter{percent: []int{0, 1, 10, 50, 80, 100}[rnd.IntN(6)], late: rnd.IntN(4) * rnd.IntN(4)}
		for _, c := range rnd.Perm(len(s))[:1+rnd.IntN(2)] {
			f.names = append(f.names, s[c].Name)
		}
		out = append(out, f)
	}
	return out
}

// Files of other writers: small pages of both versions, all encodings, lists and rows
// beside the filter's columns.
func TestFiltersOfOthers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 1))
	paths, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(paths) < 3 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Format{}.Schema(context.Background(), input(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 12 {
			t.Run(fmt.Sprint(filepath.Base(path), round), func(t *testing.T) {
				alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
				defer alloc.AssertSize(t, 0)
				f := &valueFilter{names: []string{s[rnd.IntN(len(s))].Name}, percent: []int{0, 1, 20, 60, 100}[rnd.IntN(5)]}
				checkFiltered(t, input(file), formats.ReadOptions{
					Columns: s, BatchRows: []int{3, 50, 8192}[round%3], Alloc: alloc, Filters: []predicate.RowFilter{f},
				}, false)
			})
		}
	}
}

// Row groups that a filter excludes are not read, and a filter that drops little
// rests for the row group.
func TestFilterStats(t *testing.T) {
	s := datatype.Schema{{Name: "row", Type: datatype.Of(datatype.BigInt).NotNull()}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
	for i := range int64(100_000) {
		b.Field(0).(*array.Int64Builder).Append(i)
	}
	file := writeAll(t, s, formats.Options{"parquet.row-group-rows": "25000"}, b.NewRecordBatch())
	opts := formats.ReadOptions{Columns: s, Filters: []predicate.RowFilter{&rangeFilter{from: 30_000, to: 30_100}}}
	stats := checkFiltered(t, input(file), opts, true)
	if want := (formats.ReadStats{Groups: 4, Skipped: 3, Rows: 100, Filtered: 24_900}); stats.Groups != want.Groups ||
		stats.Skipped != want.Skipped || stats.Rows != want.Rows || stats.Filtered != want.Filtered {
		t.Errorf("got %+v", stats)
	}
	opts.Filters = []predicate.RowFilter{&valueFilter{names: []string{"row"}, percent: 95}}
	if stats := checkFiltered(t, input(file), opts, false); stats.Filtered == 0 || stats.Filtered > 4*900 {
		t.Errorf("a filter that drops one in twenty rows: %+v", stats)
	}
}

// A filter's error and one of memory reach the caller as they are; a broken invariant
// of the decoder is bad data.
func TestFilterErrors(t *testing.T) {
	s := datatype.Schema{{Name: "row", Type: datatype.Of(datatype.BigInt).NotNull()}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2, 3}, nil)
	file := writeAll(t, s, nil, b.NewRecordBatch())
	refused := errors.New("refused")
	for _, alloc := range []memory.Allocator{nil, &refusing{Allocator: memory.DefaultAllocator, after: 3, err: refused}} {
		f := &failing{rangeFilter: rangeFilter{from: 1, to: 2}, err: refused}
		opts := formats.ReadOptions{Columns: s, Alloc: alloc, Filters: []predicate.RowFilter{f}}
		if alloc != nil {
			f.err = nil
		}
		if _, _, err := readAll(input(file), opts); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	}
}

type failing struct {
	rangeFilter
	err error
}

func (f *failing) Keep(columns []arrow.Array, n int) ([]int32, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.rangeFilter.Keep(columns, n)
}

// refusing panics with an error, as an allocator with a limit does.
type refusing struct {
	memory.Allocator
	after int
	err   error
}

func (r *refusing) Allocate(n int) []byte {
	if r.after--; r.after < 0 {
		panic(r.err)
	}
	return r.Allocator.Allocate(n)
}
