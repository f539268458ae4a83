package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// throughLookup moves the terms about the input below a lookup join, and those of an
// inner one's own condition. A left one whose added rows a term drops is an inner one.
func throughLookup(n *plan.LookupJoin, terms []expr.Expr) plan.Node {
	width := len(n.Input.Schema())
	c := *n
	if n.Kind == plan.Left && rejectsNull(terms, width) {
		c.Kind = plan.Inner
	}
	if c.Kind == plan.Inner {
		terms = append(slices.Clone(terms), plan.Conjuncts(n.Residual)...)
		c.Residual = nil
	}
	down, stay := ofFirst(terms, width)
	c.Input = pushDown(n.Input, down)
	if c.Kind == plan.Inner { // sooner than a filter above: before rows are put together
		c.Residual = plan.AllOf(stay)
		return &c
	}
	return plan.Where(&c, stay)
}

// throughTemporal moves the terms about left rows below. Versions stay as they are: with
// one less the one before it would last longer.
func throughTemporal(n *plan.TemporalJoin, terms []expr.Expr) plan.Node {
	down, stay := ofFirst(terms, len(n.Left.Schema()))
	return plan.Where(n.WithInputs(pushDown(n.Left, down), pushDown(n.Right, nil)), stay)
}

// ofFirst divides terms by whether they use the first columns only.
func ofFirst(terms []expr.Expr, width int) (first, others []expr.Expr) {
	for _, t := range terms {
		if plan.OnlyColumns(t, func(i int) bool { return i < width }) && deterministic(t) {
			first = append(first, t)
		} else {
			others = append(others, t)
		}
	}
	return first, others
}

// keepLookup keeps the keys and what the condition reads.
func keepLookup(n *plan.LookupJoin, need []int) plan.Node {
	left, right, have := sides(len(n.Input.Schema()), union(need, n.Residual), n.LeftKeys, n.RightKeys)
	c, table := *n, *n.Table
	table.Columns = pick(n.Table.Columns, right)
	c.Input, c.Table, c.LeftKeys, c.RightKeys = keep(n.Input, left), &table, ranks(n.LeftKeys, left), ranks(n.RightKeys, right)
	c.Residual = renumber(n.Residual, have)
	return narrow(&c, have, need)
}

// keepTemporal keeps the keys, the times and what the condition reads.
func keepTemporal(n *plan.TemporalJoin, need []int) plan.Node {
	left, right, have := sides(len(n.Left.Schema()), union(need, n.Residual),
		append(slices.Clone(n.LeftKeys), n.LeftTime), append(slices.Clone(n.RightKeys), n.RightTime))
	c := *n
	c.Left, c.Right = keep(n.Left, left), keep(n.Right, right)
	c.LeftKeys, c.RightKeys = ranks(n.LeftKeys, left), ranks(n.RightKeys, right)
	c.LeftTime, c.RightTime = rank(left, n.LeftTime), rank(right, n.RightTime)
	c.Residual = renumber(n.Residual, have)
	return narrow(&c, have, need)
}

// sides are the columns of both sides of a join, the left one of which has width, that
// stay, and which they are of its output.
func sides(width int, used, left, right []int) (l, r, have []int) {
	left, right = slices.Clone(left), slices.Clone(right)
	for _, c := range used {
		if c < width {
			left = append(left, c)
		} else {
			right = append(right, c-width)
		}
	}
	left, right = sorted(left), sorted(right)
	have = slices.Clone(left)
	for _, c := range right {
		have = append(have, c+width)
	}
	return left, right, have
}
