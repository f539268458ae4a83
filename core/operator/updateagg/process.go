package updateagg

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// batch is a batch, or the part of one that falls in a namespace.
type batch struct {
	in     []arrow.Array
	keys   []arrow.Array
	kinds  []stream.RowKind
	sel    []int32 // physical rows, nil: all
	hashes []uint64
	slots  []int32

	added, removed part // of the rows by kind
	scratch        [2]part
	zeros          arrow.Array // keys of values, where groups have none
	routes         router
	again          stamps
	groups         []int32
	counting       counting
}

// part is rows with the slots of their groups.
type part struct{ sel, slots []int32 }

func (p *part) reset() { p.sel, p.slots = p.sel[:0], p.slots[:0] }

func (p *part) append(row, slot int32) { p.sel, p.slots = append(p.sel, row), append(p.slots, slot) }

// space is one namespace of groups.
type space struct {
	rows    state.Rows
	bags    []*bag // by call, nil: none
	exists  bool   // the group without keys does
	charged int64  // for bytes outside the tables
}

// space returns the namespace ns, made if need be.
func (a *Aggregate) space(ns int64) (*space, error) {
	if s, ok := a.spaces[ns]; ok {
		return s, nil
	}
	rows, err := a.table.Namespace(ns)
	if err != nil {
		return nil, err
	}
	s := &space{rows: rows, bags: make([]*bag, len(a.calls))}
	for i, t := range a.values {
		if t == nil {
			continue
		}
		values, err := t.Namespace(ns)
		if err != nil {
			return nil, err
		}
		s.bags[i] = &bag{rows: values, linked: a.linked(i)}
	}
	a.spaces[ns] = s
	return s, nil
}

// charge charges bytes that a namespace holds outside of its tables, or gives back.
func (a *Aggregate) charge(s *space, n int64) error {
	if n > 0 {
		if err := a.ctx.Memory.Grow(n); err != nil {
			return err
		}
	} else {
		a.ctx.Memory.Shrink(-n)
	}
	s.charged += n
	return nil
}

func (a *Aggregate) process(b *stream.Batch) error {
	r := &a.batch
	r.in, r.kinds, r.sel = b.Record.Columns(), b.Kinds, b.Sel
	r.keys = r.keys[:0]
	for _, k := range a.keys {
		r.keys = append(r.keys, r.in[k])
	}
	if len(r.sel) == b.PhysicalRows() {
		r.sel = nil
	}
	if !a.global {
		r.hashes = compute.HashColumns(r.keys, r.sel, r.hashes)
	}
	n := b.Len()
	switch {
	case a.partial:
		return a.group(n)
	case a.closing >= 0:
		return a.route(b)
	}
	if err := a.apply(a.only, n); err != nil {
		return err
	}
	if a.spec.HoldMillis == 0 || len(a.pending.slots) >= heldGroups {
		return a.tell()
	}
	return nil
}

// apply takes the n rows of the batch into their groups.
func (a *Aggregate) apply(s *space, n int) error {
	r := &a.batch
	r.slots = sized(r.slots, n)
	existed := s.exists
	if err := a.resolve(s); err != nil {
		return err
	}
	if a.closing < 0 && !a.partial {
		a.note(s, existed)
	}
	a.divide()
	if err := a.add(s); err != nil {
		return err
	}
	return a.charge(s, a.acc.Grown())
}

// resolve finds the slots of the rows, all the same where there are no keys.
func (a *Aggregate) resolve(s *space) error {
	r := &a.batch
	if !a.global {
		return s.rows.Resolve(r.keys, r.sel, r.hashes, r.slots)
	}
	slot, err := a.onlySlot(s)
	for i := range r.slots {
		r.slots[i] = slot
	}
	return err
}

// onlySlot is the slot of the group without keys, which exists from then on.
func (a *Aggregate) onlySlot(s *space) (int32, error) {
	zeros, err := a.zeroKeys(1)
	if err != nil {
		return 0, err
	}
	defer zeros.Release()
	one, slots := []arrow.Array{zeros}, []int32{0}
	err = s.rows.Resolve(one, nil, compute.HashColumns(one, nil, nil), slots)
	s.exists = s.exists || err == nil
	return slots[0], err
}

// zeroKeys is a column of n keys of the group without keys, the caller's.
func (a *Aggregate) zeroKeys(n int) (arrow.Array, error) {
	r := &a.batch
	if r.zeros == nil || r.zeros.Len() < n {
		b := array.NewInt64Builder(a.ctx.Alloc)
		defer b.Release()
		b.AppendValues(make([]int64, n), nil)
		if r.zeros != nil {
			r.zeros.Release()
		}
		r.zeros = b.NewArray()
	}
	return compute.Slice(r.zeros, 0, n), nil
}

// divide tells rows that are added from those taken back.
func (a *Aggregate) divide() {
	r := &a.batch
	if !a.retracting || r.kinds == nil || a.final {
		r.added, r.removed = part{r.sel, r.slots}, part{}
		return
	}
	added, removed := &r.scratch[0], &r.scratch[1]
	added.reset()
	removed.reset()
	for i, s := range r.slots {
		row := rowAt(r.sel, i)
		if r.kinds[row].Retracts() {
			removed.append(row, s)
		} else {
			added.append(row, s)
		}
	}
	r.added, r.removed = *added, *removed
}

func rowAt(sel []int32, i int) int32 {
	if sel == nil {
		return int32(i)
	}
	return sel[i]
}

// add changes the accumulators.
func (a *Aggregate) add(s *space) error {
	r, values := &a.batch, s.rows.Values()
	if a.spec.KeepMillis > 0 && !a.partial {
		touched := values[a.rows+1]
		for _, slot := range r.slots {
			touched.Int64[slot], touched.Valid[slot] = a.now, true
		}
	}
	if a.final {
		return a.acc.Merge(values, r.in[len(a.keys):], r.sel, r.slots)
	}
	for i, w := range a.calls {
		var err error
		switch w {
		case direct:
			err = a.addDirect(i, values)
		case counted:
			err = a.count(s, i)
		}
		if err != nil {
			return err
		}
	}
	if a.hasKept() {
		return a.keep(s)
	}
	return nil
}

func (a *Aggregate) addDirect(i int, values []*state.Column) error {
	r := &a.batch
	if len(r.added.slots) > 0 {
		if err := a.acc.AddCall(i, values, r.in, r.added.sel, r.added.slots); err != nil {
			return err
		}
	}
	if len(r.removed.slots) == 0 {
		return nil
	}
	return a.acc.RetractCall(i, values, r.in, r.removed.sel, r.removed.slots)
}

// reset makes the accumulators of the i-th call what they are without rows.
func (a *Aggregate) reset(s *space, i int, slots []int32) error {
	freed := int64(0)
	for _, c := range a.acc.CallValues(i, s.rows.Values()) {
		for _, slot := range slots {
			c.Valid[slot] = false
			switch {
			case c.Int64 != nil:
				c.Int64[slot] = 0
			case c.Float64 != nil:
				c.Float64[slot] = 0
			case c.Dec128 != nil:
				c.Dec128[slot] = decimal128.Num{}
			case c.Bytes != nil:
				freed += int64(len(c.Bytes[slot]))
				c.Bytes[slot] = nil
			}
		}
	}
	return a.charge(s, -freed)
}

// forget takes groups out with everything that is kept of them.
func (a *Aggregate) forget(s *space, slots []int32) error {
	if len(slots) == 0 {
		return nil
	}
	for _, b := range s.bags {
		if b != nil && b.linked {
			b.forget(slots)
		}
	}
	freed := int64(0)
	for _, c := range s.rows.Values() {
		if c.Bytes == nil {
			continue
		}
		for _, slot := range slots {
			freed += int64(len(c.Bytes[slot]))
		}
	}
	s.rows.Remove(slots)
	if a.global {
		s.exists = false
	}
	return a.charge(s, -freed)
}

// forgetOld goes on round the groups and forgets those that nothing has come for.
func (a *Aggregate) forgetOld() error {
	s := a.only
	n := s.rows.Len()
	if n == 0 {
		return nil
	}
	if err := a.tell(); err != nil {
		return err
	}
	const stretch, round = 1 << 14, 256 // slots a tick at least, ticks a round at most
	var old, fresh []int32
	touched := s.rows.Values()[a.rows+1].Int64
	for range min(n, max(stretch, n/round)) {
		if a.cursor >= n {
			a.cursor = 0
		}
		switch at := touched[a.cursor]; {
		case at == 0: // not in use
		case at == 1: // since before the first tick
			fresh = append(fresh, int32(a.cursor))
		case a.now-at >= a.spec.KeepMillis:
			old = append(old, int32(a.cursor))
		}
		a.cursor++
	}
	s.rows.Touch(fresh)
	for _, slot := range fresh {
		touched[slot] = a.now
	}
	return a.forget(s, old)
}

// restore makes what is not in state but follows from it.
func (a *Aggregate) restore(s *space) error {
	if err := a.charge(s, hashtable.Held(s.rows.Values())); err != nil {
		return err
	}
	var err error
	if a.global {
		err = s.rows.Each(func(state.View, int, int) error {
			s.exists = true
			return nil
		})
	}
	for _, b := range s.bags {
		if err == nil && b != nil && b.linked {
			err = a.relink(s, b)
		}
	}
	return err
}

// stamps notes slots, each once.
type stamps struct {
	at    []uint32
	epoch uint32
}

// begin forgets all slots; there will be n.
func (m *stamps) begin(n int) {
	if m.epoch++; m.epoch == 0 {
		clear(m.at)
		m.epoch = 1
	}
	m.reach(n)
}

// reach makes room for slots below n.
func (m *stamps) reach(n int) {
	if len(m.at) < n {
		m.at = append(m.at, make([]uint32, max(n, 2*len(m.at))-len(m.at))...)
	}
}

// first notes a slot and reports whether it was not noted yet.
func (m *stamps) first(slot int32) bool {
	if m.at[slot] == m.epoch {
		return false
	}
	m.at[slot] = m.epoch
	return true
}

func (m *stamps) has(slot int32) bool { return int(slot) < len(m.at) && m.at[slot] == m.epoch }

// taker gives keys by slot; rows of every kind can.
type taker interface {
	Take(mem memory.Allocator, slots []int32) ([]arrow.Array, error)
}

func (a *Aggregate) takeKeys(rows state.Rows, slots []int32) ([]arrow.Array, error) {
	return rows.(taker).Take(a.ctx.Alloc, slots)
}

func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}
