package binder

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// This file binds the subqueries of a grouped query that are evaluated for each
// group: those of HAVING, ORDER BY, QUALIFY and the select list that stand neither
// inside of an aggregate nor in a key. They are bound over the rows of FROM, as all
// clauses are, with a column of the virtual row for the value of each. Once the
// aggregate stands, the columns that they use become those of its keys, and they are
// joined to the groups.

// firstAbove is the column of the first such subquery in the virtual row, behind all
// others.
const firstAbove = 2 * firstOver

// aboveGroups are the subqueries of a SELECT that are evaluated for each group.
type aboveGroups struct {
	of      *selection
	written map[ast.Expr]bool // which they are
	bound   []aboveQuery
}

// aboveQuery is a subquery over the virtual row.
type aboveQuery struct {
	scalar  *ast.Subquery // nil: test
	test    membership
	values  []expr.Expr // what test compares
	node    plan.Node
	depends bool // on the rows of FROM
}

// collect finds the scalar subqueries and the tests of queries in e, but not those
// inside of them.
func (f *foundQueries) collect(e ast.Expr) {
	ast.Walk(e, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if m, ok := membershipOf(e); ok {
				f.tests = append(f.tests, m)
				for _, v := range m.values {
					f.collect(v)
				}
				return false
			}
		}
		if q, ok := n.(*ast.Subquery); ok {
			f.scalars = append(f.scalars, q)
			return false
		}
		_, isQuery := n.(ast.Query)
		return !isQuery
	})
}

// foundQueries are the subqueries of some expressions.
type foundQueries struct {
	scalars []*ast.Subquery
	tests   []membership
}

// divide collects the subqueries of the clauses that may be above an aggregate:
// those to be evaluated for each row, and in s.above those for each group.
func (s *selection) divide() foundQueries {
	var rows foundQueries
	grouped := s.writtenGroups()
	s.above = &aboveGroups{of: s, written: map[ast.Expr]bool{}}
	each := func(e ast.Expr) {
		if e == nil {
			return
		}
		if !grouped {
			rows.collect(e)
			return
		}
		s.eachAggregate(e, func(n *ast.Call) { rows.collect(n) })
		var all foundQueries
		all.collect(e)
		for _, q := range all.scalars {
			s.above.written[q] = !slices.Contains(rows.scalars, q)
		}
		for _, m := range all.tests {
			s.above.written[m.at] = !slices.ContainsFunc(rows.tests, func(r membership) bool { return r.at == m.at })
		}
	}
	for i, it := range s.syntax.Items {
		if grouped && s.writtenKey(i) {
			rows.collect(it.Expr)
			continue
		}
		each(it.Expr)
	}
	if s.syntax.GroupBy != nil {
		for _, e := range s.syntax.GroupBy.Items {
			rows.collect(e)
		}
	}
	each(s.syntax.Having)
	each(s.syntax.Qualify)
	for _, o := range s.ordered {
		each(o.Expr)
	}
	return rows
}

// eachAggregate visits the aggregate calls in e, not those of queries in it.
func (s *selection) eachAggregate(e ast.Expr, visit func(*ast.Call)) {
	ast.Walk(e, func(n ast.Node) bool {
		if c, ok := n.(*ast.Call); ok && c.Over == nil {
			name := strings.ToUpper(c.Func.String())
			kind, ok := s.Functions.Exists(name)
			if ok && kind == function.Aggregate || name == "GROUPING" || name == "GROUPING_ID" {
				visit(c)
				return false
			}
		}
		_, isQuery := n.(ast.Query)
		return !isQuery
	})
}

func (s *selection) hasAggregate(e ast.Expr) bool {
	found := false
	s.eachAggregate(e, func(*ast.Call) { found = true })
	return found
}

// writtenGroups reports whether the query is grouped.
func (s *selection) writtenGroups() bool {
	return s.syntax.GroupBy != nil || s.syntax.Having != nil ||
		slices.ContainsFunc(s.syntax.Items, func(it *ast.SelectItem) bool { return s.hasAggregate(it.Expr) })
}

// writtenKey reports whether GROUP BY means item i by its position or its name.
func (s *selection) writtenKey(i int) bool {
	by, it := s.syntax.GroupBy, s.syntax.Items[i]
	switch {
	case by == nil:
		return false
	case by.All:
		return !s.hasAggregate(it.Expr)
	}
	key := false
	for _, e := range by.Items {
		ast.Walk(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.NumberLit:
				at, err := s.position(n, "GROUP BY", len(s.syntax.Items))
				key = key || err == nil && at == i
			case *ast.ColumnRef:
				key = key || len(n.Parts) == 1 && it.Alias != nil && n.Parts[0].Name == it.Alias.Name
			case *ast.Row, *ast.GroupingSet:
				return true
			}
			return false
		})
	}
	return key
}

// query binds a subquery that is evaluated for each group, if n is one, and returns
// its column of the virtual row.
func (a *aboveGroups) query(x *exprBinder, n ast.Expr) (expr.Expr, bool, error) {
	if a == nil || !a.written[n] || x.insideOf != "" {
		return nil, false, nil
	}
	q, t := aboveQuery{}, datatype.Of(datatype.Boolean)
	var err error
	if scalar, ok := n.(*ast.Subquery); ok {
		q.scalar = scalar
		if q.node, q.depends, err = a.of.dependent(scalar.Query); err != nil {
			return nil, true, err
		}
		if q.node, err = a.of.oneValue(scalar, q.node); err != nil {
			return nil, true, err
		}
		t = q.node.Schema()[0].Type.WithNull(true)
	} else {
		q.test, _ = membershipOf(n)
		if q.values, err = x.bindAll(q.test.values); err != nil {
			return nil, true, err
		}
		if q.node, q.depends, err = a.of.dependent(q.test.query); err != nil {
			return nil, true, err
		}
	}
	a.bound = append(a.bound, q)
	return &expr.Column{Index: firstAbove + len(a.bound) - 1, Name: "subquery", T: t}, true, nil
}

// joinAbove joins the subqueries that are evaluated for each group to the groups,
// which have this schema, and makes the later expressions use their values.
func (s *selection) joinAbove(groups datatype.Schema) error {
	if s.above == nil || len(s.above.bound) == 0 {
		return nil
	}
	s.scope = hiddenScope(groups)
	for i := range s.above.bound {
		value, err := s.joinGroups(&s.above.bound[i], groups)
		if err != nil {
			return err
		}
		for _, e := range s.later() {
			*e = plan.ReplaceColumns(*e, func(c *expr.Column) expr.Expr {
				if c.Index != firstAbove+i {
					return c
				}
				return value
			})
		}
	}
	return nil
}

func (s *selection) joinGroups(q *aboveQuery, groups datatype.Schema) (expr.Expr, error) {
	node := q.node
	if q.depends {
		var err error
		if node, err = s.overGroups(q, groups); err != nil {
			return nil, err
		}
	}
	if q.scalar == nil {
		columns := len(node.Schema())
		if len(q.values) == 0 {
			columns = 0
		}
		var links []expr.Expr
		var err error
		if q.depends {
			if node, links, err = s.dependentRows(q.test.at, node); err != nil {
				return nil, err
			}
		}
		cond, err := s.compared(q.test, q.values, node, columns)
		if err == nil {
			err = s.markRows(q.test, node, links, cond)
		}
		return s.marks[q.test.at], err
	}
	if err := s.joinValue(q.scalar, node, q.depends); err != nil {
		return nil, err
	}
	return plan.Column(s.node.Schema(), s.scalars[q.scalar]), nil
}

// overGroups returns the plan of a subquery with its references to the rows of FROM
// made references to the groups, of which only the keys can be meant.
func (s *selection) overGroups(q *aboveQuery, groups datatype.Schema) (plan.Node, error) {
	keys := make([]expr.Expr, len(s.group.keys)) // as they look from inside of the subquery
	for i, key := range s.group.keys {
		keys[i] = plan.ReplaceColumns(key, func(c *expr.Column) expr.Expr {
			to := outerColumn(c.Index, 0)
			if c.Index < 0 {
				to = c.Index - outerLevel
			}
			return &expr.Column{Index: to, Name: c.Name, T: c.T}
		})
	}
	var wrong *expr.Column
	var over func(e expr.Expr) expr.Expr
	over = func(e expr.Expr) expr.Expr {
		if i := slices.IndexFunc(keys, func(k expr.Expr) bool { return expr.Equal(k, e) }); i >= 0 {
			c := plan.Column(groups, i)
			c.Index = outerColumn(i, 0)
			return c
		}
		switch e := e.(type) {
		case *expr.Column:
			if nearest(e.Index) && wrong == nil {
				wrong = e
			}
		case *expr.Call:
			args := make([]expr.Expr, len(e.Args))
			for i, a := range e.Args {
				args[i] = over(a)
			}
			return &expr.Call{Function: e.Function, Args: args, T: e.T}
		}
		return e
	}
	node := plan.Transform(q.node, func(n plan.Node) plan.Node { return mapExprs(n, over) })
	if wrong != nil {
		var at ast.Node = q.scalar
		if q.scalar == nil {
			at = q.test.at
		}
		return nil, s.notGroupedAt(at, wrong.Name)
	}
	return node, nil
}
