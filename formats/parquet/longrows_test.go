package parquet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// Long rows come in short batches: 8,192 texts of 8 MiB fit no array.
func TestLongRows(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	const rows = 20
	s := datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}}
	var file bytes.Buffer
	w, err := Format{}.NewWriter(&file, s, formats.WriteOptions{Options: formats.Options{"parquet.enable.dictionary": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 8<<20)
	for i := range rows {
		b := array.NewRecordBuilder(alloc, s.Arrow())
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.StringBuilder).Append(text)
		record := b.NewRecordBatch()
		err := w.Write(context.Background(), record)
		record.Release()
		b.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for columns, most := range map[int]int64{1: rows, 2: 16} {
		r, err := Format{}.NewReader(context.Background(), input(file.Bytes()), formats.ReadOptions{Columns: s[:columns], Alloc: alloc})
		if err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for {
			var b arrow.RecordBatch
			if b, err = r.Read(context.Background()); err != nil {
				break
			}
			if total += b.NumRows(); b.NumRows() > most {
				t.Errorf("a batch of %d rows of %d columns", b.NumRows(), columns)
			}
			b.Release()
		}
		if !errors.Is(err, io.EOF) || total != rows {
			t.Errorf("%d rows of %d columns, %v", total, columns, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
