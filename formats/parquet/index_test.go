package parquet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// The files were written by others; testdata/indexed.py makes them.

func readIndexed(t *testing.T, name string, p *predicate.Predicate, filters ...predicate.RowFilter) ([]string, formats.ReadStats) {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	file, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Format{}.Schema(context.Background(), input(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, stats, err := readAll(input(file), formats.ReadOptions{Columns: s, Predicate: p, Filters: filters, Alloc: alloc, BatchRows: 512})
	if err != nil {
		t.Fatal(err)
	}
	return rows, stats
}

// indexedRow is row i of the files, the list left out.
func indexedRow(i int) string {
	m := fmt.Sprint(i / 10)
	if i%50 == 7 {
		m = "null"
	}
	return fmt.Sprintf("%d|%s|name %03d|%d|", 3*i, m, i*7%100*2, i/2000*1000+i*11%100*2)
}

// Only pages that may have matching rows are read, in all columns, nulls and lists
// among them.
func TestPageIndexOfOthers(t *testing.T) {
	all, _ := readIndexed(t, "indexed_arrow.parquet", nil)
	if len(all) != 6000 {
		t.Fatal(len(all))
	}
	for i, row := range all {
		if want := indexedRow(i); row[:len(want)] != want {
			t.Fatalf("row %d: %s, want %s", i, row, want)
		}
	}
	one := predicate.Compare(predicate.Eq, "n", int64(3*4321))
	early := predicate.Compare(predicate.Lt, "m", int64(40))
	for _, c := range []struct {
		p         predicate.Predicate
		from, to  int // the rows that match
		most      int // that may come
		filters   []predicate.RowFilter
		noSkipped bool
	}{
		{p: one, from: 4321, to: 4322, most: 700},
		{p: early, from: 0, to: 400, most: 1200, noSkipped: false},
		{p: predicate.AllOf(predicate.Compare(predicate.Ge, "n", int64(3*2900)), predicate.Compare(predicate.Le, "m", int64(310))), from: 2900, to: 3110, most: 2200},
		{p: predicate.AnyOf(one, predicate.Compare(predicate.Gt, "n", int64(3*5990))), from: 5991, to: 6000, most: 1400},
		{p: predicate.Compare(predicate.Eq, "n", int64(-1)), from: 0, to: 0, most: 0},
		{p: one, from: 4321, to: 4322, most: 1, filters: []predicate.RowFilter{&valueFilter{names: []string{"n"}, percent: 100}}},
	} {
		rows, stats := readIndexed(t, "indexed_arrow.parquet", &c.p, c.filters...)
		if len(rows) > c.most && len(c.filters) == 0 || stats.Rows != int64(len(rows)) {
			t.Errorf("%v: %d rows, %+v", c.p, len(rows), stats)
		}
		at := 0
		for _, row := range rows {
			next := slices.Index(all[at:], row)
			if next < 0 {
				t.Fatalf("%v: %s is not in the file, or too early", c.p, row)
			}
			at += next + 1
		}
		for i := c.from; i < c.to; i++ {
			if all[i][:3] != "" && i%50 != 7 && !slices.Contains(rows, all[i]) {
				t.Fatalf("%v: row %d is missing: %s", c.p, i, all[i])
			}
		}
	}
}

// Random ranges together with random filters, against reading everything.
func TestPageIndexAndFilters(t *testing.T) {
	all, _ := readIndexed(t, "indexed_arrow.parquet", nil)
	rnd := rand.New(rand.NewPCG(9, 1))
	for range 30 {
		from := rnd.IntN(6000)
		to := from + rnd.IntN(6000-from)
		p := predicate.AllOf(predicate.Compare(predicate.Ge, "n", int64(3*from)), predicate.Compare(predicate.Lt, "n", int64(3*to)))
		f := &valueFilter{names: []string{[]string{"n", "m", "s", "k", "l"}[rnd.IntN(5)]}, percent: rnd.IntN(101)}
		rows, _ := readIndexed(t, "indexed_arrow.parquet", &p, f)
		seen := map[string]bool{}
		for _, r := range rows {
			seen[r] = true
		}
		column := slices.Index([]string{"n", "m", "s", "k", "l"}, f.names[0])
		for i := from; i < to; i++ {
			if f.keeps(fieldOf(all[i], column)+"|") && !seen[all[i]] {
				t.Fatalf("rows %d to %d, %d %% by %v: row %d is missing", from, to, f.percent, f.names, i)
			}
		}
	}
}

// fieldOf is a field of a row's text.
func fieldOf(row string, i int) string {
	for ; i > 0; i-- {
		row = row[slices.Index([]byte(row), '|')+1:]
	}
	return row[:slices.Index([]byte(row), '|')]
}

// Row groups without a value that is asked for are skipped though it lies between
// their bounds; no value that is there is lost.
func TestBloomFilter(t *testing.T) {
	for _, c := range []struct {
		p       predicate.Predicate
		skipped int64
	}{
		{predicate.Compare(predicate.Eq, "s", "name 013"), 3},
		{predicate.Compare(predicate.Eq, "s", "name 014"), 0},
		{predicate.Predicate{Op: predicate.In, Column: "s", Literals: []any{"name 013", "name 015"}}, 3},
		{predicate.Predicate{Op: predicate.In, Column: "s", Literals: []any{"name 013", "name 016"}}, 0},
		{predicate.Compare(predicate.Eq, "k", int64(2001)), 3},
		{predicate.Compare(predicate.Eq, "m", int64(100)), 2},
		{predicate.AnyOf(predicate.Compare(predicate.Eq, "s", "name 013"), predicate.Compare(predicate.Eq, "s", "name 199")), 3},
		{predicate.AnyOf(predicate.Compare(predicate.Eq, "s", "name 013"), predicate.Compare(predicate.Gt, "n", int64(9))), 0},
		{predicate.AllOf(predicate.Compare(predicate.Gt, "n", int64(9)), predicate.Compare(predicate.Eq, "s", "name 013")), 3},
		{predicate.Compare(predicate.Ne, "s", "name 013"), 0},
	} {
		if _, stats := readIndexed(t, "indexed_duckdb.parquet", &c.p); stats.Groups != 3 || stats.Skipped != c.skipped {
			t.Errorf("%v: %+v, want %d skipped", c.p, stats, c.skipped)
		}
	}
	all, _ := readIndexed(t, "indexed_duckdb.parquet", nil)
	for i := 0; i < 6000; i += 97 {
		if all[i] != indexedRow(i) {
			t.Fatalf("row %d: %s", i, all[i])
		}
		for _, p := range []predicate.Predicate{
			predicate.Compare(predicate.Eq, "s", fieldOf(all[i], 2)),
			predicate.Compare(predicate.Eq, "k", int64(i/2000*1000+i*11%100*2)),
			predicate.Compare(predicate.Eq, "n", int64(3*i)),
		} {
			if rows, _ := readIndexed(t, "indexed_duckdb.parquet", &p); !slices.Contains(rows, all[i]) {
				t.Errorf("%v: row %d is missing", p, i)
			}
		}
	}
}

// Indexes and filters that are damaged are none: reading goes on.
func TestDamagedIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 1))
	for name, column := range map[string]string{"indexed_arrow.parquet": "n", "indexed_duckdb.parquet": "s"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := openFile(context.Background(), input(file))
		if err != nil {
			t.Fatal(err)
		}
		k := &f.meta.groups[0].chunks[f.column(column).leaves[0].index]
		p := predicate.Compare(predicate.Eq, "n", int64(3*700))
		if column == "s" {
			p = predicate.Compare(predicate.Eq, "s", "name 014")
		}
		for range 300 {
			bad := slices.Clone(file)
			for _, at := range []location{k.columnIndex, k.offsetIndex, {k.bloom.offset, min(k.bloom.length, 16)}} {
				if at.length > 0 {
					bad[at.offset+rnd.Int64N(at.length)] = byte(rnd.Uint32())
				}
			}
			opts := formats.ReadOptions{Columns: f.schema(), Predicate: &p}
			if _, _, err := readAll(input(bad), opts); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}
