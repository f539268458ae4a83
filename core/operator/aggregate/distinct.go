package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// distinct lets the first row of each group and value through. Groups are told
// by their slot; in keyed state, which must stay together with its key group, by
// their key.
type distinct struct {
	call    *call
	id      uint16
	groups  datatype.Schema // key columns of the group
	values  datatype.Schema // the call's arguments
	byKey   bool
	own     *Aggregate
	rows    state.Rows
	table   *hashtable.Table
	hashes  []uint64
	slots   []int32
	results struct{ sel, slots []int32 }
}

func newDistinct(i int, c *call, groups, in datatype.Schema) (*distinct, error) {
	d := &distinct{call: c, id: stateTable + 1 + uint16(i), groups: groups}
	for _, a := range c.args {
		if a >= len(in) {
			return nil, fmt.Errorf("%s: argument column %d of %d", c.name, a, len(in))
		}
		d.values = append(d.values, in[a])
	}
	return d, nil
}

func (d *distinct) open(a *Aggregate) (err error) {
	d.own, d.byKey = a, a.ctx.State != nil
	keys := d.groups
	if !d.byKey {
		keys = datatype.Schema{{Name: "group", Type: datatype.Of(datatype.Int).NotNull()}}
	}
	keys = append(keys[:len(keys):len(keys)], d.values...)
	if d.rows, err = a.openRows(d.id, keys, nil); err != nil {
		return fmt.Errorf("%s: %w", d.call.name, err)
	}
	if r, ok := d.rows.(hashtable.Rows); ok && !d.byKey {
		d.table = r.Table
	}
	return nil
}

// firsts narrows rows to those whose group and value had not come before.
func (d *distinct) firsts(keys, in []arrow.Array, sel, slots []int32) ([]int32, []int32, error) {
	args := make([]arrow.Array, len(d.call.args))
	for i, a := range d.call.args {
		args[i] = in[a]
	}
	sel, slots = d.call.wanted(in, args, sel, slots)
	if len(slots) == 0 {
		return sel, slots, nil
	}
	columns, err := d.columns(keys, args, sel, slots)
	defer func() { compute.ReleaseAll(columns) }()
	if err != nil {
		return nil, nil, err
	}
	next := int32(d.rows.Len())
	d.hashes = compute.HashColumns(columns, nil, d.hashes)
	if cap(d.slots) < len(slots) {
		d.slots = make([]int32, len(slots))
	}
	d.slots = d.slots[:len(slots)]
	if err := d.rows.Resolve(columns, nil, d.hashes, d.slots); err != nil {
		return nil, nil, fmt.Errorf("distinct values: %w", err)
	}
	outSel, outSlots := d.results.sel[:0], d.results.slots[:0]
	for i, s := range d.slots { // slots are given in the order of first appearance
		if s != next {
			continue
		}
		next++
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		outSel, outSlots = append(outSel, r), append(outSlots, slots[i])
	}
	d.results.sel, d.results.slots = outSel, outSlots
	return outSel, outSlots, nil
}

// columns are group and value of the rows, dense.
func (d *distinct) columns(keys, args []arrow.Array, sel, slots []int32) (out []arrow.Array, err error) {
	mem := d.own.ctx.Alloc
	switch {
	case !d.byKey || d.own.global:
		b := array.NewInt32Builder(mem)
		defer b.Release()
		b.AppendValues(slots, nil)
		out = append(out, b.NewArray())
	default:
		args = append(keys[:len(keys):len(keys)], args...)
	}
	if d.byKey && d.own.global {
		compute.ReleaseAll(out)
		zero, err := compute.Constant(mem, d.groups[0].Type, int64(0), len(slots))
		if err != nil {
			return nil, err
		}
		out = []arrow.Array{zero}
	}
	for _, a := range args {
		dense, err := compute.Take(mem, a, sel)
		if err != nil {
			return out, err
		}
		out = append(out, dense)
	}
	return out, nil
}

func (d *distinct) close() {
	if d.table != nil {
		d.table.Release()
		d.table = nil
	}
}
