package wire

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	tmemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
)

// benchRecord has four columns and 87 bytes a row, as `tidemill bench shuffle`.
func benchRecord(rows int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64},
		{Name: "text", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(i))
		b.Field(2).(*array.Float64Builder).Append(float64(i))
		b.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("%059d", i))
	}
	return b.NewRecordBatch()
}

// BenchmarkMessage is what both ends do of a message but for the socket: encode and
// marshal; unmarshal with its one copy, and decode.
func BenchmarkMessage(b *testing.B) {
	ledger, err := tmemory.New(tmemory.Options{Limit: 64 << 20, Option: "test"})
	if err != nil {
		b.Fatal(err)
	}
	alloc := ledger.Child("wire", 0).Allocator()
	for _, rows := range []int{512, 8192} {
		record := benchRecord(rows)
		encode := func() *Message {
			record.Retain()
			m, err := Encode(alloc, record.Schema(), Header{Lane: 1}, stream.NewBatch(record))
			if err != nil {
				b.Fatal(err)
			}
			return m
		}
		size := stream.NewBatch(record).Bytes()
		b.Run(fmt.Sprintf("send/%d", rows), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				m := encode()
				out := m.marshal()
				m.Release()
				out.Free()
			}
		})
		m := encode()
		sent := m.marshal()
		b.Run(fmt.Sprintf("receive/%d", rows), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				got := &Message{}
				if err := (Codec{Alloc: alloc}).Unmarshal(sent, got); err != nil {
					b.Fatal(err)
				}
				got.Release()
			}
		})
		b.Run(fmt.Sprintf("receive and decode/%d", rows), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				got := &Message{}
				if err := (Codec{Alloc: alloc}).Unmarshal(sent, got); err != nil {
					b.Fatal(err)
				}
				batch, err := Batch(record.Schema(), got)
				if err == nil {
					batch, err = Decode(batch)
				}
				if err != nil {
					b.Fatal(err)
				}
				batch.Release()
			}
		})
	}
}
