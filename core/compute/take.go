package compute

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take returns the rows of arr that rows lists, in its order, as a dense array of
// the same type; a dictionary is shared, not copied. Nil rows means all of them:
// then arr itself is returned with another reference. It fails with ErrTooLarge when
// the result's characters exceed the 2 GiB that one array can hold.
func Take(mem memory.Allocator, arr arrow.Array, rows []int32) (arrow.Array, error) {
	if rows == nil {
		arr.Retain()
		return arr, nil
	}
	return gatherArray(mem, arr, rows, false)
}

// TakeOrNull is Take with a null for every negative row: what an outer join
// writes beside a row without a match.
func TakeOrNull(mem memory.Allocator, arr arrow.Array, rows []int32) (arrow.Array, error) {
	return gatherArray(mem, arr, rows, true)
}

func gatherArray(mem memory.Allocator, arr arrow.Array, rows []int32, orNull bool) (arrow.Array, error) {
	g := gatherer{mem: mem, orNull: orNull}
	data, err := g.gather(arr.Data(), rows)
	if err != nil {
		return nil, err
	}
	defer data.Release()
	return array.MakeFromData(data), nil
}

// gatherer gathers one column, recursively through its children.
type gatherer struct {
	mem    memory.Allocator
	orNull bool // negative rows become null
}

func (g gatherer) gather(d arrow.ArrayData, rows []int32) (arrow.ArrayData, error) {
	dt := d.DataType()
	if dt.ID() == arrow.NULL {
		return array.NewData(dt, len(rows), []*memory.Buffer{nil}, nil, len(rows), 0), nil
	}
	valid, nulls := g.validity(d, rows)
	if valid != nil {
		defer valid.Release()
	}
	switch t := dt.(type) {
	case *arrow.BooleanType:
		return g.finish(dt, rows, nulls, valid, g.bits(d, rows)), nil
	case *arrow.DictionaryType:
		index := g.fixed(d, rows, bytesOf(t.IndexType))
		defer index.Release()
		return array.NewDataWithDictionary(dt, len(rows), []*memory.Buffer{valid, index}, nulls, 0, d.Dictionary().(*array.Data)), nil
	case *arrow.StringType, *arrow.BinaryType:
		return gatherBytes[int32](g, d, rows, nulls, valid, maxOffset)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		return gatherBytes[int64](g, d, rows, nulls, valid, math.MaxInt64)
	case *arrow.ListType, *arrow.MapType:
		return g.list(d, rows, nulls, valid)
	case *arrow.StructType:
		return g.structure(d, rows, nulls, valid)
	case arrow.FixedWidthDataType:
		return g.finish(dt, rows, nulls, valid, g.fixed(d, rows, t.Bytes())), nil
	default:
		return nil, fmt.Errorf("gather rows of a column of Arrow type %s: not a type of the engine", dt)
	}
}

// finish hands the values buffer to the data it makes.
func (g gatherer) finish(dt arrow.DataType, rows []int32, nulls int, valid, values *memory.Buffer) arrow.ArrayData {
	defer values.Release()
	return array.NewData(dt, len(rows), []*memory.Buffer{valid, values}, nil, nulls, 0)
}

// validity gathers the null bitmap; a nil buffer means that no row is null.
func (g gatherer) validity(d arrow.ArrayData, rows []int32) (*memory.Buffer, int) {
	var from []byte
	if buffers := d.Buffers(); d.NullN() != 0 && len(buffers) > 0 && buffers[0] != nil {
		from = buffers[0].Bytes()
	}
	if from == nil && !(g.orNull && anyNegative(rows)) {
		return nil, 0
	}
	buf := newBuffer(g.mem, bitBytes(len(rows)))
	out, valid, offset := buf.Bytes(), 0, d.Offset()
	for i, r := range rows {
		if r < 0 && g.orNull {
			continue
		}
		bit := byte(1)
		if from != nil {
			at := int(r) + offset
			bit = from[at>>3] >> (at & 7) & 1
		}
		out[i>>3] |= bit << (i & 7)
		valid += int(bit)
	}
	if valid == len(rows) {
		buf.Release()
		return nil, 0
	}
	return buf, len(rows) - valid
}

func (g gatherer) bits(d arrow.ArrayData, rows []int32) *memory.Buffer {
	buf := newBuffer(g.mem, bitBytes(len(rows)))
	if d.Len() == 0 { // only nulls can be asked for
		return buf
	}
	from, out, offset := d.Buffers()[1].Bytes(), buf.Bytes(), d.Offset()
	for i, r := range rows {
		if r < 0 && g.orNull {
			continue
		}
		at := int(r) + offset
		out[i>>3] |= from[at>>3] >> (at & 7) & 1 << (i & 7)
	}
	return buf
}

// fixed gathers values of any width; the widths that occur have typed loops.
func (g gatherer) fixed(d arrow.ArrayData, rows []int32, width int) *memory.Buffer {
	buf := memory.NewResizableBuffer(g.mem)
	buf.Resize(len(rows) * width)
	if len(rows) == 0 {
		return buf
	}
	if d.Len() == 0 { // only nulls can be asked for
		clear(buf.Bytes())
		return buf
	}
	from := d.Buffers()[1].Bytes()[d.Offset()*width:]
	switch width {
	case 1:
		gatherFixed(arrow.GetData[uint8](buf.Bytes()), arrow.GetData[uint8](from), rows, g.orNull)
	case 2:
		gatherFixed(arrow.GetData[uint16](buf.Bytes()), arrow.GetData[uint16](from), rows, g.orNull)
	case 4:
		gatherFixed(arrow.GetData[uint32](buf.Bytes()), arrow.GetData[uint32](from), rows, g.orNull)
	case 8:
		gatherFixed(arrow.GetData[uint64](buf.Bytes()), arrow.GetData[uint64](from), rows, g.orNull)
	case 16:
		gatherFixed(arrow.GetData[decimal128.Num](buf.Bytes()), arrow.GetData[decimal128.Num](from), rows, g.orNull)
	default:
		for i, r := range rows {
			to := buf.Bytes()[i*width : (i+1)*width]
			if r < 0 && g.orNull {
				clear(to)
				continue
			}
			copy(to, from[int(r)*width:])
		}
	}
	return buf
}

func gatherFixed[T any](out, from []T, rows []int32, orNull bool) {
	out = out[:len(rows)]
	if !orNull {
		for i, r := range rows {
			out[i] = from[r]
		}
		return
	}
	for i, r := range rows {
		out[i] = from[max(r, 0)]
	}
}

func gatherBytes[O int32 | int64](g gatherer, d arrow.ArrayData, rows []int32, nulls int, valid *memory.Buffer, limit uint64) (arrow.ArrayData, error) {
	width := offsetBytes[O]()
	offsets := newBuffer(g.mem, (len(rows)+1)*width)
	defer offsets.Release()
	to := offsetsOf[O](offsets.Bytes())
	var from []O
	var chars []byte
	if d.Len() > 0 {
		from = offsetsOf[O](d.Buffers()[1].Bytes())[d.Offset():]
		if d.Buffers()[2] != nil {
			chars = d.Buffers()[2].Bytes()
		}
	}
	total := uint64(0)
	for i, r := range rows {
		if r >= 0 || !g.orNull {
			total += uint64(from[r+1] - from[r])
		}
		to[i+1] = O(total)
	}
	if total > limit {
		return nil, fmt.Errorf("gather %d rows: %w", len(rows), TooLarge("bytes of text", int64(total)))
	}
	values := memory.NewResizableBuffer(g.mem)
	defer values.Release()
	values.Resize(int(total))
	out := values.Bytes()
	for i, r := range rows {
		if r >= 0 || !g.orNull {
			copy(out[to[i]:to[i+1]], chars[from[r]:from[r+1]])
		}
	}
	return array.NewData(d.DataType(), len(rows), []*memory.Buffer{valid, offsets, values}, nil, nulls, 0), nil
}

func (g gatherer) list(d arrow.ArrayData, rows []int32, nulls int, valid *memory.Buffer) (arrow.ArrayData, error) {
	offsets := newBuffer(g.mem, (len(rows)+1)*4)
	defer offsets.Release()
	to := arrow.GetData[int32](offsets.Bytes())
	var from []int32
	if d.Len() > 0 {
		from = arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]
	}
	var elements []int32
	for i, r := range rows {
		if r >= 0 || !g.orNull {
			for e := from[r]; e < from[r+1]; e++ {
				elements = append(elements, e)
			}
		}
		if len(elements) > maxOffset {
			return nil, fmt.Errorf("gather %d rows of %s: %w", len(rows), d.DataType(), TooLarge("elements", int64(len(elements))))
		}
		to[i+1] = int32(len(elements))
	}
	child, err := gatherer{mem: g.mem}.gather(d.Children()[0], elements)
	if err != nil {
		return nil, err
	}
	defer child.Release()
	return array.NewData(d.DataType(), len(rows), []*memory.Buffer{valid, offsets}, []arrow.ArrayData{child}, nulls, 0), nil
}

func (g gatherer) structure(d arrow.ArrayData, rows []int32, nulls int, valid *memory.Buffer) (arrow.ArrayData, error) {
	if d.Offset() != 0 { // children are not sliced with their parent
		shifted := make([]int32, len(rows))
		for i, r := range rows {
			if shifted[i] = r + int32(d.Offset()); r < 0 && g.orNull {
				shifted[i] = r
			}
		}
		rows = shifted
	}
	children := make([]arrow.ArrayData, 0, len(d.Children()))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for _, c := range d.Children() {
		child, err := g.gather(c, rows)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return array.NewData(d.DataType(), len(rows), []*memory.Buffer{valid}, children, nulls, 0), nil
}

func anyNegative(rows []int32) bool {
	all := int32(0)
	for _, r := range rows {
		all |= r
	}
	return all < 0
}

// newBuffer returns a zeroed buffer of n bytes.
func newBuffer(mem memory.Allocator, n int) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(n)
	clear(b.Bytes())
	return b
}

func bitBytes(bits int) int { return int(bitutil.BytesForBits(int64(bits))) }

func bytesOf(t arrow.DataType) int { return t.(arrow.FixedWidthDataType).Bytes() }

func offsetsOf[O int32 | int64](b []byte) []O { return arrow.GetData[O](b) }

func offsetBytes[O int32 | int64]() int {
	var o O
	if _, wide := any(o).(int64); wide {
		return 8
	}
	return 4
}
