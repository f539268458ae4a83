package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// Distinct lets the first row of each group and value through. What it has seen
// is in a table without values, which its owner gives it: one for all groups, or
// one for each namespace. Groups are told by their slot; in keyed state, where
// rows must stay with their key group, by their key.
type Distinct struct {
	call    *call
	groups  datatype.Schema // key columns of the group
	values  datatype.Schema // the call's arguments
	byKey   bool
	hashes  []uint64
	slots   []int32
	results struct{ sel, slots []int32 }
}

// Distinct returns what the i-th call needs for DISTINCT, nil if it needs
// nothing. in are the input columns, groups the key columns; byKey says that the
// table is keyed state.
func (a *Accumulators) Distinct(i int, groups, in datatype.Schema, byKey bool) (*Distinct, error) {
	c := &a.calls[i]
	if !c.distinct {
		return nil, nil
	}
	d := &Distinct{call: c, groups: groups, byKey: byKey}
	for _, arg := range c.args {
		if arg >= len(in) {
			return nil, fmt.Errorf("%s: argument column %d of %d", c.name, arg, len(in))
		}
		d.values = append(d.values, in[arg])
	}
	return d, nil
}

// Columns are the key columns of the table.
func (d *Distinct) Columns() datatype.Schema {
	keys := d.groups
	if !d.byKey {
		keys = datatype.Schema{{Name: "group", Type: datatype.Of(datatype.Int).NotNull()}}
	}
	return append(keys[:len(keys):len(keys)], d.values...)
}

// Firsts narrows rows, which have the slots of their groups, to those whose group
// and value are not in seen yet, and adds them there. keys are the group's key
// columns, none where there is one group. seen must be a table of which no key is
// removed: new keys are told by their slots, which then follow each other. The result
// is valid until the next call.
func (d *Distinct) Firsts(mem memory.Allocator, seen state.Rows, keys, in []arrow.Array, sel, slots []int32) ([]int32, []int32, error) {
	args := make([]arrow.Array, len(d.call.args))
	for i, a := range d.call.args {
		args[i] = in[a]
	}
	sel, slots = d.call.wanted(in, args, sel, slots)
	return d.firsts(mem, seen, keys, args, sel, slots)
}

// firsts is Firsts for arguments without null, past the filter.
func (d *Distinct) firsts(mem memory.Allocator, seen state.Rows, keys, args []arrow.Array, sel, slots []int32) ([]int32, []int32, error) {
	if len(slots) == 0 {
		return sel, slots, nil
	}
	columns, err := d.columns(mem, keys, args, sel, slots)
	defer func() { compute.ReleaseAll(columns) }()
	if err != nil {
		return nil, nil, err
	}
	next := int32(seen.Len())
	d.hashes = compute.HashColumns(columns, nil, d.hashes)
	if cap(d.slots) < len(slots) {
		d.slots = make([]int32, len(slots))
	}
	d.slots = d.slots[:len(slots)]
	if err := seen.Resolve(columns, nil, d.hashes, d.slots); err != nil {
		return nil, nil, fmt.Errorf("distinct values of %s: %w", d.call.name, err)
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
func (d *Distinct) columns(mem memory.Allocator, keys, args []arrow.Array, sel, slots []int32) (out []arrow.Array, err error) {
	switch {
	case !d.byKey:
		b := array.NewInt32Builder(mem)
		defer b.Release()
		b.AppendValues(slots, nil)
		out = append(out, b.NewArray())
	case len(keys) == 0:
		zero, err := compute.Constant(mem, d.groups[0].Type, int64(0), len(slots))
		if err != nil {
			return nil, err
		}
		out = append(out, zero)
	default:
		args = append(keys[:len(keys):len(keys)], args...)
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
