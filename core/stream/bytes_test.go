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

// What a batch pins is its buffers, but of a small slice not all that others pin too.
func TestPinned(t *testing.T) {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.Reserve(100)
	b.AppendValues(make([]int64, 80), nil)
	n := b.NewArray()
	d := array.NewDictionaryArray(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int64, ValueType: arrow.PrimitiveTypes.Int64}, n, n)
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: n.DataType()}, {Name: "d", Type: d.DataType()}}, nil)
	record := array.NewRecordBatch(schema, []arrow.Array{n, d}, 80)
	whole := NewBatch(record)
	if have := whole.Pinned(); have <= whole.Bytes() || have > 2*whole.Bytes() {
		t.Errorf("%d pinned by %d bytes", have, whole.Bytes())
	}
	slice := NewBatch(record.NewSlice(0, 2))
	if have := slice.Pinned(); have != 2*slice.Bytes() {
		t.Errorf("a slice of %d bytes pins %d", slice.Bytes(), have)
	}
}
