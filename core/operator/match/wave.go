package match

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// work is what waves use again.
type work struct {
	ids   []int32   // partial matches that a wave tries, in the order of need; -1: does not hold
	live  []int32   // of the partition at hand
	used  []bool    // by variable
	which []tryList // by variable
}

// try is a row as a variable, behind a partial match.
type try struct {
	id  int32 // the copy that has the row
	at  int32 // which due row
	pos int32 // in ids
}

type tryList []try

// wave takes one row of some partitions.
func (m *Match) wave(d *due, active []int32) error {
	w := &m.work
	w.ids = w.ids[:0]
	if w.which == nil {
		w.which, w.used = make([]tryList, len(m.vars)), make([]bool, len(m.vars))
	}
	for v := range w.which {
		w.which[v] = w.which[v][:0]
	}
	for _, at := range active {
		p := d.parts[d.place[at]]
		p.kept = append(p.kept, d.rows[at])
		m.expire(p, d.millis[at])
		if err := m.release(p); err != nil {
			return err
		}
		for _, id := range p.live {
			if err := m.try(d, p, id, m.partials.nodes[id], at); err != nil {
				return err
			}
		}
		if err := m.try(d, p, -1, m.nfa.start, at); err != nil {
			return err
		}
	}
	for i := range m.layout.sums {
		if err := m.add(d, i); err != nil {
			return err
		}
	}
	for v := range m.vars {
		if err := m.decide(d, int32(v)); err != nil {
			return fmt.Errorf("condition of %s: %w", m.vars[v].name, err)
		}
	}
	pos := 0
	for _, at := range active {
		p := d.parts[d.place[at]]
		n, err := m.advance(p, pos)
		if err != nil {
			return err
		}
		pos += n
		if err := m.release(p); err != nil {
			return err
		}
	}
	return nil
}

// try makes a copy of a partial match (-1: a new one) for each variable that a due row
// may be.
func (m *Match) try(d *due, p *partition, of, node, at int32) error {
	s, w := m.partials, &m.work
	for _, v := range m.nfa.next[node] {
		if mask := d.masks[v]; mask != nil && !mask[at] {
			w.ids = append(w.ids, -1)
			continue
		}
		var id int32
		var err error
		if of >= 0 {
			id, err = s.copy(of)
		} else if id, err = s.fresh(); err == nil {
			s.start[id], s.since[id] = p.taken, d.millis[at]
		}
		if err != nil {
			return err
		}
		s.take(id, v, d.rows[at])
		s.end[id], s.until[id] = p.taken, d.millis[at]
		if v == int32(m.spec.AfterVariable) {
			switch {
			case m.spec.After == jobgraph.AfterMatch_AFTER_MATCH_TO_LAST,
				m.spec.After == jobgraph.AfterMatch_AFTER_MATCH_TO_FIRST && s.skip[id] < 0:
				s.skip[id] = p.taken
			}
		}
		w.which[v] = append(w.which[v], try{id: id, at: at, pos: int32(len(w.ids))})
		w.ids = append(w.ids, id)
	}
	return nil
}

// add takes the rows that are tried into an aggregate.
func (m *Match) add(d *due, i int) error {
	s := m.layout.sums[i]
	var sel, slots []int32
	for v, tries := range m.work.which {
		if s.variable == anyVariable || s.variable == int32(v) {
			for _, t := range tries {
				sel, slots = append(sel, t.at), append(slots, t.id)
			}
		}
	}
	if len(slots) == 0 {
		return nil
	}
	err := s.acc.Add(m.partials.accs[i], d.columns, sel, slots)
	s.acc.Grown() // texts come and go with partial matches
	return err
}

// decide drops the tries of a variable whose condition is not true.
func (m *Match) decide(d *due, v int32) error {
	tries, program := m.work.which[v], m.programs[v]
	if program == nil || len(tries) == 0 {
		return nil
	}
	columns, err := m.seen(d, &m.vars[v], tries)
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	if err != nil {
		return err
	}
	kept, err := program.SelectColumns(columns, len(tries))
	if err != nil {
		return err
	}
	if kept == nil { // all
		return nil
	}
	for i, t := range tries {
		if len(kept) > 0 && int(kept[0]) == i {
			kept = kept[1:]
			continue
		}
		m.work.ids[t.pos] = -1
		m.partials.drop(t.id)
	}
	return nil
}

// seen are the columns that a condition reads: of the rows, then its references.
func (m *Match) seen(d *due, v *variable, tries []try) (columns []arrow.Array, err error) {
	columns = make([]arrow.Array, len(m.in)+len(v.refs))
	at := make([]int32, len(tries))
	for i, t := range tries {
		at[i] = t.at
	}
	for _, c := range v.reads {
		if columns[c], err = compute.Take(m.ctx.Alloc, d.columns[c], at); err != nil {
			return columns, err
		}
	}
	ids := make([]int32, len(tries))
	for i, t := range tries {
		ids[i] = t.id
	}
	for i, r := range v.refs {
		if columns[len(m.in)+i], err = m.value(r, ids); err != nil {
			return columns, err
		}
	}
	return columns, nil
}

// advance replaces the partial matches of a partition by what the row makes of them. It
// returns how many tries were theirs.
func (m *Match) advance(p *partition, pos int) (tries int, err error) {
	s, w := m.partials, &m.work
	w.live = w.live[:0]
	ended, from := int64(-1), pos
	for _, id := range p.live {
		node, start := s.nodes[id], s.start[id]
		s.drop(id)
		pos, ended, err = m.step(p, node, start, pos, ended)
		if err != nil {
			return 0, err
		}
	}
	if pos, _, err = m.step(p, m.nfa.start, p.taken, pos, ended); err != nil {
		return 0, err
	}
	p.live = append(p.live[:0], w.live...)
	p.taken++
	if int64(len(p.live)) > m.spec.MaxPartial {
		return 0, failure.Errorf(failure.UserCode, "a partition has more than %d partial matches; a time in WITHIN, or stricter conditions, bound them; table.exec.match.max-partial-matches is the limit", m.spec.MaxPartial)
	}
	return pos - from, nil
}

// step goes on from a node with the row that was tried. ended is the start that has just
// been completed.
func (m *Match) step(p *partition, node int32, start int64, pos int, ended int64) (int, int64, error) {
	s, w := m.partials, &m.work
	next := m.nfa.next[node]
	for i, v := range next {
		m.walk.holds[v], w.used[v] = w.ids[pos+i], false
	}
	if start != ended {
		for _, move := range m.walk.from(node) {
			if m.memoryless && m.there(start, move.to) {
				continue
			}
			id := m.walk.holds[move.variable]
			if w.used[move.variable] {
				var err error
				if id, err = s.copy(id); err != nil {
					return 0, 0, err
				}
			}
			w.used[move.variable], s.nodes[id] = true, move.to
			if !m.nfa.accepts[move.to] {
				w.live = append(w.live, id)
				continue
			}
			m.complete(p, id)
			ended = start
			break
		}
	}
	for _, v := range next {
		if id := m.walk.holds[v]; id >= 0 && !w.used[v] {
			s.drop(id)
		}
	}
	return pos + len(next), ended, nil
}

// there reports whether a start has come to a node already, on a preferred way.
func (m *Match) there(start int64, node int32) bool {
	s, live := m.partials, m.work.live
	for i := len(live) - 1; i >= 0 && s.start[live[i]] == start; i-- {
		if s.nodes[live[i]] == node {
			return true
		}
	}
	return false
}

// complete ends the partial matches of the same start and notes the match.
func (m *Match) complete(p *partition, id int32) {
	s, w := m.partials, &m.work
	for n := len(w.live); n > 0 && s.start[w.live[n-1]] == s.start[id]; n-- {
		s.drop(w.live[n-1])
		w.live = w.live[:n-1]
	}
	at := len(p.done)
	for at > 0 && s.start[p.done[at-1]] > s.start[id] {
		at--
	}
	p.done = append(p.done, 0)
	copy(p.done[at+1:], p.done[at:])
	p.done[at] = id
}
