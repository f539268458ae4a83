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
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// lineitem is 13 columns of TPC-H's largest table.
func lineitem() datatype.Schema {
	money := datatype.DecimalOf(15, 2).NotNull()
	integer, text := datatype.Of(datatype.BigInt).NotNull(), datatype.Of(datatype.Varchar).NotNull()
	return datatype.Schema{
		{Name: "l_orderkey", Type: integer},
		{Name: "l_partkey", Type: integer},
		{Name: "l_suppkey", Type: integer},
		{Name: "l_linenumber", Type: datatype.Of(datatype.Int).NotNull()},
		{Name: "l_quantity", Type: money},
		{Name: "l_extendedprice", Type: money},
		{Name: "l_discount", Type: money},
		{Name: "l_tax", Type: money},
		{Name: "l_returnflag", Type: text},
		{Name: "l_linestatus", Type: text},
		{Name: "l_shipdate", Type: datatype.Of(datatype.Date).NotNull()},
		{Name: "l_shipinstruct", Type: text},
		{Name: "l_comment", Type: text},
	}
}

// lineitems makes rows with the distributions that matter: few distinct
// quantities, discounts, flags and dates, many prices, keys and comments.
func lineitems(rows int) []arrow.RecordBatch {
	rnd := rand.New(rand.NewPCG(1, 1))
	words := []string{"carefully", "final", "deposits", "sleep", "furiously", "ironic", "requests", "quickly", "express", "packages"}
	instructions := []string{"DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"}
	s := lineitem()
	var out []arrow.RecordBatch
	for at := 0; at < rows; at += formats.DefaultBatchRows {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow())
		for i := at; i < min(rows, at+formats.DefaultBatchRows); i++ {
			for c, v := range []int64{int64(i/4 + i/32*24), rnd.Int64N(200_000), rnd.Int64N(10_000)} {
				b.Field(c).(*array.Int64Builder).Append(v)
			}
			b.Field(3).(*array.Int32Builder).Append(int32(i%7 + 1))
			for c, v := range []int64{100 * (1 + rnd.Int64N(50)), 90_000 + rnd.Int64N(10_000_000), rnd.Int64N(11), rnd.Int64N(9)} {
				b.Field(4 + c).(*array.Decimal64Builder).Append(decimal.Decimal64(v))
			}
			b.Field(8).(*array.StringBuilder).Append("ANR"[rnd.IntN(3):][:1])
			b.Field(9).(*array.StringBuilder).Append("OF"[rnd.IntN(2):][:1])
			b.Field(10).(*array.Date32Builder).Append(arrow.Date32(8036 + rnd.IntN(2526)))
			b.Field(11).(*array.StringBuilder).Append(instructions[rnd.IntN(4)])
			b.Field(12).(*array.StringBuilder).Append(fmt.Sprintf("%s %s %s", words[rnd.IntN(10)], words[rnd.IntN(10)], words[rnd.IntN(10)])[:10+rnd.IntN(8)] + fmt.Sprint(rnd.IntN(1e6)))
		}
		out = append(out, b.NewRecordBatch())
		b.Release()
	}
	return out
}

func BenchmarkRead(b *testing.B) {
	const rows = 1_000_000
	file := writeAll(b, lineitem(), nil, lineitems(rows)...)
	pick := func(names ...string) (s datatype.Schema) {
		for _, n := range names {
			s = append(s, lineitem()[lineitem().Index(n)])
		}
		return s
	}
	for _, c := range []struct {
		name    string
		columns datatype.Schema
	}{
		{"q6", pick("l_quantity", "l_extendedprice", "l_discount", "l_shipdate")},
		{"q1", pick("l_quantity", "l_extendedprice", "l_discount", "l_tax", "l_shipdate", "l_returnflag", "l_linestatus")},
		{"comment", pick("l_comment")},
		{"all", lineitem()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := readRows(b, file, c.columns); n != rows {
					b.Fatal(n)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func readRows(b *testing.B, file []byte, columns datatype.Schema) (rows int64) {
	r, err := Format{}.NewReader(context.Background(), input(file), formats.ReadOptions{Columns: columns})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for {
		batch, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			b.Fatal(err)
		}
		rows += batch.NumRows()
		batch.Release()
	}
}

func BenchmarkWrite(b *testing.B) {
	const rows = 500_000
	batches := lineitems(rows)
	for _, codec := range []string{"snappy", "zstd", "uncompressed"} {
		b.Run(codec, func(b *testing.B) {
			b.ReportAllocs()
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				w, err := Format{}.NewWriter(&out, lineitem(), formats.WriteOptions{Options: formats.Options{"parquet.compression": codec}})
				if err != nil {
					b.Fatal(err)
				}
				for _, batch := range batches {
					if err := w.Write(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(out.Len())/rows, "bytes/row")
		})
	}
}
