package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// updating makes top-n of what streaming plans keep of groups: filters on ranks, and
// limits over rows that may be taken back or do not end.
//
//	Project k, v                        Project k, v
//	└─ Filter r <= 3 AND v > 0      =>  └─ Filter v > 0
//	   └─ Over by k order by o: r          └─ Top 3 of k in order of o
func updating(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		switch n := n.(type) {
		case *plan.Project:
			if top, rest := rankedTop(n.Input); top != nil {
				return projectTop(n, top, rest)
			}
		case *plan.TopN:
			if !plan.Bounded(n) {
				return limitedTop(n, n.Input, n.Keys, n.Offset, n.Count)
			}
		case *plan.Limit:
			if n.Count >= 0 && !plan.Bounded(n) && plan.ChangelogOf(n.Input) == plan.Retract {
				return limitedTop(n, n.Input, nil, n.Offset, n.Count)
			}
		case *plan.Join:
			if n.BuildLeft { // no side is built
				c := *n
				c.BuildLeft = false
				return &c
			}
		}
		return n
	})
}

func limitedTop(n, in plan.Node, keys []plan.SortKey, offset, count int64) plan.Node {
	if count == 0 {
		return &plan.Values{Place: n.At(), Columns: n.Schema()}
	}
	return &plan.GroupTop{Place: n.At(), Input: in, Order: keys, Function: "ROW_NUMBER", Offset: offset, Count: count}
}

// lastFilters makes top-n of the filters that are left: no projection was above them.
func lastFilters(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if top, rest := rankedTop(n); top != nil {
			return plan.Where(top, rest)
		}
		return n
	})
}

// rankedTop reads a filter on the one ranking below it; rest are the conditions that it
// does not decide.
func rankedTop(n plan.Node) (top *plan.GroupTop, rest []expr.Expr) {
	f, ok := n.(*plan.Filter)
	if !ok {
		return nil, nil
	}
	over, ok := f.Input.(*plan.Over)
	if !ok || over.Top.Count == 0 || len(over.Calls) != 1 || over.Calls[0].Function != over.Top.Function {
		return nil, nil
	}
	rank := len(over.Input.Schema())
	for _, term := range plan.Conjuncts(f.Cond) {
		if !boundsRank(term, rank) {
			rest = append(rest, term)
		}
	}
	return &plan.GroupTop{
		Place: over.Place, Input: over.Input, Groups: over.Partition, Order: over.Order, Function: over.Top.Function,
		Count: over.Top.Count, Rank: true, Name: over.Calls[0].Name,
	}, rest
}

// boundsRank reports whether a term says no more than that a rank is at most something. Of
// several the tightest is the limit.
func boundsRank(term expr.Expr, rank int) bool {
	column, most, ok := limitOf(term)
	if !ok || column != rank || most < 1 {
		return false
	}
	return term.(*expr.Call).Function != "=" || most == 1
}

// projectTop leaves the rank out where nobody reads it.
func projectTop(n *plan.Project, top *plan.GroupTop, rest []expr.Expr) plan.Node {
	rank := len(top.Input.Schema())
	unread := func(e expr.Expr) bool { return plan.OnlyColumns(e, func(i int) bool { return i != rank }) }
	if !slices.ContainsFunc(slices.Concat(n.Exprs, rest), func(e expr.Expr) bool { return !unread(e) }) {
		top.Rank = false
	}
	return n.WithInputs(plan.Where(top, rest))
}
