package parquet

// A reader that gives back what it holds goes on behind the last batch; one that was
// refused memory somewhere does so, too, and nothing of what it had by then is lost.

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

var errRefused = errors.New("refused")

// sometimes refuses one of so many allocations, until it has refused enough.
type sometimes struct {
	memory.Allocator
	rnd   *rand.Rand
	one   int
	until int
}

func (a *sometimes) Allocate(n int) []byte {
	if a.until > 0 && a.rnd.IntN(a.one) == 0 {
		a.until--
		panic(errRefused)
	}
	return a.Allocator.Allocate(n)
}

func (a *sometimes) Reallocate(n int, b []byte) []byte {
	if n > len(b) && a.until > 0 && a.rnd.IntN(a.one) == 0 {
		a.until--
		panic(errRefused)
	}
	return a.Allocator.Reallocate(n, b)
}

// readYielding reads all, gives back at random and whenever it is refused.
func readYielding(in formats.Input, opts formats.ReadOptions, rnd *rand.Rand) (rows []string, stats formats.ReadStats, err error) {
	r, err := Format{}.NewReader(context.Background(), in, opts)
	if err != nil {
		return nil, stats, err
	}
	defer r.Close()
	for {
		b, err := r.Read(context.Background())
		switch {
		case errors.Is(err, io.EOF):
			return rows, r.Stats(), nil
		case errors.Is(err, errRefused):
			r.(formats.Yielder).Yield()
			continue
		case err != nil:
			return nil, r.Stats(), err
		}
		rows = append(rows, lines(b)...)
		b.Release()
		if rnd.IntN(4) == 0 {
			r.(formats.Yielder).Yield()
		}
	}
}

func TestYield(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rnd := rand.New(rand.NewPCG(7, 1))
	for round := range 12 {
		s := append(datatype.Schema{{Name: "row", Type: datatype.Of(datatype.BigInt).NotNull()}}, allTypes()...)
		var batches []arrow.RecordBatch
		for i := range 3 {
			batches = append(batches, numbered(alloc, randomBatch(alloc, allTypes(), 500, []int{2, 300, 1 << 40}[round%3], rnd), int64(500*i)))
		}
		codec := []string{"snappy", "uncompressed"}[round%2]
		file := writeAll(t, s, formats.Options{"parquet.compression": codec, "parquet.row-group-rows": "1100"}, batches...)
		for _, b := range batches {
			b.Release()
		}
		opts := formats.ReadOptions{Columns: shuffled(s, rnd), BatchRows: []int{7, 100, 1000}[round%3]}
		if round%4 > 1 {
			opts.Filters = randomFilters(opts.Columns, rnd)
		}
		checkYielding(t, input(file), opts, alloc, rnd)
	}
}

func TestYieldNested(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rnd := rand.New(rand.NewPCG(7, 2))
	files, err := filepath.Glob("testdata/nested_*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := Format{}.Schema(t.Context(), input(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		checkYielding(t, input(file), formats.ReadOptions{Columns: schema, BatchRows: 7}, alloc, rnd)
	}
}

func checkYielding(t *testing.T, in formats.Input, opts formats.ReadOptions, alloc memory.Allocator, rnd *rand.Rand) {
	t.Helper()
	refused := opts
	refused.Alloc = &sometimes{Allocator: alloc, rnd: rnd, one: 20, until: 200}
	got, stats, err := readYielding(in, refused, rnd)
	if err != nil {
		t.Fatal(err)
	}
	opts.Alloc = alloc
	if opts.Filters != nil { // what they leave depends on when they are asked
		checkKept(t, in, opts, got, false)
		return
	}
	want, wanted, err := readAll(in, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) || stats.Rows != wanted.Rows {
		t.Fatalf("%d rows, want %d; counted %d and %d", len(got), len(want), stats.Rows, wanted.Rows)
	}
}
