package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// merge makes adjacent projections one and drops those that change nothing. An
// expression is moved into another only where it is then computed at most once.
func merge(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		outer, ok := n.(*plan.Project)
		if !ok {
			return n
		}
		if inner, ok := outer.Input.(*plan.Project); ok && cheap(outer, inner) {
			c := *outer
			c.Input, c.Exprs = inner.Input, make([]expr.Expr, len(outer.Exprs))
			for i, e := range outer.Exprs {
				c.Exprs[i] = plan.Substitute(e, inner.Exprs)
			}
			outer = &c
		}
		if unchanged(outer) {
			return outer.Input
		}
		return outer
	})
}

func cheap(outer, inner *plan.Project) bool {
	uses := make([]int, len(inner.Exprs))
	for _, e := range outer.Exprs {
		plan.EachColumn(e, func(c *expr.Column) { uses[c.Index]++ })
	}
	for i, e := range inner.Exprs {
		if _, call := e.(*expr.Call); call && uses[i] > 1 {
			return false
		}
	}
	return true
}

func unchanged(p *plan.Project) bool {
	in := p.Input.Schema()
	if len(in) != len(p.Exprs) {
		return false
	}
	for i, e := range p.Exprs {
		if c, ok := e.(*expr.Column); !ok || c.Index != i || in[i].Name != p.Names[i] {
			return false
		}
	}
	return true
}
