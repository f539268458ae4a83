package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/tidemill/tidemill/core/stream"
)

// decode makes the columns, over the payload's bytes.
func (r *Record) decode() (record arrow.RecordBatch, kinds []stream.RowKind, err error) {
	p := r.payload
	if p.body == nil && p.size > 0 {
		return nil, nil, fmt.Errorf("%w: the body is not in one piece", ErrMalformed)
	}
	types := make([]arrow.DataType, r.schema.NumFields())
	for i := range types {
		types[i] = r.schema.Field(i).Type
	}
	var dictionaries []*dictionary // by column; nil: there is none
	err = eachTLV(p.extra, func(kind byte, value []byte) (err error) {
		switch kind {
		case tlvKinds:
			kinds, err = decodeKinds(value, int(r.header.Rows))
		case tlvDictionary:
			if dictionaries == nil {
				dictionaries = make([]*dictionary, len(types))
			}
			err = readDictionary(value, dictionaries)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i, d := range dictionaries {
		if d != nil {
			types[i] = d.index
		}
	}
	columns, err := load(p.meta, p.body, types, int64(r.header.Rows))
	if err != nil {
		return nil, nil, err
	}
	defer func() { release(columns) }()
	schema, err := resolveAll(r.schema, dictionaries, columns, p.body)
	if err != nil {
		return nil, nil, err
	}
	arrays := make([]arrow.Array, len(columns))
	for i, c := range columns {
		arrays[i] = array.MakeFromData(c)
	}
	record = array.NewRecordBatch(schema, arrays, int64(r.header.Rows))
	for _, a := range arrays {
		a.Release() // the record holds it
	}
	return record, kinds, nil
}

// resolveAll puts dictionaries into their columns, and returns the schema that says so.
func resolveAll(schema *arrow.Schema, dictionaries []*dictionary, columns []arrow.ArrayData, body *memory.Buffer) (_ *arrow.Schema, err error) {
	var fields []arrow.Field
	for i, d := range dictionaries {
		if d == nil {
			continue
		}
		if fields == nil {
			fields = slices.Clone(schema.Fields())
		}
		if columns[i], err = d.resolve(body, columns[i], fields[i].Type); err != nil {
			return nil, fmt.Errorf("dictionary of column %d: %w", i, err)
		}
		fields[i].Type = columns[i].DataType()
	}
	if fields == nil {
		return schema, nil
	}
	return arrow.NewSchema(fields, nil), nil
}

func decodeKinds(value []byte, rows int) ([]stream.RowKind, error) {
	if len(value) != rows {
		return nil, fmt.Errorf("%w: %d row kinds of %d rows", ErrMalformed, len(value), rows)
	}
	kinds := make([]stream.RowKind, rows)
	for i, k := range value {
		kinds[i] = stream.RowKind(k)
		if kinds[i] < stream.Insert || kinds[i] > stream.Delete {
			return nil, fmt.Errorf("%w: row kind %d", ErrMalformed, k)
		}
	}
	return kinds, nil
}

// dictionary is where the values of a column's dictionary are.
type dictionary struct {
	index              arrow.DataType
	start, bytes, rows uint64
	meta               []byte
}

func readDictionary(v []byte, into []*dictionary) error {
	const fixed = 4 + 1 + 8 + 8 + 8
	if len(v) < fixed {
		return fmt.Errorf("%w: dictionary of %d bytes", ErrMalformed, len(v))
	}
	le := binary.LittleEndian
	column := le.Uint32(v)
	if int64(column) >= int64(len(into)) || into[column] != nil {
		return fmt.Errorf("%w: dictionary of column %d", ErrMalformed, column)
	}
	d := &dictionary{start: le.Uint64(v[5:]), bytes: le.Uint64(v[13:]), rows: le.Uint64(v[21:]), meta: v[fixed:]}
	switch arrow.Type(v[4]) {
	case arrow.INT8:
		d.index = arrow.PrimitiveTypes.Int8
	case arrow.INT16:
		d.index = arrow.PrimitiveTypes.Int16
	case arrow.INT32:
		d.index = arrow.PrimitiveTypes.Int32
	default:
		return fmt.Errorf("%w: dictionary with an index of type %d", ErrMalformed, v[4])
	}
	into[column] = d
	return nil
}

// resolve makes a dictionary column of its indexes, which it takes over.
func (d *dictionary) resolve(body *memory.Buffer, indexes arrow.ArrayData, value arrow.DataType) (arrow.ArrayData, error) {
	// The start is not checked alone: load compares every buffer with the body.
	columns, err := loadAt(d.meta, body, int64(d.start), []arrow.DataType{value}, int64(d.rows))
	if err != nil {
		return indexes, err
	}
	defer release(columns)
	if err := checkIndexes(indexes, int64(d.rows)); err != nil {
		return indexes, err
	}
	defer indexes.Release()
	t := &arrow.DictionaryType{IndexType: d.index, ValueType: value}
	return array.NewDataWithDictionary(t, indexes.Len(), indexes.Buffers(), indexes.NullN(), 0, columns[0].(*array.Data)), nil
}

// checkIndexes compares the indexes of rows that are not null with the number of values.
func checkIndexes(d arrow.ArrayData, values int64) error {
	if d.Len() == 0 {
		return nil
	}
	switch data := d.Buffers()[1].Bytes(); d.DataType().ID() {
	case arrow.INT8:
		return checkBelow(d, arrow.GetData[int8](data), values)
	case arrow.INT16:
		return checkBelow(d, arrow.GetData[int16](data), values)
	default:
		return checkBelow(d, arrow.GetData[int32](data), values)
	}
}

func checkBelow[T int8 | int16 | int32](d arrow.ArrayData, indexes []T, values int64) error {
	indexes = indexes[:d.Len()]
	low, high := indexes[0], indexes[0]
	for _, x := range indexes {
		low, high = min(low, x), max(high, x)
	}
	if low >= 0 && int64(high) < values {
		return nil
	}
	for i, x := range indexes { // under a null there may be anything
		if (x < 0 || int64(x) >= values) && (d.NullN() == 0 || bitutil.BitIsSet(d.Buffers()[0].Bytes(), i)) {
			return fmt.Errorf("%w: index %d of %d values", ErrMalformed, x, values)
		}
	}
	return nil
}

func release(columns []arrow.ArrayData) {
	for _, c := range columns {
		if c != nil {
			c.Release()
		}
	}
}

// load makes the columns of a record batch message.
func load(meta []byte, body *memory.Buffer, types []arrow.DataType, rows int64) ([]arrow.ArrayData, error) {
	return loadAt(meta, body, 0, types, rows)
}

func loadAt(meta []byte, body *memory.Buffer, start int64, types []arrow.DataType, rows int64) (columns []arrow.ArrayData, err error) {
	l, err := newLoader(meta, body, start)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			release(columns)
			columns = nil
		}
	}()
	columns = make([]arrow.ArrayData, 0, len(types))
	l.room = make([]*memory.Buffer, 0, mostBuffers*len(types))
	for i, t := range types {
		c, err := l.array(t, 0)
		if err != nil {
			return columns, fmt.Errorf("column %d: %w", i, err)
		}
		columns = append(columns, c)
		if int64(c.Len()) != rows {
			return columns, fmt.Errorf("%w: column %d has %d rows of %d", ErrMalformed, i, c.Len(), rows)
		}
	}
	return columns, nil
}

// loader reads the buffers that a record batch message describes:
//
//	Message      version, header type, header, body length
//	RecordBatch  length, nodes: (length, nulls)..., buffers: (offset, length)..., compression
//
// Arrow's reader would do, but makes a schema and a dictionary memo for each batch.
type loader struct {
	body    *memory.Buffer
	start   int64  // of the message's buffers in body
	nodes   []byte // 16 bytes each
	buffers []byte // likewise
	room    []*memory.Buffer
}

// mostBuffers is how many an array has, but for what is nested in it.
const mostBuffers = 3

// place is an empty slice for an array's buffers.
func (l *loader) place() []*memory.Buffer {
	if cap(l.room) < mostBuffers {
		return make([]*memory.Buffer, 0, mostBuffers)
	}
	p := l.room[:0:mostBuffers]
	l.room = l.room[mostBuffers:mostBuffers]
	return p
}

const (
	messageHeaderType = 6
	messageHeader     = 8
	batchNodes        = 6
	batchBuffers      = 8
	batchCompression  = 10
	recordBatchType   = 3
	describedBytes    = 16
)

func newLoader(meta []byte, body *memory.Buffer, start int64) (l *loader, err error) {
	defer func() {
		if recover() != nil { // flatbuffers has no other way to say it
			l, err = nil, fmt.Errorf("%w: Arrow message is cut off", ErrMalformed)
		}
	}()
	message := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	if o := message.Offset(messageHeaderType); o == 0 || message.GetByte(message.Pos+flatbuffers.UOffsetT(o)) != recordBatchType {
		return nil, fmt.Errorf("%w: Arrow message of another type", ErrMalformed)
	}
	o := message.Offset(messageHeader)
	if o == 0 {
		return nil, fmt.Errorf("%w: Arrow message without a header", ErrMalformed)
	}
	var batch flatbuffers.Table
	message.Union(&batch, flatbuffers.UOffsetT(o))
	if batch.Offset(batchCompression) != 0 {
		return nil, fmt.Errorf("%w: compressed Arrow message", ErrMalformed)
	}
	vector := func(field flatbuffers.VOffsetT) []byte {
		o := flatbuffers.UOffsetT(batch.Offset(field))
		if o == 0 {
			return nil
		}
		at, n := batch.Vector(o), batch.VectorLen(o)
		return meta[at : int(at)+n*describedBytes]
	}
	return &loader{body: body, start: start, nodes: vector(batchNodes), buffers: vector(batchBuffers)}, nil
}

// node is the length and the nulls of the next array.
func (l *loader) node() (rows, nulls int, err error) {
	if len(l.nodes) < describedBytes {
		return 0, 0, fmt.Errorf("%w: too few Arrow nodes", ErrMalformed)
	}
	le := binary.LittleEndian
	n, z := int64(le.Uint64(l.nodes)), int64(le.Uint64(l.nodes[8:]))
	l.nodes = l.nodes[describedBytes:]
	if n < 0 || n > 1<<31 || z < 0 || z > n {
		return 0, 0, fmt.Errorf("%w: array of %d rows, %d nulls", ErrMalformed, n, z)
	}
	return int(n), int(z), nil
}

// buffer is the next buffer, which has at least that many bytes; nil if it is empty.
func (l *loader) buffer(atLeast int64) (*memory.Buffer, error) {
	if len(l.buffers) < describedBytes {
		return nil, fmt.Errorf("%w: too few Arrow buffers", ErrMalformed)
	}
	le := binary.LittleEndian
	offset, n := int64(le.Uint64(l.buffers)), int64(le.Uint64(l.buffers[8:]))
	l.buffers = l.buffers[describedBytes:]
	size := int64(0)
	if l.body != nil {
		size = int64(l.body.Len())
	}
	if l.start < 0 || l.start > size || offset < 0 || n < atLeast || offset > size-l.start || n > size-l.start-offset || (l.start+offset)%8 != 0 {
		return nil, fmt.Errorf("%w: buffer of %d bytes at %d in %d, %d wanted", ErrMalformed, n, offset, size, atLeast)
	}
	if n == 0 {
		return nil, nil
	}
	return sliceOf(l.body, int(l.start+offset), int(n)), nil
}

// sliceOf is a part of a buffer as one of its own, with a reference on the whole. Unlike
// memory.SliceBuffer it has no capacity beyond its length, which would be counted for
// each column again (stream.Batch.Pinned).
func sliceOf(whole *memory.Buffer, at, n int) *memory.Buffer {
	whole.Retain()
	return memory.NewBufferWithAllocator(whole.Bytes()[at:at+n:at+n], (*sliced)(whole))
}

// sliced releases a buffer when a part of it is freed.
type sliced memory.Buffer

// Allocate implements memory.Allocator; it is never called.
func (*sliced) Allocate(int) []byte { panic("wire: a slice does not allocate") }

// Reallocate implements memory.Allocator; it is never called.
func (*sliced) Reallocate(int, []byte) []byte { panic("wire: a slice does not allocate") }

// Free implements memory.Allocator.
func (l *sliced) Free([]byte) { (*memory.Buffer)(l).Release() }

const maxDepth = 64

// array loads the next array.
func (l *loader) array(t arrow.DataType, depth int) (_ arrow.ArrayData, err error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	rows, nulls, err := l.node()
	if err != nil {
		return nil, err
	}
	if t.ID() == arrow.NULL {
		return array.NewData(t, rows, []*memory.Buffer{nil}, nil, rows, 0), nil
	}
	a := parts{l: l, rows: int64(rows), buffers: l.place()}
	defer a.release()
	bitmap := int64(0)
	if nulls > 0 {
		bitmap = (a.rows + 7) / 8
	}
	if err := a.buffer(bitmap); err != nil {
		return nil, err
	}
	if nulls == 0 && a.buffers[0] != nil {
		a.buffers[0].Release()
		a.buffers[0] = nil
	}
	if err := a.load(t, depth); err != nil {
		return nil, err
	}
	return array.NewData(t, rows, a.buffers, a.children, nulls, 0), nil
}

// parts are what an array is made of.
type parts struct {
	l        *loader
	rows     int64
	buffers  []*memory.Buffer
	children []arrow.ArrayData
}

func (a *parts) release() {
	memory.ReleaseBuffers(a.buffers)
	release(a.children)
}

func (a *parts) buffer(atLeast int64) error {
	b, err := a.l.buffer(atLeast)
	a.buffers = append(a.buffers, b)
	return err
}

func (a *parts) load(t arrow.DataType, depth int) error {
	switch t := t.(type) {
	case *arrow.StringType, *arrow.BinaryType:
		end, err := a.offsets()
		if err != nil {
			return err
		}
		return a.buffer(end)
	case *arrow.ListType:
		return a.list(t.Elem(), depth)
	case *arrow.MapType:
		return a.list(t.Elem(), depth)
	case *arrow.StructType:
		for i := range t.NumFields() {
			if err := a.child(t.Field(i).Type, a.rows, depth); err != nil {
				return err
			}
		}
		return nil
	case arrow.FixedWidthDataType:
		return a.buffer((a.rows*int64(t.BitWidth()) + 7) / 8)
	default:
		return fmt.Errorf("%w: columns of type %v do not travel", ErrMalformed, t)
	}
}

func (a *parts) list(elem arrow.DataType, depth int) error {
	end, err := a.offsets()
	if err != nil {
		return err
	}
	return a.child(elem, end, depth)
}

func (a *parts) child(t arrow.DataType, atLeast int64, depth int) error {
	c, err := a.l.array(t, depth+1)
	if err != nil {
		return err
	}
	a.children = append(a.children, c)
	if int64(c.Len()) < atLeast {
		return fmt.Errorf("%w: %d values of a nested column, %d wanted", ErrMalformed, c.Len(), atLeast)
	}
	return nil
}

// offsets loads rows+1 offsets, which ascend, and returns the last one.
func (a *parts) offsets() (end int64, err error) {
	if a.rows == 0 {
		return 0, a.buffer(0)
	}
	if err := a.buffer(4 * (a.rows + 1)); err != nil {
		return 0, err
	}
	offsets := arrow.GetData[int32](a.buffers[1].Bytes())[:a.rows+1]
	last := offsets[0]
	ascending := last >= 0
	for _, o := range offsets {
		ascending = ascending && o >= last
		last = o
	}
	if !ascending {
		return 0, fmt.Errorf("%w: offsets do not ascend", ErrMalformed)
	}
	return int64(last), nil
}
