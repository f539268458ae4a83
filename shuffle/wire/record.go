package wire

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// Record is a batch that stays in wire form: whoever only counts, keeps and hands on
// does not decode it. It is a RecordBatch so that a stream.Batch can hold it; columns
// and row kinds there are none until Decode, and asking for them panics.
type Record struct {
	schema  *arrow.Schema // the exchange's
	header  Header
	payload *payload
}

var _ stream.Encoded = (*Record)(nil)

// Batch makes a batch of a message of rows that was received, on an exchange of that
// schema. It takes over the message.
func Batch(schema *arrow.Schema, m *Message) (*stream.Batch, error) {
	if m.Kind != KindData || len(m.payload.meta) == 0 || m.Rows > stream.MaxRows || m.Value < 0 {
		defer m.Release()
		return nil, fmt.Errorf("%w: %v of %d rows", ErrMalformed, m.Kind, m.Rows)
	}
	return stream.NewBatch(&Record{schema: schema, header: m.Header, payload: m.payload}), nil
}

// Decode returns the batch with its columns and row kinds; they lie in the bytes that
// were received. It owns b, and returns a batch that is no Record as it is.
func Decode(b *stream.Batch) (*stream.Batch, error) {
	r, ok := b.Record.(*Record)
	if !ok {
		return b, nil
	}
	record, kinds, err := r.decode()
	if err != nil {
		b.Release()
		return nil, failure.Wrap(failure.BadData, err)
	}
	b = b.WithRecord(record)
	b.Kinds = kinds
	return b, nil
}

// Header is the header that the batch came with.
func (r *Record) Header() Header { return r.header }

// DecodedBytes implements stream.Encoded.
func (r *Record) DecodedBytes() int64 { return r.header.Value }

// Retain implements arrow.RecordBatch.
func (r *Record) Retain() { r.payload.retain() }

// Release implements arrow.RecordBatch.
func (r *Record) Release() { r.payload.release() }

// Schema implements arrow.RecordBatch; it is the exchange's, though columns may be
// dictionaries.
func (r *Record) Schema() *arrow.Schema { return r.schema }

// NumRows implements arrow.RecordBatch.
func (r *Record) NumRows() int64 { return int64(r.header.Rows) }

// NumCols implements arrow.RecordBatch.
func (r *Record) NumCols() int64 { return int64(r.schema.NumFields()) }

// ColumnName implements arrow.RecordBatch.
func (r *Record) ColumnName(i int) string { return r.schema.Field(i).Name }

// Columns implements arrow.RecordBatch.
func (r *Record) Columns() []arrow.Array { panic(undecoded) }

// Column implements arrow.RecordBatch.
func (r *Record) Column(int) arrow.Array { panic(undecoded) }

// SetColumn implements arrow.RecordBatch.
func (r *Record) SetColumn(int, arrow.Array) (arrow.RecordBatch, error) { panic(undecoded) }

// NewSlice implements arrow.RecordBatch.
func (r *Record) NewSlice(int64, int64) arrow.RecordBatch { panic(undecoded) }

// MarshalJSON implements arrow.RecordBatch.
func (r *Record) MarshalJSON() ([]byte, error) { panic(undecoded) }

const undecoded = "wire: a batch in wire form was not decoded before its columns were wanted"
