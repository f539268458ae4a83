package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// body collects the buffers of columns, in the order and form of Arrow IPC. They are not
// copied, but for bitmaps that do not begin at a byte and offsets that do not begin at
// zero. Arrow's writer would do, but takes several times as long for a small batch.
type body struct {
	mem     memory.Allocator
	parts   [][]byte
	size    int64
	nodes   []byte // of the message that is being made, 16 bytes each: length, nulls
	buffers []byte // likewise: offset, length
	start   int64  // of the message's buffers
	copied  []*memory.Buffer
}

func (o *body) release() {
	for _, b := range o.copied {
		b.Release()
	}
}

// record appends the buffers of columns and returns the Arrow message that describes
// them.
func (o *body) record(columns []arrow.Array, rows int64) ([]byte, error) {
	if o.parts == nil {
		o.parts = make([][]byte, 0, 4*len(columns))
		o.nodes = make([]byte, 0, len(columns)*describedBytes)
		o.buffers = make([]byte, 0, 3*len(columns)*describedBytes)
	}
	o.nodes, o.buffers, o.start = o.nodes[:0], o.buffers[:0], o.size
	for i, c := range columns {
		if err := o.array(c); err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
	}
	return o.message(rows), nil
}

// align is what buffers are padded to.
const align = 8

// add appends a buffer.
func (o *body) add(b []byte) {
	o.describe(&o.buffers, o.size-o.start, int64(len(b)))
	if len(b) == 0 {
		return
	}
	o.parts = append(o.parts, b)
	o.size += int64(len(b))
	if pad := -len(b) & (align - 1); pad > 0 {
		o.parts = append(o.parts, make([]byte, pad, align))
		o.size += int64(pad)
	}
}

func (o *body) describe(in *[]byte, a, b int64) {
	*in = binary.LittleEndian.AppendUint64(*in, uint64(a))
	*in = binary.LittleEndian.AppendUint64(*in, uint64(b))
}

// array appends the buffers of a, and of what is nested in it.
func (o *body) array(a arrow.Array) error {
	if d, ok := a.(*array.Dictionary); ok {
		a = d.Indices()
	}
	nulls := a.NullN()
	o.describe(&o.nodes, int64(a.Len()), int64(nulls))
	if a.DataType().ID() == arrow.NULL {
		return nil
	}
	data := a.Data()
	if nulls > 0 {
		o.bitmap(data.Buffers()[0], data.Offset(), data.Len())
	} else {
		o.add(nil)
	}
	switch a := a.(type) {
	case *array.String, *array.Binary:
		first, last := o.offsets(data)
		var values []byte
		if b := data.Buffers()[2]; b != nil {
			values = b.Bytes()[first:last]
		}
		o.add(values)
		return nil
	case *array.List, *array.Map:
		first, last := o.offsets(data)
		return o.slice(a.(array.ListLike).ListValues(), first, last)
	case *array.Struct:
		for i := range a.NumField() {
			if err := o.array(a.Field(i)); err != nil {
				return err
			}
		}
		return nil
	}
	width, ok := data.DataType().(arrow.FixedWidthDataType)
	switch {
	case !ok || len(data.Buffers()) != 2:
		return fmt.Errorf("columns of type %v do not travel", data.DataType())
	case data.Len() == 0:
		o.add(nil)
	case width.BitWidth() == 1:
		o.bitmap(data.Buffers()[1], data.Offset(), data.Len())
	default:
		w := width.Bytes()
		o.add(data.Buffers()[1].Bytes()[data.Offset()*w : (data.Offset()+data.Len())*w])
	}
	return nil
}

// slice appends rows first to last of the values of lists.
func (o *body) slice(values arrow.Array, first, last int32) error {
	if first == 0 && int(last) == values.Len() {
		return o.array(values)
	}
	s := array.NewSlice(values, int64(first), int64(last))
	defer s.Release() // its buffers are those of the batch
	return o.array(s)
}

// bitmap appends n bits, from a bit on.
func (o *body) bitmap(b *memory.Buffer, from, n int) {
	if b == nil || n == 0 {
		o.add(nil)
		return
	}
	if from%8 == 0 {
		o.add(b.Bytes()[from/8 : (from+n+7)/8])
		return
	}
	c := o.copy(int(bitutil.BytesForBits(int64(n))))
	c[len(c)-1] = 0 // what follows the last bit
	bitutil.CopyBitmap(b.Bytes(), from, n, c, 0)
	o.add(c)
}

// offsets appends the offsets of texts or lists, from zero on, and returns what they
// span.
func (o *body) offsets(data arrow.ArrayData) (first, last int32) {
	n := data.Len()
	if n == 0 || data.Buffers()[1] == nil {
		o.add(nil)
		return 0, 0
	}
	raw := data.Buffers()[1].Bytes()[4*data.Offset() : 4*(data.Offset()+n+1)]
	from := arrow.GetData[int32](raw)
	first, last = from[0], from[n]
	if first != 0 {
		raw = o.copy(len(raw))
		to := arrow.GetData[int32](raw)
		for i, offset := range from {
			to[i] = offset - first
		}
	}
	o.add(raw)
	return first, last
}

// copy returns memory for n bytes, until release.
func (o *body) copy(n int) []byte {
	b := newBody(o.mem, n)
	o.copied = append(o.copied, b)
	return b.Bytes()
}

// message is the Arrow message of what the last record appended:
//
//	0   root      4   vtable of Message       16  Message: vtable, header, body length, version, header type
//	36  vtable of RecordBatch                 48  RecordBatch: vtable, nodes, rows, buffers
//	68  number of nodes, nodes, padding, number of buffers, buffers
func (o *body) message(rows int64) []byte {
	const nodes = 72
	buffers := nodes + len(o.nodes) + 8
	b := make([]byte, buffers+len(o.buffers))
	le := binary.LittleEndian
	u16 := func(at int, all ...uint16) {
		for i, v := range all {
			le.PutUint16(b[at+2*i:], v)
		}
	}
	le.PutUint32(b[0:], 16)
	u16(4, 12, 20, 16, 18, 4, 8) // its length, the table's, and where fields are: version, type, header, body length
	le.PutUint32(b[16:], 16-4)
	le.PutUint32(b[20:], 48-20)
	le.PutUint64(b[24:], uint64(o.size-o.start))
	u16(32, metadataVersion)
	b[34] = recordBatchType
	u16(36, 10, 20, 8, 4, 16) // rows, nodes, buffers
	le.PutUint32(b[48:], 48-36)
	le.PutUint32(b[52:], nodes-4-52)
	le.PutUint64(b[56:], uint64(rows))
	le.PutUint32(b[64:], uint32(buffers-4-64))
	le.PutUint32(b[nodes-4:], uint32(len(o.nodes)/describedBytes))
	copy(b[nodes:], o.nodes)
	le.PutUint32(b[buffers-4:], uint32(len(o.buffers)/describedBytes))
	copy(b[buffers:], o.buffers)
	return b
}

// metadataVersion is Arrow's V5.
const metadataVersion = 4
