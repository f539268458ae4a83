package optimizer

import (
	"time"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
)

// fold computes constants in all expressions, drops filters that are TRUE, and
// replaces inputs whose filter is FALSE or NULL by no rows.
func fold(n plan.Node, functions *function.Catalog, zone *time.Location) plan.Node {
	value := func(e expr.Expr) expr.Expr {
		if e == nil {
			return nil
		}
		return expr.Fold(e, functions, expr.Options{Location: zone})
	}
	return plan.Transform(n, func(n plan.Node) plan.Node {
		switch n := n.(type) {
		case *plan.Filter:
			c := *n
			c.Cond = value(n.Cond)
			return foldFilter(&c)
		case *plan.Project:
			c := *n
			c.Exprs = make([]expr.Expr, len(n.Exprs))
			for i, e := range n.Exprs {
				c.Exprs[i] = value(e)
			}
			return foldProject(&c)
		case *plan.Join:
			c := *n
			c.Residual = value(n.Residual)
			return &c
		case *plan.LookupJoin:
			c := *n
			c.Residual = value(n.Residual)
			return &c
		case *plan.TemporalJoin:
			c := *n
			c.Residual = value(n.Residual)
			return &c
		case *plan.Watermark:
			c := *n
			c.Expr = value(n.Expr)
			return &c
		case *plan.Union:
			return foldUnion(n)
		}
		return n
	})
}

func foldFilter(n *plan.Filter) plan.Node {
	if lit, ok := n.Cond.(*expr.Literal); ok {
		if lit.Value == true {
			return n.Input
		}
		if plan.Bounded(n) {
			return &plan.Values{Place: n.Place, Columns: n.Schema()}
		}
	}
	return n
}

// foldProject makes constant rows of constants over constant rows.
func foldProject(n *plan.Project) plan.Node {
	values, ok := n.Input.(*plan.Values)
	if !ok {
		return n
	}
	out := &plan.Values{Place: n.Place, Columns: n.Schema(), Rows: make([][]*expr.Literal, len(values.Rows))}
	for r, row := range values.Rows {
		for _, e := range n.Exprs {
			switch e := e.(type) {
			case *expr.Literal:
				out.Rows[r] = append(out.Rows[r], e)
			case *expr.Column:
				out.Rows[r] = append(out.Rows[r], row[e.Index])
			default:
				return n
			}
		}
	}
	return out
}

// foldUnion makes adjacent constant rows one node and drops inputs without rows.
func foldUnion(n *plan.Union) plan.Node {
	schema := n.Schema()
	var inputs []plan.Node
	var rows *plan.Values
	for _, in := range n.All {
		values, ok := in.(*plan.Values)
		if !ok {
			inputs = append(inputs, in)
			continue
		}
		if rows == nil {
			rows = &plan.Values{Place: n.Place, Columns: schema}
		}
		rows.Rows = append(rows.Rows, values.Rows...)
	}
	if rows != nil && (len(rows.Rows) > 0 || len(inputs) == 0) {
		inputs = append(inputs, rows)
	}
	if len(inputs) == 1 && inputs[0].Schema().Equal(schema) {
		return inputs[0]
	}
	return n.WithInputs(inputs...)
}
