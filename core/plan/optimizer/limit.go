package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// maxPreserved is up to how many rows a limit moves below an outer join: what is above
// it runs in one task.
const maxPreserved = 10_000

// limits moves limits below projections, into unions and to the side that an outer
// join preserves, tells scans how many rows suffice, and makes a sort below a limit a
// top-n.
func limits(n plan.Node) plan.Node {
	switch limit := n.(type) {
	case *plan.Limit:
		n = lower(limit)
	case *plan.TopN:
		n = limitPreserved(limit, limit.Offset, limit.Count, limit.Keys)
	}
	return plan.MapInputs(n, limits)
}

func lower(l *plan.Limit) plan.Node {
	if l.Count < 0 && l.Offset == 0 {
		return l.Input
	}
	if l.Count == 0 {
		return &plan.Values{Place: l.Place, Columns: l.Schema()}
	}
	switch in := l.Input.(type) {
	case *plan.Project:
		if len(in.Input.Schema()) == 0 { // all columns are constants, and the limit's exchange needs one
			return l
		}
		return in.WithInputs(lower(l.WithInputs(in.Input).(*plan.Limit)))
	case *plan.Sort:
		if l.Count < 0 {
			return l
		}
		return limitPreserved(&plan.TopN{Place: l.Place, Input: in.Input, Keys: in.Keys, Offset: l.Offset, Count: l.Count}, l.Offset, l.Count, in.Keys)
	case *plan.Join:
		return limitPreserved(l, l.Offset, l.Count, nil)
	case *plan.Union:
		if l.Count >= 0 {
			return l.WithInputs(plan.MapInputs(in, func(side plan.Node) plan.Node {
				return lower(&plan.Limit{Place: l.Place, Input: side, Count: l.Offset + l.Count})
			}))
		}
	case *plan.Scan:
		if l.Count > 0 && (in.Limit == 0 || in.Limit > l.Offset+l.Count) {
			c := *in
			c.Limit = l.Offset + l.Count
			return l.WithInputs(&c)
		}
	}
	return l
}

// limitPreserved limits the side that an outer join below n preserves as well: each of
// its rows gives one row at least. keys, if there are any, are n's order; they must be
// columns of that side, perhaps through projections.
func limitPreserved(n plan.Node, offset, count int64, keys []plan.SortKey) plan.Node {
	if count < 0 || offset+count > maxPreserved {
		return n
	}
	return n.WithInputs(preserved(n.Inputs()[0], n.At(), offset+count, keys))
}

func preserved(n plan.Node, at ast.Span, count int64, keys []plan.SortKey) plan.Node {
	var moved []plan.SortKey
	move := func(to func(column int) (int, bool)) bool {
		for _, k := range keys {
			column, ok := to(k.Column)
			if !ok {
				return false
			}
			moved = append(moved, plan.SortKey{Column: column, Descending: k.Descending, NullsFirst: k.NullsFirst})
		}
		return true
	}
	switch n := n.(type) {
	case *plan.Project:
		if move(func(i int) (int, bool) {
			if c, ok := n.Exprs[i].(*expr.Column); ok {
				return c.Index, true
			}
			return 0, false
		}) {
			return n.WithInputs(preserved(n.Input, at, count, moved))
		}
	case *plan.Join:
		width := len(n.Left.Schema())
		switch {
		case n.Kind == plan.Left && move(func(i int) (int, bool) { return i, i < width }):
			return n.WithInputs(atMost(n.Left, at, count, moved), n.Right)
		case n.Kind == plan.Right && move(func(i int) (int, bool) { return i - width, i >= width }):
			return n.WithInputs(n.Left, atMost(n.Right, at, count, moved))
		}
	}
	return n
}

// atMost is the first rows of a node, if there are more.
func atMost(n plan.Node, at ast.Span, count int64, keys []plan.SortKey) plan.Node {
	if plan.Rows(n) <= float64(count) {
		return n
	}
	if len(keys) == 0 {
		return lower(&plan.Limit{Place: at, Input: n, Count: count})
	}
	return &plan.TopN{Place: at, Input: n, Keys: keys, Count: count}
}
