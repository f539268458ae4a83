package changelog

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// latest keeps the rows of each key in the order in which they came; the last one counts.
// Of upserts, which take nothing back, it keeps no other.
type latest struct {
	base
	keys    []int
	atEnd   bool
	before  bool // updates come with what was before
	upserts bool
	ages    groups.Ages

	mark    []bool  // by slot: it is among those touched
	touched []int32 // slots of the batch, each once
	old     []int32 // their last rows before the batch; -1: none
	found   []int32
	place   []int32 // by slot: its last row in the batch
}

// Process implements operator.Operator.
func (m *latest) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	if err := m.process(b); err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	return nil
}

func (m *latest) process(b *stream.Batch) error {
	keys := make([]arrow.Array, len(m.keys))
	for i, k := range m.keys {
		keys[i] = b.Column(k)
	}
	if err := m.resolve(keys, b.Sel, b.Len()); err != nil {
		return err
	}
	m.ages.Touch(m.rows, m.slots)
	m.touch()
	if m.atEnd {
		return m.apply(b)
	}
	before, err := m.take(m.rows.Lists(), m.old)
	if err != nil {
		return err
	}
	defer func() { compute.ReleaseAll(before) }()
	if err := m.apply(b); err != nil {
		return err
	}
	return m.changes(before)
}

// touch lists the slots of the batch, each once, with their last rows.
func (m *latest) touch() {
	for len(m.mark) < m.rows.Len() {
		m.mark = append(m.mark, false)
	}
	m.touched, m.old = m.touched[:0], m.old[:0]
	for _, s := range m.slots {
		if !m.mark[s] {
			m.mark[s] = true
			m.touched = append(m.touched, s)
		}
	}
	for _, s := range m.touched {
		m.mark[s] = false
	}
	m.old = lasts(m.rows.Lists(), m.touched, m.old)
}

// lasts appends the last row of each slot, -1 for none.
func lasts(lists state.Lists, slots, out []int32) []int32 {
	first, next := lists.Chains()
	for _, s := range slots {
		last := int32(-1)
		for r := first[s]; r >= 0; r = next[r] {
			last = r
		}
		out = append(out, last)
	}
	return out
}

// take returns rows of the lists.
func (m *latest) take(lists state.Lists, rows []int32) ([]arrow.Array, error) {
	columns := make([]arrow.Array, 0, len(m.in))
	for i := range m.in {
		c, err := lists.Take(i, rows)
		if err != nil {
			compute.ReleaseAll(columns)
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, nil
}

// apply adds the rows that come, then takes out those that go. One that is not there has
// been left out before, as late.
func (m *latest) apply(b *stream.Batch) error {
	if m.upserts {
		return m.replace(b)
	}
	columns, lists := b.Record.Columns(), m.rows.Lists()
	if b.Kinds == nil {
		return lists.Add(m.slots, columns, b.Sel, nil)
	}
	var sel, slots [2][]int32 // of rows that come, that go
	for i, s := range m.slots {
		row, way := int32(i), 0
		if b.Sel != nil {
			row = b.Sel[i]
		}
		if b.Kinds[row].Retracts() {
			way = 1
		}
		sel[way], slots[way] = append(sel[way], row), append(slots[way], s)
	}
	if len(sel[0]) > 0 {
		if err := lists.Add(slots[0], columns, sel[0], nil); err != nil {
			return err
		}
	}
	if len(sel[1]) == 0 {
		return nil
	}
	m.found = slices.Grow(m.found[:0], len(sel[1]))[:len(sel[1])]
	if err := lists.Match(slots[1], columns, sel[1], m.found); err != nil {
		return err
	}
	lists.RemoveRows(slices.DeleteFunc(m.found, func(r int32) bool { return r < 0 }))
	m.forget()
	return nil
}

// replace puts the last row of each key of the batch in the place of the one that is kept,
// unless it is a delete.
func (m *latest) replace(b *stream.Batch) error {
	m.place = slices.Grow(m.place[:0], m.rows.Len())[:m.rows.Len()]
	for i, s := range m.slots {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		m.place[s] = row
	}
	var sel, slots []int32
	for _, s := range m.touched {
		if row := m.place[s]; !b.Kind(int(row)).Retracts() {
			sel, slots = append(sel, row), append(slots, s)
		}
	}
	lists := m.rows.Lists()
	m.found = append(m.found[:0], m.old...)
	lists.RemoveRows(slices.DeleteFunc(m.found, func(r int32) bool { return r < 0 }))
	if len(sel) > 0 {
		if err := lists.Add(slots, b.Record.Columns(), sel, nil); err != nil {
			return err
		}
	}
	m.forget()
	return nil
}

// forget removes the keys of the batch that have no rows left.
func (m *latest) forget() {
	if !m.atEnd {
		return // once the changes are told
	}
	first, _ := m.rows.Lists().Chains()
	m.rows.Remove(slices.DeleteFunc(m.touched, func(s int32) bool { return first[s] >= 0 }))
}

// changes tells how the last rows of the touched keys differ from before.
func (m *latest) changes(before []arrow.Array) error {
	now := lasts(m.rows.Lists(), m.touched, nil)
	after, err := m.take(m.rows.Lists(), now)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(after)
	var gone, old, new, come []int32 // places in touched
	var empty []int32                // slots
	for i, row := range now {
		if row < 0 {
			empty = append(empty, m.touched[i])
		}
		switch was := m.old[i]; {
		case was < 0 && row < 0:
		case was < 0:
			come = append(come, int32(i))
		case row < 0:
			gone = append(gone, int32(i))
		case !same(before, after, i):
			if m.before {
				old = append(old, int32(i))
			}
			new = append(new, int32(i))
		}
	}
	m.rows.Remove(empty)
	if err := m.tell(stream.Delete, before, gone); err != nil {
		return err
	}
	for from := 0; from < len(new); {
		to := min(len(new), from+max(m.ctx.BatchRows/2, 1))
		var was []int32
		if m.before {
			was = old[from:to]
		}
		if err := m.update(before, was, after, new[from:to]); err != nil {
			return err
		}
		from = to
	}
	return m.tell(stream.Insert, after, come)
}

// same reports whether row i is the same in both.
func same(a, b []arrow.Array, i int) bool {
	for c := range a {
		if compute.ValueAt(a[c], i) != compute.ValueAt(b[c], i) {
			return false
		}
	}
	return true
}

func (m *latest) tell(kind stream.RowKind, columns []arrow.Array, rows []int32) error {
	for len(rows) > 0 {
		n := min(len(rows), m.ctx.BatchRows)
		some, err := m.pick(columns, rows[:n])
		if err == nil {
			err = m.emit(Part{Kind: kind, Columns: some, Rows: n})
		}
		compute.ReleaseAll(some)
		if err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (m *latest) update(before []arrow.Array, old []int32, after []arrow.Array, new []int32) error {
	was, err := m.pick(before, old)
	defer func() { compute.ReleaseAll(was) }()
	if err != nil {
		return err
	}
	is, err := m.pick(after, new)
	defer func() { compute.ReleaseAll(is) }()
	if err != nil {
		return err
	}
	return m.emit(Part{Kind: stream.UpdateBefore, Columns: was, Rows: len(old)}, Part{Kind: stream.UpdateAfter, Columns: is, Rows: len(new)})
}

// pick takes rows of columns.
func (m *latest) pick(columns []arrow.Array, rows []int32) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(columns))
	for _, c := range columns {
		taken, err := compute.Take(m.ctx.Alloc, c, rows)
		if err != nil {
			return out, err
		}
		out = append(out, taken)
	}
	return out, nil
}

// Tick implements operator.Ticker: keys that nothing has come for are forgotten. Their rows
// are not taken back.
func (m *latest) Tick(now time.Time) error {
	old, err := m.ages.Old(now, m.rows)
	if err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	m.rows.Remove(old)
	return nil
}

// EndInput implements operator.Operator.
func (m *latest) EndInput(int) error {
	if !m.atEnd {
		return nil
	}
	err := m.rows.Each(func(v state.View, from, to int) error {
		slots := make([]int32, to-from)
		for i := range slots {
			slots[i] = int32(from + i)
		}
		return m.tellLasts(v.Lists(), slots)
	})
	if err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	return nil
}

// tellLasts emits the last row of each slot.
func (m *latest) tellLasts(lists state.Lists, slots []int32) error {
	rows := lasts(lists, slots, nil)
	rows = slices.DeleteFunc(rows, func(r int32) bool { return r < 0 })
	for len(rows) > 0 {
		n := min(len(rows), m.ctx.BatchRows)
		columns, err := m.take(lists, rows[:n])
		if err == nil {
			err = m.emit(Part{Kind: stream.Insert, Columns: columns, Rows: n})
		}
		compute.ReleaseAll(columns)
		if err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
