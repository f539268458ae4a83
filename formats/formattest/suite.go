package formattest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// Suite says what a format can do.
type Suite struct {
	Format formats.Format
	// Types are those that it writes and reads.
	Types []datatype.Type
	// Options are used for writing and reading.
	Options formats.Options
	// Untyped formats do not keep types, so Schema need not be what was written.
	Untyped bool
	// Wrong is a type that no BIGINT column can be read as.
	Wrong datatype.Type
	// Prefix formats cannot tell a file that was cut between two rows from a
	// whole one; what they read must then be the first rows.
	Prefix bool
	// Sparse formats have no columns of their own: what no row has is null.
	Sparse bool
}

// Run runs the whole suite.
func (s Suite) Run(t *testing.T) {
	t.Run("round trip", s.roundTrip)
	t.Run("dictionaries", s.dictionaries)
	t.Run("empty", s.empty)
	t.Run("projection", s.projection)
	t.Run("missing column", s.missingColumn)
	t.Run("wrong type", s.wrongType)
	t.Run("spans", s.spans)
	t.Run("unknown option", s.unknownOption)
	t.Run("cancelled", s.cancelled)
	t.Run("after close", s.afterClose)
	t.Run("released elsewhere", s.releasedElsewhere)
	t.Run("truncated", s.truncated)
	t.Run("corrupt", s.corrupt)
	t.Run("failing input", s.failingInput)
	t.Run("failing output", s.failingOutput)
}

// batches returns rows of the suite's types in batches of several sizes, and as text.
func (s Suite) batches(distinct int, sizes ...int) (datatype.Schema, []arrow.RecordBatch, []string) {
	schema := SchemaOf(s.Types)
	rnd := rand.New(rand.NewPCG(uint64(distinct), 7))
	var all []arrow.RecordBatch
	var lines []string
	for _, n := range sizes {
		b := Batch(memory.DefaultAllocator, schema, n, distinct, rnd)
		all = append(all, b)
		lines = append(lines, Lines(b)...)
	}
	return schema, all, lines
}

// Write returns the file that holds the batches.
func (s Suite) Write(t testing.TB, schema datatype.Schema, batches ...arrow.RecordBatch) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := s.Format.NewWriter(&out, schema, formats.WriteOptions{Options: s.Options})
	if err != nil {
		t.Fatalf("new writer: %v", err)
	}
	for _, b := range batches {
		if err := w.Write(context.Background(), b); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if w.Bytes() != int64(out.Len()) {
		t.Errorf("Bytes says %d, the file has %d", w.Bytes(), out.Len())
	}
	return out.Bytes()
}

// Input makes an input of bytes.
func Input(file []byte) formats.Input {
	return formats.Input{Path: "some/file.bin", ReaderAt: bytes.NewReader(file), Size: int64(len(file))}
}

// Read returns the rows as text, all memory released.
func (s Suite) Read(in formats.Input, opts formats.ReadOptions) (lines []string, stats formats.ReadStats, err error) {
	opts.Options = s.Options
	r, err := s.Format.NewReader(context.Background(), in, opts)
	if err != nil {
		return nil, stats, err
	}
	defer r.Close()
	for {
		b, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return lines, r.Stats(), nil
		}
		if err != nil {
			return lines, r.Stats(), err
		}
		if b.NumRows() == 0 && opts.Reject == nil {
			return lines, r.Stats(), errors.New("empty batch")
		}
		lines = append(lines, Lines(b)...)
		b.Release()
	}
}

// places is at how many bytes of a longer file truncated and corrupt do damage.
// It is a prime, so that the places hit each part of a repeating layout.
const places = 1511

// readCounted reads with an allocator that must be back at zero.
func (s Suite) readCounted(t *testing.T, in formats.Input, opts formats.ReadOptions) ([]string, formats.ReadStats, error) {
	t.Helper()
	alloc := &ledger{Allocator: memory.DefaultAllocator}
	opts.Alloc = alloc
	lines, stats, err := s.Read(in, opts)
	if left := alloc.bytes.Load(); left != 0 {
		t.Errorf("%d bytes were not freed (error: %v)", left, err)
	}
	return lines, stats, err
}

// ledger counts what is allocated; the checked allocator would also keep stacks,
// which thousands of reads cannot afford.
type ledger struct {
	memory.Allocator
	bytes atomic.Int64
}

func (l *ledger) Allocate(n int) []byte {
	l.bytes.Add(int64(n))
	return l.Allocator.Allocate(n)
}

func (l *ledger) Reallocate(n int, b []byte) []byte {
	l.bytes.Add(int64(n - len(b)))
	return l.Allocator.Reallocate(n, b)
}

func (l *ledger) Free(b []byte) {
	l.bytes.Add(-int64(len(b)))
	l.Allocator.Free(b)
}

// Compare tells the first difference.
func Compare(t testing.TB, want, got []string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("row %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%d rows instead of %d", len(got), len(want))
	}
}

func (s Suite) roundTrip(t *testing.T) {
	for _, distinct := range []int{1, 7, 100, 1 << 40} {
		schema, batches, want := s.batches(distinct, 1, 50, 700)
		file := s.Write(t, schema, batches...)
		for _, rows := range []int{0, 3, 500} {
			got, stats, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: schema, Declared: schema, BatchRows: rows})
			if err != nil {
				t.Fatalf("%d distinct values, batches of %d: %v", distinct, rows, err)
			}
			Compare(t, want, got)
			if stats.Rows != int64(len(want)) || stats.Bytes == 0 {
				t.Errorf("stats: %+v", stats)
			}
		}
		if s.Untyped {
			continue
		}
		found, err := s.Format.Schema(context.Background(), Input(file), s.Options)
		if err != nil || !found.Equal(schema) {
			t.Errorf("schema: %v, %v", found, err)
		}
	}
}

func (s Suite) dictionaries(t *testing.T) {
	for _, distinct := range []int{3, 1 << 40} {
		schema, batches, want := s.batches(distinct, 900, 40)
		for i, b := range batches {
			batches[i] = Encoded(memory.DefaultAllocator, b)
		}
		got, _, err := s.readCounted(t, Input(s.Write(t, schema, batches...)), formats.ReadOptions{Columns: schema, Declared: schema})
		if err != nil {
			t.Fatal(err)
		}
		Compare(t, want, got)
	}
}

func (s Suite) empty(t *testing.T) {
	schema := SchemaOf(s.Types)
	file := s.Write(t, schema)
	got, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: schema, Declared: schema})
	if err != nil || len(got) != 0 {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

// pick returns the named columns of the lines.
func pick(lines []string, schema, wanted datatype.Schema) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		cells := strings.Split(line, "|")
		for _, f := range wanted {
			out[i] += cells[schema.Index(f.Name)] + "|"
		}
	}
	return out
}

func (s Suite) projection(t *testing.T) {
	schema, batches, lines := s.batches(20, 30, 300)
	file := s.Write(t, schema, batches...)
	wanted := datatype.Schema{schema[len(schema)-1], schema[0], schema[len(schema)/2]}
	got, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: wanted, Declared: schema, BatchRows: 7})
	if err != nil {
		t.Fatal(err)
	}
	Compare(t, pick(lines, schema, wanted), got)
	got, _, err = s.readCounted(t, Input(file), formats.ReadOptions{Declared: schema})
	if err != nil || len(got) != len(lines) {
		t.Errorf("no columns: %d rows instead of %d, %v", len(got), len(lines), err)
	}
}

func (s Suite) missingColumn(t *testing.T) {
	schema, batches, lines := s.batches(20, 30)
	file := s.Write(t, schema, batches...)
	absent := datatype.Field{Name: "absent", Type: datatype.Of(datatype.Varchar)}
	wanted := datatype.Schema{absent, schema[0]}
	got, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: wanted, Declared: schema, AllowMissing: true})
	if err != nil || len(got) != len(lines) || !strings.HasPrefix(got[0], "(null)|") {
		t.Errorf("allowed: %q, %v", got, err)
	}
	for _, allowed := range []bool{false, true} {
		if s.Sparse && !allowed {
			continue
		}
		wanted[0].Type = absent.Type.WithNull(!allowed)
		_, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: wanted, Declared: schema, AllowMissing: allowed})
		expectBad(t, err, "some/file.bin", "absent")
	}
}

func expectBad(t *testing.T, err error, parts ...string) {
	t.Helper()
	if failure.Of(err) != failure.BadData {
		t.Fatalf("want an error of class bad data, have %v (%v)", err, failure.Of(err))
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not name %q: %v", part, err)
		}
	}
}

func (s Suite) wrongType(t *testing.T) {
	schema := datatype.Schema{{Name: "bigint", Type: datatype.Of(datatype.BigInt)}}
	b := Batch(memory.DefaultAllocator, schema, 50, 1<<40, rand.New(rand.NewPCG(1, 1)))
	file := s.Write(t, schema, b)
	wanted := datatype.Schema{{Name: "bigint", Type: s.Wrong}}
	_, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: wanted, Declared: wanted})
	expectBad(t, err, "some/file.bin", "bigint", s.Wrong.Kind.String())
}

func (s Suite) spans(t *testing.T) {
	schema, batches, want := s.batches(50, 100, 200, 3)
	file := s.Write(t, schema, batches...)
	for _, target := range []int64{0, 1, 1000, int64(len(file)) / 3} {
		spans, err := s.Format.Spans(context.Background(), Input(file), formats.SpanOptions{TargetBytes: target, Options: s.Options})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, span := range spans {
			lines, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: schema, Declared: schema, Span: span.Span})
			if err != nil {
				t.Fatalf("span %+v: %v", span, err)
			}
			if span.Rows >= 0 && span.Rows != int64(len(lines)) {
				t.Errorf("span %+v has %d rows", span, len(lines))
			}
			got = append(got, lines...)
		}
		Compare(t, want, got)
	}
	_, _, err := s.readCounted(t, Input(file), formats.ReadOptions{Columns: schema, Declared: schema, Span: formats.Span{First: 1 << 40, End: 1<<40 + 1}})
	expectBad(t, err, "some/file.bin")
}

func (s Suite) unknownOption(t *testing.T) {
	opts := formats.Options{s.Format.Name() + ".no-such-option": "1", "connector": "filesystem"}
	_, err := s.Format.NewWriter(io.Discard, SchemaOf(s.Types), formats.WriteOptions{Options: opts})
	if failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("writer: %v", err)
	}
	if _, err := s.Format.Schema(context.Background(), Input(nil), opts); failure.Of(err) != failure.Usage {
		t.Errorf("schema: %v", err)
	}
}

func (s Suite) cancelled(t *testing.T) {
	schema, batches, _ := s.batches(20, 300)
	file := s.Write(t, schema, batches...)
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	r, err := s.Format.NewReader(ctx, Input(file), formats.ReadOptions{Columns: schema, Declared: schema, BatchRows: 10, Alloc: alloc, Options: s.Options})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := r.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	cancel()
	if _, err := r.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}
	w, err := s.Format.NewWriter(io.Discard, schema, formats.WriteOptions{Options: s.Options})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ctx, batches[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("write after cancel: %v", err)
	}
}

func (s Suite) afterClose(t *testing.T) {
	schema, batches, want := s.batches(20, 300)
	file := s.Write(t, schema, batches...)
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	r, err := s.Format.NewReader(context.Background(), Input(file), formats.ReadOptions{Columns: schema, Declared: schema, Alloc: alloc, Options: s.Options})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	got := Lines(b)
	b.Release()
	Compare(t, want[:len(got)], got)
}

// releasedElsewhere releases batches on another goroutine while the reader goes
// on, as the consumer of an exchange does; the race detector watches.
func (s Suite) releasedElsewhere(t *testing.T) {
	schema, batches, want := s.batches(20, 40, 40, 40, 40, 40)
	file := s.Write(t, schema, batches...)
	alloc := &ledger{Allocator: memory.DefaultAllocator}
	r, err := s.Format.NewReader(context.Background(), Input(file), formats.ReadOptions{Columns: schema, Declared: schema, BatchRows: 10, Alloc: alloc, Options: s.Options})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan arrow.RecordBatch, len(want)) // holds all, so that the reader never waits
	var got []string
	var owner sync.WaitGroup
	owner.Go(func() {
		for b := range read {
			got = append(got, Lines(b)...)
			b.Release()
		}
	})
	b, err := r.Read(context.Background())
	for ; err == nil; b, err = r.Read(context.Background()) {
		read <- b
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	close(read)
	owner.Wait()
	Compare(t, want, got)
	if left := alloc.bytes.Load(); left != 0 {
		t.Errorf("%d bytes were not freed", left)
	}
}

// small is a short file with one column of each type.
func (s Suite) small(t *testing.T) (datatype.Schema, []byte, []string) {
	var schema datatype.Schema
	for i, f := range SchemaOf(s.Types) {
		if i%4 == 0 || i%4 == 3 {
			schema = append(schema, f)
		}
	}
	b := Batch(memory.DefaultAllocator, schema, 6, 3, rand.New(rand.NewPCG(3, 3)))
	return schema, s.Write(t, schema, b), Lines(b)
}

// truncated cuts the file at many places: an error that names the file, or, where
// the format cannot know, the first rows.
func (s Suite) truncated(t *testing.T) {
	schema, file, want := s.small(t)
	cuts := min(len(file), places)
	for i := range cuts {
		n := i * len(file) / cuts
		got, _, err := s.readCounted(t, Input(file[:n]), formats.ReadOptions{Columns: schema, Declared: schema})
		if err == nil && s.Prefix && len(got) <= len(want) && slices.Equal(got, want[:len(got)]) {
			continue
		}
		if err == nil && s.Prefix && n > 0 && len(got) <= len(want) && slices.Equal(got[:len(got)-1], want[:len(got)-1]) {
			continue // the last row was cut within its last value
		}
		if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "some/file.bin") {
			t.Fatalf("cut at %d of %d: %d rows, %v", n, len(file), len(got), err)
		}
	}
}

// corrupt flips one or all bits of many bytes: an error or some rows, but never a panic,
// and no memory left.
func (s Suite) corrupt(t *testing.T) {
	schema, file, _ := s.small(t)
	hits := min(len(file), places)
	for i := range hits {
		n := i * len(file) / hits
		flip := byte(0xff)
		if i%2 == 0 {
			flip = 1 << (i / 2 % 8)
		}
		bad := bytes.Clone(file)
		bad[n] ^= flip
		_, _, err := s.readCounted(t, Input(bad), formats.ReadOptions{Columns: schema, Declared: schema})
		if err != nil && !strings.Contains(err.Error(), "some/file.bin") {
			t.Fatalf("byte %d: error does not name the file: %v", n, err)
		}
		_, _ = s.Format.Statistics(context.Background(), Input(bad))
		_, _ = s.Format.Schema(context.Background(), Input(bad), s.Options)
	}
}

var errDisk = failure.Wrap(failure.Transient, errors.New("disk on fire"))

// flaky fails from the nth read or write on.
type flaky struct {
	io.ReaderAt
	left int
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, off)
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (s Suite) failingInput(t *testing.T) {
	schema, batches, _ := s.batches(50, 400)
	file := s.Write(t, schema, batches...)
	for n := 0; ; n++ {
		in := Input(file)
		in.ReaderAt = &flaky{ReaderAt: in.ReaderAt, left: n}
		_, _, err := s.readCounted(t, in, formats.ReadOptions{Columns: schema, Declared: schema})
		if err == nil {
			if n == 0 {
				t.Error("the file was never read")
			}
			return
		}
		if !errors.Is(err, errDisk) || failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "some/file.bin") {
			t.Fatalf("read %d failed: %v (%v)", n, err, failure.Of(err))
		}
	}
}

func (s Suite) failingOutput(t *testing.T) {
	schema, batches, _ := s.batches(50, 100, 100)
	for n := 0; ; n++ {
		w, err := s.Format.NewWriter(&flaky{left: n}, schema, formats.WriteOptions{Options: s.Options})
		for _, b := range batches {
			if err == nil {
				err = w.Write(context.Background(), b)
			}
		}
		if w != nil {
			if closed := w.Close(); err == nil {
				err = closed
			}
		}
		if err == nil {
			return
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("write %d failed: %v", n, fmt.Sprint(err))
		}
	}
}
