package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// muchSmaller is how many times smaller the other side must be to be built instead.
const muchSmaller = 3

// outerSides swaps the sides of outer joins where the side that is built, the right one,
// is much larger than the other: a left join becomes a right one. A right side that is
// sent everywhere stays, since then the left one is not exchanged.
func outerSides(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		join, ok := n.(*plan.Join)
		if !ok || len(join.LeftKeys) == 0 || !plan.Bounded(join) {
			return n
		}
		kind, ok := map[plan.JoinKind]plan.JoinKind{plan.Left: plan.Right, plan.Right: plan.Left, plan.Full: plan.Full}[join.Kind]
		if !ok || plan.Bytes(join.Right) <= plan.BroadcastBytes || plan.Bytes(join.Left)*muchSmaller > plan.Bytes(join.Right) {
			return n
		}
		return swapped(join, kind)
	})
}

// swapped is a join with its sides swapped and its columns put into order again.
func swapped(n *plan.Join, kind plan.JoinKind) plan.Node {
	left, right := len(n.Left.Schema()), len(n.Right.Schema())
	move := func(i int) int {
		if i < left {
			return i + right
		}
		return i - left
	}
	join := *n
	join.Left, join.Right, join.Kind = n.Right, n.Left, kind
	join.LeftKeys, join.RightKeys = n.RightKeys, n.LeftKeys
	if n.Residual != nil {
		join.Residual = plan.Renumber(n.Residual, move)
	}
	want, have := n.Schema(), join.Schema()
	out := &plan.Project{Place: n.Place, Input: &join, Names: want.Names(), Exprs: make([]expr.Expr, len(want))}
	for i := range want {
		out.Exprs[i] = plan.Column(have, move(i))
	}
	return out
}
