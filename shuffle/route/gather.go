package route

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
)

// maxGatherBytes bounds the character data of a batch that is gathered row by
// row, so that 32-bit offsets suffice.
const maxGatherBytes = 1 << 29

// gather is the open end of a partition's buffer: rows of any batches, gathered
// into columns that only grow.
type gather struct {
	schema  *arrow.Schema
	columns []column
	kinds   []stream.RowKind // nil: all inserted
	rows    int
	hint    int // rows to make room for at first
}

// column is one growing column, of fixed width or with 32-bit offsets.
type column struct {
	width  int            // bytes of a value; 0: variable
	values *memory.Buffer // values, or offsets
	data   *memory.Buffer // of variable width
	length int            // bytes of data used
	valid  *memory.Buffer // nil: no nulls so far
	nulls  int
}

// gatherable tells whether all columns of b can be gathered row by row: fixed
// width of whole bytes, or characters, not encoded.
func gatherable(r arrow.RecordBatch) bool {
	for _, c := range r.Columns() {
		switch t := c.DataType().(type) {
		case *arrow.StringType, *arrow.BinaryType:
			if buffers := c.Data().Buffers(); buffers[2] != nil && buffers[2].Len() > maxGatherBytes {
				return false
			}
		case *arrow.DictionaryType:
			return false
		case arrow.FixedWidthDataType:
			if w := widthOf(t); w == 0 {
				return false
			}
		default:
			return false
		}
	}
	return r.NumCols() > 0
}

// widthOf is a type's width where there is a loop for it, else 0.
func widthOf(t arrow.DataType) int {
	if f, ok := t.(arrow.FixedWidthDataType); ok {
		switch bits := f.BitWidth(); bits {
		case 8, 16, 32, 64, 128:
			return bits / 8
		}
	}
	return 0
}

// add appends rows of b and returns how many bytes they have.
func (g *gather) add(mem memory.Allocator, b *stream.Batch, rows []int32) (bytes int64) {
	if g.columns == nil {
		g.begin(mem, b.Record.Schema(), len(rows))
	}
	for i := range g.columns {
		c, d := &g.columns[i], b.Column(i).Data()
		c.addValid(mem, d, rows, g.rows)
		if c.width > 0 {
			c.addFixed(d, rows, g.rows)
			bytes += int64(c.width) * int64(len(rows))
		} else {
			bytes -= int64(c.length)
			c.addBytes(d, rows, g.rows)
			bytes += int64(c.length) + 4*int64(len(rows))
		}
	}
	g.addKinds(b, rows)
	g.rows += len(rows)
	return bytes
}

func (g *gather) begin(mem memory.Allocator, schema *arrow.Schema, rows int) {
	g.schema, g.columns = schema, make([]column, schema.NumFields())
	room := max(g.hint, rows)
	for i, f := range schema.Fields() {
		c := &g.columns[i]
		c.width = widthOf(f.Type)
		c.values = memory.NewResizableBuffer(mem)
		if c.width > 0 {
			c.values.Reserve(room * c.width)
			continue
		}
		c.values.Reserve((room + 1) * 4)
		c.values.ResizeNoShrink(4)
		clear(c.values.Bytes())
		c.data = memory.NewResizableBuffer(mem)
	}
}

// extend makes room for n more bytes behind used, at least doubling, and returns
// the whole.
func extend(b *memory.Buffer, used, n int) []byte {
	if need := used + n; need > b.Cap() {
		b.Reserve(max(need, 2*b.Cap()))
	}
	b.ResizeNoShrink(used + n)
	return b.Bytes()
}

func (c *column) addFixed(d arrow.ArrayData, rows []int32, at int) {
	out := extend(c.values, at*c.width, len(rows)*c.width)[at*c.width:]
	in := d.Buffers()[1].Bytes()[d.Offset()*c.width:]
	switch c.width {
	case 1:
		gatherFixed[uint8](out, in, rows)
	case 2:
		gatherFixed[uint16](out, in, rows)
	case 4:
		gatherFixed[uint32](out, in, rows)
	case 8:
		gatherFixed[uint64](out, in, rows)
	case 16:
		gatherFixed[[2]uint64](out, in, rows)
	}
}

func gatherFixed[T any](to, from []byte, rows []int32) {
	out := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(to))), len(rows))
	in := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(from))), len(from)/int(unsafe.Sizeof(out[0])))
	for i, r := range rows {
		out[i] = in[r]
	}
}

func (c *column) addBytes(d arrow.ArrayData, rows []int32, at int) {
	offsets := arrow.GetOffsets[int32](d, 1)
	n := 0
	for _, r := range rows {
		n += int(offsets[r+1] - offsets[r])
	}
	ends := arrow.GetData[int32](extend(c.values, (at+1)*4, len(rows)*4))[at+1:]
	var from []byte
	if b := d.Buffers()[2]; b != nil {
		from = b.Bytes()
	}
	to := extend(c.data, c.length, n)
	for i, r := range rows {
		c.length += copy(to[c.length:], from[offsets[r]:offsets[r+1]])
		ends[i] = int32(c.length)
	}
}

// addValid keeps the bitmap of rows that are not null, from the first null on.
func (c *column) addValid(mem memory.Allocator, d arrow.ArrayData, rows []int32, at int) {
	if d.NullN() == 0 && c.valid == nil {
		return
	}
	if c.valid == nil {
		c.valid = memory.NewResizableBuffer(mem)
		bitutil.SetBitsTo(extend(c.valid, 0, int(bitutil.BytesForBits(int64(at)))), 0, int64(at), true)
	}
	used := int(bitutil.BytesForBits(int64(at)))
	bits := extend(c.valid, used, int(bitutil.BytesForBits(int64(at+len(rows))))-used)
	if d.NullN() == 0 {
		bitutil.SetBitsTo(bits, int64(at), int64(len(rows)), true)
		return
	}
	in := d.Buffers()[0].Bytes()
	for i, r := range rows {
		set := bitutil.BitIsSet(in, d.Offset()+int(r))
		bitutil.SetBitTo(bits, at+i, set)
		if !set {
			c.nulls++
		}
	}
}

func (g *gather) addKinds(b *stream.Batch, rows []int32) {
	if b.Kinds == nil && g.kinds == nil {
		return
	}
	for len(g.kinds) < g.rows {
		g.kinds = append(g.kinds, stream.Insert)
	}
	for _, r := range rows {
		g.kinds = append(g.kinds, b.Kind(int(r)))
	}
}

// take returns the rows as a batch, nil for none, and starts anew.
func (g *gather) take() *stream.Batch {
	if g.rows == 0 {
		return nil
	}
	arrays := make([]arrow.Array, len(g.columns))
	for i := range g.columns {
		c := &g.columns[i]
		buffers := []*memory.Buffer{c.valid, c.values}
		if c.width == 0 {
			buffers = append(buffers, c.data)
		}
		d := array.NewData(g.schema.Field(i).Type, g.rows, buffers, nil, c.nulls, 0)
		arrays[i] = array.MakeFromData(d)
		d.Release()
	}
	b := stream.NewBatch(array.NewRecordBatch(g.schema, arrays, int64(g.rows)))
	for _, a := range arrays {
		a.Release()
	}
	b.Kinds = g.kinds
	g.hint = g.rows + g.rows/8
	g.release()
	return b
}

// release gives up what was gathered; its buffers live on in a batch that was
// taken.
func (g *gather) release() {
	for _, c := range g.columns {
		for _, b := range []*memory.Buffer{c.valid, c.values, c.data} {
			if b != nil {
				b.Release()
			}
		}
	}
	g.columns, g.kinds, g.rows = nil, nil, 0
}
