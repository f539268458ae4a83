package parquet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// pageBounds are the least and the greatest value of a page, PLAIN; both are nil
// where they are not known.
type pageBounds struct{ low, high []byte }

// pageEntry is one data page.
type pageEntry struct {
	at, bytes   int // in the chunk's data pages
	rows        int
	nulls, size int // slots: null ones, all
	bounds      pageBounds
}

// pageIndex says of a chunk's data pages where they are and what is in them.
type pageIndex struct {
	pages  []pageEntry
	placed int64 // file offset of the first page
}

func (x *pageIndex) add(at, bytes, rows, nulls, size int, b pageBounds) {
	x.pages = append(x.pages, pageEntry{at: at, bytes: bytes, rows: rows, nulls: nulls, size: size, bounds: b})
}

// take returns the index and begins a new one.
func (x *pageIndex) take() pageIndex {
	out := *x
	*x = pageIndex{}
	return out
}

// bounds are those of all pages, unknown where one's are.
func (x *pageIndex) bounds(physical format.Type) (b pageBounds) {
	for i := range x.pages {
		p := &x.pages[i]
		switch {
		case p.nulls == p.size:
			continue
		case p.bounds.low == nil || p.bounds.high == nil:
			return pageBounds{}
		case b.low == nil:
			b = p.bounds
			continue
		}
		if comparePlain(physical, p.bounds.low, b.low) < 0 {
			b.low = p.bounds.low
		}
		if comparePlain(physical, p.bounds.high, b.high) > 0 {
			b.high = p.bounds.high
		}
	}
	return b
}

// offsets is the file's OffsetIndex.
func (x *pageIndex) offsets() *format.OffsetIndex {
	out := &format.OffsetIndex{}
	first := int64(0)
	for _, p := range x.pages {
		out.PageLocations = append(out.PageLocations, format.PageLocation{
			Offset: x.placed + int64(p.at), CompressedPageSize: int32(p.bytes), FirstRowIndex: first,
		})
		first += int64(p.rows)
	}
	return out
}

// columnIndex is the file's ColumnIndex, nil if bounds of a page are not known.
func (x *pageIndex) columnIndex(physical format.Type) *format.ColumnIndex {
	out := &format.ColumnIndex{}
	last := -1
	up, down := true, true
	for i, p := range x.pages {
		null := p.nulls == p.size
		low, high := p.bounds.low, p.bounds.high
		switch {
		case null:
			low, high = []byte{}, []byte{}
		case low == nil || high == nil:
			return nil
		default:
			if last >= 0 {
				before := x.pages[last].bounds
				byLow, byHigh := comparePlain(physical, before.low, low), comparePlain(physical, before.high, high)
				up = up && byLow <= 0 && byHigh <= 0
				down = down && byLow >= 0 && byHigh >= 0
			}
			last = i
		}
		out.NullPages = append(out.NullPages, null)
		out.NullCounts = append(out.NullCounts, int64(p.nulls))
		out.MinValues = append(out.MinValues, low)
		out.MaxValues = append(out.MaxValues, high)
	}
	switch {
	case up:
		out.BoundaryOrder = format.Ascending
	case down:
		out.BoundaryOrder = format.Descending
	}
	return out
}

// comparePlain orders two PLAIN values as the column order of their type says.
func comparePlain(physical format.Type, a, b []byte) int {
	le := binary.LittleEndian
	switch physical {
	case format.Int32:
		return cmp.Compare(int32(le.Uint32(a)), int32(le.Uint32(b)))
	case format.Int64:
		return cmp.Compare(int64(le.Uint64(a)), int64(le.Uint64(b)))
	case format.Float:
		return cmp.Compare(math.Float32frombits(le.Uint32(a)), math.Float32frombits(le.Uint32(b)))
	case format.Double:
		return cmp.Compare(math.Float64frombits(le.Uint64(a)), math.Float64frombits(le.Uint64(b)))
	case format.FixedLenByteArray: // decimals: two's complement, big-endian
		if c := cmp.Compare(int8(a[0]), int8(b[0])); c != 0 {
			return c
		}
	}
	return bytes.Compare(a, b)
}
