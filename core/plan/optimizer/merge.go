package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// merge makes adjacent projections one and drops those that change nothing. An
// expression is moved into another only where it is then computed at most once.
func merge(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		if filter, ok := n.(*plan.Filter); ok {
			return belowProject(filter)
		}
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

// belowProject moves a filter below a projection that only picks the filter's
// columns, so that both run in one step.
func belowProject(f *plan.Filter) plan.Node {
	project, ok := f.Input.(*plan.Project)
	if !ok || !plan.OnlyColumns(f.Cond, func(i int) bool { _, c := project.Exprs[i].(*expr.Column); return c }) {
		return f
	}
	below := &plan.Filter{Place: f.Place, Input: project.Input, Cond: plan.Substitute(f.Cond, project.Exprs)}
	return project.WithInputs(belowProject(below))
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
