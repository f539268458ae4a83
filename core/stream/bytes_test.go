package stream

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// What an exchange counts is what the rows take, not what their buffers hold.
func TestBytesCountsTheRowsOfASlice(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)},
	}, nil)
	const rows = `[{"n":1,"s":"ab","l":[1,2]},{"n":2,"s":null,"l":[]},{"n":3,"s":"abcdef","l":[3]},{"n":4,"s":"","l":[4,5,6]}]`
	record, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	whole := NewBatch(record)
	// 32 of n; 1 + 16 + 8 of s; 16 + 6*4 of l
	if have := whole.Bytes(); have != 32+25+40 {
		t.Errorf("whole: %d", have)
	}
	half := NewBatch(record.NewSlice(2, 4))
	// 16 of n; 8 + 6 of s, without nulls; 8 + 4*4 of l
	if have := half.Bytes(); have != 16+14+24 {
		t.Errorf("half: %d", have)
	}
	if have := NewBatch(record.NewSlice(4, 4)).Bytes(); have != 0 {
		t.Errorf("empty: %d", have)
	}
}
