package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// branchesOf returns what an OR over both sides of a join demands of one side, nil for
// nothing: of (a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4) it follows that a.x = 1 OR
// a.x = 3. The term itself stays, so what follows may only be what never fails.
func branchesOf(t expr.Expr, onSide func(expr.Expr) bool) expr.Expr {
	or, ok := t.(*expr.Call)
	if !ok || or.Function != "OR" {
		return nil
	}
	var branches []expr.Expr
	for _, b := range disjuncts(or) {
		var terms []expr.Expr
		for _, c := range plan.Conjuncts(b) {
			if onSide(c) && expr.Total(c) {
				terms = append(terms, c)
			}
		}
		if len(terms) == 0 {
			return nil
		}
		if all := plan.AllOf(terms); !contains(branches, all) {
			branches = append(branches, all)
		}
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return &expr.Call{Function: "OR", Args: branches, T: or.T}
}
