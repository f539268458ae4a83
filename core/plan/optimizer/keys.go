package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// keys makes equalities between the sides of joins their keys. A side of an
// equality that is more than a column is computed in a projection below, and the
// columns so added are projected away above.
func keys(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if join, ok := n.(*plan.Join); ok {
			return extractKeys(join)
		}
		return n
	})
}

func extractKeys(n *plan.Join) plan.Node {
	width := len(n.Left.Schema())
	if !slices.ContainsFunc(plan.Conjuncts(n.Residual), func(t expr.Expr) bool {
		_, _, ok := equality(t, width)
		return ok
	}) && len(n.LeftKeys) == 0 {
		return n
	}
	left, right := sideOf(n.Left), sideOf(n.Right)
	join := *n
	join.LeftKeys, join.RightKeys = nil, nil
	var rest []expr.Expr
	for _, t := range plan.Conjuncts(n.Residual) {
		l, r, ok := equality(t, width)
		if !ok {
			rest = append(rest, t)
			continue
		}
		join.LeftKeys = append(join.LeftKeys, left.column(l))
		join.RightKeys = append(join.RightKeys, right.column(r))
	}
	if len(join.LeftKeys) == len(n.LeftKeys) {
		return n
	}
	grown := len(left.project.Exprs) - width
	shift := func(i int) int {
		if i >= width {
			return i + grown
		}
		return i
	}
	for i, t := range rest {
		rest[i] = plan.Renumber(t, shift)
	}
	join.Left, join.Right, join.Residual = left.node(), right.node(), plan.AllOf(rest)
	return restore(&join, n, shift)
}

// restore projects the columns away that were added for keys.
func restore(join, old *plan.Join, shift func(int) int) plan.Node {
	want, have := old.Schema(), join.Schema()
	if len(want) == len(have) {
		return join
	}
	p := &plan.Project{Place: join.Place, Input: join, Names: want.Names()}
	for i := range want {
		p.Exprs = append(p.Exprs, plan.Column(have, shift(i)))
	}
	return p
}

// side is an input of a join with the columns that keys need.
type side struct {
	input   plan.Node
	project *plan.Project
}

func sideOf(n plan.Node) *side { return &side{input: n, project: plan.Identity(n)} }

func (s *side) column(e expr.Expr) int {
	for i, have := range s.project.Exprs {
		if expr.Equal(have, e) {
			return i
		}
	}
	s.project.Exprs = append(s.project.Exprs, e)
	s.project.Names = append(s.project.Names, "key")
	return len(s.project.Exprs) - 1
}

func (s *side) node() plan.Node {
	if len(s.project.Exprs) == len(s.input.Schema()) {
		return s.input
	}
	return s.project
}

// equality splits l = r whose operands are about different sides of a join whose
// left side has width columns; r is renumbered over the right side.
func equality(t expr.Expr, width int) (l, r expr.Expr, ok bool) {
	call, isCall := t.(*expr.Call)
	if !isCall || call.Function != "=" || !deterministic(t) {
		return nil, nil, false
	}
	l, r = call.Args[0], call.Args[1]
	if usesColumns(l) && usesColumns(r) {
		onLeft := func(i int) bool { return i < width }
		onRight := func(i int) bool { return i >= width }
		if plan.OnlyColumns(l, onRight) && plan.OnlyColumns(r, onLeft) {
			l, r = r, l
		}
		if plan.OnlyColumns(l, onLeft) && plan.OnlyColumns(r, onRight) {
			return l, plan.Renumber(r, func(i int) int { return i - width }), true
		}
	}
	return nil, nil, false
}

func usesColumns(e expr.Expr) bool {
	used := false
	plan.EachColumn(e, func(*expr.Column) { used = true })
	return used
}
