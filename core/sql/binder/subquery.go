package binder

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// subqueries joins the subqueries of all clauses that are evaluated for each row of
// FROM to it: each adds columns that hold its value.
func (s *selection) subqueries() error {
	s.scalars, s.marks = map[*ast.Subquery]int{}, map[ast.Expr]expr.Expr{}
	found := s.divide()
	if s.syntax.Where != nil {
		for _, term := range astConjuncts(s.syntax.Where) {
			if m, _, ok := testTerm(term); !ok {
				found.collect(term)
			} else {
				for _, v := range m.values {
					found.collect(v)
				}
			}
		}
	}
	for _, q := range found.scalars {
		if err := s.scalarSubquery(q); err != nil {
			return err
		}
	}
	for _, m := range found.tests {
		if err := s.mark(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) scalarSubquery(q *ast.Subquery) error {
	node, linked, depends, err := s.nested(q.Query)
	if err != nil {
		return err
	}
	if linked != nil {
		if linked.group != nil && len(linked.overs.calls) == 0 && len(linked.above.bound) == 0 {
			return s.linkedScalar(q, linked)
		}
		if node, depends, err = s.dependent(q.Query); err != nil {
			return err
		}
	}
	if node, err = s.oneValue(q, node); err != nil {
		return err
	}
	return s.joinValue(q, node, depends)
}

// oneValue is a query in the place of a value with no more than one row.
func (b *Binder) oneValue(q *ast.Subquery, node plan.Node) (plan.Node, error) {
	if n := len(node.Schema()); n != 1 {
		return nil, b.errorf(sqlerr.ColumnCount, q, "a subquery in the place of a value has one column, this one %d", n)
	}
	if singleRow(node) {
		return node, nil
	}
	return b.onlyRow(q, node)
}

// joinValue joins a query of one row to the rows, which it may depend on.
func (s *selection) joinValue(q *ast.Subquery, node plan.Node, depends bool) error {
	if depends {
		return s.dependentScalar(q, node)
	}
	join := &plan.Join{Place: s.at(q), Left: s.node, Right: node, Kind: plan.Inner}
	s.scalars[q] = len(s.scope.columns)
	s.addHidden(join, node.Schema())
	return nil
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
