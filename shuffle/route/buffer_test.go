package route

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// A buffer counts the bytes of its rows, not their share of the batch: else long
// texts that all go to one partition would pile up until offsets wrap around.
func TestLongTextsOfOnePartition(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	b := array.NewRecordBuilder(mem, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil))
	defer b.Release()
	for i := range 1000 {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat("x", i%500/499*100_000))
	}
	batch := stream.NewBatch(b.NewRecordBatch())
	defer batch.Release()
	average := batch.Bytes() / 1000
	f := &buffer{}
	defer f.release()
	for range 3 {
		f.addRows(mem, batch, []int32{499, 999}, 2*average)
	}
	if want := int64(3 * (200_000 + 2*8 + 2*4)); f.bytes != want {
		t.Fatalf("%d bytes, want %d", f.bytes, want)
	}
	if f.addRows(mem, batch, []int32{1, 2}, 2*average); f.bytes < 600_000+2*average {
		t.Fatalf("%d bytes after short rows", f.bytes)
	}
}
