package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// pushDown moves conditions over n's output as far down as they go: through
// projections, unions, sorts, group keys and the sides of joins. terms are the
// conditions that come from above; what cannot move becomes a filter above n.
func pushDown(n plan.Node, terms []expr.Expr) plan.Node {
	switch n := n.(type) {
	case *plan.Filter:
		return pushDown(n.Input, append(plan.Conjuncts(n.Cond), terms...))
	case *plan.Project:
		return throughProject(n, terms)
	case *plan.Join:
		return throughJoin(n, terms)
	case *plan.Union:
		return plan.MapInputs(n, func(in plan.Node) plan.Node { return pushDown(in, terms) })
	case *plan.Aggregate:
		if len(n.Keys) == 0 {
			return above(n, terms)
		}
		return throughColumns(n, terms, n.Keys)
	case *plan.WindowAggregate:
		return throughColumns(n, terms, n.Keys)
	case *plan.Unnest:
		return throughUnnest(n, terms)
	case *plan.LookupJoin:
		return throughLookup(n, terms)
	case *plan.TemporalJoin:
		return throughTemporal(n, terms)
	case *plan.WindowTVF:
		if n.Window.Kind == plan.Session { // rows less make other sessions
			return throughSessions(n, terms)
		}
		return throughColumns(n, terms, span(len(n.Input.Schema())))
	case *plan.Over:
		return throughGroups(n, terms, n.Partition)
	case *plan.Materialize:
		return throughGroups(n, terms, n.Keys)
	case *plan.Match:
		return throughColumns(n, terms, n.Partition)
	case *plan.Sort:
		return n.WithInputs(pushDown(n.Input, terms))
	default:
		return above(n, terms)
	}
}

// above leaves the terms above n and begins anew below it.
func above(n plan.Node, terms []expr.Expr) plan.Node {
	return plan.Where(plan.MapInputs(n, func(in plan.Node) plan.Node { return pushDown(in, nil) }), terms)
}

// throughGroups moves the terms that take or leave all rows with the same values of columns,
// which n tells groups apart by and passes on in their places.
func throughGroups(n plan.Node, terms []expr.Expr, columns []int) plan.Node {
	var down, stay []expr.Expr
	for _, t := range terms {
		if plan.OnlyColumns(t, func(i int) bool { return slices.Contains(columns, i) }) && deterministic(t) {
			down = append(down, t)
		} else {
			stay = append(stay, t)
		}
	}
	return plan.Where(n.WithInputs(pushDown(n.Inputs()[0], down)), stay)
}

// throughSessions moves the terms that take or leave all rows of a key.
func throughSessions(n *plan.WindowTVF, terms []expr.Expr) plan.Node {
	var down, stay []expr.Expr
	for _, t := range terms {
		if ofSession(n, t) {
			down = append(down, t)
		} else {
			stay = append(stay, t)
		}
	}
	return plan.Where(n.WithInputs(pushDown(n.Input, down)), stay)
}

// ofSession reports whether e is the same for all rows of a key of session windows.
func ofSession(n *plan.WindowTVF, e expr.Expr) bool {
	return deterministic(e) && plan.OnlyColumns(e, func(i int) bool {
		return slices.ContainsFunc(n.Partition, func(p expr.Expr) bool {
			c, ok := p.(*expr.Column)
			return ok && c.Index == i
		})
	})
}

func span(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// throughProject moves the terms whose columns are computed by what gives the
// same every time.
func throughProject(n *plan.Project, terms []expr.Expr) plan.Node {
	var down, stay []expr.Expr
	for _, t := range terms {
		if plan.OnlyColumns(t, func(i int) bool { return deterministic(n.Exprs[i]) }) {
			down = append(down, plan.Substitute(t, n.Exprs))
		} else {
			stay = append(stay, t)
		}
	}
	return plan.Where(n.WithInputs(pushDown(n.Input, down)), stay)
}

// throughColumns moves the terms that use only the first output columns of n,
// which pass the given columns of its input.
func throughColumns(n plan.Node, terms []expr.Expr, passed []int) plan.Node {
	var down, stay []expr.Expr
	for _, t := range terms {
		if plan.OnlyColumns(t, func(i int) bool { return i < len(passed) }) && deterministic(t) {
			down = append(down, plan.Renumber(t, func(i int) int { return passed[i] }))
		} else {
			stay = append(stay, t)
		}
	}
	return plan.Where(n.WithInputs(pushDown(n.Inputs()[0], down)), stay)
}

// throughJoin moves terms about one side to that side. A term from above may
// move to a side that the join preserves; a term of the join's own condition to
// the other. What is about both sides of an inner join becomes its condition. A
// left join whose added rows a term drops is an inner one.
func throughJoin(n *plan.Join, terms []expr.Expr) plan.Node {
	width := len(n.Left.Schema())
	onLeft := func(t expr.Expr) bool { return plan.OnlyColumns(t, func(i int) bool { return i < width }) }
	onRight := func(t expr.Expr) bool { return plan.OnlyColumns(t, func(i int) bool { return i >= width }) }
	shift := func(t expr.Expr) expr.Expr { return plan.Renumber(t, func(i int) int { return i - width }) }

	if n.Kind == plan.Left && rejectsNull(terms, width) {
		inner := *n
		inner.Kind = plan.Inner
		n = &inner
	}
	var left, right, own, stay []expr.Expr
	terms, right = transitive(n, terms)
	keepsLeft := n.Kind == plan.Inner || n.Kind == plan.Left || n.Kind == plan.Semi || n.Kind == plan.Anti
	keepsRight := n.Kind == plan.Inner || n.Kind == plan.Right
	for _, t := range implied(terms) {
		switch {
		case keepsLeft && onLeft(t) && deterministic(t):
			left = append(left, t)
		case keepsRight && onRight(t) && deterministic(t):
			right = append(right, shift(t))
		case n.Kind == plan.Inner:
			own = append(own, t)
		default:
			stay = append(stay, t)
		}
	}
	filtersLeft := n.Kind == plan.Inner || n.Kind == plan.Right || n.Kind == plan.Semi
	filtersRight := n.Kind != plan.Right && n.Kind != plan.Full
	for _, t := range implied(plan.Conjuncts(n.Residual)) {
		switch {
		case filtersRight && onRight(t) && deterministic(t):
			right = append(right, shift(t))
		case filtersLeft && onLeft(t) && deterministic(t):
			left = append(left, t)
		default:
			own = append(own, t)
		}
	}
	if n.Kind == plan.Inner {
		for _, t := range own {
			if side := branchesOf(t, onLeft); side != nil && !contains(left, side) {
				left = append(left, side)
			}
			if side := branchesOf(t, onRight); side != nil {
				right = append(right, shift(side))
			}
		}
	}
	join := *n
	join.Left, join.Right = pushDown(n.Left, left), pushDown(n.Right, right)
	join.Residual = plan.AllOf(own)
	return plan.Where(&join, stay)
}

// rejectsNull reports whether a term is not true where all columns from first on
// are null: a comparison with one of them is then null.
func rejectsNull(terms []expr.Expr, first int) bool {
	for _, t := range terms {
		call, ok := t.(*expr.Call)
		if !ok {
			continue
		}
		switch call.Function {
		case "=", "<>", "<", "<=", ">", ">=", "LIKE", "IS NOT NULL", "IN":
			if c, ok := call.Args[0].(*expr.Column); ok && c.Index >= first {
				return true
			}
			if c, ok := call.Args[len(call.Args)-1].(*expr.Column); ok && c.Index >= first && call.Function != "IN" {
				return true
			}
		}
	}
	return false
}

// implied pulls terms that all branches of an OR share out of it, so that an
// equality inside of it can become a key: (a AND b) OR (a AND c) is a AND (b OR c).
func implied(terms []expr.Expr) []expr.Expr {
	var out []expr.Expr
	for _, t := range terms {
		for _, f := range factor(t) {
			if !contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

func factor(t expr.Expr) []expr.Expr {
	or, ok := t.(*expr.Call)
	if !ok || or.Function != "OR" {
		return []expr.Expr{t}
	}
	branches := disjuncts(or)
	var shared []expr.Expr
	for _, candidate := range plan.Conjuncts(branches[0]) {
		everywhere := true
		for _, b := range branches[1:] {
			everywhere = everywhere && contains(plan.Conjuncts(b), candidate)
		}
		if everywhere {
			shared = append(shared, candidate)
		}
	}
	if len(shared) == 0 {
		return []expr.Expr{t}
	}
	rests := make([]expr.Expr, len(branches))
	for i, b := range branches {
		rest := slices.DeleteFunc(plan.Conjuncts(b), func(e expr.Expr) bool { return contains(shared, e) })
		if len(rest) == 0 { // this branch asks for nothing more
			return shared
		}
		rests[i] = plan.AllOf(rest)
	}
	return append(shared, &expr.Call{Function: or.Function, Args: rests, T: or.T})
}

func disjuncts(e expr.Expr) []expr.Expr {
	if or, ok := e.(*expr.Call); ok && or.Function == "OR" {
		var all []expr.Expr
		for _, a := range or.Args {
			all = append(all, disjuncts(a)...)
		}
		return all
	}
	return []expr.Expr{e}
}

func contains(all []expr.Expr, e expr.Expr) bool {
	for _, a := range all {
		if expr.Equal(a, e) {
			return true
		}
	}
	return false
}
