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
// columns; a watermark between them does not change columns.
func scanBelow(f *plan.Filter) (*plan.Scan, expr.Expr, bool) {
	in := f.Input
	if w, ok := in.(*plan.Watermark); ok {
		in = w.Input
	}
	scan, ok := in.(*plan.Scan)
	return scan, f.Cond, ok
}

func replaceScan(f *plan.Filter, s *plan.Scan) plan.Node {
	if w, ok := f.Input.(*plan.Watermark); ok {
		return f.WithInputs(w.WithInputs(s))
	}
	return f.WithInputs(s)
}

func usable(cond expr.Expr, s *plan.Scan) (predicate.Predicate, bool) {
	named := plan.ReplaceColumns(cond, func(c *expr.Column) expr.Expr { return plan.Column(s.Columns, c.Index) })
	p, _ := expr.ToPredicate(named)
	return p, p.Op != predicate.And || len(p.Terms) > 0
}
