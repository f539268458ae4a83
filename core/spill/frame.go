package spill

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// supported says why columns of a type cannot be written, if so.
func supported(t arrow.DataType) error {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return supported(t.ValueType)
	case arrow.ExtensionType:
		return supported(t.StorageType())
	case *arrow.NullType, arrow.FixedWidthDataType, *arrow.StringType, *arrow.BinaryType, *arrow.LargeStringType, *arrow.LargeBinaryType:
		return nil
	case *arrow.ListType, *arrow.LargeListType, *arrow.MapType, *arrow.FixedSizeListType, *arrow.StructType:
		for _, f := range t.(arrow.NestedType).Fields() {
			if err := supported(f.Type); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("type %s has no place in a spill file", t)
}

// shape collects a batch's buffers. The meta part says of each node its rows and
// nulls, of each buffer its length.
type shape struct {
	meta    []byte
	buffers [][]byte
	bytes   int // of the buffers, padded
}

const padding = 8

func padded(n int) int { return (n + padding - 1) &^ (padding - 1) }

func (s *shape) reset() {
	s.meta, s.buffers, s.bytes = s.meta[:0], s.buffers[:0], 0
}

func (s *shape) number(n int) { s.meta = binary.AppendUvarint(s.meta, uint64(n)) }

func (s *shape) buffer(b []byte) {
	s.number(len(b))
	s.buffers = append(s.buffers, b)
	s.bytes += padded(len(b))
}

// bits adds n bits from bit from on.
func (s *shape) bits(b []byte, from, n int) {
	if from%8 == 0 {
		s.buffer(b[from/8 : from/8+int(bitutil.BytesForBits(int64(n)))])
		return
	}
	out := make([]byte, bitutil.BytesForBits(int64(n)))
	bitutil.CopyBitmap(b, from, n, out, 0)
	s.buffer(out)
}

// column adds rows [from, from+n) of d, from counted like its offset.
func (s *shape) column(d arrow.ArrayData, from, n int) {
	s.number(n)
	if n == 0 { // nothing follows
		return
	}
	nulls := 0
	if v := d.Buffers(); d.DataType().ID() != arrow.NULL && len(v) > 0 && v[0] != nil && v[0].Len() > 0 && d.NullN() != 0 {
		nulls = n - bitutil.CountSetBits(v[0].Bytes(), from, n)
	}
	s.number(nulls)
	if nulls > 0 {
		s.bits(d.Buffers()[0].Bytes(), from, n)
	}
	s.values(d, d.DataType(), from, n)
}

func (s *shape) values(d arrow.ArrayData, t arrow.DataType, from, n int) {
	switch t := t.(type) {
	case arrow.ExtensionType:
		s.values(d, t.StorageType(), from, n)
	case *arrow.NullType:
	case *arrow.DictionaryType:
		s.fixed(d, t.IndexType.(arrow.FixedWidthDataType).BitWidth(), from, n)
		s.column(d.Dictionary(), d.Dictionary().Offset(), d.Dictionary().Len())
	case *arrow.StructType:
		for _, c := range d.Children() {
			s.column(c, c.Offset()+from, n)
		}
	case *arrow.FixedSizeListType:
		c, k := d.Children()[0], int(t.Len())
		s.column(c, c.Offset()+from*k, n*k)
	case *arrow.StringType, *arrow.BinaryType:
		first, last := offsets[int32](s, d, from, n)
		s.buffer(chars(d, first, last))
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		first, last := offsets[int64](s, d, from, n)
		s.buffer(chars(d, first, last))
	case *arrow.ListType, *arrow.MapType:
		first, last := offsets[int32](s, d, from, n)
		c := d.Children()[0]
		s.column(c, c.Offset()+first, last-first)
	case *arrow.LargeListType:
		first, last := offsets[int64](s, d, from, n)
		c := d.Children()[0]
		s.column(c, c.Offset()+first, last-first)
	case arrow.FixedWidthDataType:
		s.fixed(d, t.BitWidth(), from, n)
	}
}

func (s *shape) fixed(d arrow.ArrayData, width, from, n int) {
	b := d.Buffers()[1].Bytes()
	if width == 1 {
		s.bits(b, from, n)
		return
	}
	width /= 8
	s.buffer(b[from*width : (from+n)*width])
}

// offsets adds n+1 offsets that begin with zero, and returns what they span.
func offsets[O int32 | int64](s *shape, d arrow.ArrayData, from, n int) (first, last int) {
	all := arrow.GetData[O](d.Buffers()[1].Bytes())[from : from+n+1]
	if all[0] != 0 {
		moved := make([]O, len(all))
		for i, o := range all {
			moved[i] = o - all[0]
		}
		s.buffer(arrow.GetBytes(moved))
	} else {
		s.buffer(arrow.GetBytes(all))
	}
	return int(all[0]), int(all[n])
}

func chars(d arrow.ArrayData, first, last int) []byte {
	if first == last {
		return nil
	}
	return d.Buffers()[2].Bytes()[first:last]
}

// parser makes columns of a frame; what it returns shares body.
type parser struct {
	meta []byte
	body *memory.Buffer
	at   int
	bad  bool
}

func (p *parser) number() int {
	n, used := binary.Uvarint(p.meta)
	if used <= 0 || n > 1<<40 {
		p.bad = true
		return 0
	}
	p.meta = p.meta[used:]
	return int(n)
}

// buffer is the next buffer, which must have at least want bytes.
func (p *parser) buffer(want int) *memory.Buffer {
	n := p.number()
	if p.bad || n < want || n > p.body.Len()-p.at {
		p.bad = true
		return nil
	}
	b := memory.SliceBuffer(p.body, p.at, n)
	p.at += padded(n)
	return b
}

// column reads a node; nil means that the frame is broken.
func (p *parser) column(t arrow.DataType) arrow.ArrayData {
	n := p.number()
	if p.bad {
		return nil
	}
	if n == 0 {
		a := array.MakeArrayOfNull(memory.DefaultAllocator, t, 0)
		d := a.Data()
		d.Retain()
		a.Release()
		return d
	}
	node := node{p: p, n: n, nulls: p.number()}
	defer node.release()
	node.buffers = append(node.buffers, nil)
	if node.nulls > 0 {
		node.buffers[0] = p.buffer((n + 7) / 8)
	}
	node.values(t)
	if p.bad || node.nulls > n {
		p.bad = true
		return nil
	}
	if t.ID() == arrow.NULL {
		node.nulls = n
	}
	if node.dictionary != nil {
		return array.NewDataWithDictionary(t, n, node.buffers, node.nulls, 0, node.dictionary)
	}
	return array.NewData(t, n, node.buffers, node.children, node.nulls, 0)
}

// node is a column in the making.
type node struct {
	p          *parser
	n, nulls   int
	buffers    []*memory.Buffer
	children   []arrow.ArrayData
	dictionary *array.Data
}

func (x *node) release() {
	for _, b := range x.buffers {
		if b != nil {
			b.Release()
		}
	}
	for _, c := range x.children {
		c.Release()
	}
	if x.dictionary != nil {
		x.dictionary.Release()
	}
}

func (x *node) add(want int) []byte {
	b := x.p.buffer(want)
	x.buffers = append(x.buffers, b)
	if b == nil {
		return nil
	}
	return b.Bytes()
}

func (x *node) child(t arrow.DataType) {
	if c := x.p.column(t); c != nil {
		x.children = append(x.children, c)
	}
}

func (x *node) values(t arrow.DataType) {
	switch t := t.(type) {
	case arrow.ExtensionType:
		x.values(t.StorageType())
	case *arrow.NullType:
	case *arrow.DictionaryType:
		x.add(x.n * t.IndexType.(arrow.FixedWidthDataType).Bytes())
		if d := x.p.column(t.ValueType); d != nil {
			x.dictionary = d.(*array.Data)
		}
	case *arrow.StructType:
		for _, f := range t.Fields() {
			x.child(f.Type)
		}
	case *arrow.FixedSizeListType:
		x.child(t.Elem())
	case *arrow.StringType, *arrow.BinaryType:
		x.add(4 * (x.n + 1))
		x.add(0)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		x.add(8 * (x.n + 1))
		x.add(0)
	case *arrow.ListType, *arrow.MapType:
		x.add(4 * (x.n + 1))
		x.child(t.(arrow.ListLikeType).Elem())
	case *arrow.LargeListType:
		x.add(8 * (x.n + 1))
		x.child(t.Elem())
	case arrow.FixedWidthDataType:
		x.add((x.n*t.BitWidth() + 7) / 8)
	}
}
