package over

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

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
// level with a slot a partition.
type tree struct {
	ctx     *operator.Context
	acc     *aggregate.Accumulators
	f       *frames
	levels  [][]arrow.Array // accumulator columns
	slots   []int32         // of whole partitions, by row
	charged int64
}

func newTree(c *jobgraph.OverCall, p *partitions, ctx *operator.Context) (column, error) {
	acc, err := aggregate.NewAccumulators([]*jobgraph.AggregateCall{c.Call})
	if err != nil {
		return nil, err
	}
	t := &tree{ctx: ctx, acc: acc}
	if t.f, err = p.frames(c.Frame); err != nil {
		return nil, err
	}
	if err := t.build(p); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// build adds the rows to the lowest level, then merges up.
func (t *tree) build(p *partitions) error {
	slots := make([]int32, p.rows)
	count := 0
	for i := range slots {
		if !t.f.whole || int(p.start[i]) == i {
			count++
		}
		slots[i] = int32(count - 1)
	}
	if t.f.whole {
		t.slots = slots
	}
	level, err := t.level(count, func(values []*state.Column) error {
		return t.acc.Add(values, p.record.Columns(), nil, slots)
	})
	if err != nil {
		return err
	}
	for n := count; n > 1 && !t.f.whole; {
		half := (n + 1) / 2
		up := slots[:n]
		for i := range up {
			up[i] = int32(i / 2)
		}
		below := level
		level, err = t.level(half, func(values []*state.Column) error { return t.acc.Merge(values, below, nil, up) })
		if err != nil {
			return err
		}
		n = half
	}
	return nil
}

// level appends a level of n slots that fill fills.
func (t *tree) level(n int, fill func([]*state.Column) error) ([]arrow.Array, error) {
	charge := int64(n) * slotBytes * int64(len(t.acc.Columns()))
	if err := t.ctx.Memory.Grow(charge); err != nil {
		return nil, err
	}
	t.charged += charge
	values, err := t.columns(n)
	if err != nil {
		return nil, err
	}
	if err := fill(values); err != nil {
		return nil, err
	}
	out, err := t.acc.Partials(t.ctx.Alloc, values, 0, n)
	if err != nil {
		return nil, err
	}
	t.levels = append(t.levels, out)
	return out, nil
}

// columns are n empty slots.
func (t *tree) columns(n int) ([]*state.Column, error) {
	out := make([]*state.Column, len(t.acc.Columns()))
	for i, f := range t.acc.Columns() {
		c, err := hashtable.NewColumn(f.Type)
		if err != nil {
			return nil, err
		}
		c.Valid = make([]bool, n)
		switch hashtable.StorageOf(f.Type) {
		case hashtable.Integer:
			c.Int64 = make([]int64, n)
		case hashtable.Real:
			c.Float64 = make([]float64, n)
		case hashtable.Wide:
			c.Dec128 = make([]decimal128.Num, n)
		default:
			c.Bytes = make([][]byte, n)
		}
		out[i] = c
	}
	return out, nil
}

func (t *tree) values(from, to int) (arrow.Array, error) {
	values, err := t.columns(to - from)
	if err != nil {
		return nil, err
	}
	slots := make([]int32, to-from)
	for i := range slots {
		slots[i] = int32(i)
	}
	if t.f.whole {
		err = t.acc.Merge(values, t.levels[0], t.slots[from:to], slots)
	} else {
		err = t.query(values, t.f.from[from:to], t.f.to[from:to])
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

func (t *tree) release() {
	for _, l := range t.levels {
		compute.ReleaseAll(l)
	}
	t.levels = nil
	t.ctx.Memory.Shrink(t.charged)
	t.charged = 0
}
