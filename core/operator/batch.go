package operator

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/stream"
)

// NewBatch makes a batch of n rows of columns under schema's names. Columns may
// be dictionary-encoded where the schema says plain; they stay the caller's.
func NewBatch(schema *arrow.Schema, columns []arrow.Array, n int) *stream.Batch {
	for i, c := range columns {
		if c.DataType().ID() == arrow.DICTIONARY && schema.Field(i).Type.ID() != arrow.DICTIONARY {
			schema = encoded(schema, columns)
			break
		}
	}
	return stream.NewBatch(array.NewRecordBatch(schema, columns, int64(n)))
}

// encoded is schema with the types that columns have.
func encoded(schema *arrow.Schema, columns []arrow.Array) *arrow.Schema {
	fields := schema.Fields()
	for i := range fields {
		fields[i].Type = columns[i].DataType()
	}
	return arrow.NewSchema(fields, nil)
}
