package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// This file binds LATERAL queries, which may use columns of the tables before
// them in FROM, by outer references. The decorrelator then makes a plan without
// any, in one of three forms:
//
//	filters and projections   the query's tables are joined to the rows, its
//	                          conditions are the join's
//	the same, LEFT JOIN       likewise; what the query computes is NULL where no
//	                          row of it matches
//	others                    the query is computed for each distinct combination
//	                          of the outer columns that it uses, the domain: what
//	                          it groups or numbers it does for each of them; the
//	                          result is joined to the rows by those columns

// lateralOf returns the LATERAL query that a table expression is.
func lateralOf(t ast.TableExpr) *ast.DerivedTable {
	if a, ok := t.(*ast.Aliased); ok {
		t = a.Table
	}
	d, _ := t.(*ast.DerivedTable)
	if d == nil || !d.Lateral {
		return nil
	}
	return d
}

// joinLateral joins each row with the rows of a query that may use its columns.
func (b *Binder) joinLateral(t *ast.Join, left plan.Node, ls *scope) (node plan.Node, out *scope, err error) {
	var right plan.Node
	var rs *scope
	if err = b.within(ls, func() error {
		right, rs, err = b.bindTable(t.Right)
		return err
	}); err != nil {
		return nil, nil, err
	}
	if !correlated(right) {
		return b.joinTables(t, left, ls, nearer(right), rs)
	}
	switch t.Kind {
	case ast.JoinComma, ast.JoinCross, ast.JoinInner:
		if direct(right) {
			d := &decorrelator{Binder: b, domain: left, width: len(left.Schema())}
			if node, err = d.push(right); err != nil {
				return nil, nil, err
			}
			return b.lateralOn(t, node, ls, rs)
		}
	case ast.JoinLeft:
		if !always(t.On) {
			return b.leftLateralOn(t, left, ls, right, rs)
		}
		node, ok, err := b.leftDirect(t, left, right)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			return b.lateralOn(t, node, ls, rs)
		}
	default:
		return nil, nil, b.lateralJoin(t, "LATERAL")
	}
	kind := plan.Inner
	if t.Kind == ast.JoinLeft {
		kind = plan.Left
	}
	d, node, err := b.perDomain(t.Right, left, right)
	if err != nil {
		return nil, nil, err
	}
	join, err := d.joinBack(t, left, node, kind)
	if err != nil {
		return nil, nil, err
	}
	keys := hiddenScope(node.Schema()[:d.width])
	return b.lateralOn(t, join, &scope{columns: slices.Concat(ls.columns, keys.columns)}, rs)
}

// leftLateralOn is a left join with a query and a condition of its own, which the
// join back to the rows decides as well.
func (b *Binder) leftLateralOn(t *ast.Join, left plan.Node, ls *scope, right plan.Node, rs *scope) (plan.Node, *scope, error) {
	if t.On == nil {
		return nil, nil, b.unsupported(t.Right, "LEFT JOIN LATERAL without ON is")
	}
	if err := b.distinctAliases(t, ls, rs); err != nil {
		return nil, nil, err
	}
	d, node, err := b.perDomain(t.Right, left, right)
	if err != nil {
		return nil, nil, err
	}
	join, err := d.joinBack(t, left, node, plan.Left)
	if err != nil {
		return nil, nil, err
	}
	pairs := plan.Join{Left: left, Right: node, Kind: plan.Inner}
	keys := hiddenScope(node.Schema()[:d.width])
	both := (&scope{columns: slices.Concat(ls.columns, keys.columns)}).joined(rs, pairs.Schema())
	x := exprBinder{Binder: b, scope: both, clause: "ON"}
	cond, err := x.bind(t.On)
	if err == nil {
		cond, err = b.condition(t.On, cond, "ON")
	}
	if err != nil {
		return nil, nil, err
	}
	join.Residual = plan.AllOf(append(plan.Conjuncts(join.Residual), plan.Conjuncts(cond)...))
	return join, both.joined(&scope{}, join.Schema()), nil
}

// leftDirect is a left join with a query that only filters and computes. It
// reports false for others.
func (b *Binder) leftDirect(t *ast.Join, left, right plan.Node) (plan.Node, bool, error) {
	exprs := plan.Columns(right.Schema())
	names := right.Schema().Names()
	var conds []expr.Expr
	for correlated(right) {
		switch n := right.(type) {
		case *plan.Filter:
			conds = append(conds, plan.Conjuncts(n.Cond)...)
			right = n.Input
		case *plan.Project:
			for i, e := range exprs {
				exprs[i] = overInput(e, n.Exprs)
			}
			for i, e := range conds {
				conds[i] = overInput(e, n.Exprs)
			}
			right = n.Input
		default:
			return nil, false, nil
		}
	}
	width := len(left.Schema())
	own := &decorrelator{Binder: b, width: width}
	beside := func(e expr.Expr) expr.Expr {
		return own.beside(e, width)
	}
	for i, e := range conds {
		conds[i] = beside(e)
	}
	marked := plan.Identity(nearer(right))
	marked.Exprs, marked.Names = append(marked.Exprs, boolLiteral(true)), append(marked.Names, "present")
	join := &plan.Join{Place: b.at(t), Left: left, Right: marked, Kind: plan.Left, Residual: plan.AllOf(conds)}
	schema := join.Schema()
	out := &plan.Project{Place: b.at(t), Input: join}
	for i := range left.Schema() {
		out.Exprs, out.Names = append(out.Exprs, plan.Column(schema, i)), append(out.Names, schema[i].Name)
	}
	for i, e := range exprs {
		e = beside(e)
		if c, ok := e.(*expr.Column); ok && c.Index >= width {
			e = plan.Column(schema, c.Index)
		} else {
			var err error
			if e, err = b.orElse(t, plan.Column(schema, len(schema)-1), e, &expr.Literal{T: e.Type().WithNull(true)}); err != nil {
				return nil, false, err
			}
		}
		out.Exprs, out.Names = append(out.Exprs, e), append(out.Names, names[i])
	}
	return out, true, nil
}

// overInput is e, which is over the output of a projection, over its input. Outer
// references stay.
func overInput(e expr.Expr, exprs []expr.Expr) expr.Expr {
	return plan.ReplaceColumns(e, func(c *expr.Column) expr.Expr {
		if c.Index < 0 {
			return c
		}
		return exprs[c.Index]
	})
}

// perDomain computes right, which has outer references to left, for each distinct
// combination of the columns that they mean. The result has these columns first.
func (b *Binder) perDomain(at ast.Node, left, right plan.Node) (*decorrelator, plan.Node, error) {
	d := &decorrelator{Binder: b, place: map[int]int{}}
	used := outerColumns(right)
	from := beforeHidden(left, used)
	schema := from.Schema()
	project := &plan.Project{Place: b.at(at), Input: from}
	for i, f := range schema {
		if !used[i] {
			continue
		}
		d.place[i] = d.width
		d.columns = append(d.columns, i)
		d.width++
		project.Exprs, project.Names = append(project.Exprs, plan.Column(schema, i)), append(project.Names, f.Name)
	}
	d.domain = plan.Distinct(b.at(at), project)
	node, err := d.push(right)
	return d, node, err
}

// joinBack joins the rows with what was computed for the domain.
func (d *decorrelator) joinBack(at ast.Node, left, node plan.Node, kind plan.JoinKind) (*plan.Join, error) {
	join := &plan.Join{Place: d.at(at), Left: left, Right: node, Kind: kind}
	width := len(left.Schema())
	var terms []expr.Expr
	for i, c := range d.columns {
		r := plan.Column(node.Schema(), i)
		r.Index += width
		same, err := d.same(at, plan.Column(left.Schema(), c), r)
		if err != nil {
			return nil, err
		}
		terms = append(terms, same...)
	}
	join.Residual = plan.AllOf(terms)
	return join, nil
}

// dependentScalar adds the value of a subquery, which has one row for each row.
func (s *selection) dependentScalar(q *ast.Subquery, node plan.Node) error {
	width := len(s.node.Schema())
	if direct(node) {
		d := &decorrelator{Binder: s.Binder, domain: s.node, width: width}
		value, err := d.push(node)
		if err != nil {
			return err
		}
		s.scope, s.node = s.scope.joined(hiddenScope(value.Schema()[width:]), value.Schema()), value
		s.scalars[q] = width
		return nil
	}
	d, values, err := s.perDomain(q, s.node, node)
	if err != nil {
		return err
	}
	// Each row has its value; a left join says that none is lost (see beforeHidden).
	join, err := d.joinBack(q, s.node, values, plan.Left)
	if err != nil {
		return err
	}
	s.addHidden(join, values.Schema())
	s.scalars[q] = width + d.width
	return nil
}

// dependentRows returns the rows of a query with outer references without them,
// and the links by which they belong to the rows of s.
func (s *selection) dependentRows(n ast.Expr, node plan.Node) (plan.Node, []expr.Expr, error) {
	d, rows, err := s.perDomain(n, s.node, node)
	if err != nil {
		return nil, nil, err
	}
	columns := len(node.Schema())
	node = chosen(rows, append(numbers(d.width, columns), numbers(0, d.width)...))
	var links []expr.Expr
	for i, c := range d.columns {
		r := plan.Column(node.Schema(), columns+i)
		r.Index += len(s.node.Schema())
		same, err := s.same(n, plan.Column(s.node.Schema(), c), r)
		if err != nil {
			return nil, nil, err
		}
		links = append(links, same...)
	}
	return node, links, nil
}

// direct reports whether n can be computed beside the rows that its outer
// references mean, however often equal rows come.
func direct(n plan.Node) bool {
	if !correlated(n) {
		return true
	}
	switch n := n.(type) {
	case *plan.Project, *plan.Filter, *plan.Unnest, *plan.Sort:
		return direct(n.Inputs()[0])
	case *plan.Join:
		switch n.Kind {
		case plan.Inner:
			return !correlated(n.Right) && direct(n.Left) || !correlated(n.Left) && direct(n.Right)
		case plan.Left, plan.Semi, plan.Anti:
			return !correlated(n.Right) && direct(n.Left)
		}
	}
	return false
}

// bigint is a row number as a literal.
func bigint(v int64) *expr.Literal {
	return &expr.Literal{Value: v, T: datatype.Of(datatype.BigInt).NotNull()}
}
