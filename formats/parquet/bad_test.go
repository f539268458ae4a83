package parquet

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

// FuzzReadParquet reads whatever bytes as a Parquet file: rows or an error of
// class bad data, but no panic and no memory left.
func FuzzReadParquet(f *testing.F) {
	s := allTypes()
	small := s[:0:0]
	for i := 0; i < len(s); i += 5 {
		small = append(small, s[i])
	}
	for _, codec := range []string{"snappy", "zstd", "gzip", "brotli", "lz4_raw", "uncompressed"} {
		b := randomBatch(memory.DefaultAllocator, small, 9, 3, rand.New(rand.NewPCG(4, 4)))
		f.Add(writeAll(f, small, formats.Options{"parquet.compression": codec}, b))
	}
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		schema, err := Format{}.Schema(context.Background(), input(file), nil)
		if err == nil {
			flat := schema[:0:0]
			for _, c := range schema {
				if !c.Type.Is(datatype.Array, datatype.Map, datatype.Row) {
					flat = append(flat, c)
				}
			}
			err = readSome(input(file), formats.ReadOptions{Columns: flat, Alloc: alloc})
		}
		if err != nil && failure.Of(err) != failure.BadData {
			t.Errorf("class %v: %v", failure.Of(err), err)
		}
		if err != nil && strings.Contains(err.Error(), "gave up") {
			t.Errorf("a panic had to be recovered: %v", err)
		}
	})
}

// readSome reads up to 50 batches: a few bytes can mean very many equal rows.
func readSome(in formats.Input, opts formats.ReadOptions) error {
	r, err := Format{}.NewReader(context.Background(), in, opts)
	if err != nil {
		return err
	}
	defer r.Close()
	for range 50 {
		b, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b.Release()
	}
	return nil
}

// ordered has row groups of ten rows with values 0-9, 10-19, ...; the last
// group is all null.
func ordered(t *testing.T) (datatype.Schema, []byte) {
	s := datatype.Schema{
		{Name: "i", Type: datatype.Of(datatype.Int)},
		{Name: "s", Type: datatype.Of(datatype.Varchar)},
		{Name: "d", Type: datatype.Of(datatype.Double)},
		{Name: "w", Type: datatype.DecimalOf(30, 2)},
		{Name: "ts", Type: datatype.Of(datatype.Timestamp)},
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
	defer b.Release()
	for v := range 40 {
		if v >= 30 {
			for _, c := range b.Fields() {
				c.AppendNull()
			}
			continue
		}
		b.Field(0).(*array.Int32Builder).Append(int32(v))
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat(string(rune('a'+v)), 100))
		b.Field(2).(*array.Float64Builder).Append(float64(v))
		if err := b.Field(3).AppendValueFromString("12345678901234567890." + string(rune('0'+v/10)) + "0"); err != nil {
			t.Fatal(err)
		}
		b.Field(4).(*array.TimestampBuilder).Append(arrow.Timestamp(v * 1000))
	}
	return s, writeAll(t, s, formats.Options{"parquet.row-group-rows": "10"}, b.NewRecordBatch())
}

func TestPrune(t *testing.T) {
	s, file := ordered(t)
	millis := datatype.Of(datatype.Timestamp).WithPrecision(3)
	for _, c := range []struct {
		p       predicate.Predicate
		skipped int64
	}{
		{predicate.Compare(predicate.Eq, "i", int64(15)), 3},
		{predicate.Compare(predicate.Ge, "i", int64(20)), 3},
		{predicate.Compare(predicate.Lt, "i", int64(0)), 4},
		{predicate.Compare(predicate.Eq, "s", strings.Repeat("b", 100)), 3},
		{predicate.Compare(predicate.Gt, "s", strings.Repeat("t", 64)+"z"), 2},
		{predicate.Compare(predicate.Gt, "d", 9.5), 2},
		{predicate.Compare(predicate.Eq, "d", "text"), 1},
		{predicate.Predicate{Op: predicate.IsNull, Column: "i"}, 3},
		{predicate.Predicate{Op: predicate.IsNotNull, Column: "w"}, 1},
		{predicate.Compare(predicate.Ge, "ts", int64(20)), 3}, // the literal is in milliseconds
	} {
		wanted := append(datatype.Schema{}, s...)
		wanted[4].Type = millis
		_, stats, err := readAll(input(file), formats.ReadOptions{Columns: wanted, Predicate: &c.p})
		if err != nil || stats.Skipped != c.skipped || stats.Groups != 4 {
			t.Errorf("%v: skipped %d of %d, want %d (%v)", c.p, stats.Skipped, stats.Groups, c.skipped, err)
		}
		spans, err := Format{}.Spans(context.Background(), input(file), formats.SpanOptions{Predicate: &c.p, Columns: wanted, TargetBytes: 1})
		if err != nil || int64(len(spans)) != 4-c.skipped {
			t.Errorf("%v: %d spans, %v", c.p, len(spans), err)
		}
	}
}

func TestStatistics(t *testing.T) {
	_, file := ordered(t)
	st, err := Format{}.Statistics(context.Background(), input(file))
	if err != nil || st.Rows != 40 {
		t.Fatalf("%+v, %v", st, err)
	}
	if i := st.Columns["i"]; i.Min != int64(0) || i.Max != int64(29) || i.Nulls != 10 || i.Rows != 40 {
		t.Errorf("i: %+v", i)
	}
	if i := st.Columns["s"]; i.Min != strings.Repeat("a", 64) || i.Max.(string) <= strings.Repeat("~", 60) && i.Max.(string) < "~" {
		t.Errorf("s: %+v", i)
	}
}

// An error says where: file, row group, column and the byte of the page.
func TestNullInNotNull(t *testing.T) {
	s, file := ordered(t)
	wanted := datatype.Schema{{Name: s[0].Name, Type: s[0].Type.NotNull()}}
	rows, _, err := readAll(input(file), formats.ReadOptions{Columns: wanted})
	if failure.Of(err) != failure.BadData || len(rows) != 30 || !strings.Contains(err.Error(), "test.parquet: row group 3, column i, byte ") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// A timestamp may be wanted coarser only if no digit is lost by that.
func TestCoarserTimestamp(t *testing.T) {
	s := datatype.Schema{{Name: "ts", Type: datatype.Of(datatype.Timestamp)}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
	defer b.Release()
	b.Field(0).(*array.TimestampBuilder).Append(1001)
	file := writeAll(t, s, nil, b.NewRecordBatch())
	wanted := datatype.Schema{{Name: "ts", Type: datatype.Of(datatype.Timestamp).WithPrecision(3)}}
	if _, _, err := readAll(input(file), formats.ReadOptions{Columns: wanted}); failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "1001") {
		t.Errorf("lossy: %v", err)
	}
	wanted[0].Type = datatype.Of(datatype.Timestamp).WithPrecision(9)
	rows, _, err := readAll(input(file), formats.ReadOptions{Columns: wanted})
	if err != nil || rows[0] != "1970-01-01T00:00:00.001001|" {
		t.Errorf("finer: %v, %v", rows, err)
	}
}
