package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// groupTop tells an Over of rankings how many rows of each partition the filter
// above it can let pass, so that others are dropped before they are sorted and
// exchanged:
//
//	Filter r <= 3                       Filter r <= 3
//	└─ Over by k order by o: r      =>  └─ Over by k order by o: r, top 3
//
// A rank depends on rows that come before alone, so those that are left out change
// none that is left. The filter stays: what is dropped need not be all.
func groupTop(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		f, ok := n.(*plan.Filter)
		if !ok {
			return n
		}
		over, ok := f.Input.(*plan.Over)
		if !ok || len(over.Partition) == 0 && len(over.Order) == 0 {
			return n
		}
		if top := topOf(over, plan.Conjuncts(f.Cond)); top.Count > 0 {
			c := *over
			c.Top = top
			return f.WithInputs(&c)
		}
		return n
	})
}

// topOf is the tightest of the limits that terms put to over's rankings.
func topOf(over *plan.Over, terms []expr.Expr) plan.Top {
	width := len(over.Input.Schema())
	for _, c := range over.Calls {
		if !ranking(c.Function) {
			return plan.Top{}
		}
	}
	var top plan.Top
	for _, t := range terms {
		column, most, ok := limitOf(t)
		if !ok || column < width {
			continue
		}
		function := over.Calls[column-width].Function
		if function != "ROW_NUMBER" && len(over.Order) == 0 {
			continue // all rows are peers
		}
		if most = max(most, 1); top.Count == 0 || most < top.Count {
			top = plan.Top{Function: function, Count: most}
		}
	}
	return top
}

func ranking(function string) bool {
	return slices.Contains([]string{"ROW_NUMBER", "RANK", "DENSE_RANK"}, function)
}

// limitOf reads a term that says that a column is at most a number.
func limitOf(t expr.Expr) (column int, most int64, ok bool) {
	call, ok := t.(*expr.Call)
	if !ok || len(call.Args) != 2 {
		return 0, 0, false
	}
	op := call.Function
	left, right := call.Args[0], call.Args[1]
	if _, literal := left.(*expr.Literal); literal {
		left, right = right, left
		op = map[string]string{">": "<", ">=": "<=", "=": "="}[op]
	}
	c, isColumn := left.(*expr.Column)
	lit, isLiteral := right.(*expr.Literal)
	if !isColumn || !isLiteral || !lit.T.IsInteger() {
		return 0, 0, false
	}
	n, ok := lit.Value.(int64)
	switch {
	case !ok:
		return 0, 0, false
	case op == "=" || op == "<=":
		return c.Index, n, true
	case op == "<":
		return c.Index, n - 1, true
	}
	return 0, 0, false
}
