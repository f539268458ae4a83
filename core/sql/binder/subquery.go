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
	for _, m := range s.tests() {
		if err := s.mark(m); err != nil {
			return err
		}
	}
	for _, q := range found {
		node, linked, depends, err := s.nested(q.Query)
		if err != nil {
			return err
		}
		if linked != nil && linked.group == nil {
			if node, depends, err = s.dependent(q.Query); err != nil {
				return err
			}
			linked = nil
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
			if node, err = s.onlyRow(q, node); err != nil {
				return err
			}
		}
		if depends {
			if err := s.dependentScalar(q, node); err != nil {
				return err
			}
			continue
		}
		join := &plan.Join{Place: s.at(q), Left: s.node, Right: node, Kind: plan.Inner}
		s.scalars[q] = len(s.scope.columns)
		s.addHidden(join, node.Schema())
	}
	return nil
}

// tests finds the tests of queries that are not themselves terms of WHERE.
func (s *selection) tests() []membership {
	s.marks = map[ast.Expr]expr.Expr{}
	var found []membership
	collect := func(e ast.Expr) {
		ast.Walk(e, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if m, ok := membershipOf(e); ok {
					found = append(found, m)
					return false
				}
			}
			_, isQuery := n.(ast.Query)
			return !isQuery
		})
	}
	if s.syntax.Where != nil {
		for _, term := range astConjuncts(s.syntax.Where) {
			if _, _, ok := testTerm(term); !ok {
				collect(term)
			}
		}
	}
	for _, it := range s.syntax.Items {
		collect(it.Expr)
	}
	return found
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

// onlyRow is the value of a query's one row, NULL for none; more than one fail.
func (b *Binder) onlyRow(q *ast.Subquery, in plan.Node) (plan.Node, error) {
	f := in.Schema()[0]
	r, err := b.Functions.ResolveAggregate("SINGLE_VALUE", arguments([]expr.Expr{plan.Column(in.Schema(), 0)}), false)
	if err != nil {
		return nil, b.errorf(sqlerr.TypeMismatch, q, "%v", err)
	}
	call := plan.Call{Function: r.Name, Args: []int{0}, Filter: -1, Type: r.Return.WithNull(true), Name: f.Name}
	return &plan.Aggregate{Place: b.at(q), Input: in, Calls: []plan.Call{call}}, nil
}

// semiJoin plans a term of WHERE that tests the rows of a query: [NOT] IN, [NOT]
// EXISTS, ANY, ALL. It reports whether it did.
func (s *selection) semiJoin(x *exprBinder, term ast.Expr) (bool, error) {
	m, not, ok := testTerm(term)
	if !ok {
		return false, nil
	}
	return true, s.filterBy(x, m, not)
}

func testTerm(term ast.Expr) (m membership, not, ok bool) {
	if n, isNot := term.(*ast.Unary); isNot && n.Op == ast.OpNot {
		term, not = n.X, true
	}
	m, ok = membershipOf(term)
	return m, not, ok
}
