package render

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// changes gives its printer what each row does as the first column.
type changes struct{ Printer }

// Batch implements Printer.
func (c *changes) Batch(ctx context.Context, b *stream.Batch) error {
	ops := array.NewStringBuilder(memory.DefaultAllocator)
	defer ops.Release()
	ops.Reserve(b.PhysicalRows())
	for r := range b.PhysicalRows() {
		ops.Append(b.Kind(r).String())
	}
	column := ops.NewArray()
	defer column.Release()
	old := b.Record.Schema()
	fields := append([]arrow.Field{{Name: "op", Type: arrow.BinaryTypes.String}}, old.Fields()...)
	metadata := old.Metadata()
	record := array.NewRecordBatch(arrow.NewSchema(fields, &metadata), append([]arrow.Array{column}, b.Record.Columns()...), b.Record.NumRows())
	defer record.Release()
	return c.Printer.Batch(ctx, &stream.Batch{Record: record, Sel: b.Sel})
}
