package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// allTypes has a column of each type that Parquet can hold, nullable and not.
func allTypes() datatype.Schema {
	kinds := []datatype.Type{
		datatype.Of(datatype.Boolean), datatype.Of(datatype.TinyInt), datatype.Of(datatype.SmallInt), datatype.Of(datatype.Int),
		datatype.Of(datatype.BigInt), datatype.Of(datatype.Float), datatype.Of(datatype.Double),
		datatype.DecimalOf(7, 2), datatype.DecimalOf(15, 2), datatype.DecimalOf(38, 10),
		datatype.Of(datatype.Varchar), datatype.Of(datatype.Varbinary), datatype.Of(datatype.Date),
		datatype.Of(datatype.Time).WithPrecision(3), datatype.Of(datatype.Time).WithPrecision(6), datatype.Of(datatype.Time).WithPrecision(9),
		datatype.Of(datatype.Timestamp).WithPrecision(3), datatype.Of(datatype.Timestamp), datatype.Of(datatype.Timestamp).WithPrecision(9),
		datatype.Of(datatype.TimestampLTZ).WithPrecision(3), datatype.Of(datatype.TimestampLTZ), datatype.Of(datatype.TimestampLTZ).WithPrecision(9),
	}
	var s datatype.Schema
	for i, t := range kinds {
		s = append(s, datatype.Field{Name: fmt.Sprintf("n%02d_%s", i, t.Kind), Type: t})
		s = append(s, datatype.Field{Name: fmt.Sprintf("r%02d_%s", i, t.Kind), Type: t.NotNull()})
	}
	return s
}

// randomBatch fills a batch; distinct bounds the number of values, so that
// small ones make dictionaries pay.
func randomBatch(alloc memory.Allocator, s datatype.Schema, rows, distinct int, rnd *rand.Rand) arrow.RecordBatch {
	b := array.NewRecordBuilder(alloc, s.Arrow())
	defer b.Release()
	for i, f := range s {
		for range rows {
			if f.Type.Nullable && rnd.IntN(4) == 0 {
				b.Field(i).AppendNull()
				continue
			}
			appendValue(b.Field(i), int64(rnd.IntN(distinct)))
		}
	}
	return b.NewRecordBatch()
}

func appendValue(b array.Builder, v int64) {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v%2 == 0)
	case *array.Int8Builder:
		b.Append(int8(v))
	case *array.Int16Builder:
		b.Append(int16(v - 50))
	case *array.Int32Builder:
		b.Append(int32(v - 50))
	case *array.Int64Builder:
		b.Append(v * 1e12)
	case *array.Float32Builder:
		b.Append(float32(v) / 4)
	case *array.Float64Builder:
		b.Append(float64(v) / -8)
	case *array.Decimal64Builder:
		b.Append(decimal.Decimal64(v%1e6*3 - 20))
	case *array.Decimal128Builder:
		b.Append(decimal128.FromI64(v - 30).Mul(decimal128.FromU64(1 << 63)))
	case *array.StringBuilder:
		b.Append(fmt.Sprintf("string number %d", v))
	case *array.BinaryBuilder:
		b.Append(bytes.Repeat([]byte{byte(v)}, int(v%9)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(v))
	case *array.Time32Builder:
		b.Append(arrow.Time32(v))
	case *array.Time64Builder:
		b.Append(arrow.Time64(v))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v*1e9 - 7))
	default:
		panic(fmt.Sprintf("%T", b))
	}
}

func writeAll(t testing.TB, s datatype.Schema, opts formats.Options, batches ...arrow.RecordBatch) []byte {
	t.Helper()
	return writeWith(t, nil, s, opts, batches...)
}

func writeWith(t testing.TB, alloc memory.Allocator, s datatype.Schema, opts formats.Options, batches ...arrow.RecordBatch) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Format{}.NewWriter(&out, s, formats.WriteOptions{Options: opts, Alloc: alloc})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Write(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(out.Len()) {
		t.Errorf("Bytes says %d, the file has %d", w.Bytes(), out.Len())
	}
	return out.Bytes()
}

func input(b []byte) formats.Input {
	return formats.Input{Path: "test.parquet", ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
}

// readAll returns the rows as text, one line each.
func readAll(in formats.Input, opts formats.ReadOptions) (rows []string, stats formats.ReadStats, err error) {
	r, err := Format{}.NewReader(context.Background(), in, opts)
	if err != nil {
		return nil, stats, err
	}
	defer r.Close()
	for {
		b, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return rows, r.Stats(), nil
		}
		if err != nil {
			return rows, r.Stats(), err
		}
		rows = append(rows, lines(b)...)
		b.Release()
	}
}

func lines(b arrow.RecordBatch) []string {
	out := make([]string, b.NumRows())
	for i := range out {
		for _, c := range b.Columns() {
			if c.IsNull(i) {
				out[i] += "null|"
			} else if d, ok := c.(*array.Dictionary); ok {
				out[i] += d.Dictionary().ValueStr(d.GetValueIndex(i)) + "|"
			} else {
				out[i] += c.ValueStr(i) + "|"
			}
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	for _, distinct := range []int{1, 7, 100, 1 << 40} {
		for _, codec := range []string{"snappy", "zstd", "gzip", "brotli", "lz4_raw", "uncompressed"} {
			t.Run(fmt.Sprint(distinct, codec), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(1, 2))
				s := allTypes()
				var want []string
				var batches []arrow.RecordBatch
				for _, rows := range []int{1, 500, 3000} {
					b := randomBatch(memory.DefaultAllocator, s, rows, distinct, rnd)
					batches = append(batches, b)
					want = append(want, lines(b)...)
				}
				file := writeAll(t, s, formats.Options{"parquet.compression": codec, "parquet.row-group-rows": "1300"}, batches...)
				got, stats, err := readAll(input(file), formats.ReadOptions{Columns: s, BatchRows: 77, Alloc: alloc})
				if err != nil {
					t.Fatal(err)
				}
				compare(t, want, got)
				if stats.Groups != 3 || stats.Rows != int64(len(want)) || stats.Bytes == 0 {
					t.Errorf("stats: %+v", stats)
				}
				schema, err := Format{}.Schema(context.Background(), input(file), nil)
				if err != nil || !schema.Equal(s) {
					t.Errorf("schema: %v, %v", schema, err)
				}
			})
		}
	}
}

func compare(t *testing.T, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d rows instead of %d", len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("row %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}
