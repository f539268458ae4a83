package stream

import "github.com/apache/arrow-go/v18/arrow"

// Encoded is a Record whose columns are still in the form in which they travelled
// (shuffle/wire): it may be counted, kept, shared and handed on, but has no columns
// until it is decoded.
type Encoded interface {
	arrow.RecordBatch
	// DecodedBytes is what Bytes was where the batch was encoded.
	DecodedBytes() int64
}

// Bytes is about what the batch's physical rows take in memory, without what
// its buffers hold beyond them. Exchanges count credits and targets in it.
func (b *Batch) Bytes() int64 {
	if e, ok := b.Record.(Encoded); ok {
		return e.DecodedBytes()
	}
	n := int64(len(b.Kinds)) + 4*int64(len(b.Sel))
	for _, c := range b.Record.Columns() {
		n += dataBytes(c.Data())
	}
	return n
}

// Pinned is about what the batch keeps in memory: its buffers, with what they hold
// beyond its rows. It is at most twice Bytes, for slices share what is larger.
func (b *Batch) Pinned() int64 {
	if e, ok := b.Record.(Encoded); ok {
		return e.DecodedBytes()
	}
	n := int64(0)
	for _, c := range b.Record.Columns() {
		n += capacityOf(c.Data())
	}
	bytes := b.Bytes()
	return min(max(n, bytes), 2*bytes)
}

func capacityOf(d arrow.ArrayData) int64 {
	n := int64(0)
	for _, b := range d.Buffers() {
		if b != nil {
			n += int64(b.Cap())
		}
	}
	for _, child := range d.Children() {
		n += capacityOf(child)
	}
	if d.DataType().ID() == arrow.DICTIONARY {
		n += capacityOf(d.Dictionary())
	}
	return n
}

func dataBytes(d arrow.ArrayData) int64 {
	rows := int64(d.Len())
	if rows == 0 {
		return 0 // buffers may be missing
	}
	n := int64(0)
	if d.NullN() > 0 {
		n = (rows + 7) / 8
	}
	switch t := d.DataType().(type) {
	case *arrow.DictionaryType:
		return n + rows*int64(t.IndexType.(arrow.FixedWidthDataType).Bytes()) + dataBytes(d.Dictionary())
	case arrow.FixedWidthDataType:
		n += (rows*int64(t.BitWidth()) + 7) / 8
	case *arrow.StringType, *arrow.BinaryType:
		n += 4*rows + spanBytes(arrow.GetOffsets[int32](d, 1), rows)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		n += 8*rows + spanBytes(arrow.GetOffsets[int64](d, 1), rows)
	case *arrow.StructType:
		for _, child := range d.Children() {
			n += dataBytes(child) * rows / max(int64(child.Len()), 1)
		}
		return n
	default: // lists: by their share of the child's rows
		n += 4 * rows
		for _, child := range d.Children() {
			if t.ID() == arrow.LIST || t.ID() == arrow.MAP {
				n += dataBytes(child) * spanBytes(arrow.GetOffsets[int32](d, 1), rows) / max(int64(child.Len()), 1)
			}
		}
	}
	return n
}

// spanBytes is the distance between the first and the last of rows+1 offsets.
func spanBytes[O int32 | int64](offsets []O, rows int64) int64 {
	return int64(offsets[rows] - offsets[0])
}
