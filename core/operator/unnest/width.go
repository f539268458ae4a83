package unnest

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/stream"
)

// measure notes how many bytes of texts and collections are repeated beside each
// element of a row; columns of fixed width are not worth it.
func (u *Unnest) measure(b *stream.Batch) error {
	u.widths = u.widths[:0]
	for _, c := range u.keep {
		d := b.Column(c).Data()
		if !varies(d.DataType()) {
			continue
		}
		if len(u.widths) == 0 {
			if n := b.Len(); cap(u.widths) < n {
				if err := u.charge(8 * int64(n-cap(u.widths))); err != nil {
					return err
				}
				u.widths = make([]int64, n)
			}
			u.widths = u.widths[:b.Len()]
			clear(u.widths)
		}
		addWidths(u.widths, d, b.Sel)
	}
	return nil
}

// varies reports whether values of a type differ in size. A dictionary's do not:
// its texts are shared.
func varies(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.STRING, arrow.BINARY, arrow.LIST, arrow.MAP, arrow.STRUCT:
		return true
	}
	return false
}

func addWidths(widths []int64, d arrow.ArrayData, sel []int32) {
	if id := d.DataType().ID(); id == arrow.STRING || id == arrow.BINARY {
		offsets := arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]
		for i := range widths {
			r := i
			if sel != nil {
				r = int(sel[i])
			}
			widths[i] += int64(offsets[r+1] - offsets[r])
		}
		return
	}
	for i := range widths { // a collection beside elements is rare
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		widths[i] += bytesOf(d, d.Offset()+r, d.Offset()+r+1)
	}
}

// bytesOf is the size of rows [from, to) of a column, not counting its offset.
func bytesOf(d arrow.ArrayData, from, to int) int64 {
	switch t := d.DataType().(type) {
	case *arrow.StringType, *arrow.BinaryType, *arrow.ListType, *arrow.MapType:
		offsets := arrow.GetData[int32](d.Buffers()[1].Bytes())
		first, end := int(offsets[from]), int(offsets[to])
		if len(d.Children()) == 0 {
			return int64(4*(to-from) + end - first)
		}
		child := d.Children()[0]
		return int64(4*(to-from)) + bytesOf(child, child.Offset()+first, child.Offset()+end)
	case *arrow.StructType:
		n := int64(0)
		for _, c := range d.Children() {
			n += bytesOf(c, c.Offset()+from, c.Offset()+to)
		}
		return n
	case arrow.FixedWidthDataType:
		return int64((t.BitWidth()*(to-from) + 7) / 8)
	}
	return 0
}
