package aggregate

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
)

// accumulator is one function over its columns of a table. Rows come as
// positions of sel (nil: all) with a slot each; where the function skips nulls
// they are gone already.
type accumulator interface {
	// types are those of the accumulator columns.
	types() []datatype.Type
	// add takes rows of the arguments.
	add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error
	// merge takes rows of accumulator columns.
	merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error
	// result finishes slots [from, to).
	result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error)
}

// keeper is an accumulator that keeps bytes outside the table's arrays.
type keeper interface {
	// grown is how many more it keeps since the last call.
	grown() int64
}

// AccumulatorTypes returns the types of a call's accumulator columns: what a
// partial phase emits for it.
func AccumulatorTypes(c *jobgraph.AggregateCall) ([]datatype.Type, error) {
	a, err := newAccumulator(c)
	if err != nil {
		return nil, err
	}
	return a.types(), nil
}

// Splittable reports whether a call may run as a partial and a final phase.
func Splittable(c *jobgraph.AggregateCall) bool {
	return !NeedsDistinct(c) && c.Function != "SINGLE_VALUE"
}

// NeedsDistinct reports whether repeated values must be kept away from a call.
func NeedsDistinct(c *jobgraph.AggregateCall) bool {
	switch c.Function {
	case "MIN", "MAX", "ANY_VALUE", "FIRST_VALUE", "BOOL_AND", "BOOL_OR", "EVERY", "SOME":
		return false
	case "APPROX_COUNT_DISTINCT":
		return true
	default:
		return c.Distinct
	}
}

// Accumulators are the calls of an aggregate. They belong to one operator.
type Accumulators struct {
	calls   []call
	columns datatype.Schema
}

// call is one aggregate call with its place in the table.
type call struct {
	accumulator
	name   string
	args   []int
	filter int // input column, -1: none
	nulls  bool
	// distinct says that repeated values must be kept away.
	distinct bool
	first    int // its first value column
	count    int

	sel   []int32
	slots []int32
	flags []bool
	ints  []int64
}

// NewAccumulators plans calls over input columns. A final phase, whose input
// is accumulators, ignores arguments and filters.
func NewAccumulators(calls []*jobgraph.AggregateCall) (*Accumulators, error) {
	return planCalls(calls, newAccumulator)
}

func planCalls(calls []*jobgraph.AggregateCall, accumulatorOf func(*jobgraph.AggregateCall) (accumulator, error)) (*Accumulators, error) {
	a := &Accumulators{}
	for i, c := range calls {
		acc, err := accumulatorOf(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		one := call{
			accumulator: acc, name: c.Function, filter: int(c.Filter), first: len(a.columns), distinct: NeedsDistinct(c),
			nulls: c.Function == "ARRAY_AGG" || c.Function == "SINGLE_VALUE",
		}
		for _, arg := range c.Args {
			one.args = append(one.args, int(arg))
		}
		for j, t := range acc.types() {
			a.columns = append(a.columns, datatype.Field{Name: fmt.Sprintf("acc%d_%d", i, j), Type: t})
		}
		one.count = len(a.columns) - one.first
		a.calls = append(a.calls, one)
	}
	return a, nil
}

// Columns are the accumulator columns of all calls: a table's value columns.
func (a *Accumulators) Columns() datatype.Schema { return a.columns }

// Calls is the number of calls.
func (a *Accumulators) Calls() int { return len(a.calls) }

// Add takes the rows of sel (nil: all) of input columns into the slots.
func (a *Accumulators) Add(values []*state.Column, in []arrow.Array, sel, slots []int32) error {
	for i := range a.calls {
		if err := a.AddCall(i, values, in, sel, slots); err != nil {
			return err
		}
	}
	return nil
}

// AddCall is Add for the i-th call alone.
func (a *Accumulators) AddCall(i int, values []*state.Column, in []arrow.Array, sel, slots []int32) error {
	c := &a.calls[i]
	args := make([]arrow.Array, len(c.args))
	for j, arg := range c.args {
		args[j] = in[arg]
	}
	sel, slots = c.wanted(in, args, sel, slots)
	return a.addArgs(i, values, args, sel, slots)
}

// addArgs is AddCall for arguments without null, past the filter.
func (a *Accumulators) addArgs(i int, values []*state.Column, args []arrow.Array, sel, slots []int32) error {
	if len(slots) == 0 {
		return nil
	}
	c := &a.calls[i]
	if err := c.add(values[c.first:c.first+c.count], args, sel, slots); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// Grown is how many bytes values outside the table's arrays have grown since the
// last call: what the owner charges beside the table.
func (a *Accumulators) Grown() int64 {
	n := int64(0)
	for i := range a.calls {
		if k, ok := a.calls[i].accumulator.(keeper); ok {
			n += k.grown()
		}
	}
	return n
}

// wanted drops the rows that the filter refuses and, where the function skips
// them, those with a null argument.
func (c *call) wanted(in, args []arrow.Array, sel, slots []int32) ([]int32, []int32) {
	if c.nothing(in, args) {
		return nil, nil
	}
	if c.filter >= 0 {
		sel, slots = c.keep(sel, slots, c.truth(in[c.filter], sel))
	}
	if c.nulls {
		return sel, slots
	}
	for _, a := range args {
		if valid := compute.Validity(a, sel, c.flags); valid != nil {
			c.flags = valid
			sel, slots = c.keep(sel, slots, valid)
		}
	}
	return sel, slots
}

// nothing reports whether no row can be wanted, for its filter or an argument is null in
// all: so are most columns of rows that were expanded to be grouped by one value each.
func (c *call) nothing(in, args []arrow.Array) bool {
	if c.filter >= 0 && allNull(in[c.filter]) {
		return true
	}
	return !c.nulls && slices.ContainsFunc(args, allNull)
}

func allNull(a arrow.Array) bool { return a.NullN() == a.Len() }

// keep narrows rows to those that are flagged.
func (c *call) keep(sel, slots []int32, flags []bool) ([]int32, []int32) {
	n := len(slots)
	if cap(c.sel) < n {
		c.sel, c.slots = make([]int32, n), make([]int32, n)
	}
	outSel, outSlots := c.sel[:n], c.slots[:n] // may be sel and slots themselves: writes stay behind reads
	at := 0
	for i, s := range slots {
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		outSel[at], outSlots[at] = r, s
		if flags[i] {
			at++
		}
	}
	return outSel[:at], outSlots[:at]
}

// truth flags the rows of a boolean column that are true, not false and not null.
func (c *call) truth(a arrow.Array, sel []int32) []bool {
	var v []int64
	v, c.ints = compute.Integers(a, sel, c.ints)
	valid := compute.Validity(a, sel, nil)
	if cap(c.flags) < len(v) {
		c.flags = make([]bool, len(v))
	}
	c.flags = c.flags[:len(v)]
	for i, x := range v {
		c.flags[i] = x != 0 && (valid == nil || valid[i])
	}
	return c.flags
}

// Merge takes rows of accumulator columns, as a partial phase emits them.
func (a *Accumulators) Merge(values []*state.Column, in []arrow.Array, sel, slots []int32) error {
	return a.mergeWhere(func(int) bool { return true }, values, in, sel, slots)
}

// mergeWhere is Merge for some of the calls.
func (a *Accumulators) mergeWhere(wanted func(int) bool, values []*state.Column, in []arrow.Array, sel, slots []int32) error {
	if len(slots) == 0 {
		return nil
	}
	for i := range a.calls {
		if !wanted(i) {
			continue
		}
		c := &a.calls[i]
		acc := values[c.first : c.first+c.count]
		if err := c.merge(acc, in[c.first:c.first+c.count], sel, slots); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// Results finishes slots [from, to): one column a call, the caller's.
func (a *Accumulators) Results(mem memory.Allocator, values []*state.Column, from, to int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(a.calls))
	for i := range a.calls {
		c := &a.calls[i]
		col, err := c.result(mem, values[c.first:c.first+c.count], from, to)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out = append(out, col)
	}
	return out, nil
}

// Partials returns the accumulator columns of slots [from, to), the caller's.
func (a *Accumulators) Partials(mem memory.Allocator, values []*state.Column, from, to int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(values))
	for _, c := range values {
		col, err := toArrow(mem, c, from, to)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out = append(out, col)
	}
	return out, nil
}
