package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// router sorts the rows of a batch by slice.
type router struct {
	slices []routed
	last   int
}

// routed are the rows of one slice.
type routed struct {
	end    int64
	sel    []int32
	hashes []uint64
	slots  []int32
}

func (r *router) reset() {
	r.slices, r.last = r.slices[:0], -1
}

// at returns the rows of a slice; batches mostly stay in one.
func (r *router) at(end int64) *routed {
	if r.last >= 0 && r.slices[r.last].end == end {
		return &r.slices[r.last]
	}
	for i := range r.slices {
		if r.slices[i].end == end {
			r.last = i
			return &r.slices[i]
		}
	}
	if r.last = len(r.slices); r.last < cap(r.slices) {
		r.slices = r.slices[:r.last+1]
	} else {
		r.slices = append(r.slices, routed{})
	}
	s := &r.slices[r.last]
	s.end, s.sel, s.hashes = end, s.sel[:0], s.hashes[:0]
	return s
}

// Process implements operator.Operator.
func (a *Aggregate) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	keys := make([]arrow.Array, len(a.keys))
	for i, k := range a.keys {
		keys[i] = b.Column(k)
	}
	if !a.global {
		a.hashes = compute.HashColumns(keys, b.Sel, a.hashes)
	}
	if err := a.split(b); err != nil {
		return err
	}
	for i := range a.route.slices {
		if err := a.addSlice(&a.route.slices[i], keys, b); err != nil {
			return fmt.Errorf("window: %w", err)
		}
	}
	if a.phase == jobgraph.Phase_PHASE_PARTIAL {
		return a.flushLarge()
	}
	return a.late.Emit(b, a.fired)
}

// split routes the rows of b to their slices and leaves late ones out.
func (a *Aggregate) split(b *stream.Batch) error {
	times := b.Column(a.time)
	if times.NullN() > 0 && hasNull(times, b.Sel) {
		return failure.Errorf(failure.BadData, "window: event time column %s is null in a row", b.Record.ColumnName(a.time))
	}
	var v []int64
	v, a.ints = compute.Integers(times, b.Sel, a.ints)
	a.route.reset()
	per := int64(1)
	if a.phase != jobgraph.Phase_PHASE_FINAL {
		per = unit(a.timeType)
	}
	from, to := int64(1), int64(0) // of the slice of the row before, from excluded
	var s *routed
	for i, t := range v {
		if t <= from || t > to {
			end := t
			if a.phase != jobgraph.Phase_PHASE_FINAL {
				end = a.slicing.sliceEnd(compute.Millis(a.timeType, t))
				from, to = (end-a.slicing.slice)*per-1, end*per-1
			}
			if s = nil; a.phase == jobgraph.Phase_PHASE_PARTIAL || !passed(a.slicing.lastWindow(end), a.fired) {
				s = a.route.at(end)
			}
		}
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if s == nil {
			a.late.Add(r)
			continue
		}
		s.sel = append(s.sel, r)
		if !a.global {
			s.hashes = append(s.hashes, a.hashes[i])
		}
	}
	return nil
}

func hasNull(a arrow.Array, sel []int32) bool {
	if sel == nil {
		return true
	}
	for _, r := range sel {
		if a.IsNull(int(r)) {
			return true
		}
	}
	return false
}

// addSlice aggregates the rows of a slice.
func (a *Aggregate) addSlice(s *routed, keys []arrow.Array, b *stream.Batch) error {
	rows, err := a.table.Namespace(s.end)
	if err != nil {
		return err
	}
	if s.slots, err = a.resolve(rows, keys, s.sel, s.hashes, s.slots); err != nil {
		return err
	}
	sel := s.sel
	if len(sel) == b.PhysicalRows() {
		sel = nil
	}
	in := b.Record.Columns()
	if a.phase == jobgraph.Phase_PHASE_FINAL {
		err = a.acc.Merge(rows.Values(), in[a.time+1:], sel, s.slots)
	} else {
		err = a.addCalls(s, rows, keys, in, sel)
	}
	if err != nil {
		return err
	}
	return a.charge(s.end, a.acc.Grown())
}

// addCalls adds the rows of a slice to every call, to those with DISTINCT only what
// the slice has not seen.
func (a *Aggregate) addCalls(s *routed, rows state.Rows, keys, in []arrow.Array, all []int32) error {
	for i, d := range a.distinct {
		sel, slots := all, s.slots
		if d.Distinct != nil {
			known, err := d.table.Namespace(s.end)
			if err != nil {
				return err
			}
			if sel, slots, err = d.Firsts(a.ctx.Alloc, known, keys, in, sel, slots); err != nil {
				return err
			}
		}
		if err := a.acc.AddCall(i, rows.Values(), in, sel, slots); err != nil {
			return err
		}
	}
	return nil
}

// resolve gives rows their slots, all the same where there are no keys.
func (a *Aggregate) resolve(rows state.Rows, keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) ([]int32, error) {
	if cap(slots) < len(sel) {
		slots = make([]int32, len(sel))
	}
	slots = slots[:len(sel)]
	if !a.global {
		return slots, rows.Resolve(keys, sel, hashes, slots)
	}
	clear(slots)
	if rows.Len() > 0 {
		rows.Touch(slots[:1])
		return slots, nil
	}
	key, err := compute.Constant(a.ctx.Alloc, a.keyTypes[0].Type, int64(0), 1)
	if err != nil {
		return slots, err
	}
	defer key.Release()
	one := []arrow.Array{key}
	return slots, rows.Resolve(one, nil, compute.HashColumns(one, nil, nil), make([]int32, 1))
}

// charge charges bytes that a slice holds outside its table.
func (a *Aggregate) charge(end, n int64) error {
	if n <= 0 {
		return nil
	}
	if err := a.ctx.Memory.Grow(n); err != nil {
		return err
	}
	a.charged[end] += n
	return nil
}

// chargeHeld charges what a restored slice holds.
func (a *Aggregate) chargeHeld(end int64) error {
	rows, err := a.table.Namespace(end)
	if err != nil {
		return fmt.Errorf("window: %w", err)
	}
	return a.charge(end, hashtable.Held(rows.Values()))
}
