package parquet

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/fs"
)

// rowRange is rows of a row group, to exclusive.
type rowRange struct{ from, to int64 }

// location is where something of a chunk lies outside its pages; no length: nowhere.
type location struct{ offset, length int64 }

// chunkPages is what a chunk's page index says of its data pages.
type chunkPages struct {
	leaf   *leaf
	want   datatype.Type
	starts []int64 // first row of each page, and the end of the last
	null   []bool  // it has only nulls
	low    []any   // nil: not known
	high   []any
}

// summary is what is known of the rows in a range, which lies in one page.
func (c *chunkPages) summary(r rowRange) predicate.Summary {
	page, found := slices.BinarySearch(c.starts, r.from)
	if !found {
		page--
	}
	s := predicate.Summary{Min: c.low[page], Max: c.high[page], Nulls: -1, Rows: r.to - r.from}
	if c.null[page] {
		s.Nulls = s.Rows
	}
	return s
}

// findRows sets the ranges of rows of a row group that the page index leaves, nil for
// all of them. An index that is damaged is none: it only ever saves work.
func (r *reader) findRows(group int) error {
	r.rows = nil
	// Chunks are fetched whole: of a slow input the index would cost a read and save none.
	if _, slow := r.file.in.ReaderAt.(fs.Prefetcher); slow {
		return nil
	}
	names := r.indexed(group)
	if len(names) == 0 {
		return nil
	}
	pages, err := r.readIndexes(group, names)
	if err != nil || len(pages) == 0 {
		return err
	}
	var bounds []int64
	for _, c := range pages {
		bounds = append(bounds, c.starts...)
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	kept, all := []rowRange{}, true
	for i, from := range bounds[:len(bounds)-1] {
		one := rowRange{from, bounds[i+1]}
		if r.excludes(func(name string) (predicate.Summary, bool) {
			c, ok := pages[name]
			if !ok {
				return predicate.Summary{}, false
			}
			return c.summary(one), true
		}) {
			all = false
		} else if last := len(kept) - 1; last >= 0 && kept[last].to == one.from {
			kept[last].to = one.to
		} else {
			kept = append(kept, one)
		}
	}
	if !all {
		r.rows = kept
	}
	return nil
}

// excludes reports whether the predicate or a filter drops all rows of a set.
func (r *reader) excludes(lookup func(string) (predicate.Summary, bool)) bool {
	if p := r.opts.Predicate; p != nil && p.Prune(lookup) {
		return true
	}
	return slices.ContainsFunc(r.filters, func(f *rowFilter) bool { return f.Ready() && f.Excludes(lookup) })
}

// indexed names the columns with a page index that the predicate or a filter looks at.
func (r *reader) indexed(group int) (names []string) {
	add := func(name string) {
		c := r.file.column(name)
		if c == nil || c.nested || slices.Contains(names, name) {
			return
		}
		if k := &r.file.meta.groups[group].chunks[c.leaves[0].index]; k.columnIndex.length > 0 && k.offsetIndex.length > 0 {
			names = append(names, name)
		}
	}
	if r.opts.Predicate != nil {
		r.opts.Predicate.Columns(add)
	}
	for _, f := range r.filters {
		if f.Ready() {
			for _, name := range f.Columns() {
				add(name)
			}
		}
	}
	return names
}

// maxIndexBytes bounds what is read of one row group's page index.
const maxIndexBytes = 16 << 20

// readIndexes reads the page index of some columns, in few reads.
func (r *reader) readIndexes(group int, names []string) (map[string]*chunkPages, error) {
	g := &r.file.meta.groups[group]
	var ranges []*chunkRange
	total := int64(0)
	for _, name := range names {
		k := &g.chunks[r.file.column(name).leaves[0].index]
		for _, l := range []location{k.columnIndex, k.offsetIndex} {
			if l.offset < 0 || l.length > maxIndexBytes || l.offset > r.file.in.Size-l.length {
				return nil, nil
			}
			ranges = append(ranges, &chunkRange{offset: l.offset, length: l.length})
			total += l.length
		}
	}
	if total > maxIndexBytes {
		return nil, nil
	}
	owners, read, err := fetch(r.file.in, coalesce(ranges), r.opts.Alloc)
	r.stats.Bytes += read
	if err != nil {
		return nil, err
	}
	defer release(owners...)
	out := map[string]*chunkPages{}
	for i, name := range names {
		c := &chunkPages{leaf: r.file.column(name).leaves[0]}
		if c.want = r.file.column(name).typ; r.opts.Columns.Index(name) >= 0 {
			c.want = r.opts.Columns[r.opts.Columns.Index(name)].Type
		}
		if c.readOffsets(ranges[2*i+1].bytes, g.rows) && c.readBounds(ranges[2*i].bytes) {
			out[name] = c
		}
	}
	return out, nil
}

// readOffsets reads an OffsetIndex; false: it is damaged.
func (c *chunkPages) readOffsets(b []byte, rows int64) bool {
	t := &thriftReader{b: b}
	t.fields(func(id int, wire byte) bool {
		if id != 1 || wire != thriftList {
			return false
		}
		t.list(func(byte) {
			first := int64(-1)
			t.fields(func(id int, _ byte) bool {
				if id == 3 {
					first = t.int()
				}
				return id == 3
			})
			c.starts = append(c.starts, first)
		})
		return true
	})
	c.starts = append(c.starts, rows)
	for i := range len(c.starts) - 1 {
		if c.starts[i] >= c.starts[i+1] {
			return false
		}
	}
	return t.err == nil && len(c.starts) > 1 && c.starts[0] == 0
}

// readBounds reads a ColumnIndex of as many pages; false: it is damaged.
func (c *chunkPages) readBounds(b []byte) bool {
	var low, high [][]byte
	t := &thriftReader{b: b}
	t.fields(func(id int, wire byte) bool {
		if wire != thriftList {
			return false
		}
		switch id {
		case 1:
			t.list(func(byte) { c.null = append(c.null, t.byte() == thriftTrue) })
		case 2:
			t.list(func(byte) { low = append(low, t.bytes()) })
		case 3:
			t.list(func(byte) { high = append(high, t.bytes()) })
		default:
			return false
		}
		return true
	})
	n := len(c.starts) - 1
	if t.err != nil || len(c.null) != n || len(low) != n || len(high) != n {
		return false
	}
	for i := range n {
		var l, h any
		if !c.null[i] && c.leaf.ordered {
			if l, h = boundOf(c.leaf, c.want, low[i]), boundOf(c.leaf, c.want, high[i]); l != nil && h != nil {
				l, h = widenFloats(l, h)
			}
			l, h = owned(l), owned(h)
		}
		c.low, c.high = append(c.low, l), append(c.high, h)
	}
	return true
}

// owned copies a bound that is a piece of what was read.
func owned(v any) any {
	if b, ok := v.([]byte); ok {
		return slices.Clone(b)
	}
	return v
}

// rangeLeft returns how many rows to pass over before the next rows of the current row
// group that are wanted, and how many these are; none at the group's end.
func (r *reader) rangeLeft() (pass, rows int64) {
	if r.rows == nil || r.left == 0 {
		return 0, r.left
	}
	at := r.file.meta.groups[r.group].rows - r.left
	for len(r.rows) > 0 && r.rows[0].to <= at {
		r.rows = r.rows[1:]
	}
	if len(r.rows) == 0 {
		return r.left, 0
	}
	return max(0, r.rows[0].from-at), r.rows[0].to - max(at, r.rows[0].from)
}

// pass passes over rows of the current row group.
func (r *reader) pass(n int64) {
	for _, d := range r.decoders {
		d.skip(int(n))
	}
	r.left -= n
	r.stats.Filtered += n
}
