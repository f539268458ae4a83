package binder

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// This file binds JOIN t FOR SYSTEM_TIME AS OF x. Where x is PROCTIME() each row asks the
// table for what it has of the row's keys. Where x is an event time t must be a versioned
// table: one with a primary key and a watermark, or a view that keeps the latest row of
// each key. Of the view the rows below are read, which are the versions: it says the same
// of any time, and keeps nothing.

const clauseAsOf = "FOR SYSTEM_TIME AS OF"

// snapshotOf returns the table as of a time that a table expression is, and the
// expression without the time.
func snapshotOf(t ast.TableExpr) (*ast.Snapshot, ast.TableExpr) {
	if a, ok := t.(*ast.Aliased); ok {
		s, _ := a.Table.(*ast.Snapshot)
		if s == nil {
			return nil, nil
		}
		return s, &ast.Aliased{Span: a.Span, Table: s.Table, Alias: a.Alias, Columns: a.Columns}
	}
	if s, _ := t.(*ast.Snapshot); s != nil {
		return s, s.Table
	}
	return nil, nil
}

// joinSnapshot joins rows with a table as of their time.
func (b *Binder) joinSnapshot(t *ast.Join, left plan.Node, ls *scope, s *ast.Snapshot, of ast.TableExpr) (plan.Node, *scope, error) {
	if t.Kind != ast.JoinInner && t.Kind != ast.JoinLeft {
		return nil, nil, b.errorf(sqlerr.BadClause, t, "a table %s a time is joined by JOIN or LEFT JOIN, with a condition, not by %s", clauseAsOf, t.Kind)
	}
	if t.On != nil && hasQuery(t.On) {
		return nil, nil, b.unsupported(t.On, "a subquery in ON of a join "+clauseAsOf+" is")
	}
	x := exprBinder{Binder: b, scope: ls, clause: clauseAsOf}
	at, err := x.bind(s.Time)
	if err != nil {
		return nil, nil, err
	}
	right, rs, err := b.bindTable(of)
	if err != nil {
		return nil, nil, err
	}
	node, out, err := b.joinTables(t, left, ls, right, rs)
	if err != nil {
		return nil, nil, err
	}
	a := asOf{Binder: b, at: t, table: s.Table, join: node.(*plan.Join), width: len(left.Schema()), in: plan.Identity(left)}
	column, isColumn := at.(*expr.Column)
	call, isCall := at.(*expr.Call)
	switch {
	case isColumn && column.Index >= 0 && processingTime(left, column.Index), isCall && call.Function == "PROCTIME":
		node, err = a.lookup()
	case isColumn && column.Index >= 0 && plan.EventTime(left, column.Index):
		node, err = a.temporal(column.Index)
	default:
		err = b.errorf(sqlerr.BadClause, s.Time, "%s wants a time attribute of the rows that are joined", clauseAsOf).
			Suggest("join what a table has when a row comes as of a column PROCTIME() AS p, or the version of a row's time as of a column with a WATERMARK")
	}
	return node, out, err
}

// asOf makes a join as of a time of the plain join.
type asOf struct {
	*Binder
	at    *ast.Join
	table ast.TableExpr
	join  *plan.Join
	width int           // of the left side
	in    *plan.Project // the left side, and keys that are computed
	exprs []expr.Expr   // the right side's columns over those of what is joined instead
	terms []expr.Expr   // conditions of the right side itself, likewise
	left  []int         // keys
	right []int
	rest  []expr.Expr // conditions that give no key, over the left side and what is joined
}

// below takes the projections and filters off the right side, and watermarks where time
// says nothing, and returns what it is over.
func (a *asOf) below(timeless bool) plan.Node {
	n := a.join.Right
	a.exprs = plan.Columns(n.Schema())
	over := func(exprs []expr.Expr, in []expr.Expr) {
		for i, e := range exprs {
			exprs[i] = plan.Substitute(e, in)
		}
	}
	for {
		switch p := n.(type) {
		case *plan.Project:
			over(a.exprs, p.Exprs)
			over(a.terms, p.Exprs)
			n = p.Input
		case *plan.Filter:
			a.terms = append(a.terms, plan.Conjuncts(p.Cond)...)
			n = p.Input
		case *plan.Watermark:
			if !timeless {
				return n
			}
			n = p.Input
		default:
			return n
		}
	}
}

// lookup asks the table's connector for the rows of keys.
func (a *asOf) lookup() (plan.Node, error) {
	scan, ok := a.below(true).(*plan.Scan)
	if !ok {
		return nil, a.errorf(sqlerr.Unsupported, a.table, "rows are looked up in tables only, and this is a query").
			Suggest("join it without %s, or as of an event time", clauseAsOf)
	}
	c, _ := a.Connectors.Lookup(scan.Table.Options[catalog.OptionConnector])
	if _, ok := c.(connector.Looker); !ok {
		return nil, a.errorf(sqlerr.Unsupported, a.table, "connector %s finds no rows by key", scan.Connector).
			Suggest("join the table without %s", clauseAsOf)
	}
	a.split(scan.Columns, func(int) bool { return true })
	if len(a.left) == 0 {
		return nil, a.errorf(sqlerr.BadClause, a.at, "a lookup needs a key: an equality of a column of the table and something of the left side").
			Suggest("cast values of another type on the left side: ON CAST(x AS BIGINT) = t.key")
	}
	n := &plan.LookupJoin{
		Place: a.join.Place, Input: a.input(), Kind: a.join.Kind, Table: scan, LeftKeys: a.left, RightKeys: a.right, Residual: a.residual(),
	}
	return a.output(n, a.right[0])
}

// temporal joins versions.
func (a *asOf) temporal(leftTime int) (plan.Node, error) {
	n := a.below(false)
	if m, ok := n.(*plan.Materialize); ok {
		return nil, a.errorf(sqlerr.Unsupported, a.table, "%s does not fit: a row that is deleted by its key has no event time at which it ends", m.Label()).
			Suggest("read the topic with connector kafka, whose rows are all versions, and declare the PRIMARY KEY there")
	}
	keys, time := a.versions(&n)
	if keys == nil {
		return nil, a.errorf(sqlerr.BadClause, a.table, "%s an event time wants a versioned table", clauseAsOf).
			Suggest("declare a PRIMARY KEY and a WATERMARK, or keep the latest row of each key: ROW_NUMBER() OVER (PARTITION BY key ORDER BY time DESC) = 1; conditions about it go into ON or WHERE")
	}
	if of, with := a.join.Left.Schema()[leftTime].Type, n.Schema()[time].Type; of.Kind != with.Kind {
		return nil, a.errorf(sqlerr.TypeMismatch, a.at, "the rows' time is %s, and that of versions %s", of, with).
			Suggest("declare both of one kind: TIMESTAMP(3), or TIMESTAMP_LTZ(3)")
	}
	a.split(n.Schema(), func(c int) bool { return slices.Contains(keys, c) })
	for _, k := range keys {
		if !slices.Contains(a.right, k) {
			return nil, a.errorf(sqlerr.BadClause, a.at, "the join has no equality for %s, which is of the versioned table's key", datatype.QuoteName(n.Schema()[k].Name)).
				Suggest("compare all columns of the key, by values of the same type: CAST those of the left side")
		}
	}
	n = &plan.TemporalJoin{
		Place: a.join.Place, Left: a.input(), Right: n, Kind: a.join.Kind, LeftKeys: a.left, RightKeys: a.right,
		LeftTime: leftTime, RightTime: time, Residual: a.residual(),
	}
	return a.output(n, time)
}

// versions returns the key and the time of the versions in n, which it may replace by
// what is below. No key: they are none.
func (a *asOf) versions(n *plan.Node) (keys []int, time int) {
	schema := (*n).Schema()
	switch v := (*n).(type) {
	case *plan.Watermark:
		if len(a.terms) > 0 || !plan.EventTime(v, v.Column) {
			return nil, 0
		}
		plan.Walk(v, func(n plan.Node) {
			if scan, ok := n.(*plan.Scan); ok {
				for _, name := range scan.Table.PrimaryKey {
					keys = append(keys, schema.Index(name))
				}
			}
		})
		return keys, v.Column
	case *plan.Over:
		rank := len(v.Input.Schema())
		if len(v.Calls) != 1 || v.Calls[0].Function != "ROW_NUMBER" || len(v.Partition) == 0 || len(v.Order) != 1 || !v.Order[0].Descending ||
			!plan.EventTime(v.Input, v.Order[0].Column) || len(a.terms) != 1 || !isFirst(a.terms[0], rank) {
			return nil, 0
		}
		a.terms = nil
		for i, e := range a.exprs {
			a.exprs[i] = plan.ReplaceColumns(e, func(c *expr.Column) expr.Expr {
				if c.Index == rank {
					return bigint(1)
				}
				return c
			})
		}
		*n = v.Input
		return v.Partition, v.Order[0].Column
	}
	return nil, 0
}

// isFirst reports whether a term says that a rank is 1.
func isFirst(term expr.Expr, rank int) bool {
	call, ok := term.(*expr.Call)
	if !ok || len(call.Args) != 2 || call.Function != "=" && call.Function != "<=" {
		return false
	}
	c, isColumn := uncast(call.Args[0]).(*expr.Column)
	one, isLiteral := uncast(call.Args[1]).(*expr.Literal)
	return isColumn && isLiteral && c.Index == rank && one.Value == int64(1)
}

func uncast(e expr.Expr) expr.Expr {
	if call, ok := e.(*expr.Call); ok && call.Function == "CAST" {
		return uncast(call.Args[0])
	}
	return e
}

// split makes keys of the equalities with columns of what is joined that may be one.
func (a *asOf) split(columns datatype.Schema, may func(column int) bool) {
	over := slices.Clone(plan.Columns(a.join.Left.Schema()))
	for _, e := range a.exprs {
		over = append(over, a.beside(e))
	}
	for _, t := range plan.Conjuncts(a.join.Residual) {
		t = plan.ReplaceColumns(t, func(c *expr.Column) expr.Expr {
			if c.Index < 0 {
				return c
			}
			return over[c.Index]
		})
		if key, column, ok := a.equality(t, columns); ok && may(column) && !slices.Contains(a.right, column) {
			a.left, a.right = append(a.left, a.key(key)), append(a.right, column)
			continue
		}
		a.rest = append(a.rest, t)
	}
	for _, t := range a.terms {
		a.rest = append(a.rest, a.beside(t))
	}
}

// beside is e, which is over what is joined, behind the left side.
func (a *asOf) beside(e expr.Expr) expr.Expr {
	return plan.Renumber(e, func(i int) int { return a.width + i })
}

// equality reads l = c, of the left side and a column. Where l is a wider integer than
// c, it finds nothing if it does not fit.
func (a *asOf) equality(t expr.Expr, columns datatype.Schema) (l expr.Expr, column int, ok bool) {
	call, isCall := t.(*expr.Call)
	if !isCall || call.Function != "=" {
		return nil, 0, false
	}
	onLeft := func(i int) bool { return i >= 0 && i < a.width }
	for i, r := range call.Args {
		l = call.Args[1-i]
		wide := false
		if cast, ok := r.(*expr.Call); ok && cast.Function == "CAST" && integer(cast.T) && integer(cast.Args[0].Type()) {
			r, wide = cast.Args[0], true
		}
		c, isColumn := r.(*expr.Column)
		if !isColumn || c.Index < a.width || !plan.OnlyColumns(l, onLeft) {
			continue
		}
		column = c.Index - a.width
		want := columns[column].Type
		if wide {
			l = &expr.Call{Function: "TRY_CAST", Args: []expr.Expr{l}, T: want.WithNull(true)}
		}
		if arrow.TypeEqual(l.Type().Arrow(), want.Arrow()) {
			return l, column, true
		}
	}
	return nil, 0, false
}

func integer(t datatype.Type) bool {
	return t.Is(datatype.TinyInt, datatype.SmallInt, datatype.Int, datatype.BigInt)
}

// key is the left side's column of an expression over it.
func (a *asOf) key(e expr.Expr) int {
	if c, ok := e.(*expr.Column); ok {
		return c.Index
	}
	a.in.Exprs, a.in.Names = append(a.in.Exprs, e), append(a.in.Names, "key")
	return len(a.in.Exprs) - 1
}

// input is the left side with the keys.
func (a *asOf) input() plan.Node {
	if len(a.in.Exprs) == a.width {
		return a.in.Input
	}
	return a.in
}

// residual is the rest of the condition, over the left side with the keys, then what is
// joined.
func (a *asOf) residual() expr.Expr {
	for i, e := range a.rest {
		a.rest[i] = plan.Renumber(e, a.behind)
	}
	return plan.AllOf(a.rest)
}

// behind moves the columns of what is joined behind those of keys.
func (a *asOf) behind(i int) int {
	if i < a.width {
		return i
	}
	return i - a.width + len(a.in.Exprs)
}

// output projects the join to the columns of the plain one. present is a column of what
// is joined that is not null in a row that was found.
func (a *asOf) output(n plan.Node, present int) (plan.Node, error) {
	schema := n.Schema()
	out := &plan.Project{Place: a.join.Place, Input: n, Names: a.join.Schema().Names()}
	for i := range a.width {
		out.Exprs = append(out.Exprs, plan.Column(schema, i))
	}
	first := len(a.in.Exprs)
	for _, e := range a.exprs {
		of := plan.ReplaceColumns(e, func(c *expr.Column) expr.Expr { return plan.Column(schema, first+c.Index) })
		if _, plain := of.(*expr.Column); !plain && a.join.Kind == plan.Left {
			var err error
			if of, err = a.orElse(a.at, plan.Column(schema, first+present), of, &expr.Literal{T: of.Type().WithNull(true)}); err != nil {
				return nil, err
			}
		}
		out.Exprs = append(out.Exprs, of)
	}
	return out, nil
}
