package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/predicate"
)

// scanPredicates gives scans what their connectors can use of the filters above
// them. The filters stay: a connector only skips.
func scanPredicates(n plan.Node, refresh Refresh) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		filter, ok := n.(*plan.Filter)
		if !ok {
			return n
		}
		scan, cond, ok := scanBelow(filter)
		if !ok {
			return n
		}
		p, ok := usable(cond, scan)
		if !ok {
			return n
		}
		c := *scan
		c.Predicate = &p
		if refresh != nil {
			c.Known = refresh(&c, c.Predicate)
		}
		return replaceScan(filter, &c)
	})
}

// scanBelow returns the scan under a filter and the condition over the scan's
// columns. Between them there may be a watermark, which is told of fewer rows then,
// and the projection that computes columns of a table.
func scanBelow(f *plan.Filter) (*plan.Scan, expr.Expr, bool) {
	in, cond := f.Input, f.Cond
	for {
		switch n := in.(type) {
		case *plan.Watermark:
			in = n.Input
		case *plan.Project:
			in, cond = n.Input, plan.Substitute(cond, n.Exprs)
		case *plan.Scan:
			return n, cond, true
		default:
			return nil, nil, false
		}
	}
}

func replaceScan(n plan.Node, s *plan.Scan) plan.Node {
	if _, ok := n.(*plan.Scan); ok {
		return s
	}
	return n.WithInputs(replaceScan(n.Inputs()[0], s))
}

func usable(cond expr.Expr, s *plan.Scan) (predicate.Predicate, bool) {
	named := plan.ReplaceColumns(cond, func(c *expr.Column) expr.Expr { return plan.Column(s.Columns, c.Index) })
	p, _ := expr.ToPredicate(named)
	return p, p.Op != predicate.And || len(p.Terms) > 0
}
