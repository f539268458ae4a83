package gen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// made is a whole table of a small scale, column by column.
func made(t *testing.T, g *generator, name string) arrow.RecordBatch {
	t.Helper()
	for _, table := range g.tables() {
		if table.name != name {
			continue
		}
		schema, err := table.schema()
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
		defer b.Release()
		table.make(0, table.units, columns{b})
		return b.NewRecordBatch()
	}
	t.Fatalf("no table %s", name)
	return nil
}

func keys(r arrow.RecordBatch, column int) []int64 {
	return r.Column(column).(*array.Int64).Int64Values()
}

func cents(r arrow.RecordBatch, column, row int) int64 {
	return int64(r.Column(column).(*array.Decimal64).Value(row))
}

func TestRowCounts(t *testing.T) {
	g := newGenerator(0.01, 1<<16)
	want := map[string]int64{
		"region": 5, "nation": 25, "supplier": 100, "customer": 1_500, "part": 2_000, "partsupp": 8_000, "orders": 15_000,
		"lineitem": 60_175, // what official data has
	}
	for name, rows := range want {
		if got := made(t, g, name).NumRows(); got != rows {
			t.Errorf("%s has %d rows, want %d", name, got, rows)
		}
	}
}

// A row is the same whether its table is made at once or from the middle.
func TestPiecesAreParts(t *testing.T) {
	g := newGenerator(0.002, 1<<16)
	for _, table := range g.tables() {
		schema, err := table.schema()
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
		defer b.Release()
		table.make(0, table.units, columns{b})
		whole := b.NewRecordBatch()
		half := table.units / 2
		table.make(0, half, columns{b})
		at := b.NewRecordBatch().NumRows()
		table.make(half, table.units-half, columns{b})
		rest := b.NewRecordBatch()
		if !array.RecordEqual(whole.NewSlice(at, whole.NumRows()), rest) {
			t.Errorf("%s: its second half is another when made alone", table.name)
		}
	}
}

func TestKeysMeet(t *testing.T) {
	g := newGenerator(0.01, 1<<16)
	partsupp := made(t, g, "partsupp")
	supplied := map[[2]int64]bool{}
	for i, part := range keys(partsupp, 0) {
		supplied[[2]int64{part, keys(partsupp, 1)[i]}] = true
	}
	if len(supplied) != 8_000 {
		t.Errorf("%d different pairs of part and supplier, want 8000", len(supplied))
	}
	orders, lineitem := made(t, g, "orders"), made(t, g, "lineitem")
	ordering := map[int64]bool{}
	for _, c := range keys(orders, 1) {
		if c < 1 || c > g.customers || c%3 == 0 {
			t.Fatalf("customer %d orders", c)
		}
		ordering[c] = true
	}
	if n := len(ordering); n < 990 || n > 1_000 { // nearly all of two thirds of 1500
		t.Errorf("%d customers order", n)
	}
	totals, shipped, lines := map[int64]int64{}, map[int64]int64{}, map[int64]int64{}
	for i, order := range keys(lineitem, 0) {
		part, supplier := keys(lineitem, 1)[i], keys(lineitem, 2)[i]
		if !supplied[[2]int64{part, supplier}] {
			t.Fatalf("supplier %d of line item %d does not have part %d", supplier, i, part)
		}
		lines[order]++
		totals[order] += cents(lineitem, 5, i) * (100 - cents(lineitem, 6, i)) / 100 * (100 + cents(lineitem, 7, i)) / 100
		if lineitem.Column(9).(*array.String).Value(i) == "F" {
			shipped[order]++
		}
	}
	for i, order := range keys(orders, 0) {
		if order%32 >= 8 {
			t.Fatalf("order key %d is not sparse", order)
		}
		if got := cents(orders, 3, i); got != totals[order] {
			t.Fatalf("order %d costs %d, its lines %d", order, got, totals[order])
		}
		want := "P"
		switch shipped[order] {
		case lines[order]:
			want = "F"
		case 0:
			want = "O"
		}
		if got := orders.Column(2).(*array.String).Value(i); got != want {
			t.Fatalf("order %d is %s, its lines say %s", order, got, want)
		}
	}
}

// What official data begins with; comments need the whole text and are left out.
func TestFirstRowsAreOfficial(t *testing.T) {
	g := newGenerator(1, 1<<16)
	for _, table := range g.tables() {
		want := map[string]string{
			"lineitem": "1 155190 7706 1 17 21168.23 0.04 0.02 N O 1996-03-13 1996-02-12 1996-03-22 DELIVER IN PERSON TRUCK",
			"orders":   "1 36901 O 173665.47 1996-01-02 5-LOW Clerk#000000951 0",
			"part":     "1 goldenrod lavender spring chocolate lace Manufacturer#1 Brand#13 PROMO BURNISHED COPPER 7 JUMBO PKG 901",
			"partsupp": "1 2 3325 771.64",
			"customer": "1 Customer#000000001 IVhzIApeRb ot,c,E 15 25-989-741-2988 711.56 BUILDING",
			"supplier": "1 Supplier#000000001  N kD4on9OM Ipw3,gf0JBoQDd7tgrzrddZ 17 27-918-335-1736 5755.94",
		}[table.name]
		if want == "" {
			continue
		}
		schema, err := table.schema()
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
		defer b.Release()
		table.make(0, 1, columns{b})
		row := b.NewRecordBatch()
		var got []string
		for i := range row.Columns()[:row.NumCols()-1] {
			got = append(got, row.Column(i).ValueStr(0))
		}
		if line := strings.Join(got, " "); line != want {
			t.Errorf("%s begins with\n%q, want\n%q", table.name, line, want)
		}
	}
}

func TestTextIsGrammatical(t *testing.T) {
	text := newText(newVocabulary(), 1<<16)
	if len(text) != 1<<16 || strings.Contains(text, "  ") || strings.Contains(text, " .") {
		t.Errorf("%d bytes, or bad blanks", len(text))
	}
	if longer := newText(newVocabulary(), 1<<17); !strings.HasPrefix(longer, text) {
		t.Error("a longer text begins with other words")
	}
}

func digests(t *testing.T, o Options) map[string][32]byte {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	o.Alloc, o.TextBytes = alloc, 1<<16
	fsys := memfs.New(memfs.Options{})
	if err := Write(t.Context(), fsys, "d", o); err != nil {
		t.Fatal(err)
	}
	all := map[string][32]byte{}
	err := fsys.List(t.Context(), "d", fs.ListOptions{}, func(i fs.Info) error {
		data, err := fs.ReadFile(t.Context(), fsys, i.Path, 64<<20)
		if err == nil && !bytes.HasPrefix(data, []byte("PAR1")) {
			err = errors.New("no Parquet: " + i.Path)
		}
		all[i.Name()] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBytesDependOnTheScaleAlone(t *testing.T) {
	one, four := digests(t, Options{Scale: 0.01, Parallelism: 1}), digests(t, Options{Scale: 0.01, Parallelism: 4})
	if len(one) != 8 {
		t.Errorf("%d files", len(one))
	}
	for name, sum := range one {
		if four[name] != sum {
			t.Errorf("%s differs at another parallelism", name)
		}
	}
}

// full is a file system without room.
type full struct{ fs.FileSystem }

func (full) Create(context.Context, string, fs.CreateOptions) (fs.Writer, error) {
	return nil, errors.New("no room")
}

// brief takes some bytes of a file and then no more.
type brief struct{ fs.FileSystem }

func (b brief) Create(ctx context.Context, path string, o fs.CreateOptions) (fs.Writer, error) {
	w, err := b.FileSystem.Create(ctx, path, o)
	return &briefWriter{Writer: w}, err
}

type briefWriter struct {
	fs.Writer
	taken int
}

func (w *briefWriter) Write(p []byte) (int, error) {
	if w.taken += len(p); w.taken > 1<<16 {
		return 0, errors.New("disk full")
	}
	return w.Writer.Write(p)
}

func TestWriteFails(t *testing.T) {
	for name, fsys := range map[string]fs.FileSystem{"no room": full{}, "disk full": brief{memfs.New(memfs.Options{})}} {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		err := Write(t.Context(), fsys, "d", Options{Scale: 0.01, Parallelism: 2, TextBytes: 1 << 16, Alloc: alloc})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "generate table") {
			t.Errorf("%s: got %v", name, err)
		}
		alloc.AssertSize(t, 0)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(canceled, memfs.New(memfs.Options{}), "d", Options{Scale: 0.01, TextBytes: 1 << 16}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for _, scale := range []float64{0, -1, 1e6} {
		if err := Write(t.Context(), memfs.New(memfs.Options{}), "d", Options{Scale: scale}); err == nil {
			t.Errorf("scale %v was taken", scale)
		}
	}
}
