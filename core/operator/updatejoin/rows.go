package updatejoin

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/stream"
)

// keysOf are the key columns of a batch, for the caller to release.
func (s *side) keysOf(mem memory.Allocator, b *stream.Batch) ([]arrow.Array, error) {
	if len(s.keys) == 0 {
		c, err := compute.Constant(mem, number(), int64(0), b.PhysicalRows())
		return []arrow.Array{c}, err
	}
	out := make([]arrow.Array, len(s.keys))
	for i, k := range s.keys {
		out[i] = b.Column(k)
		out[i].Retain()
	}
	return out, nil
}

// matchable divides rows into those that can find a partner and those that cannot,
// because a key, or the time they close by, is null.
func (s *side) matchable(b *stream.Batch, sel []int32) (some, never []int32) {
	columns := make([]arrow.Array, 0, len(s.keys)+1)
	for _, k := range s.keys {
		columns = append(columns, b.Column(k))
	}
	if s.closing != nil {
		columns = append(columns, b.Column(int(s.closing.Column)))
	}
	if len(columns) == 0 {
		return sel, nil
	}
	some = compute.NotNull(columns, sel)
	n := rowsOf(b, sel)
	if some == nil || len(some) == n {
		return some, nil
	}
	never, next := make([]int32, 0, n-len(some)), 0
	for i := range n {
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		if next < len(some) && some[next] == r {
			next++
			continue
		}
		never = append(never, r)
	}
	return some, never
}

// due is when rows close, by position; nil where they do not.
func (s *side) due(b *stream.Batch, sel []int32) []int64 {
	if s.closing == nil {
		return nil
	}
	c := int(s.closing.Column)
	var times []int64
	times, s.ints = compute.Integers(b.Column(c), sel, s.ints)
	s.dues = sized(s.dues, len(times))
	t, after := s.schema[c].Type, s.closing.AfterMillis
	for i, v := range times {
		s.dues[i] = compute.Millis(t, v) + after
	}
	return s.dues
}

// split divides rows into those still open and those that closed before, at w. The
// times that are due go with the former.
func (s *side) split(b *stream.Batch, sel []int32, due []int64, w int64) (open, late []int32, dues []int64) {
	if !slices.ContainsFunc(due, func(at int64) bool { return at <= w }) {
		return sel, nil, due
	}
	open, dues = make([]int32, 0, len(due)), due[:0]
	for i, at := range due {
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		if at <= w {
			late = append(late, r)
			continue
		}
		open, dues = append(open, r), append(dues, at)
	}
	return open, late, dues
}

// store keeps added rows, whose hashes find has made. due is when they close.
func (s *side) store(d *delta, due []int64, now func() int64) error {
	keys, err := s.keysOf(s.ctx.Alloc, d.batch)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	n := len(s.hashes)
	s.slots, s.added = sized(s.slots, n), sized(s.added, n)
	if err := s.rows.Resolve(keys, d.sel, s.hashes, s.slots); err != nil {
		return err
	}
	columns := slices.Clone(d.batch.Record.Columns())
	var arrived int64
	if s.partners >= 0 {
		c := &s.hidden[0]
		c.fill(d.batch.PhysicalRows(), 0)
		for i, p := range d.counts {
			c.values.Int64[d.row(int32(i))] = int64(p)
		}
	}
	if s.keep > 0 {
		arrived = now()
		s.hidden[1].fill(d.batch.PhysicalRows(), arrived)
	}
	for i := len(s.schema); i < len(s.list); i++ {
		c := &s.hidden[0]
		if i == s.arrived {
			c = &s.hidden[1]
		}
		a, err := hashtable.ToArrow(s.ctx.Alloc, &c.values, 0, d.batch.PhysicalRows())
		if err != nil {
			return err
		}
		defer a.Release()
		columns = append(columns, a)
	}
	if err := s.lists.Add(s.slots, columns, d.sel, s.added); err != nil {
		return err
	}
	if s.closings != nil {
		if err := s.closings.add(s.added, due); err != nil {
			return err
		}
	}
	if s.ages == nil {
		return nil
	}
	s.dues = sized(s.dues, n)
	for i := range s.dues {
		s.dues[i] = arrived + s.keep
	}
	return s.ages.add(s.added, s.dues)
}

// lookUp finds the rows of the lists that d takes back; d loses those that are not
// there, which are returned.
func (s *side) lookUp(d *delta) (rows, unknown []int32, err error) {
	keys, err := s.keysOf(s.ctx.Alloc, d.batch)
	if err != nil {
		return nil, nil, err
	}
	defer compute.ReleaseAll(keys)
	s.hashes = compute.HashColumns(keys, d.sel, s.hashes)
	n := len(s.hashes)
	s.slots, s.added = sized(s.slots, n), sized(s.added, n)
	if err := s.rows.Find(keys, d.sel, s.hashes, s.slots); err != nil {
		return nil, nil, err
	}
	columns := make([]arrow.Array, len(s.list)) // hidden ones are not compared
	copy(columns, d.batch.Record.Columns())
	if err := s.lists.Match(s.slots, columns, d.sel, s.added); err != nil {
		return nil, nil, err
	}
	known := make([]int32, 0, n)
	rows = s.added[:0]
	for i, r := range s.added {
		at := d.row(int32(i))
		if r < 0 {
			unknown = append(unknown, at)
			continue
		}
		known, rows = append(known, at), append(rows, r)
	}
	d.sel = known
	return rows, unknown, nil
}

// drop takes rows out of their lists.
func (s *side) drop(rows []int32) {
	owners := s.lists.Owners()
	for _, r := range rows {
		s.empty = append(s.empty, owners[r])
	}
	s.lists.RemoveRows(rows)
	s.closings.forget(rows)
	s.ages.forget(rows)
}

// removeEmpty forgets keys that have no rows left.
func (s *side) removeEmpty() error {
	if len(s.empty) == 0 {
		return nil
	}
	if n := s.rows.Len(); len(s.listed) < n {
		if err := s.ctx.Memory.Grow(int64(2*n - len(s.listed))); err != nil {
			return err
		}
		s.listed = make([]bool, 2*n)
	}
	first, _ := s.lists.Chains()
	once := s.empty[:0]
	for _, slot := range s.empty {
		if first[slot] < 0 && !s.listed[slot] {
			s.listed[slot] = true
			once = append(once, slot)
		}
	}
	for _, slot := range once {
		s.listed[slot] = false
	}
	s.rows.Remove(once)
	s.empty = s.empty[:0]
	return nil
}

// release gives back what is charged here.
func (s *side) release() {
	s.closings.release()
	s.ages.release()
	if s.ctx != nil {
		s.ctx.Memory.Shrink(int64(len(s.listed)))
		s.listed = nil
	}
}

// cancel finds rows that a batch adds and then takes back: an equal row for each of
// removed. It returns what is left of both.
func cancel(b *stream.Batch, added, removed []int32) (left, unknown []int32, err error) {
	columns := b.Record.Columns()
	taken, put := make([]uint64, len(removed)), make([]uint64, len(added))
	equal := make([]compute.Comparer, len(columns))
	if len(columns) > 0 {
		taken, put = compute.HashColumns(columns, removed, nil), compute.HashColumns(columns, added, nil)
	}
	for i, c := range columns {
		if equal[i], err = compute.NewComparer(c, c, compute.Order{}); err != nil {
			return nil, nil, err
		}
	}
	waiting := make(map[uint64][]int, len(taken)) // positions in added
	for _, h := range taken {
		waiting[h] = nil
	}
	gone, next := make([]bool, len(added)), 0
	for k, row := range removed {
		for ; next < len(added) && added[next] < row; next++ {
			if list, ok := waiting[put[next]]; ok {
				waiting[put[next]] = append(list, next)
			}
		}
		list := waiting[taken[k]]
		at := slices.IndexFunc(list, func(i int) bool {
			return !slices.ContainsFunc(equal, func(c compute.Comparer) bool { return c.Compare(int(added[i]), int(row)) != 0 })
		})
		if at < 0 {
			unknown = append(unknown, row)
			continue
		}
		gone[list[at]] = true
		waiting[taken[k]] = slices.Delete(list, at, at+1)
	}
	left = make([]int32, 0, len(added))
	for i, row := range added {
		if !gone[i] {
			left = append(left, row)
		}
	}
	return left, unknown, nil
}

// rowsOf is how many rows of a batch sel means.
func rowsOf(b *stream.Batch, sel []int32) int {
	if sel == nil {
		return b.PhysicalRows()
	}
	return len(sel)
}

// sized returns buf with length n, its content undefined.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// zeroed is sized with zeros.
func zeroed(buf []int32, n int) []int32 {
	buf = sized(buf, n)
	clear(buf)
	return buf
}
