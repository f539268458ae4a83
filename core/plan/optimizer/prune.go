package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// prune removes columns that nobody above reads, down to the scans.
func prune(n plan.Node) plan.Node {
	if sink, ok := n.(*plan.Sink); ok {
		return sink.WithInputs(prune(sink.Input))
	}
	return keep(n, span(len(n.Schema())))
}

// keep returns n with exactly the columns need, which ascend. With none, only the
// rows matter, and there may be some columns.
func keep(n plan.Node, need []int) plan.Node {
	switch n := n.(type) {
	case *plan.Scan:
		c := *n
		c.Columns = pick(n.Columns, need)
		return &c
	case *plan.Values:
		return keepValues(n, need)
	case *plan.Filter:
		return keepFilter(n, need)
	case *plan.Project:
		return keepProject(n, need)
	case *plan.Aggregate:
		return keepAggregate(n, need)
	case *plan.Expand:
		return keepExpand(n, need)
	case *plan.Unnest:
		return keepUnnest(n, need)
	case *plan.WindowAggregate:
		return keepWindow(n, need)
	case *plan.Join:
		return keepJoin(n, need)
	case *plan.LookupJoin:
		return keepLookup(n, need)
	case *plan.TemporalJoin:
		return keepTemporal(n, need)
	case *plan.Over:
		return keepOver(n, need)
	case *plan.Match:
		return keepMatch(n, need)
	case *plan.Sort:
		return keepSort(n, n.Keys, need)
	case *plan.TopN:
		return keepSort(n, n.Keys, need)
	case *plan.Limit:
		return narrow(n.WithInputs(keep(n.Input, some(need))), some(need), need)
	case *plan.Union:
		in := some(need)
		return narrow(plan.MapInputs(n, func(i plan.Node) plan.Node { return keep(i, in) }), in, need)
	case *plan.Watermark:
		return keepWatermark(n, need)
	case *plan.Materialize:
		return keepMaterialize(n, need)
	default: // WindowTVF: its input is read whole
		inputs := plan.MapInputs(n, func(in plan.Node) plan.Node { return keep(in, span(len(in.Schema()))) })
		return narrow(inputs, span(len(n.Schema())), need)
	}
}

// some is need, but never empty: exchanges carry at least one column.
func some(need []int) []int {
	if len(need) == 0 {
		return []int{0}
	}
	return need
}

// narrow projects n, which has the columns have, to need. Where only rows count,
// it spares the projection: there is none without columns.
func narrow(n plan.Node, have, need []int) plan.Node {
	if len(have) == len(need) || len(need) == 0 {
		return n
	}
	p := plan.Identity(n)
	exprs, names := p.Exprs, p.Names
	p.Exprs, p.Names = nil, nil
	for _, c := range need {
		at := rank(have, c)
		p.Exprs, p.Names = append(p.Exprs, exprs[at]), append(p.Names, names[at])
	}
	return p
}

// rank is the new position of old column c where only have are left.
func rank(have []int, c int) int {
	i, _ := slices.BinarySearch(have, c)
	return i
}

func pick(s datatype.Schema, need []int) datatype.Schema {
	out := make(datatype.Schema, len(need))
	for i, c := range need {
		out[i] = s[c]
	}
	return out
}

// union returns the columns of need and those that the expressions use.
func union(need []int, exprs ...expr.Expr) []int {
	all := slices.Clone(need)
	for _, e := range exprs {
		if e != nil {
			plan.EachColumn(e, func(c *expr.Column) { all = append(all, c.Index) })
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func renumber(e expr.Expr, have []int) expr.Expr {
	if e == nil {
		return nil
	}
	return plan.Renumber(e, func(c int) int { return rank(have, c) })
}

func ranks(columns, have []int) []int {
	out := make([]int, len(columns))
	for i, c := range columns {
		out[i] = rank(have, c)
	}
	return out
}

func keepValues(n *plan.Values, need []int) plan.Node {
	c := *n
	need = some(need)
	c.Columns, c.Rows = pick(n.Columns, need), make([][]*expr.Literal, len(n.Rows))
	for r, row := range n.Rows {
		for _, i := range need {
			c.Rows[r] = append(c.Rows[r], row[i])
		}
	}
	return &c
}

func keepFilter(n *plan.Filter, need []int) plan.Node {
	have := union(need, n.Cond)
	c := *n
	c.Input, c.Cond = keep(n.Input, have), renumber(n.Cond, have)
	return narrow(&c, have, need)
}

func keepProject(n *plan.Project, need []int) plan.Node {
	if len(need) == 0 {
		return keep(n.Input, nil)
	}
	c := *n
	c.Exprs, c.Names = nil, nil
	for _, i := range need {
		c.Exprs, c.Names = append(c.Exprs, n.Exprs[i]), append(c.Names, n.Names[i])
	}
	have := union(nil, c.Exprs...)
	c.Input = keep(n.Input, have)
	if len(c.Input.Schema()) != len(have) { // Values keep one column
		have = []int{0}
	}
	for i, e := range c.Exprs {
		c.Exprs[i] = renumber(e, have)
	}
	return &c
}

// keepAggregate keeps all keys, because they make the groups.
func keepAggregate(n *plan.Aggregate, need []int) plan.Node {
	have, calls := keptCalls(n.Keys, n.Calls, need)
	if len(calls) == 0 && len(n.Calls) > 0 && len(n.Keys) == 0 {
		calls = n.Calls[:1] // the one row must stay
		have = []int{0}
	}
	in := inputColumns(n.Keys, calls)
	c := *n
	c.Input, c.Keys, c.Calls = keep(n.Input, in), ranks(n.Keys, in), renumberCalls(calls, in)
	return narrow(&c, have, need)
}

// keptCalls returns the output columns that stay, and the calls among them.
func keptCalls(keys []int, all []plan.Call, need []int) ([]int, []plan.Call) {
	have := span(len(keys))
	var calls []plan.Call
	for i, c := range all {
		if slices.Contains(need, len(keys)+i) {
			have, calls = append(have, len(keys)+i), append(calls, c)
		}
	}
	return have, calls
}

func inputColumns(keys []int, calls []plan.Call) []int {
	in := slices.Clone(keys)
	for _, c := range calls {
		in = append(in, c.Args...)
		if c.Filter >= 0 {
			in = append(in, c.Filter)
		}
	}
	slices.Sort(in)
	return slices.Compact(in)
}

func renumberCalls(calls []plan.Call, have []int) []plan.Call {
	out := slices.Clone(calls)
	for i, c := range out {
		out[i].Args = ranks(c.Args, have)
		if c.Filter >= 0 {
			out[i].Filter = rank(have, c.Filter)
		}
	}
	return out
}

func keepWindow(n *plan.WindowAggregate, need []int) plan.Node {
	have, calls := keptCalls(n.Keys, n.Calls, need)
	c := *n
	c.Properties, c.Names = nil, nil
	for i, p := range n.Properties {
		if at := len(n.Keys) + len(n.Calls) + i; slices.Contains(need, at) {
			c.Properties, c.Names = append(c.Properties, p), append(c.Names, n.Names[i])
			have = append(have, at)
		}
	}
	in := inputColumns(append(slices.Clone(n.Keys), n.Time), calls)
	c.Input, c.Keys, c.Calls, c.Time = keep(n.Input, in), ranks(n.Keys, in), renumberCalls(calls, in), rank(in, n.Time)
	return narrow(&c, have, need)
}

// keepOver keeps the calls that are needed, and nothing of the node without any.
func keepOver(n *plan.Over, need []int) plan.Node {
	width := len(n.Input.Schema())
	var in, have []int
	var calls []plan.Call
	c := *n
	c.Calls = nil
	for _, i := range need {
		if i < width {
			in = append(in, i)
			continue
		}
		c.Calls, calls, have = append(c.Calls, n.Calls[i-width]), append(calls, n.Calls[i-width].Call), append(have, i)
	}
	if len(c.Calls) == 0 {
		return keep(n.Input, need)
	}
	in = append(in, inputColumns(n.Partition, calls)...)
	for _, k := range n.Order {
		in = append(in, k.Column)
	}
	in = sorted(in)
	have = append(slices.Clone(in), have...)
	c.Input, c.Partition, c.Order = keep(n.Input, in), ranks(n.Partition, in), slices.Clone(n.Order)
	for i := range c.Order {
		c.Order[i].Column = rank(in, n.Order[i].Column)
	}
	for i, call := range renumberCalls(calls, in) {
		c.Calls[i].Call = call
	}
	return narrow(&c, have, need)
}

// keepExpand keeps all keys and the grouping id.
func keepExpand(n *plan.Expand, need []int) plan.Node {
	width := len(n.Input.Schema())
	in := slices.Clone(n.Keys)
	for _, c := range need {
		if c < width {
			in = append(in, c)
		}
	}
	in = sorted(in)
	c := *n
	c.Input, c.Keys = keep(n.Input, in), ranks(n.Keys, in)
	return narrow(&c, append(in, width), need)
}

func keepJoin(n *plan.Join, need []int) plan.Node {
	left, right, have := sides(len(n.Left.Schema()), union(need, n.Residual), n.LeftKeys, n.RightKeys)
	c := *n
	c.Left, c.Right = keep(n.Left, left), keep(n.Right, right)
	c.LeftKeys, c.RightKeys = ranks(n.LeftKeys, left), ranks(n.RightKeys, right)
	c.Residual = renumber(n.Residual, have)
	if n.Kind == plan.Semi || n.Kind == plan.Anti {
		have = left
	}
	return narrow(&c, have, need)
}

func sorted(columns []int) []int {
	slices.Sort(columns)
	return some(slices.Compact(columns))
}

// keepSort keeps the sort keys as long as they are needed.
func keepSort(n plan.Node, keys []plan.SortKey, need []int) plan.Node {
	have := slices.Clone(need)
	for _, k := range keys {
		have = append(have, k.Column)
	}
	slices.Sort(have)
	have = slices.Compact(have)
	moved := slices.Clone(keys)
	for i := range moved {
		moved[i].Column = rank(have, moved[i].Column)
	}
	in := keep(n.Inputs()[0], have)
	switch n := n.(type) {
	case *plan.Sort:
		return narrow(&plan.Sort{Place: n.Place, Input: in, Keys: moved}, have, need)
	case *plan.TopN:
		return narrow(&plan.TopN{Place: n.Place, Input: in, Keys: moved, Offset: n.Offset, Count: n.Count}, have, need)
	}
	return n
}

// keepMaterialize keeps the keys, by which rows are told apart.
func keepMaterialize(n *plan.Materialize, need []int) plan.Node {
	have := union(append(slices.Clone(need), n.Keys...))
	c := *n
	c.Input, c.Keys = keep(n.Input, have), nil
	for _, k := range n.Keys {
		c.Keys = append(c.Keys, rank(have, k))
	}
	return narrow(&c, have, need)
}

func keepWatermark(n *plan.Watermark, need []int) plan.Node {
	have := union(append(slices.Clone(need), n.Column), n.Expr)
	c := *n
	c.Input, c.Column, c.Expr = keep(n.Input, have), rank(have, n.Column), renumber(n.Expr, have)
	return narrow(&c, have, need)
}
