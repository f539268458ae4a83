package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// keepMatch keeps the measures that are needed, and the columns that they, the conditions
// and the order read.
func keepMatch(n *plan.Match, need []int) plan.Node {
	c := *n
	c.Measures = nil
	have := span(len(n.Partition))
	for i, r := range n.Measures {
		if at := len(n.Partition) + i; slices.Contains(need, at) {
			have, c.Measures = append(have, at), append(c.Measures, r)
		}
	}
	if len(have) == 0 { // a match is a row: it has a column
		have, c.Measures = []int{0}, n.Measures[:1:1]
	}
	width := len(n.Input.Schema())
	in := slices.Clone(n.Partition)
	for _, k := range n.Order {
		in = append(in, k.Column)
	}
	in = append(in, referenced(c.Measures)...)
	for _, v := range n.Variables {
		in = append(in, referenced(v.References)...)
		for _, used := range union(nil, v.Define) {
			if used < width {
				in = append(in, used)
			}
		}
	}
	in = sorted(in)
	c.Input, c.Partition, c.Measures = keep(n.Input, in), ranks(n.Partition, in), moved(c.Measures, in)
	c.Order, c.Variables = slices.Clone(n.Order), slices.Clone(n.Variables)
	for i := range c.Order {
		c.Order[i].Column = rank(in, c.Order[i].Column)
	}
	for i, v := range c.Variables {
		c.Variables[i].References = moved(v.References, in)
		if v.Define == nil {
			continue
		}
		c.Variables[i].Define = plan.ReplaceColumns(v.Define, func(col *expr.Column) expr.Expr {
			at := len(in) + col.Index - width
			if col.Index < width {
				at = rank(in, col.Index)
			}
			return &expr.Column{Index: at, Name: col.Name, T: col.T}
		})
	}
	return narrow(&c, have, need)
}

// referenced are the columns that references read.
func referenced(refs []plan.MatchReference) (columns []int) {
	for _, r := range refs {
		if r.Call.Function == "" {
			columns = append(columns, r.Column)
		} else {
			columns = append(columns, r.Call.Args...)
		}
	}
	return columns
}

func moved(refs []plan.MatchReference, have []int) []plan.MatchReference {
	out := slices.Clone(refs)
	for i, r := range out {
		if r.Call.Function == "" {
			out[i].Column = rank(have, r.Column)
		} else {
			out[i].Call.Args = ranks(r.Call.Args, have)
		}
	}
	return out
}
