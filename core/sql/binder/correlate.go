package binder

import (
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
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

// nested binds a subquery: as a plan, or, if it has links, up to its select list.
// It reports whether the plan depends on the rows of s.
func (s *selection) nested(q ast.Query) (plan.Node, *linked, bool, error) {
	syntax, ok := simpleSelect(q)
	if !ok || s.again {
		node, depends, err := s.dependent(q)
		return node, nil, depends, err
	}
	var in *linked
	s.tooFar = false
	err := s.framed(append(slices.Clip(s.frames), frame{scope: s.scope, barred: true}), func() (err error) {
		in, err = s.link(syntax)
		return err
	})
	if err != nil && s.tooFar {
		node, depends, err := s.dependent(q)
		return node, nil, depends, err
	}
	if err != nil || len(in.links) > 0 {
		return nil, in, false, err
	}
	if in.group != nil {
		if err := in.aggregateInput(); err != nil {
			return nil, nil, false, err
		}
	}
	node, err := in.output(nil)
	return node, nil, false, err
}

// dependent binds a subquery with outer references wherever they stand, and reports
// whether it has any to the rows of s. Subqueries inside of it are bound in this way
// only, so that none is bound more than twice.
func (s *selection) dependent(q ast.Query) (node plan.Node, depends bool, err error) {
	saved := s.again
	s.again = true
	defer func() { s.again = saved }()
	err = s.within(s.scope, func() error {
		node, err = s.Query(q)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if depends = correlated(node); !depends {
		node = nearer(node)
	}
	return node, depends, nil
}

// link binds a subquery's clauses up to the select list.
func (s *selection) link(syntax *ast.Select) (*linked, error) {
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
		if plan.OnlyColumns(e, func(i int) bool { return i < 0 || i >= width }) {
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

// linkedScalar joins a scalar subquery with links. Equalities are compared in the
// join itself; with other links the subquery is computed for their domain.
func (s *selection) linkedScalar(q *ast.Subquery, in *linked) error {
	if len(in.items) != 1 {
		return s.errorf(sqlerr.ColumnCount, q, "a subquery in the place of a value has one column, this one %d", len(in.items))
	}
	width := len(s.node.Schema())
	var outer []expr.Expr
	if slices.ContainsFunc(in.links, func(l expr.Expr) bool { _, _, ok := sides(l, width); return !ok }) {
		return s.scalarByDomain(q, in)
	}
	for _, l := range in.links {
		left, right, _ := sides(l, width)
		in.addKey(right, "key"+strconv.Itoa(len(outer)))
		in.hidden = append(in.hidden, item{expr: right, name: "key" + strconv.Itoa(len(outer)), at: q})
		outer = append(outer, left)
	}
	empty := in.onEmpty()
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
	s.addHidden(join, node.Schema())
	return s.scalarValue(q, width, width+1, empty)
}

// scalarByDomain computes the subquery for each distinct combination of the outer
// columns in its links.
func (s *selection) scalarByDomain(q *ast.Subquery, in *linked) error {
	d := s.domain(q, in.links)
	keys := len(d.node.Schema())
	in.node = &plan.Join{Place: s.at(q), Left: d.node, Right: in.node, Kind: plan.Inner, Residual: plan.AllOf(d.inner(in.links))}
	in.shift(keys)
	empty := in.onEmpty()
	for i, c := range plan.Columns(d.node.Schema()) {
		in.group.keys, in.group.names = append(in.group.keys, c), append(in.group.names, d.node.Schema()[i].Name)
	}
	value := in.items[0]
	in.items = nil
	for i, c := range plan.Columns(d.node.Schema()) {
		in.items = append(in.items, item{expr: c, name: d.node.Schema()[i].Name, at: q})
	}
	in.items = append(in.items, value)
	if err := in.aggregateInput(); err != nil {
		return err
	}
	node, err := in.output(nil)
	if err != nil {
		return err
	}
	at, err := s.attach(q, d, node)
	if err != nil {
		return err
	}
	return s.scalarValue(q, at+keys, at+len(node.Schema()), empty)
}

// shift renumbers what is bound over the FROM of a subquery behind n new columns.
func (in *linked) shift(n int) {
	move := func(e expr.Expr) expr.Expr { return plan.Renumber(e, func(i int) int { return i + n }) }
	for i := range in.items {
		in.items[i].expr = move(in.items[i].expr)
	}
	for i := range in.group.calls {
		c := &in.group.calls[i]
		for j := range c.args {
			c.args[j] = move(c.args[j])
		}
		if c.filter != nil {
			c.filter = move(c.filter)
		}
	}
	for q := range in.scalars {
		in.scalars[q] += n
	}
	in.group.width += n
}

// onEmpty is the value of the select list over no rows; nil is NULL.
func (in *linked) onEmpty() expr.Expr {
	zero := false
	e := plan.ReplaceColumns(in.items[0].expr, func(c *expr.Column) expr.Expr {
		if c.Index < 0 {
			return c
		}
		if i := c.Index - in.group.width; i >= 0 && i < len(in.group.calls) {
			if f := in.group.calls[i].function; f == "COUNT" || f == "SUM0" {
				zero = true
				return castTo(intLiteral(0), c.T)
			}
		}
		return &expr.Literal{T: c.T.WithNull(true)}
	})
	if !zero {
		return nil
	}
	return e
}

// scalarValue makes column i the value of a subquery, and empty where column
// present, which says that there is one, is NULL.
func (s *selection) scalarValue(q *ast.Subquery, i, present int, empty expr.Expr) error {
	if empty != nil {
		project := plan.Identity(s.node)
		schema := s.node.Schema()
		value, err := s.orElse(q, plan.Column(schema, present), plan.Column(schema, i), empty)
		if err != nil {
			return err
		}
		i = len(schema)
		project.Exprs, project.Names = append(project.Exprs, value), append(project.Names, "scalar")
		s.node = project
		s.scope = s.scope.joined(hiddenScope(project.Schema()[i:]), project.Schema())
	}
	s.scalars[q] = i
	return nil
}

// addHidden makes a join the node, whose right columns have no names.
func (s *selection) addHidden(join *plan.Join, right datatype.Schema) {
	s.scope, s.node = s.scope.joined(hiddenScope(right), join.Schema()), join
}

// hiddenScope is columns that no name finds.
func hiddenScope(columns datatype.Schema) *scope {
	sc := scopeOf("", columns)
	for i := range sc.columns {
		sc.columns[i].hidden, sc.columns[i].name = true, ""
	}
	return sc
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

// linkedRows returns the rows that a test compares with, as one node with the columns
// of the select list first, and the links over it.
func (s *selection) linkedRows(n ast.Expr, in *linked) (plan.Node, []expr.Expr) {
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
	return project, links
}
