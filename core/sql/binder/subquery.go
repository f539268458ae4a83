package binder

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// subqueries joins the scalar subqueries of all clauses to FROM: each adds one
// column that holds its value in every row.
func (s *selection) subqueries() error {
	s.scalars, s.varying = map[*ast.Subquery]int{}, map[int]bool{}
	var found []*ast.Subquery
	collect := func(e ast.Expr) {
		if e != nil {
			found = append(found, scalarSubqueries(e)...)
		}
	}
	collect(s.syntax.Where)
	collect(s.syntax.Having)
	for _, it := range s.syntax.Items {
		collect(it.Expr)
	}
	for _, q := range found {
		node, linked, err := s.nested(q.Query)
		if err != nil {
			return err
		}
		if linked != nil {
			if err := s.linkedScalar(q, linked); err != nil {
				return err
			}
			continue
		}
		if n := len(node.Schema()); n != 1 {
			return s.errorf(sqlerr.ColumnCount, q, "a subquery in the place of a value has one column, this one %d", n)
		}
		if !singleRow(node) {
			return s.unsupported(q, "a scalar subquery that is not one aggregate without GROUP BY is")
		}
		join := &plan.Join{Place: s.at(q), Left: s.node, Right: node, Kind: plan.Inner}
		s.scalars[q] = len(s.scope.columns)
		if s.syntax.From == nil {
			return s.unsupported(q, "a scalar subquery without FROM is")
		}
		s.addHidden(join, node.Schema())
	}
	return nil
}

// scalarSubqueries finds the subqueries in e, but not those inside of them.
func scalarSubqueries(e ast.Expr) []*ast.Subquery {
	var found []*ast.Subquery
	ast.Walk(e, func(n ast.Node) bool {
		if q, ok := n.(*ast.Subquery); ok {
			found = append(found, q)
			return false
		}
		_, isQuery := n.(ast.Query)
		return !isQuery
	})
	return found
}

// singleRow reports whether a node always yields exactly one row.
func singleRow(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Project:
		return singleRow(n.Input)
	case *plan.Aggregate:
		return len(n.Keys) == 0 && len(n.Calls) > 0
	case *plan.Values:
		return len(n.Rows) == 1
	}
	return false
}

// semiJoin plans a term of WHERE that is [NOT] IN (query) or [NOT] EXISTS. It
// reports whether it did.
func (s *selection) semiJoin(x *exprBinder, term ast.Expr) (bool, error) {
	negated := false
	if not, ok := term.(*ast.Unary); ok && not.Op == ast.OpNot {
		term, negated = not.X, true
	}
	switch n := term.(type) {
	case *ast.Exists:
		return true, s.exists(n, negated)
	case *ast.In:
		if n.Query != nil {
			return true, s.inQuery(x, n, negated != n.Not)
		}
	}
	return false, nil
}

// exists keeps all rows or none: it joins with one row of the query.
func (s *selection) exists(n *ast.Exists, not bool) error {
	kind := plan.Semi
	if not {
		kind = plan.Anti
	}
	node, linked, err := s.nested(n.Query)
	if err != nil {
		return err
	}
	if linked != nil {
		if linked.group != nil {
			return s.unsupported(n, "EXISTS over a correlated aggregate is")
		}
		s.node = &plan.Join{Place: s.at(n), Left: s.node, Right: linked.node, Kind: kind, Residual: plan.AllOf(linked.links)}
		return nil
	}
	one := &plan.Limit{Place: s.at(n), Input: node, Count: 1}
	s.node = &plan.Join{Place: s.at(n), Left: s.node, Right: one, Kind: kind}
	return nil
}

func (s *selection) inQuery(x *exprBinder, n *ast.In, not bool) error {
	left := []ast.Expr{n.X}
	if row, ok := n.X.(*ast.Row); ok {
		left = row.Elems
	}
	values, err := x.bindAll(left)
	if err != nil {
		return err
	}
	node, linked, err := s.nested(n.Query)
	if err != nil {
		return err
	}
	var links []expr.Expr
	var columns int
	if linked != nil {
		columns = len(linked.items)
		if node, links, err = s.linkedIn(n, linked); err != nil {
			return err
		}
	} else {
		columns = len(node.Schema())
	}
	schema := node.Schema()
	if columns != len(values) {
		return s.errorf(sqlerr.ColumnCount, n, "the query of IN has %d columns, %d are compared", columns, len(values))
	}
	join := &plan.Join{Place: s.at(n), Left: s.node, Right: node, Kind: plan.Semi}
	var terms []expr.Expr
	unknown := false
	for i, v := range values {
		other := plan.Column(schema, i)
		other.Index += len(s.node.Schema())
		unknown = unknown || v.Type().Nullable || other.T.Nullable
		eq, err := s.resolve("=", n, v, other)
		if err != nil {
			return err
		}
		terms = append(terms, eq)
	}
	if join.Residual = plan.AllOf(terms); not {
		join.Kind = plan.Anti
		// NOT IN is true only where every comparison is false: one that is unknown,
		// because of a NULL, excludes the row as well.
		if unknown {
			if join.Residual, err = s.resolve("IS NOT FALSE", n, join.Residual); err != nil {
				return err
			}
		}
	}
	join.Residual = plan.AllOf(append(links, join.Residual))
	s.node = join
	return nil
}
