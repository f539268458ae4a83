package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// Encode puts a batch without a selection into wire form; it owns b. The columns are
// not copied, except where Arrow's layout wants it. A batch that is a *Record is only
// given the header. Schema is the exchange's; h says where the batch goes, with its
// digest; its kind, rows and value are set here.
func Encode(mem memory.Allocator, schema *arrow.Schema, h Header, b *stream.Batch) (*Message, error) {
	h.Kind, h.Rows, h.Value = KindData, uint32(b.Len()), b.Bytes()
	if r, ok := b.Record.(*Record); ok {
		r.payload.retain()
		h.Digest = r.header.Digest
		b.Release()
		return &Message{Header: h, payload: r.payload}, nil
	}
	e := encoder{mem: mem, batch: b}
	if err := e.encode(schema); err != nil {
		e.release()
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("encode batch of %d rows: %w", h.Rows, err))
	}
	return &Message{Header: h, payload: newPayload(e.extra, e.meta, e.parts, e.release)}, nil
}

// encoder holds what the parts of one payload lie in.
type encoder struct {
	mem      memory.Allocator
	batch    *stream.Batch
	payloads []ipc.Payload
	extra    []byte
	meta     []byte
	parts    [][]byte
	size     uint64
}

func (e *encoder) release() {
	for i := range e.payloads {
		e.payloads[i].Release()
	}
	e.batch.Release()
}

func (e *encoder) encode(schema *arrow.Schema) error {
	b := e.batch
	if b.Sel != nil {
		return fmt.Errorf("it has a selection")
	}
	if int(b.Record.NumCols()) != schema.NumFields() {
		return fmt.Errorf("%d columns on an exchange of %d", b.Record.NumCols(), schema.NumFields())
	}
	for i, c := range b.Record.Columns() {
		if !sameLayout(plain(c.DataType()), schema.Field(i).Type) {
			return fmt.Errorf("column %d is %v on an exchange of %v", i, c.DataType(), schema.Field(i).Type)
		}
	}
	if b.Kinds != nil {
		kinds := make([]byte, len(b.Kinds))
		for i, k := range b.Kinds {
			kinds[i] = byte(k)
		}
		e.extra = appendTLV(e.extra, tlvKinds, kinds)
	}
	meta, err := e.record(b.Record)
	if err != nil {
		return err
	}
	e.meta = meta
	for i, c := range b.Record.Columns() {
		if d, ok := c.(*array.Dictionary); ok {
			if err := e.dictionary(i, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// record adds the buffers of a record to the parts and returns its message.
func (e *encoder) record(r arrow.RecordBatch) ([]byte, error) {
	p, err := ipc.GetRecordBatchPayload(r, ipc.WithAllocator(e.mem))
	if err != nil {
		return nil, err
	}
	e.payloads = append(e.payloads, p)
	if err := p.SerializeBody((*collector)(e)); err != nil {
		return nil, err
	}
	meta := p.Meta()
	defer meta.Release()
	return append([]byte(nil), meta.Bytes()...), nil
}

// dictionary adds the values of a column's dictionary, as a record of one column:
//
//	column(4) index type(1) offset of its buffers in the body(8) their length(8) rows(8) message
func (e *encoder) dictionary(column int, d *array.Dictionary) error {
	values := d.Dictionary()
	schema := arrow.NewSchema([]arrow.Field{{Name: "values", Type: values.DataType(), Nullable: true}}, nil)
	r := array.NewRecordBatch(schema, []arrow.Array{values}, int64(values.Len()))
	defer r.Release()
	start := e.size
	meta, err := e.record(r)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	v := le.AppendUint32(nil, uint32(column))
	v = append(v, byte(d.DataType().(*arrow.DictionaryType).IndexType.ID()))
	v = le.AppendUint64(v, start)
	v = le.AppendUint64(v, e.size-start)
	v = le.AppendUint64(v, uint64(values.Len()))
	e.extra = appendTLV(e.extra, tlvDictionary, append(v, meta...))
	return nil
}

// collector takes the buffers that Arrow would write, as they lie.
type collector encoder

// Write implements io.Writer.
func (c *collector) Write(p []byte) (int, error) {
	c.parts = append(c.parts, p)
	c.size += uint64(len(p))
	return len(p), nil
}

func plain(t arrow.DataType) arrow.DataType {
	if d, ok := t.(*arrow.DictionaryType); ok {
		return d.ValueType
	}
	return t
}

// sameLayout reports whether columns of both types are the same bytes with the same
// meaning; names and nullability do not matter.
func sameLayout(a, b arrow.DataType) bool {
	if a.ID() != b.ID() {
		return false
	}
	switch x := a.(type) {
	case arrow.NestedType:
		fa, fb := x.Fields(), b.(arrow.NestedType).Fields()
		if len(fa) != len(fb) {
			return false
		}
		for i := range fa {
			if !sameLayout(fa[i].Type, fb[i].Type) {
				return false
			}
		}
		return true
	case *arrow.TimestampType:
		return x.Unit == b.(*arrow.TimestampType).Unit
	case arrow.TemporalWithUnit:
		return x.TimeUnit() == b.(arrow.TemporalWithUnit).TimeUnit()
	case arrow.DecimalType:
		return x.GetScale() == b.(arrow.DecimalType).GetScale()
	case *arrow.FixedSizeBinaryType:
		return x.ByteWidth == b.(*arrow.FixedSizeBinaryType).ByteWidth
	default:
		return true
	}
}
