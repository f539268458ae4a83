package over

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/state"
)

// slotBytes is what a slot of one accumulator column takes, roughly.
const slotBytes = 17

// tree is an aggregate over frames: levels of accumulators, each slot over the
// two below it, the lowest over single rows. For whole partitions it has one
// level with a slot a partition; where accumulators add up, the slots of a single
// level are totals up to their rows: frames that begin with the partition are one
// of them, others the difference of two, if no rounding spoils it.
type tree struct {
	ctx   *operator.Context
	acc   *aggregate.Accumulators
	f     *frames
	whole bool // frames are partitions
	total bool // frames are running totals
	apart bool // frames are differences of running totals

	s       *section
	levels  [][]arrow.Array // accumulator columns
	totals  []*state.Column
	present [][]int32 // how many values each total is of
	slots   []int32
	charged int64

	carry  []arrow.Array   // one row: over what is gone of the partition
	noted  [][]arrow.Array // one row each: over batches of a partition in a file
	suffix []arrow.Array   // over batches from the n-th on
}

func newTree(c *jobgraph.OverCall) (*tree, error) {
	acc, err := aggregate.NewAccumulators([]*jobgraph.AggregateCall{c.Call})
	if err != nil {
		return nil, err
	}
	t := &tree{acc: acc, f: newFrames(c.Frame)}
	t.whole = t.f.fromStart() && t.f.toEnd()
	t.total = t.f.fromStart() && !t.whole && additive(c.Call)
	t.apart = !t.f.fromStart() && !t.f.toEnd() && additive(c.Call) && exact(acc.Columns())
	return t, nil
}

// bind computes the levels.
func (t *tree) bind(s *section) error {
	t.s = s
	t.f.bind(s)
	if t.whole && s.foreseen != nil {
		return nil
	}
	if t.whole {
		return t.bindWhole()
	}
	t.slots = resize(t.slots, s.rows)
	number(t.slots)
	leaves := t.columns(s.rows)
	if err := t.acc.Add(leaves, s.record.Columns(), nil, t.slots); err != nil {
		return err
	}
	if t.total || t.apart {
		return t.bindTotals(leaves)
	}
	return t.build(leaves)
}

// bindTotals makes running totals of the leaves.
func (t *tree) bindTotals(leaves []*state.Column) error {
	t.totals = leaves
	if t.total && t.s.before > 0 {
		if err := t.acc.Merge(leaves, t.carry, zeros(1), zeros(1)); err != nil {
			return err
		}
	}
	if t.apart && t.present == nil {
		t.present = make([][]int32, len(leaves))
	}
	for i, c := range leaves {
		if t.apart {
			t.present[i] = count(c.Valid, t.s.start, t.present[i])
		}
		accumulate(c, t.s.start)
	}
	return t.charge()
}

// bindWhole has a slot for each partition.
func (t *tree) bindWhole() error {
	t.slots = resize(t.slots, t.s.rows)
	count := int32(0)
	for i, start := range t.s.start {
		if int(start) == i {
			count++
		}
		t.slots[i] = count - 1
	}
	values := t.columns(int(count))
	if err := t.acc.Add(values, t.s.record.Columns(), nil, t.slots); err != nil {
		return err
	}
	return t.level(values)
}

// build merges the leaves up.
func (t *tree) build(leaves []*state.Column) error {
	if err := t.level(leaves); err != nil {
		return err
	}
	up := make([]int32, t.s.rows)
	for i := range up {
		up[i] = int32(i / 2)
	}
	for n := t.s.rows; n > 1; {
		half := (n + 1) / 2
		values := t.columns(half)
		if err := t.acc.Merge(values, t.levels[len(t.levels)-1], nil, up[:n]); err != nil {
			return err
		}
		if err := t.level(values); err != nil {
			return err
		}
		n = half
	}
	return nil
}

// level appends a level.
func (t *tree) level(values []*state.Column) error {
	out, err := t.acc.Partials(t.ctx.Alloc, values, 0, len(values[0].Valid))
	if err != nil {
		return err
	}
	t.levels = append(t.levels, out)
	return t.charge()
}

// charge charges what values outside of arrays have grown.
func (t *tree) charge() error {
	n := t.acc.Grown()
	if n <= 0 {
		return nil
	}
	if err := t.ctx.Memory.Grow(n); err != nil {
		return err
	}
	t.charged += n
	return nil
}

// columns are n empty slots.
func (t *tree) columns(n int) []*state.Column {
	out := make([]*state.Column, len(t.acc.Columns()))
	for i, f := range t.acc.Columns() {
		out[i] = hashtable.NullColumn(f.Type, n)
	}
	return out
}

func (t *tree) ready() int        { return t.f.ready(t.s) }
func (t *tree) keep(next int) int { return t.f.keep(t.s, next) }

func (t *tree) values(from, to int) (arrow.Array, error) {
	values := t.columns(to - from)
	var err error
	switch {
	case t.whole && t.s.foreseen != nil:
		slots := make([]int32, to-from)
		number(slots)
		err = t.acc.Merge(values, t.suffix, zeros(to-from), slots)
	case t.whole:
		slots := make([]int32, to-from)
		number(slots)
		err = t.acc.Merge(values, t.levels[0], t.slots[from:to], slots)
	case t.total:
		t.takeTotals(values, from, to)
	case t.apart:
		for i, c := range values {
			subtract(c, t.totals[i], t.present[i], t.s.start[from:to], t.f.from[from:to], t.f.to[from:to])
		}
	default:
		err = t.frames(values, from, to)
	}
	if err != nil {
		return nil, err
	}
	out, err := t.acc.Results(t.ctx.Alloc, values, 0, to-from)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// takeTotals takes the totals at the ends of frames.
func (t *tree) takeTotals(values []*state.Column, from, to int) {
	rows := make([]int32, to-from)
	for i := range rows {
		rows[i] = t.f.to[from+i] - 1
		if rows[i] < t.s.start[from+i] {
			rows[i] = -1
		}
	}
	for i, c := range values {
		copySlots(c, t.totals[i], rows)
	}
}

// frames merges what is gone, the nodes of the frames, and what is to come.
func (t *tree) frames(values []*state.Column, from, to int) error {
	var past, all []int32
	for i := from; i < to; i++ {
		if t.f.fromStart() && t.s.carried(i) {
			past = append(past, int32(i-from))
		}
	}
	if len(past) > 0 {
		if err := t.acc.Merge(values, t.carry, zeros(len(past)), past); err != nil {
			return err
		}
	}
	if err := t.query(values, t.f.from[from:to], t.f.to[from:to]); err != nil {
		return err
	}
	if t.s.foreseen == nil || !t.f.toEnd() {
		return nil
	}
	all = make([]int32, to-from)
	number(all)
	at := make([]int32, to-from)
	for i := range at {
		at[i] = int32(t.s.foreseen.chunks)
	}
	return t.acc.Merge(values, t.suffix, at, all)
}

// nodes are the nodes of one level that slots take.
type nodes struct{ node, slot []int32 }

// query merges into each slot the nodes of its frame in the order of rows: up the
// left edges, then down the right ones.
func (t *tree) query(values []*state.Column, from, to []int32) error {
	left, right := append([]int32(nil), from...), append([]int32(nil), to...)
	down := make([]nodes, len(t.levels))
	for l := range t.levels {
		var up nodes
		for i := range left {
			if left[i] >= right[i] {
				continue
			}
			if left[i]&1 == 1 {
				up.node, up.slot = append(up.node, left[i]), append(up.slot, int32(i))
				left[i]++
			}
			if right[i]&1 == 1 && left[i] < right[i] {
				right[i]--
				down[l].node, down[l].slot = append(down[l].node, right[i]), append(down[l].slot, int32(i))
			}
			left[i], right[i] = left[i]>>1, right[i]>>1
		}
		if err := t.acc.Merge(values, t.levels[l], up.node, up.slot); err != nil {
			return err
		}
	}
	for l := len(down) - 1; l >= 0; l-- {
		if err := t.acc.Merge(values, t.levels[l], down[l].node, down[l].slot); err != nil {
			return err
		}
	}
	return nil
}

// drop carries on the accumulators over the rows that leave.
func (t *tree) drop(from, to int) (err error) {
	if !t.f.fromStart() || t.whole {
		return nil
	}
	values := t.totals
	at := to - 1
	if !t.total {
		at = 0
		values = t.columns(1)
		if t.s.carried(from) {
			if err := t.acc.Merge(values, t.carry, zeros(1), zeros(1)); err != nil {
				return err
			}
		}
		if err := t.query(values, []int32{int32(from)}, []int32{int32(to)}); err != nil {
			return err
		}
	}
	carry, err := t.acc.Partials(t.ctx.Alloc, values, at, at+1)
	if err != nil {
		return err
	}
	compute.ReleaseAll(t.carry)
	t.carry = carry
	return nil
}

// note implements foreteller.
func (t *tree) note(record arrow.RecordBatch) error {
	if !t.f.toEnd() {
		return nil
	}
	values := t.columns(1)
	if err := t.acc.Add(values, record.Columns(), nil, zeros(int(record.NumRows()))); err != nil {
		return err
	}
	one, err := t.acc.Partials(t.ctx.Alloc, values, 0, 1)
	if err != nil {
		return err
	}
	t.noted = append(t.noted, one)
	return nil
}

// foresee merges the notes from the last one on.
func (t *tree) foresee() (err error) {
	if !t.f.toEnd() {
		return nil
	}
	n := len(t.noted)
	values := t.columns(n + 1)
	for i := n - 1; i >= 0; i-- {
		if err := t.acc.Merge(values, t.noted[i], zeros(1), []int32{int32(i)}); err != nil {
			return err
		}
		after, err := t.acc.Partials(t.ctx.Alloc, values, i+1, i+2)
		if err != nil {
			return err
		}
		err = t.acc.Merge(values, after, zeros(1), []int32{int32(i)})
		compute.ReleaseAll(after)
		if err != nil {
			return err
		}
	}
	t.suffix, err = t.acc.Partials(t.ctx.Alloc, values, 0, n+1)
	return err
}

func (t *tree) forget() {
	for _, one := range t.noted {
		compute.ReleaseAll(one)
	}
	compute.ReleaseAll(t.suffix)
	t.noted, t.suffix = nil, nil
}

func (t *tree) free() {
	for _, l := range t.levels {
		compute.ReleaseAll(l)
	}
	t.levels, t.totals, t.s = nil, nil, nil
	t.ctx.Memory.Shrink(t.charged)
	t.charged = 0
}

func (t *tree) shed() {
	t.slots, t.present = nil, nil
	t.f.shed()
}

func (t *tree) release() {
	if t.ctx == nil {
		return
	}
	t.free()
	t.forget()
	compute.ReleaseAll(t.carry)
	t.carry = nil
}

func number(rows []int32) {
	for i := range rows {
		rows[i] = int32(i)
	}
}

func zeros(n int) []int32 { return make([]int32, n) }
