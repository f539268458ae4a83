package binder

import (
	"maps"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// This file binds joins with subqueries in their ON. Of an inner join they are those
// of a WHERE above it. The rows that another join preserves depend on its condition:
// there each subquery is joined to the one side that it depends on, before the join.

// hasQuery reports whether there is a subquery in e.
func hasQuery(e ast.Expr) bool {
	var f foundQueries
	f.collect(e)
	return len(f.scalars)+len(f.tests) > 0
}

// joinOnQueries joins tables by a condition with subqueries.
func (b *Binder) joinOnQueries(t *ast.Join, join *plan.Join, ls, rs *scope) (plan.Node, *scope, error) {
	if join.Kind == plan.Inner {
		return b.innerOnQueries(t, join, ls, rs)
	}
	sides := [2]*selection{b.side(join.Left, ls), b.side(join.Right, rs)}
	rows := &plan.Join{Place: join.Place, Left: join.Left, Right: join.Right, Kind: plan.Inner}
	both := b.side(rows, ls.joined(rs, rows.Schema()))
	var found foundQueries
	found.collect(t.On)
	for _, q := range found.scalars {
		i, err := both.sideOf(t, q, q.Query, nil, len(ls.columns))
		if err == nil {
			err = sides[i].scalarSubquery(q)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for _, m := range found.tests {
		i, err := both.sideOf(t, m.at, m.query, m.values, len(ls.columns))
		if err == nil {
			err = sides[i].mark(m)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	c := *join
	c.Left, c.Right = sides[0].node, sides[1].node
	rows = &plan.Join{Left: c.Left, Right: c.Right, Kind: plan.Inner}
	all := sides[0].scope.joined(sides[1].scope, rows.Schema())
	width := len(sides[0].scope.columns)
	x := exprBinder{Binder: b, scope: all, clause: "ON", scalars: maps.Clone(sides[0].scalars), marks: maps.Clone(sides[0].marks)}
	for q, i := range sides[1].scalars {
		x.scalars[q] = width + i
	}
	for n, e := range sides[1].marks {
		x.marks[n] = plan.Renumber(e, func(i int) int { return width + i })
	}
	cond, err := x.bind(t.On)
	if err == nil {
		c.Residual, err = b.condition(t.On, cond, "ON")
	}
	if err != nil {
		return nil, nil, err
	}
	return &c, all.joined(&scope{}, c.Schema()), nil
}

// innerOnQueries filters the pairs of an inner join.
func (b *Binder) innerOnQueries(t *ast.Join, join *plan.Join, ls, rs *scope) (plan.Node, *scope, error) {
	both := ls.joined(rs, join.Schema())
	x := exprBinder{Binder: b, scope: both, clause: "ON"}
	var plain []expr.Expr
	var where ast.Expr
	for _, term := range astConjuncts(t.On) {
		if !hasQuery(term) {
			e, err := x.bind(term)
			if err == nil {
				e, err = b.condition(term, e, "ON")
			}
			if err != nil {
				return nil, nil, err
			}
			plain = append(plain, e)
			continue
		}
		if where == nil {
			where = term
		} else {
			where = &ast.Binary{Span: ast.Span{Start: where.Pos(), Stop: term.End()}, Op: ast.OpAnd, L: where, R: term}
		}
	}
	c := *join
	c.Residual = plan.AllOf(plain)
	s := b.side(&c, both)
	s.syntax = &ast.Select{Span: ast.Span{Start: t.On.Pos(), Stop: t.On.End()}, Where: where}
	if err := s.subqueries(); err != nil {
		return nil, nil, err
	}
	return s.node, s.scope, s.where()
}

// side is a table to which subqueries are joined.
func (b *Binder) side(node plan.Node, columns *scope) *selection {
	return &selection{Binder: b, node: node, scope: columns, scalars: map[*ast.Subquery]int{}, marks: map[ast.Expr]expr.Expr{}}
}

// sideOf says which side of a join a subquery, and what is compared with it, depend
// on: 0 for the left one, which has width columns, and for neither; 1 for the right.
func (s *selection) sideOf(t *ast.Join, at ast.Expr, q ast.Query, values []ast.Expr, width int) (int, error) {
	var sides [2]bool
	mark := func(i int) {
		if i >= 0 {
			sides[min(i/width, 1)] = true
		}
	}
	bound, err := s.binder("ON").bindAll(values)
	if err != nil {
		return 0, err
	}
	for _, v := range bound {
		plan.EachColumn(v, func(c *expr.Column) { mark(c.Index) })
	}
	node, depends, err := s.dependent(q)
	if err != nil {
		return 0, err
	}
	if depends {
		for i := range outerColumns(node) {
			mark(i)
		}
	}
	switch {
	case sides[0] && sides[1]:
		return 0, s.unsupported(at, "a subquery in ON of a "+t.Kind.String()+" that depends on both sides is")
	case sides[1]:
		return 1, nil
	}
	return 0, nil
}
