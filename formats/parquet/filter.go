package parquet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
)

const (
	// A filter that keeps more than keptShare percent of the first triedRows rows of
	// a row group rests until the next one.
	triedRows = 8192
	keptShare = 90
	// maxWindow is how many batches' rows are filtered at once where few are left.
	maxWindow = 4
)

// rowFilter is a filter of the reader's and how it does.
type rowFilter struct {
	predicate.RowFilter
	columns     []int   // decoders
	tried, kept int     // rows of the current row group
	share       float64 // of rows kept in the last row group that it was asked in
}

// rank begins a row group: what dropped most in the last one is asked first.
func rank(filters []*rowFilter) {
	for _, f := range filters {
		if f.tried > 0 {
			f.share = float64(f.kept) / float64(f.tried)
		}
		f.tried, f.kept = 0, 0
	}
	slices.SortStableFunc(filters, func(a, b *rowFilter) int { return cmp.Compare(a.share, b.share) })
}

// newFilters plans the filters whose columns are all wanted.
func newFilters(opts formats.ReadOptions) []*rowFilter {
	var out []*rowFilter
	for _, f := range opts.Filters {
		one := &rowFilter{RowFilter: f, share: 1}
		for _, name := range f.Columns() {
			if i := opts.Columns.Index(name); i >= 0 {
				one.columns = append(one.columns, i)
			}
		}
		if len(one.columns) > 0 && len(one.columns) == len(f.Columns()) {
			out = append(out, one)
		}
	}
	return out
}

// works reports whether the filter is worth asking in the current row group.
func (f *rowFilter) works() bool {
	return (f.tried < triedRows || f.kept*100 <= f.tried*keptShare) && f.Ready()
}

// excluded reports whether the predicate or a filter drops all rows of a row group.
func (r *reader) excluded(group int) bool {
	return r.excludes(r.file.lookup(group, r.opts.Columns))
}

// window is some rows of the current row group while they are filtered: of the
// columns that filters look at an array each, of the others nothing yet.
type window struct {
	r    *reader
	n    int
	rows []int32       // those of the n that are left; nil: all
	held []heldColumn  // by decoder
	cols []arrow.Array // scratch
}

// heldColumn is a column decoded early. Its array has more rows than are left by
// now; rows are those that are, nil for all of them.
type heldColumn struct {
	array arrow.Array // nil: not decoded
	rows  []int32
}

// filtered reads some of the next rows and appends what the filters leave of them to the
// pending batches.
func (r *reader) filtered(rows int64) error {
	n := int(min(rows, int64(r.window)))
	w := &window{r: r, n: n, held: make([]heldColumn, len(r.decoders))}
	defer w.release()
	for _, f := range r.filters {
		if !f.works() {
			continue
		}
		if err := w.apply(f); err != nil {
			return err
		}
		if w.len() == 0 {
			break
		}
	}
	r.left -= int64(n)
	r.stats.Filtered += int64(n - w.len())
	r.adapt(w.len())
	if w.len() > 0 {
		return w.emit()
	}
	for i, d := range r.decoders {
		if w.held[i].array == nil {
			d.skip(n)
		}
	}
	return nil
}

// adapt chooses the size of the next window.
func (r *reader) adapt(left int) {
	switch {
	case left*4 <= r.opts.BatchRows && r.window < maxWindow*r.opts.BatchRows:
		r.window *= 2
	case left > r.opts.BatchRows && r.window > r.opts.BatchRows:
		r.window /= 2
	}
}

// len is the number of rows left.
func (w *window) len() int {
	if w.rows == nil {
		return w.n
	}
	return len(w.rows)
}

func (w *window) apply(f *rowFilter) error {
	w.cols = w.cols[:0]
	for _, c := range f.columns {
		a, err := w.column(c)
		if err != nil {
			return err
		}
		w.cols = append(w.cols, a)
	}
	n := w.len()
	kept, err := f.Keep(w.cols, n)
	if err != nil {
		return fmt.Errorf("%s: row group %d: %w", w.r.file.in.Path, w.r.group, err)
	}
	f.tried += n
	if kept == nil {
		f.kept += n
		return nil
	}
	f.kept += len(kept)
	w.rows = compose(w.rows, kept)
	for i := range w.held {
		if w.held[i].array != nil {
			w.held[i].rows = compose(w.held[i].rows, kept)
		}
	}
	return nil
}

// compose selects some of rows; nil rows are all.
func compose(rows, some []int32) []int32 {
	out := make([]int32, len(some))
	if rows == nil {
		copy(out, some)
		return out
	}
	for i, x := range some {
		out[i] = rows[x]
	}
	return out
}

// column returns a column of the rows left; the window owns it.
func (w *window) column(i int) (a arrow.Array, err error) {
	h := &w.held[i]
	switch {
	case h.array == nil && w.rows == nil:
		h.array, err = w.r.decoders[i].read(w.n)
	case h.array == nil:
		h.array, err = w.r.decoders[i].take(w.n, w.rows)
	case h.rows != nil:
		if a, err = compute.Take(w.r.opts.Alloc, h.array, h.rows); err == nil {
			h.array.Release()
			*h = heldColumn{array: a}
		}
	}
	return h.array, err
}

// emit makes batches of the rows left, none of more than the rows asked for.
func (w *window) emit() error {
	most := w.r.opts.BatchRows
	if w.len() <= most {
		return w.batch(w.rows, 0, w.len(), w.n)
	}
	if w.rows == nil {
		w.rows = make([]int32, w.n)
		for i := range w.rows {
			w.rows[i] = int32(i)
		}
	}
	begin := 0 // the row that late columns are at
	for at := 0; at < len(w.rows); {
		to := min(at+most, len(w.rows))
		end := w.n
		if to < len(w.rows) {
			end = int(w.rows[to])
		}
		rows := make([]int32, to-at)
		for i, x := range w.rows[at:to] {
			rows[i] = x - int32(begin)
		}
		if err := w.batch(rows, at, to, end-begin); err != nil {
			return err
		}
		at, begin = to, end
	}
	return nil
}

// batch makes the batch of the rows left from at to to: for columns not yet decoded
// these are rows (nil: all) of the next n.
func (w *window) batch(rows []int32, at, to, n int) error {
	r := w.r
	arrays := make([]arrow.Array, len(w.held))
	defer func() { compute.ReleaseAll(arrays) }()
	for _, i := range r.order {
		h := w.held[i]
		var err error
		switch {
		case h.array == nil && rows == nil:
			arrays[i], err = r.decoders[i].read(n)
		case h.array == nil:
			arrays[i], err = r.decoders[i].take(n, rows)
		case h.rows != nil:
			arrays[i], err = compute.Take(r.opts.Alloc, h.array, h.rows[at:to])
		case at == 0 && to == h.array.Len():
			arrays[i], err = compute.Take(r.opts.Alloc, h.array, nil)
		default:
			arrays[i], err = compute.Take(r.opts.Alloc, h.array, w.between(at, to))
		}
		if err != nil {
			return err
		}
	}
	r.stats.Rows += int64(to - at)
	r.pending = append(r.pending, array.NewRecordBatch(r.schemaOf(arrays), arrays, int64(to-at)))
	return nil
}

// between lists the rows from at to to.
func (w *window) between(at, to int) []int32 {
	rows := make([]int32, to-at)
	for i := range rows {
		rows[i] = int32(at + i)
	}
	return rows
}

func (w *window) release() {
	for _, h := range w.held {
		if h.array != nil {
			h.array.Release()
		}
	}
}
