package spill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func space(t *testing.T, limit int64) *Space {
	t.Helper()
	d, err := Open(t.TempDir(), limit)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Space("sort", Counters{})
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if d.Used() != 0 {
			t.Errorf("%d bytes stay counted", d.Used())
		}
	})
	return s
}

// sample has a column of every kind, with nulls.
func sample(t *testing.T, mem memory.Allocator) arrow.RecordBatch {
	t.Helper()
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String}
	inner := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, arrow.Field{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true})
	types := []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32,
		arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.String,
		arrow.BinaryTypes.Binary, arrow.BinaryTypes.LargeString, &arrow.Decimal128Type{Precision: 38, Scale: 2},
		arrow.FixedWidthTypes.Date32, &arrow.TimestampType{Unit: arrow.Microsecond}, arrow.FixedWidthTypes.Time32ms,
		&arrow.FixedSizeBinaryType{ByteWidth: 3}, arrow.ListOf(inner), arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32),
		inner, arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32), arrow.LargeListOf(arrow.BinaryTypes.String), arrow.Null, dict,
	}
	values := []string{
		`true`, `-7`, `300`, `70000`, `-5000000000`, `1.5`, `-2.25`, `"text"`, `"Ynl0ZXM="`, `"large"`, `"12345678901234567890.12"`,
		`"2024-02-29"`, `"2024-02-29 12:00:00.000001"`, `"01:02:03.004"`, `"YWJj"`, `[{"x":1,"s":"a"},null,{"x":null,"s":"b"}]`,
		`[{"key":"k","value":3}]`, `{"x":9,"s":null}`, `[1,2]`, `["p","q"]`, `null`, `"word"`,
	}
	var fields []arrow.Field
	var columns []arrow.Array
	for i, dt := range types {
		var text strings.Builder
		for row := range 23 {
			if row > 0 {
				text.WriteString(",")
			}
			if (row+i)%5 == 3 {
				text.WriteString("null")
			} else {
				text.WriteString(values[i])
			}
		}
		a, _, err := array.FromJSON(mem, dt, strings.NewReader("["+text.String()+"]"))
		if err != nil {
			t.Fatalf("%s: %v", dt, err)
		}
		columns = append(columns, a)
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: dt, Nullable: true})
	}
	rec := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 23)
	for _, c := range columns {
		c.Release()
	}
	return rec
}

func TestRoundTrip(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	s := space(t, 0)
	all := sample(t, mem)
	defer all.Release()
	var parts []arrow.RecordBatch
	for _, cut := range [][2]int64{{0, 23}, {3, 20}, {8, 9}, {5, 5}, {22, 23}, {1, 17}} {
		parts = append(parts, all.NewSlice(cut[0], cut[1]))
	}
	twice := parts[5].NewSlice(2, 13)
	parts = append(parts, twice)
	w, err := s.Create("round trip", all.Schema())
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for _, p := range parts {
		if err := w.Append(p); err != nil {
			t.Fatal(err)
		}
		rows += p.NumRows()
	}
	f, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if f.Rows() != rows || f.Bytes() == 0 || s.Written() != f.Bytes() {
		t.Errorf("%d rows, %d bytes, %d written", f.Rows(), f.Bytes(), s.Written())
	}
	for range 2 {
		r, _ := f.Open(mem)
		for i, want := range parts {
			got, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !array.RecordEqual(got, want) {
				t.Errorf("part %d comes back as\n%v\nwant\n%v", i, got, want)
			}
			got.Release()
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		r.Close()
	}
	for _, p := range parts {
		p.Release()
	}
	if err := errors.Join(f.Remove(), f.Remove()); err != nil {
		t.Error(err)
	}
}

// A column may be a dictionary where the schema says plain; a long dictionary is
// not written for few rows.
func TestEncodedColumns(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	s := space(t, 0)
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	a, _, err := array.FromJSON(mem, dt, strings.NewReader(`["a","b",null,"c","d","a","e"]`))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	encoded := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "s", Type: dt}}, nil), []arrow.Array{a}, 7)
	defer encoded.Release()
	few := encoded.NewSlice(2, 4)
	defer few.Release()
	w, err := s.Create("x", arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append(encoded), w.Append(few)); err != nil {
		t.Fatal(err)
	}
	f, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := f.Open(mem)
	first, err := r.Next()
	if err != nil || !array.RecordEqual(first, encoded) {
		t.Fatalf("%v, %v", first, err)
	}
	first.Release()
	second, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if c, ok := second.Column(0).(*array.String); !ok || !c.IsNull(0) || c.Value(1) != "c" {
		t.Errorf("comes back as %v", second)
	}
}

func written(t *testing.T, s *Space, mem memory.Allocator) *File {
	t.Helper()
	rec := sample(t, mem)
	defer rec.Release()
	w, err := s.Create("x", rec.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(rec); err != nil {
		t.Fatal(err)
	}
	f, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Whatever byte of a file is wrong or missing, reading it is an error that names
// the operator and the file.
func TestDamage(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	s := space(t, 0)
	f := written(t, s, mem)
	path := filepath.Join(s.dir.path, f.name)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, _ := f.Open(mem)
		rec, err := r.Next()
		if err == nil {
			rec.Release()
			t.Errorf("%s: no error", what)
		} else if !strings.Contains(err.Error(), f.name) || !strings.Contains(err.Error(), "sort: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		check(fmt.Sprintf("byte %d", i), bad)
	}
	for _, n := range []int{0, 1, headerBytes, headerBytes + 5, len(good) / 2, len(good) - 1} {
		check(fmt.Sprintf("cut to %d bytes", n), good[:n])
	}
}

var errFull = errors.New("no space left on device")

// faulty fails from the given call on.
type faulty struct {
	layer
	left int
}

func (f *faulty) call() error {
	if f.left--; f.left < 0 {
		return errFull
	}
	return nil
}

func (f *faulty) create(name string) (file, error) {
	if err := f.call(); err != nil {
		return nil, err
	}
	made, err := f.layer.create(name)
	return faultyFile{made, f}, err
}

type faultyFile struct {
	file
	of *faulty
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.of.call(); err != nil {
		return 0, err
	}
	return f.file.Write(b)
}

func (f faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.of.call(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, at)
}

func TestEveryCallFails(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	rec := sample(t, mem)
	defer rec.Release()
	for n := 0; ; n++ {
		s := space(t, 0)
		s.dir.layer = &faulty{layer: s.dir.layer, left: n}
		err := func() error {
			w, err := s.Create("x", rec.Schema())
			if err != nil {
				return err
			}
			for range 30 {
				if err := w.Append(rec); err != nil {
					w.Abort()
					return err
				}
			}
			f, err := w.Finish()
			if err != nil {
				return err
			}
			r, _ := f.Open(mem)
			got, err := r.Next()
			if err == nil {
				got.Release()
			}
			return err
		}()
		if err == nil {
			if n < 4 {
				t.Errorf("only %d calls", n)
			}
			return
		}
		if !errors.Is(err, errFull) || !strings.HasPrefix(err.Error(), "sort: ") {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}

func TestLimit(t *testing.T) {
	s := space(t, 5000)
	rec := sample(t, memory.DefaultAllocator)
	w, err := s.Create("x", rec.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = w.Append(rec)
	}
	if !strings.Contains(err.Error(), "io.tmp.limit") {
		t.Error(err)
	}
	if _, again := w.Finish(); !errors.Is(again, err) {
		t.Errorf("finished with %v", again)
	}
	if s.dir.Used() != 0 {
		t.Errorf("%d bytes stay counted", s.dir.Used())
	}
}

func TestUnsupported(t *testing.T) {
	s := space(t, 0)
	view := arrow.NewSchema([]arrow.Field{{Name: "v", Type: arrow.ListOf(arrow.BinaryTypes.StringView)}}, nil)
	if _, err := s.Create("x", view); err == nil || !strings.Contains(err.Error(), "column v") {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("x", arrow.NewSchema(nil, nil)); err == nil {
		t.Error("created after close")
	}
}

// What processes that died have left is removed, what the living have is not.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	living, err := Open(parent, 0)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(parent, prefix+"dead")
	foreign := filepath.Join(parent, prefix+"other")
	for _, dir := range []string{dead, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dead, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	next, err := Open(parent, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the dead process's directory stays: %v", err)
	}
	for _, dir := range []string{living.Path(), foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(next.Close(), living.Close()); err != nil {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(parent, "missing"), 0); err == nil {
		t.Error("opened below a directory that does not exist")
	}
}
