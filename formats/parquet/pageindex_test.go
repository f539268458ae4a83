package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	peer "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/formattest"
)

// TestPageIndex has another reader follow the offset index and compare the
// bounds, null counts and rows of each page with what is in the page.
func TestPageIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for _, distinct := range []int{1, 50, 1 << 40} {
		s := append(allTypes(), formattest.SchemaOf(formattest.NestedTypes())...)
		for i := range s {
			s[i].Name = fmt.Sprintf("c%02d", i)
		}
		b := formattest.Batch(memory.DefaultAllocator, s, 90_000, distinct, rnd)
		file := writeAll(t, s, formats.Options{"parquet.row-group-rows": "80000"}, b)
		f, err := peer.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		pages := 0
		for _, g := range f.RowGroups() {
			for i, c := range g.ColumnChunks() {
				n, err := checkPages(c, g.NumRows())
				if err != nil {
					t.Fatalf("column %d: %v", i, err)
				}
				pages += n
			}
		}
		if pages < 3*len(s) {
			t.Errorf("only %d pages", pages)
		}
	}
}

func checkPages(c peer.ColumnChunk, rows int64) (n int, err error) {
	offsets, err := c.OffsetIndex()
	if err != nil {
		return 0, err
	}
	index, err := c.ColumnIndex()
	if err != nil {
		return 0, err
	}
	pages := c.Pages()
	defer pages.Close()
	at := int64(0)
	for ; ; n++ {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
		if first := offsets.FirstRowIndex(n); first != at {
			return n, fmt.Errorf("page %d begins at row %d, its index says %d", n, at, first)
		}
		at += page.NumRows()
		if index.NullCount(n) != page.NumNulls() || index.NullPage(n) != (page.NumNulls() == page.NumValues()) {
			return n, fmt.Errorf("page %d has %d nulls, its index says %d", n, page.NumNulls(), index.NullCount(n))
		}
		if index.NullPage(n) {
			continue
		}
		values := make([]peer.Value, page.NumValues())
		if _, err := page.Values().ReadValues(values); err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		low, high := index.MinValue(n), index.MaxValue(n)
		touched := 0
		for _, v := range values {
			if v.IsNull() {
				continue
			}
			below, above := c.Type().Compare(v, low), c.Type().Compare(v, high)
			if v.Kind() == peer.FixedLenByteArray { // the other reader ignores the sign of decimals
				below = comparePlain(format.FixedLenByteArray, v.ByteArray(), low.ByteArray())
				above = comparePlain(format.FixedLenByteArray, v.ByteArray(), high.ByteArray())
			}
			if below < 0 || above > 0 {
				return n, fmt.Errorf("page %d: %v is not within %v and %v", n, v, low, high)
			}
			if below == 0 || above == 0 {
				touched++
			}
		}
		if touched == 0 {
			return n, fmt.Errorf("page %d: %v and %v are not the closest bounds", n, low, high)
		}
	}
	if offsets.NumPages() != n || index.NumPages() != n || at != rows {
		return n, fmt.Errorf("%d pages of %d rows, the index has %d", n, rows, offsets.NumPages())
	}
	return n, nil
}

// TestBoundsOfPages tells which order bounds have, and that one page without
// bounds leaves its column without index.
func TestBoundsOfPages(t *testing.T) {
	s := datatype.Schema{{Name: "s", Type: datatype.Of(datatype.Varbinary)}}
	long := strings.Repeat("\xff", maxBoundBytes+1)
	for _, c := range []struct {
		name  string
		pages [][2]string // bounds, "-" for a page of nulls
		want  string
	}{
		{"ascending", [][2]string{{"a", "c"}, {"-", "-"}, {"b", "d"}}, "ASCENDING"},
		{"descending", [][2]string{{"b", "d"}, {"a", "c"}}, "DESCENDING"},
		{"none", [][2]string{{"b", "c"}, {"a", "d"}}, "UNORDERED"},
		{"unknown", [][2]string{{"a", "b"}, {"a", long}}, "no index"},
	} {
		x := &pageIndex{}
		for _, p := range c.pages {
			var b byteBounds
			nulls := 2
			if p[0] != "-" {
				b.add([]byte(p[0]))
				b.add([]byte(p[1]))
				nulls = 0
			}
			x.add(0, 1, 2, nulls, 2, b.take(s[0].Type.IsString()))
		}
		have := "no index"
		if index := x.columnIndex(6); index != nil {
			have = index.BoundaryOrder.String()
		}
		if have != c.want {
			t.Errorf("%s: %s", c.name, have)
		}
	}
}

// TestBloomFilters has another reader ask for values that are in the file, and
// for some that are not, with and without dictionaries.
func TestBloomFilters(t *testing.T) {
	s := datatype.Schema{
		{Name: "i", Type: datatype.Of(datatype.Int)},
		{Name: "l", Type: datatype.Of(datatype.BigInt).NotNull()},
		{Name: "s", Type: datatype.Of(datatype.Varchar)},
		{Name: "d", Type: datatype.DecimalOf(30, 2)},
		{Name: "a", Type: datatype.ArrayOf(datatype.Of(datatype.Varchar))},
		{Name: "without", Type: datatype.Of(datatype.Double)},
	}
	options := formats.Options{"parquet.bloom.columns": "i,l, s,d,a.list.element", "parquet.row-group-rows": "7000"}
	for _, distinct := range []int{100, 1 << 30} {
		b := formattest.Batch(memory.DefaultAllocator, s, 20_000, distinct, rand.New(rand.NewPCG(1, 1)))
		file := writeAll(t, s, options, b)
		f, err := peer.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range f.RowGroups() {
			for i, c := range g.ColumnChunks() {
				if i == len(s)-1 {
					if c.BloomFilter() != nil {
						t.Error("a filter that nobody wanted")
					}
					continue
				}
				checkFilter(t, i, c)
			}
		}
	}
	for _, name := range []string{"without.x", "a", "q"} {
		_, err := Format{}.NewWriter(io.Discard, s, formats.WriteOptions{Options: formats.Options{"parquet.bloom.columns": name}})
		if failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func checkFilter(t *testing.T, column int, c peer.ColumnChunk) {
	t.Helper()
	pages := c.Pages()
	defer pages.Close()
	wrong, asked := 0, 0
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		values := make([]peer.Value, page.NumValues())
		if _, err := page.Values().ReadValues(values); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		for _, v := range values {
			if v.IsNull() {
				continue
			}
			if ok, err := c.BloomFilter().Check(v); !ok || err != nil {
				t.Fatalf("column %d: %v is not in its filter: %v", column, v, err)
			}
			strange := peer.ValueOf(fmt.Sprint("strange", asked))
			if v.Kind() != peer.ByteArray {
				continue
			}
			asked++
			if ok, _ := c.BloomFilter().Check(strange); ok {
				wrong++
			}
		}
	}
	if wrong*50 > asked {
		t.Errorf("column %d: %d false answers of %d", column, wrong, asked)
	}
}

// full is a disk with so much room left.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestDiskFull fails each write once: of pages, bloom filters, page index and
// footer. The error comes out of Write or Close, and all memory is freed.
func TestDiskFull(t *testing.T) {
	s := datatype.Schema{{Name: "i", Type: datatype.Of(datatype.Int)}, {Name: "a", Type: datatype.ArrayOf(datatype.Of(datatype.Varchar))}}
	options := formats.Options{"parquet.bloom.columns": "i,a.list.element", "parquet.row-group-rows": "40"}
	b := formattest.Batch(memory.DefaultAllocator, s, 100, 20, rand.New(rand.NewPCG(1, 1)))
	size := len(writeAll(t, s, options, b))
	for left := 0; left < size; left += 13 {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		w, err := Format{}.NewWriter(&full{left: left}, s, formats.WriteOptions{Options: options, Alloc: alloc})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write(t.Context(), b)
		if err = errors.Join(err, w.Close()); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("%d of %d bytes: %v", left, size, err)
		}
		alloc.AssertSize(t, 0)
	}
}
