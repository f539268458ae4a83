package compute

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// TakeBatch consumes b and returns a batch without a selection that has b's
// selected rows, their kinds and b's charge. A batch without a selection is
// returned as it is. After an error b has been released.
func TakeBatch(mem memory.Allocator, b *stream.Batch) (*stream.Batch, error) {
	if b.Sel == nil {
		return b, nil
	}
	record, err := TakeRecord(mem, b.Record, b.Sel)
	if err != nil {
		b.Release()
		return nil, err
	}
	kinds := takeKinds(b.Kinds, b.Sel)
	b = b.WithRecord(record)
	b.Sel, b.Kinds = nil, kinds
	return b, nil
}

// TakeRecord gathers the rows of all columns; nil rows means all of them.
func TakeRecord(mem memory.Allocator, record arrow.RecordBatch, rows []int32) (arrow.RecordBatch, error) {
	if rows == nil {
		record.Retain()
		return record, nil
	}
	columns := make([]arrow.Array, 0, record.NumCols())
	defer func() { ReleaseAll(columns) }()
	for i, c := range record.Columns() {
		taken, err := Take(mem, c, rows)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", record.ColumnName(i), err)
		}
		columns = append(columns, taken)
	}
	return array.NewRecordBatch(record.Schema(), columns, int64(len(rows))), nil
}

// ReleaseAll releases the arrays that are not nil.
func ReleaseAll(arrays []arrow.Array) {
	for _, a := range arrays {
		if a != nil {
			a.Release()
		}
	}
}

// Slice returns rows [from, to) of arr without copying.
func Slice(arr arrow.Array, from, to int) arrow.Array {
	return array.NewSlice(arr, int64(from), int64(to))
}

// SliceBatch returns rows [from, to) of b's selected rows as a second owner of
// the same columns, without copying them.
func SliceBatch(b *stream.Batch, from, to int) *stream.Batch {
	s := b.Share()
	if b.Sel != nil {
		s.Sel = b.Sel[from:to]
		return s
	}
	s = s.WithRecord(b.Record.NewSlice(int64(from), int64(to)))
	if b.Kinds != nil {
		s.Kinds = b.Kinds[from:to]
	}
	return s
}

// takeKinds gathers row kinds; nil kinds stay nil, and kinds that are all Insert
// become nil.
func takeKinds(kinds []stream.RowKind, rows []int32) []stream.RowKind {
	if kinds == nil {
		return nil
	}
	out := make([]stream.RowKind, len(rows))
	changes := false
	for i, r := range rows {
		out[i] = kinds[r]
		changes = changes || kinds[r] != stream.Insert
	}
	if !changes {
		return nil
	}
	return out
}
