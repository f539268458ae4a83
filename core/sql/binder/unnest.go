package binder

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// clauseUnnest is where the argument of UNNEST stands, for messages.
const clauseUnnest = "UNNEST"

// leftDeep turns a join whose right side is itself a join with something lateral
// in it around, so that what stands before the lateral table in FROM is on its
// left: a, (b JOIN UNNEST(a.x)) becomes (a, b) JOIN UNNEST(a.x).
func leftDeep(t *ast.Join) *ast.Join {
	r, ok := t.Right.(*ast.Join)
	if !ok || t.Kind != ast.JoinComma && t.Kind != ast.JoinCross || r.Natural || len(r.Using) > 0 || !hasLateral(r) {
		return t
	}
	switch r.Kind {
	case ast.JoinComma, ast.JoinCross, ast.JoinInner, ast.JoinLeft:
		left := &ast.Join{Span: t.Span, Kind: t.Kind, Left: t.Left, Right: r.Left}
		return &ast.Join{Span: r.Span, Kind: r.Kind, Left: leftDeep(left), Right: r.Right, On: r.On}
	}
	return t
}

// hasLateral reports whether a table expression has a part that may use columns
// of the tables before it.
func hasLateral(t ast.TableExpr) bool {
	for {
		switch n := t.(type) {
		case *ast.Join:
			if hasLateral(n.Right) {
				return true
			}
			t = n.Left
		case *ast.Aliased:
			t = n.Table
		case *ast.DerivedTable:
			return n.Lateral
		case *ast.Unnest:
			return true
		default:
			return false
		}
	}
}

// unnestOf returns the UNNEST that a table expression is, and its alias, if any.
func unnestOf(t ast.TableExpr) (*ast.Unnest, *ast.Aliased) {
	if a, ok := t.(*ast.Aliased); ok {
		u, _ := a.Table.(*ast.Unnest)
		return u, a
	}
	u, _ := t.(*ast.Unnest)
	return u, nil
}

// aliasedElement are the column names that an alias gives. One without columns
// is the name of the elements where they are single values.
func aliasedElement(a *ast.Aliased, u *ast.Unnest, columns datatype.Schema) []*ast.Ident {
	if len(a.Columns) == 0 && !u.Ordinality && len(columns) == 1 && columns[0].Name == plan.UnnestElement {
		return []*ast.Ident{a.Alias}
	}
	return a.Columns
}

// bindUnnest binds UNNEST of what needs no table.
func (b *Binder) bindUnnest(u *ast.Unnest) (plan.Node, *scope, error) {
	x := &exprBinder{Binder: b, scope: &scope{}, clause: clauseUnnest}
	e, err := x.collection(u)
	if err != nil {
		return nil, nil, err
	}
	node := b.unnest(u, b.oneRow(u), e)
	node.Keep = nil
	return node, scopeOf("", node.Schema()), nil
}

// joinUnnest joins each row with the elements of a collection in it. It reports
// false for a collection that is the same for all rows: that is a table like any
// other.
func (b *Binder) joinUnnest(t *ast.Join, left plan.Node, ls *scope, u *ast.Unnest, a *ast.Aliased) (plan.Node, *scope, bool, error) {
	x := &exprBinder{Binder: b, scope: ls, clause: clauseUnnest}
	e, err := x.collection(u)
	if err != nil || !usesInput(e) {
		return nil, nil, false, err
	}
	if err := b.lateralJoin(t, "UNNEST"); err != nil {
		return nil, nil, false, err
	}
	unnest := b.unnest(u, left, e)
	unnest.Outer = t.Kind == ast.JoinLeft
	width := len(left.Schema())
	made := unnest.Schema()[width:]
	rs := scopeOf("", made)
	if a != nil {
		renamed, err := b.rename(&plan.Values{Columns: made}, aliasedElement(a, u, made), a.Alias)
		if err != nil {
			return nil, nil, false, err
		}
		unnest.Names = renamed.Schema().Names()
		rs = scopeOf(a.Alias.Name, renamed.Schema())
	}
	out, sc, err := b.lateralOn(t, unnest, ls, rs)
	return out, sc, true, err
}

// lateralJoin checks that a join's right side may use columns of the left one.
func (b *Binder) lateralJoin(t *ast.Join, what string) error {
	switch t.Kind {
	case ast.JoinComma, ast.JoinCross, ast.JoinInner:
		return nil
	case ast.JoinLeft:
		if !always(t.On) {
			return b.unsupported(t.Right, "LEFT JOIN "+what+" with a condition other than ON TRUE is")
		}
		return nil
	}
	return b.errorf(sqlerr.BadClause, t.Right, "the right side of a %s cannot use columns of the left one", t.Kind)
}

// always reports whether a condition is TRUE as it is written.
func always(on ast.Expr) bool {
	lit, ok := on.(*ast.BoolLit)
	return ok && lit.Value
}

// lateralOn filters node, which has the columns of both sides, by the condition
// of an inner join.
func (b *Binder) lateralOn(t *ast.Join, node plan.Node, ls, rs *scope) (plan.Node, *scope, error) {
	if err := b.distinctAliases(t, ls, rs); err != nil {
		return nil, nil, err
	}
	both := ls.joined(rs, node.Schema())
	if t.Kind == ast.JoinLeft {
		return node, both, nil
	}
	x := exprBinder{Binder: b, scope: both, clause: "ON"}
	var cond expr.Expr
	var err error
	switch {
	case t.Natural || len(t.Using) > 0:
		cond, _, err = x.using(t, ls, rs, both)
	case t.On != nil:
		if cond, err = x.bind(t.On); err == nil {
			cond, err = b.condition(t.On, cond, "ON")
		}
	case t.Kind == ast.JoinInner:
		err = b.errorf(sqlerr.BadClause, t, "%s has no condition", t.Kind).Suggest("write ON TRUE, or CROSS JOIN")
	}
	if err != nil {
		return nil, nil, err
	}
	if cond != nil {
		node = &plan.Filter{Place: b.at(t), Input: node, Cond: cond}
	}
	return node, both, nil
}

// collection binds what UNNEST takes apart.
func (x *exprBinder) collection(u *ast.Unnest) (expr.Expr, error) {
	if len(u.Exprs) != 1 {
		return nil, x.unsupported(u, "UNNEST of several collections at once is").Suggest("write an UNNEST for each")
	}
	e, err := x.bind(u.Exprs[0])
	if err != nil {
		return nil, err
	}
	switch t := e.Type(); t.Kind {
	case datatype.Array, datatype.Map:
		return e, nil
	case datatype.Multiset:
		return nil, x.unsupported(u.Exprs[0], "UNNEST of a MULTISET is")
	default:
		return nil, x.errorf(sqlerr.TypeMismatch, u.Exprs[0], "UNNEST wants an ARRAY or a MAP, this is %s", t.WithNull(true))
	}
}

// usesInput reports whether e depends on the rows it is evaluated for.
func usesInput(e expr.Expr) bool {
	return !plan.OnlyColumns(e, func(i int) bool { return i < 0 })
}

// unnest is the elements of e beside the columns of in.
func (b *Binder) unnest(u *ast.Unnest, in plan.Node, e expr.Expr) *plan.Unnest {
	width := len(in.Schema())
	n := &plan.Unnest{Place: b.at(u), Ordinality: u.Ordinality}
	if c, ok := e.(*expr.Column); ok && c.Index >= 0 {
		n.Input, n.Column = in, c.Index
	} else {
		project := plan.Identity(in)
		project.Exprs, project.Names = append(project.Exprs, e), append(project.Names, "collection")
		n.Input, n.Column = project, width
	}
	for i := range width {
		n.Keep = append(n.Keep, i)
	}
	for i, f := range plan.ElementFields(e.Type()) {
		n.Fields, n.Names = append(n.Fields, i), append(n.Names, f.Name)
	}
	if u.Ordinality {
		n.Names = append(n.Names, plan.UnnestOrdinality)
	}
	return n
}

// oneRow is a row without named columns.
func (b *Binder) oneRow(n ast.Node) plan.Node {
	row := datatype.Schema{{Name: "", Type: datatype.Of(datatype.Boolean).NotNull()}}
	return &plan.Values{Place: b.at(n), Columns: row, Rows: [][]*expr.Literal{{boolLiteral(true)}}}
}
