package match

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// due are the rows that a watermark has passed, by partition and in order.
type due struct {
	parts   []*partition
	rows    []int32 // of the lists
	place   []int64 // which of parts
	millis  []int64
	columns []arrow.Array // by input column; those that are read
	masks   [][]bool      // by variable; nil: all
}

func (d *due) release() {
	for _, c := range d.columns {
		if c != nil {
			c.Release()
		}
	}
}

// ends reports whether row i is the last of its partition.
func (d *due) ends(i int32) bool {
	return int(i)+1 == len(d.rows) || d.place[i+1] != d.place[i]
}

// fire takes the rows of partitions that w has passed, and tells what they complete.
func (m *Match) fire(slots []int32, w stream.Watermark) error {
	d := &due{parts: make([]*partition, len(slots))}
	defer d.release()
	for i, x := range slots {
		d.parts[i] = m.partition(x)
	}
	if err := m.gather(d, slots, w); err != nil {
		return err
	}
	var active []int32
	for i := range d.rows {
		if i == 0 || d.place[i] != d.place[i-1] {
			active = append(active, int32(i))
		}
	}
	for len(active) > 0 {
		if err := m.wave(d, active); err != nil {
			return err
		}
		if len(m.told) >= m.ctx.BatchRows {
			if err := m.tell(); err != nil {
				return err
			}
		}
		n := 0
		for _, at := range active {
			if !d.ends(at) {
				active[n] = at + 1
				n++
			}
		}
		active = active[:n]
	}
	return m.pass(d.parts, slots, w)
}

// partition is that of a slot, which is written to.
func (m *Match) partition(slot int32) *partition {
	if n := int(slot) + 1 - len(m.parts); n > 0 {
		m.parts = append(m.parts, make([]*partition, max(n, len(m.parts)/4))...)
	}
	p := m.parts[slot]
	if p == nil {
		p = &partition{}
		m.parts[slot] = p
	}
	if !p.dirty {
		p.dirty = true
		m.dirty = append(m.dirty, slot)
	}
	return p
}

// marks is m.mark with room for every row of the lists.
func (m *Match) marks(lists state.Lists) []int32 {
	if _, next := lists.Chains(); len(m.mark) < len(next) {
		have := len(m.mark)
		m.mark = append(m.mark, make([]int32, len(next)+len(next)/4-have)...)
		for i := have; i < len(m.mark); i++ {
			m.mark[i] = -1
		}
	}
	return m.mark
}

// gather finds the rows that are due; those of partitions that have others come again.
func (m *Match) gather(d *due, slots []int32, w stream.Watermark) error {
	s, lists := m.sorter, m.rows.Lists()
	s.Gather(lists, slots)
	marks, n := m.marks(lists), 0
	for _, p := range d.parts {
		for _, r := range p.kept {
			marks[r] = 0
		}
	}
	times := lists.Fixed()[m.time].Int64
	for i, r := range s.Rows {
		if marks[r] == 0 {
			continue
		}
		if at := m.millis(times[r]); !passed(at, w) {
			m.waiting.Add(at, slots[s.Groups[i]])
			continue
		}
		s.Rows[n], s.Groups[n] = r, s.Groups[i]
		n++
	}
	s.Rows, s.Groups = s.Rows[:n], s.Groups[:n]
	for _, p := range d.parts {
		for _, r := range p.kept {
			marks[r] = -1
		}
	}
	if n == 0 {
		return nil
	}
	order, sorted, err := s.Sort(m.ctx.Alloc, lists)
	if err != nil {
		return err
	}
	sorted.Release()
	for _, at := range order {
		d.rows, d.place = append(d.rows, s.Rows[at]), append(d.place, s.Groups[at])
		d.millis = append(d.millis, m.millis(times[s.Rows[at]]))
	}
	return m.read(d, lists)
}

// read takes the columns of due rows, and what they say of conditions without references.
func (m *Match) read(d *due, lists state.Lists) (err error) {
	d.columns = make([]arrow.Array, len(m.in))
	for _, c := range m.reads {
		if d.columns[c], err = lists.Take(c, d.rows); err != nil {
			return err
		}
	}
	d.masks = make([][]bool, len(m.vars))
	for i, v := range m.vars {
		if v.mask < 0 {
			continue
		}
		values, _ := compute.Integers(d.columns[v.mask], nil, nil)
		valid := compute.Validity(d.columns[v.mask], nil, nil)
		mask := make([]bool, len(values))
		for j, x := range values {
			mask[j] = x != 0 && (valid == nil || valid[j])
		}
		d.masks[i] = mask
	}
	return nil
}

// pass has time pass by: partial matches end that no row can complete any more, and what
// that completes is told.
func (m *Match) pass(parts []*partition, slots []int32, w stream.Watermark) error {
	for _, p := range parts {
		if w == stream.MaxWatermark {
			m.partials.drop(p.live...)
			p.live = p.live[:0]
		} else {
			m.expire(p, int64(w))
		}
		if err := m.release(p); err != nil {
			return err
		}
	}
	if err := m.tell(); err != nil {
		return err
	}
	m.settle(parts, slots)
	return nil
}

// expire drops the partial matches that would take longer than WITHIN at a time.
func (m *Match) expire(p *partition, millis int64) {
	within := m.spec.WithinMillis
	if within == 0 {
		return
	}
	n := 0 // starts ascend, and so do their times
	for n < len(p.live) && millis-m.partials.since[p.live[n]] >= within {
		n++
	}
	if n > 0 {
		m.partials.drop(p.live[:n]...)
		p.live = slices.Delete(p.live, 0, n)
	}
}

// release tells complete matches before which no start is left, and forgets the starts
// that AFTER MATCH skips.
func (m *Match) release(p *partition) error {
	s := m.partials
	for len(p.done) > 0 && (len(p.live) == 0 || s.start[p.done[0]] <= s.start[p.live[0]]) {
		id := p.done[0]
		p.done = slices.Delete(p.done, 0, 1)
		m.told = append(m.told, id)
		from, err := m.next(id)
		if err != nil {
			return err
		}
		skipped := func(id int32) bool {
			if s.start[id] >= from {
				return false
			}
			s.drop(id)
			return true
		}
		p.live, p.done = slices.DeleteFunc(p.live, skipped), slices.DeleteFunc(p.done, skipped)
	}
	return nil
}

// next is the row that the next match may start with.
func (m *Match) next(id int32) (int64, error) {
	s := m.partials
	name := m.vars[m.spec.AfterVariable].name
	switch m.spec.After {
	case jobgraph.AfterMatch_AFTER_MATCH_NEXT_ROW:
		return s.start[id] + 1, nil
	case jobgraph.AfterMatch_AFTER_MATCH_PAST_LAST_ROW:
		return s.end[id] + 1, nil
	}
	switch s.skip[id] {
	case -1:
		return 0, failure.Errorf(failure.UserCode, "a match has no row of %s, to which AFTER MATCH skips", name)
	case s.start[id]:
		return 0, failure.Errorf(failure.UserCode, "AFTER MATCH skips to the first row of the match, a row of %s: it would be found for ever", name)
	}
	return s.skip[id], nil
}

// settle forgets rows that nothing names any more, and partitions that are left with
// nothing.
func (m *Match) settle(parts []*partition, slots []int32) {
	lists, s := m.rows.Lists(), m.partials
	marks := m.marks(lists)
	var gone []int32
	for _, p := range parts {
		for _, ids := range [...][]int32{p.live, p.done} {
			for _, id := range ids {
				for _, r := range s.registersOf(id) {
					if r >= 0 {
						marks[r] = 0
					}
				}
			}
		}
		n := 0
		for _, r := range p.kept {
			if marks[r] < 0 {
				gone = append(gone, r)
				continue
			}
			marks[r] = -1
			p.kept[n] = r
			n++
		}
		p.kept = p.kept[:n]
	}
	lists.RemoveRows(gone)
	first, _ := lists.Chains()
	var empty []int32
	for i, x := range slots {
		p := parts[i]
		delete(m.pending, x)
		if len(p.done) > 0 {
			m.pending[x] = true
		}
		if len(p.live) > 0 && m.spec.WithinMillis > 0 {
			m.waiting.Add(s.since[p.live[0]]+m.spec.WithinMillis, x)
		}
		if first[x] < 0 && len(p.live)+len(p.done) == 0 {
			m.uncharge(p.saved)
			m.parts[x] = nil
			empty = append(empty, x)
		}
	}
	m.rows.Remove(empty)
}
