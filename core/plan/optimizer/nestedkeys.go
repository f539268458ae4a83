package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// nestedKeys groups and partitions by arrays, maps and rows, and joins on them,
// through their keys as bytes: a hash table has no place for values in parts, and
// maps have no order to be sorted by.
func nestedKeys(n plan.Node) plan.Node {
	return plan.Transform(n, func(n plan.Node) plan.Node {
		switch n := n.(type) {
		case *plan.Aggregate:
			return groupByBytes(n)
		case *plan.Join:
			return joinOnBytes(n)
		case *plan.Over:
			return partitionByBytes(n)
		}
		return n
	})
}

func nested(t datatype.Type) bool {
	return t.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
}

// bytesOf is the key of a value: equal where the values are not distinct.
func bytesOf(e expr.Expr) expr.Expr {
	return &expr.Call{Function: "$KEY", Args: []expr.Expr{e}, T: datatype.Of(datatype.Varbinary).NotNull()}
}

// keyed gives in, which passes rows of schema on, a column of bytes for each nested one
// of columns, and returns columns with those in place.
func keyed(in *plan.Project, schema datatype.Schema, columns []int) []int {
	keys := slices.Clone(columns)
	for i, k := range columns {
		if nested(schema[k].Type) {
			keys[i] = len(in.Exprs)
			in.Exprs, in.Names = append(in.Exprs, bytesOf(plan.Column(schema, k))), append(in.Names, schema[k].Name)
		}
	}
	return keys
}

func groupByBytes(n *plan.Aggregate) plan.Node {
	schema := n.Schema()
	if !slices.ContainsFunc(schema[:len(n.Keys)], func(f datatype.Field) bool { return nested(f.Type) }) {
		return n
	}
	in := plan.Identity(n.Input)
	agg := *n
	agg.Input, agg.Keys = in, keyed(in, n.Input.Schema(), n.Keys)
	out := plan.Identity(&agg)
	for i := range n.Keys {
		if t := schema[i].Type; nested(t) {
			out.Exprs[i] = &expr.Call{Function: "$VALUE", Args: []expr.Expr{out.Exprs[i]}, T: t}
		}
	}
	return out
}

func partitionByBytes(n *plan.Over) plan.Node {
	schema := n.Input.Schema()
	in := plan.Identity(n.Input)
	over := *n
	over.Input, over.Partition = in, keyed(in, schema, n.Partition)
	added := len(in.Exprs) - len(schema)
	if added == 0 {
		return n
	}
	out := plan.Identity(&over)
	out.Exprs = slices.Delete(out.Exprs, len(schema), len(schema)+added)
	out.Names = slices.Delete(out.Names, len(schema), len(schema)+added)
	return out
}

// joinOnBytes adds an equality of bytes to each equality of nested values, which
// stays as a condition: it may be unknown where parts are NULL.
func joinOnBytes(n *plan.Join) plan.Node {
	var terms []expr.Expr
	changed := false
	for _, t := range plan.Conjuncts(n.Residual) {
		call, ok := t.(*expr.Call)
		if !ok || call.Function != "=" && call.Function != "IS NOT DISTINCT FROM" || !nested(call.Args[0].Type()) {
			terms = append(terms, t)
			continue
		}
		changed = true
		boolean := datatype.Of(datatype.Boolean).NotNull()
		terms = append(terms, &expr.Call{Function: "=", Args: []expr.Expr{bytesOf(call.Args[0]), bytesOf(call.Args[1])}, T: boolean})
		if call.Function == "=" {
			terms = append(terms, &expr.Call{Function: "IS TRUE", Args: []expr.Expr{t}, T: boolean})
		}
	}
	if !changed {
		return n
	}
	c := *n
	c.Residual = plan.AllOf(terms)
	return &c
}
