package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// transitive carries conditions on a join key over to the other side's key: of
// a.id = b.id AND a.id = 5 it follows that b.id = 5, which may skip most of b. It
// returns the terms above the join with what follows of them, and what follows
// for the right side alone, numbered there, where a left or semi join keeps the
// left side's rows.
func transitive(n *plan.Join, terms []expr.Expr) (above, right []expr.Expr) {
	width := len(n.Left.Schema())
	if n.Kind == plan.Right || n.Kind == plan.Full || n.Kind == plan.Anti {
		return terms, nil
	}
	all := slices.Concat(terms, plan.Conjuncts(n.Residual))
	above = slices.Clone(terms)
	for _, t := range all {
		l, r, ok := keyColumns(t, width)
		if !ok {
			continue
		}
		for _, c := range all {
			if implied, ok := carried(c, l, r); ok {
				if n.Kind == plan.Inner {
					if !contains(all, implied) && !contains(above, implied) {
						above = append(above, implied)
					}
				} else if side := plan.Renumber(implied, func(i int) int { return i - width }); !contains(right, side) {
					right = append(right, side)
				}
			}
			if implied, ok := carried(c, r, l); ok && n.Kind == plan.Inner && !contains(all, implied) && !contains(above, implied) {
				above = append(above, implied)
			}
		}
	}
	return above, right
}

// keyColumns returns the columns of an equality of two columns of one type on
// different sides.
func keyColumns(t expr.Expr, width int) (l, r *expr.Column, ok bool) {
	call, isCall := t.(*expr.Call)
	if !isCall || call.Function != "=" {
		return nil, nil, false
	}
	l, lok := call.Args[0].(*expr.Column)
	r, rok := call.Args[1].(*expr.Column)
	if !lok || !rok || (l.Index < width) == (r.Index < width) || !l.T.Same(r.T) {
		return nil, nil, false
	}
	if l.Index > r.Index {
		l, r = r, l
	}
	return l, r, true
}

// carried returns condition c with column from replaced by to, if c compares
// that column alone with constants.
func carried(c expr.Expr, from, to *expr.Column) (expr.Expr, bool) {
	call, ok := c.(*expr.Call)
	if !ok {
		return nil, false
	}
	switch call.Function {
	case "=", "<", "<=", ">", ">=", "IN", "LIKE":
	default:
		return nil, false
	}
	if !usesColumns(c) || !plan.OnlyColumns(c, func(i int) bool { return i == from.Index }) || !deterministic(c) {
		return nil, false
	}
	return plan.ReplaceColumns(c, func(*expr.Column) expr.Expr { return to }), true
}
