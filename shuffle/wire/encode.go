package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	tmemory "github.com/tidemill/tidemill/core/memory"
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
	e := &encoder{batch: b, body: body{mem: mem}}
	if err := e.encode(schema); err != nil {
		e.release()
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("encode batch of %d rows: %w", h.Rows, err))
	}
	return &Message{Header: h, payload: newPayload(e.extra, e.meta, e.body.parts, e.release)}, nil
}

// encoder holds what the parts of one payload lie in.
type encoder struct {
	batch   *stream.Batch
	decoded []arrow.Array // columns in the place of dictionaries that are too large
	body    body
	extra   []byte
	meta    []byte
}

func (e *encoder) release() {
	e.body.release()
	for _, c := range e.decoded {
		c.Release()
	}
	e.batch.Release()
}

func (e *encoder) encode(schema *arrow.Schema) (err error) {
	defer tmemory.Recover(&err)
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
	columns, err := e.columns()
	if err != nil {
		return err
	}
	if e.meta, err = e.body.record(columns, b.Record.NumRows()); err != nil {
		return err
	}
	for i, c := range columns {
		if d, ok := c.(*array.Dictionary); ok {
			if err := e.dictionary(i, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns are those of the batch, with dictionaries of more than a quarter as many
// values as there are rows written out: a dictionary travels with each batch.
func (e *encoder) columns() ([]arrow.Array, error) {
	columns := e.batch.Record.Columns()
	for i, c := range columns {
		d, ok := c.(*array.Dictionary)
		if !ok || 4*d.Dictionary().Len() <= d.Len() {
			continue
		}
		decoded, err := compute.Decode(e.body.mem, d)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
		if len(e.decoded) == 0 {
			columns = slices.Clone(columns)
		}
		e.decoded = append(e.decoded, decoded)
		columns[i] = decoded
	}
	return columns, nil
}

// dictionary adds the values of a column's dictionary, as a record of one column:
//
//	column(4) index type(1) offset of its buffers in the body(8) their length(8) rows(8) message
func (e *encoder) dictionary(column int, d *array.Dictionary) error {
	values := d.Dictionary()
	start := e.body.size
	meta, err := e.body.record([]arrow.Array{values}, int64(values.Len()))
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	v := le.AppendUint32(nil, uint32(column))
	v = append(v, byte(d.DataType().(*arrow.DictionaryType).IndexType.ID()))
	v = le.AppendUint64(v, uint64(start))
	v = le.AppendUint64(v, uint64(e.body.size-start))
	v = le.AppendUint64(v, uint64(values.Len()))
	e.extra = appendTLV(e.extra, tlvDictionary, append(v, meta...))
	return nil
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
