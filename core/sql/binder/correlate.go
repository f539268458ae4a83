package binder

import (
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// This file binds subqueries that use columns of the query around them. The
// terms of their WHERE that do are links: conditions over the outer columns, then
// the inner ones, that become the condition of a join.
//
//	EXISTS, IN       semi or anti join on the links
//	scalar           the aggregate grouped by the inner sides of the links, which
//	                 must be equalities, and a left join on them

// linked is the SELECT of a subquery with its FROM and WHERE bound.
type linked struct {
	*selection
	links []expr.Expr
}

// simpleSelect returns the query as a SELECT without GROUP BY and HAVING.
func simpleSelect(q ast.Query) (*ast.Select, bool) {
	s, ok := q.(*ast.Select)
	return s, ok && s.From != nil && s.GroupBy == nil && s.Having == nil
}

// nested binds a subquery once: as a plan, or, if it has links, up to its select
// list.
func (s *selection) nested(q ast.Query) (plan.Node, *linked, error) {
	syntax, ok := simpleSelect(q)
	if !ok {
		node, err := s.subquery(q, s.scope)
		return node, nil, err
	}
	in, err := s.link(syntax)
	if err != nil || len(in.links) > 0 {
		return nil, in, err
	}
	if in.group != nil {
		if err := in.aggregateInput(); err != nil {
			return nil, nil, err
		}
	}
	node, err := in.output(nil)
	return node, nil, err
}

// link binds a subquery's clauses up to the select list.
func (s *selection) link(syntax *ast.Select) (*linked, error) {
	saved := s.outer
	s.outer = s.scope
	defer func() { s.outer = saved }()
	in := &linked{selection: &selection{Binder: s.Binder, syntax: syntax}}
	for _, step := range []func() error{in.refuse, in.from, in.subqueries} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if syntax.Where != nil {
		if err := in.linkWhere(s.scope); err != nil {
			return nil, err
		}
	}
	return in, in.list()
}

// linkWhere divides the terms of WHERE into the subquery's own and the links.
func (in *linked) linkWhere(outer *scope) error {
	width := len(outer.columns)
	var own []expr.Expr
	for _, term := range astConjuncts(in.syntax.Where) {
		done, err := in.semiJoin(in.binder("WHERE"), term)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		x := in.binder("WHERE")
		x.enclosing, x.offset = outer, width
		e, err := x.bind(term)
		if err != nil {
			return err
		}
		if e, err = in.condition(term, e, "WHERE"); err != nil {
			return err
		}
		if plan.OnlyColumns(e, func(i int) bool { return i >= width }) {
			own = append(own, plan.Renumber(e, func(i int) int { return i - width }))
		} else {
			in.links = append(in.links, e)
		}
	}
	if len(own) > 0 {
		in.node = &plan.Filter{Place: in.at(in.syntax.Where), Input: in.node, Cond: plan.AllOf(own)}
	}
	return nil
}

// linkedScalar joins a scalar subquery with links.
func (s *selection) linkedScalar(q *ast.Subquery, in *linked) error {
	if in.group == nil || len(in.items) != 1 {
		return s.unsupported(q, "a correlated subquery that is not one aggregate is")
	}
	for _, c := range in.group.calls {
		if c.function == "COUNT" || c.function == "SUM0" {
			return s.unsupported(c.at, "COUNT in a correlated subquery is")
		}
	}
	width := len(s.node.Schema())
	var outer []expr.Expr
	for _, l := range in.links {
		left, right, ok := sides(l, width)
		if !ok {
			return s.unsupported(q, "a correlated subquery with a condition other than equality is")
		}
		in.addKey(right, "key"+strconv.Itoa(len(outer)))
		in.hidden = append(in.hidden, item{expr: right, name: "key" + strconv.Itoa(len(outer)), at: q})
		outer = append(outer, left)
	}
	if err := in.aggregateInput(); err != nil {
		return err
	}
	node, err := in.output(nil)
	if err != nil {
		return err
	}
	join := &plan.Join{Place: s.at(q), Left: s.node, Right: node, Kind: plan.Left}
	var terms []expr.Expr
	for i, left := range outer {
		key := plan.Column(node.Schema(), 1+i)
		key.Index += width
		terms = append(terms, &expr.Call{Function: "=", Args: []expr.Expr{left, key}, T: datatype.Of(datatype.Boolean)})
	}
	join.Residual = plan.AllOf(terms)
	s.scalars[q] = width
	s.varying[width] = true
	s.addHidden(join, node.Schema())
	return nil
}

// addHidden makes a join the node, whose right columns have no names.
func (s *selection) addHidden(join *plan.Join, right datatype.Schema) {
	sc := scopeOf("", right)
	for i := range sc.columns {
		sc.columns[i].hidden, sc.columns[i].name = true, ""
	}
	s.scope, s.node = s.scope.joined(sc, join.Schema()), join
}

// sides splits an equality of an outer and an inner expression; the inner one is
// numbered over the inner columns.
func sides(e expr.Expr, width int) (outer, inner expr.Expr, ok bool) {
	call, isCall := e.(*expr.Call)
	if !isCall || call.Function != "=" {
		return nil, nil, false
	}
	isOuter := func(e expr.Expr) bool { return plan.OnlyColumns(e, func(i int) bool { return i < width }) }
	isInner := func(e expr.Expr) bool { return plan.OnlyColumns(e, func(i int) bool { return i >= width }) }
	outer, inner = call.Args[0], call.Args[1]
	if isOuter(inner) {
		outer, inner = inner, outer
	}
	if !isOuter(outer) || !isInner(inner) {
		return nil, nil, false
	}
	return outer, plan.Renumber(inner, func(i int) int { return i - width }), true
}

// linkedIn returns the rows that IN compares with, as one node with the columns
// of the select list first, and the links over it.
func (s *selection) linkedIn(n *ast.In, in *linked) (plan.Node, []expr.Expr, error) {
	if in.group != nil {
		return nil, nil, s.unsupported(n, "IN over a correlated aggregate is")
	}
	project := &plan.Project{Place: s.at(n), Input: in.node}
	for _, it := range in.items {
		project.Exprs, project.Names = append(project.Exprs, it.expr), append(project.Names, it.name)
	}
	all := plan.Identity(in.node)
	project.Exprs, project.Names = append(project.Exprs, all.Exprs...), append(project.Names, all.Names...)
	width := len(s.node.Schema())
	links := make([]expr.Expr, len(in.links))
	for i, l := range in.links {
		links[i] = plan.Renumber(l, func(c int) int {
			if c < width {
				return c
			}
			return c + len(in.items)
		})
	}
	return project, links, nil
}
