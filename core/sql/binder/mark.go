package binder

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// This file binds IN (query), EXISTS and comparisons with ANY and ALL of a query
// where they are values: under OR, in the select list. Their result, which may be
// unknown, depends on some columns of the outer row. It is computed once for each
// distinct combination of those, the domain, and joined to the rows:
//
//	domain    the distinct values of the columns that are used
//	result    domain joined with the query where the comparison is not false,
//	          grouped by the domain: whether any comparison is true
//	rows      left join with result: what has no partner has no such row

// membership is a test of the rows of a query, as it was written.
type membership struct {
	at     ast.Expr
	values []ast.Expr // what is compared; none: EXISTS
	op     string
	query  ast.Query
	all    bool // ALL: true unless a comparison is not
	not    bool
}

// membershipOf returns e as a test of a query's rows.
func membershipOf(e ast.Expr) (membership, bool) {
	switch n := e.(type) {
	case *ast.Exists:
		return membership{at: n, query: n.Query}, true
	case *ast.In:
		return membership{at: n, values: elements(n.X), op: "=", query: n.Query, not: n.Not}, n.Query != nil
	case *ast.Quantified:
		return membership{at: n, values: elements(n.X), op: n.Op.String(), query: n.Query, all: n.All}, n.Query != nil
	}
	return membership{}, false
}

func elements(e ast.Expr) []ast.Expr {
	if row, ok := e.(*ast.Row); ok {
		return row.Elems
	}
	return []ast.Expr{e}
}

// matched binds the query and the comparison of one row with one of its rows: a
// condition over the outer columns, then those of the node.
func (s *selection) matched(x *exprBinder, m membership) (node plan.Node, links []expr.Expr, cond expr.Expr, err error) {
	values, err := x.bindAll(m.values)
	if err != nil {
		return nil, nil, nil, err
	}
	node, linked, depends, err := s.nested(m.query)
	if err != nil {
		return nil, nil, nil, err
	}
	if linked != nil && linked.group != nil {
		if node, depends, err = s.dependent(m.query); err != nil {
			return nil, nil, nil, err
		}
		linked = nil
	}
	columns := len(m.values)
	switch {
	case linked != nil && len(m.values) == 0:
		node, links = linked.node, linked.links
	case linked != nil:
		columns = len(linked.items)
		node, links = s.linkedRows(m.at, linked)
	case len(m.values) > 0:
		columns = len(node.Schema())
	}
	if depends {
		if node, links, err = s.dependentRows(m.at, node); err != nil {
			return nil, nil, nil, err
		}
	}
	cond, err = s.compared(m, values, node, columns)
	return node, links, cond, err
}

// compared is the comparison of values with the first columns of a row of node, nil
// for no values.
func (s *selection) compared(m membership, values []expr.Expr, node plan.Node, columns int) (expr.Expr, error) {
	if columns != len(values) {
		return nil, s.errorf(sqlerr.ColumnCount, m.at, "the query has %d columns, %d are compared", columns, len(values))
	}
	if len(values) > 1 && m.op != "=" {
		return nil, s.unsupported(m.at, "a comparison of rows by "+m.op+" is")
	}
	var terms []expr.Expr
	for i, v := range values {
		other := plan.Column(node.Schema(), i)
		other.Index += len(s.node.Schema())
		term, err := s.resolve(m.op, m.at, v, other)
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return plan.AllOf(terms), nil
}

// filterBy keeps the rows for which the test, or with not its contrary, is true.
//
//	ANY       some comparison is true       semi join
//	not ANY   all comparisons are false     anti join with those that are not
//	ALL       all comparisons are true      anti join with those that are not
//	not ALL   some comparison is false      semi join
func (s *selection) filterBy(x *exprBinder, m membership, not bool) error {
	not = not != m.not
	node, links, cond, err := s.matched(x, m)
	if err != nil {
		return err
	}
	if cond == nil && links == nil && free(node) {
		node = &plan.Limit{Place: s.at(m.at), Input: node, Count: 1}
	}
	kind, test := plan.Semi, ""
	switch {
	case m.all && not:
		test = "IS FALSE"
	case m.all:
		kind, test = plan.Anti, "IS NOT TRUE"
	case not && (cond == nil || !cond.Type().Nullable):
		kind = plan.Anti
	case not:
		kind, test = plan.Anti, "IS NOT FALSE"
	}
	if cond != nil && test != "" {
		if cond, err = s.resolve(test, m.at, cond); err != nil {
			return err
		}
	}
	if cond != nil {
		links = append(links, cond)
	}
	s.node = &plan.Join{Place: s.at(m.at), Left: s.node, Right: node, Kind: kind, Residual: plan.AllOf(links)}
	return nil
}

// mark adds the result of a test to the rows and remembers where.
func (s *selection) mark(m membership) error {
	x := s.binder("a comparison with a query")
	node, links, cond, err := s.matched(x, m)
	if err != nil {
		return err
	}
	return s.markRows(m, node, links, cond)
}

// markRows adds the result of a test of the rows of node to the rows.
func (s *selection) markRows(m membership, node plan.Node, links []expr.Expr, cond expr.Expr) error {
	if cond == nil {
		cond = boolLiteral(true)
	}
	var err error
	if m.all {
		if cond, err = s.resolve("NOT", m.at, cond); err != nil {
			return err
		}
	}
	possible := cond
	if cond.Type().Nullable {
		if possible, err = s.resolve("IS NOT FALSE", m.at, cond); err != nil {
			return err
		}
	}
	d := s.domain(m.at, append([]expr.Expr{cond}, links...))
	pairs := &plan.Join{Place: s.at(m.at), Left: d.node, Right: node, Kind: plan.Inner, Residual: plan.AllOf(d.inner(append(links, possible)))}
	project := &plan.Project{Place: s.at(m.at), Input: pairs}
	for i, e := range plan.Columns(d.node.Schema()) {
		project.Exprs, project.Names = append(project.Exprs, e), append(project.Names, d.node.Schema()[i].Name)
	}
	width := len(project.Exprs)
	project.Exprs, project.Names = append(project.Exprs, d.inner([]expr.Expr{cond})[0]), append(project.Names, "match")
	found := plan.Distinct(s.at(m.at), project)
	found.Keys = found.Keys[:width]
	r, err := s.Functions.ResolveAggregate("BOOL_OR", arguments(project.Exprs[width:]), false)
	if err != nil {
		return s.errorf(sqlerr.TypeMismatch, m.at, "%v", err)
	}
	found.Calls = []plan.Call{{Function: r.Name, Args: []int{width}, Filter: -1, Type: r.Return.WithNull(true), Name: "any"}}
	at, err := s.attach(m.at, d, found)
	if err != nil {
		return err
	}
	schema := s.node.Schema()
	result, err := s.orElse(m.at, plan.Column(schema, at+len(found.Schema())), plan.Column(schema, at+width), boolLiteral(false))
	if err == nil && m.all != m.not {
		result, err = s.resolve("NOT", m.at, result)
	}
	s.marks[m.at] = result
	return err
}

// orElse is value where present is not NULL.
func (b *Binder) orElse(n ast.Node, present, value, otherwise expr.Expr) (expr.Expr, error) {
	known, err := b.resolve("IS NOT NULL", n, present)
	if err != nil {
		return nil, err
	}
	return b.resolve("CASE", n, known, value, otherwise)
}

// domain is the distinct values of the outer columns that some conditions use.
type domain struct {
	node    plan.Node
	columns []int // of the outer rows; none: one row stands for all
	width   int   // of the outer rows
}

func (s *selection) domain(n ast.Node, conds []expr.Expr) *domain {
	d := &domain{width: len(s.node.Schema())}
	used := map[int]bool{}
	for _, c := range conds {
		plan.EachColumn(c, func(c *expr.Column) {
			if c.Index >= 0 && c.Index < d.width {
				used[c.Index] = true
			}
		})
	}
	project := plan.Identity(beforeHidden(s.node, used))
	exprs, names := project.Exprs, project.Names
	project.Exprs, project.Names = nil, nil
	for i := range exprs {
		if used[i] {
			d.columns = append(d.columns, i)
			project.Exprs, project.Names = append(project.Exprs, exprs[i]), append(project.Names, names[i])
		}
	}
	if len(d.columns) == 0 {
		row := datatype.Schema{{Name: "row", Type: datatype.Of(datatype.Boolean).NotNull()}}
		d.node = &plan.Values{Place: s.at(n), Columns: row, Rows: [][]*expr.Literal{{boolLiteral(true)}}}
		return d
	}
	d.node = plan.Distinct(s.at(n), project)
	return d
}

// beforeHidden is the plan before columns that no query uses were put beside others,
// by left joins and projections, as every subquery in the place of a value does: a
// domain taken from there has the same values, and subqueries beside each other do
// not contain one another.
func beforeHidden(n plan.Node, used map[int]bool) plan.Node {
	for {
		below := n
		switch t := n.(type) {
		case *plan.Join:
			if t.Kind == plan.Left {
				below = t.Left
			}
		case *plan.Project:
			below = t.Input
		}
		width := len(below.Schema())
		for i := range used {
			if i >= width {
				return n
			}
			if p, ok := n.(*plan.Project); ok {
				if c, same := p.Exprs[i].(*expr.Column); !same || c.Index != i {
					return n
				}
			}
		}
		if below == n {
			return n
		}
		n = below
	}
}

// inner numbers conditions over the domain's columns, then the query's.
func (d *domain) inner(conds []expr.Expr) []expr.Expr {
	position := map[int]int{}
	for i, c := range d.columns {
		position[c] = i
	}
	out := make([]expr.Expr, len(conds))
	for i, c := range conds {
		out[i] = plan.Renumber(c, func(i int) int {
			if i < d.width {
				return position[i]
			}
			return i - d.width + len(d.node.Schema())
		})
	}
	return out
}

// attach joins results to the rows by the domain, whose columns they begin with,
// and returns where they are. One more column after them is not NULL where there
// is a result.
func (s *selection) attach(n ast.Node, d *domain, results plan.Node) (int, error) {
	project := plan.Identity(results)
	project.Exprs, project.Names = append(project.Exprs, boolLiteral(true)), append(project.Names, "present")
	join := &plan.Join{Place: s.at(n), Left: s.node, Right: project, Kind: plan.Left}
	var terms []expr.Expr
	for i, c := range d.columns {
		l, r := plan.Column(s.node.Schema(), c), plan.Column(project.Schema(), i)
		r.Index += d.width
		same, err := s.same(n, l, r)
		if err != nil {
			return 0, err
		}
		terms = append(terms, same...)
	}
	join.Residual = plan.AllOf(terms)
	s.addHidden(join, project.Schema())
	return d.width, nil
}

// someValue is a value of a type; nil where there is no simple one.
func someValue(t datatype.Type) expr.Expr {
	switch {
	case t.IsInteger():
		return intLiteral(0)
	case t.IsString():
		return stringLiteral("")
	case t.Kind == datatype.Boolean:
		return boolLiteral(false)
	case t.Is(datatype.Double, datatype.Float, datatype.Decimal):
		return castTo(intLiteral(0), t.NotNull())
	case t.IsTemporal():
		return &expr.Literal{Value: int64(0), T: t.NotNull()}
	}
	return nil
}

// same compares two values, two NULLs being the same. An equality beside the test
// lets a join find partners by their hash.
func (b *Binder) same(n ast.Node, l, r expr.Expr) ([]expr.Expr, error) {
	name := "="
	if l.Type().Nullable {
		name = "IS NOT DISTINCT FROM"
	}
	same, err := b.resolve(name, n, l, r)
	if err != nil || !l.Type().Nullable {
		return []expr.Expr{same}, err
	}
	zero := someValue(l.Type())
	if zero == nil {
		return []expr.Expr{same}, nil
	}
	var sides [2]expr.Expr
	for i, side := range []expr.Expr{l, r} {
		if sides[i], err = b.resolve("COALESCE", n, side, zero); err != nil {
			return nil, err
		}
	}
	equal, err := b.resolve("=", n, sides[0], sides[1])
	return []expr.Expr{equal, same}, err
}
