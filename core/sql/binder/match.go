package binder

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// matching is a MATCH_RECOGNIZE that is being bound. What its conditions and measures read
// are columns of a projection below; measures are computed in one above.
type matching struct {
	*Binder
	syntax *ast.MatchRecognize
	scope  *scope // of the table
	below  *plan.Project
	node   *plan.Match
	// proctime: rows come in the order of the clock.
	proctime bool
}

// bindMatch binds `t MATCH_RECOGNIZE (...)`.
func (b *Binder) bindMatch(t *ast.MatchRecognize) (plan.Node, *scope, error) {
	m := &matching{Binder: b, syntax: t, node: &plan.Match{Place: b.at(t), After: ast.SkipToNextRow}}
	if err := m.refuse(); err != nil {
		return nil, nil, err
	}
	in, sc, err := b.bindTable(t.Table)
	if err != nil {
		return nil, nil, err
	}
	m.scope = sc
	for _, bind := range []func() error{
		func() error { return m.order(in) }, m.partition, m.pattern, m.defines, m.within, m.after,
	} {
		if err := bind(); err != nil {
			return nil, nil, err
		}
	}
	above, err := m.measures()
	if err != nil {
		return nil, nil, err
	}
	m.node.Input = m.below
	m.number(above)
	return above, scopeOf("", above.Schema()), nil
}

// refuse names what has no plan.
func (m *matching) refuse() error {
	t := m.syntax
	switch {
	case t.Rows == ast.AllRows:
		return m.unsupported(t, "ALL ROWS PER MATCH is").Suggest("write ONE ROW PER MATCH")
	case len(t.Subsets) > 0:
		return m.unsupported(t.Subsets[0], "SUBSET is")
	case t.StartAnchor || t.EndAnchor:
		return m.unsupported(t.Pattern, "an anchor, ^ or $, in a pattern is")
	case len(t.OrderBy) == 0:
		return m.errorf(sqlerr.BadClause, t, "MATCH_RECOGNIZE needs an order of time").Suggest("write ORDER BY with the table's time column first")
	case len(t.PartitionBy)+len(t.Measures) == 0:
		return m.errorf(sqlerr.BadClause, t, "MATCH_RECOGNIZE gives no columns").Suggest("write PARTITION BY, or MEASURES")
	}
	return nil
}

// order binds ORDER BY, which begins with the time of the rows.
func (m *matching) order(in plan.Node) error {
	x := exprBinder{Binder: m.Binder, scope: m.scope, clause: "ORDER BY"}
	for i, o := range m.syntax.OrderBy {
		e, err := x.bind(o.Expr)
		if err != nil {
			return err
		}
		if unordered(e.Type()) {
			return m.errorf(sqlerr.TypeMismatch, o, "%s has no order", e.Type().WithNull(true))
		}
		if i == 0 {
			if in, err = m.time(in, o, e); err != nil {
				return err
			}
			m.below = plan.Identity(in)
		}
		key := plan.SortKey{Column: addColumn(m.below, e), Descending: o.Desc, NullsFirst: !o.Desc}
		if o.Nulls != ast.NullsUnset {
			key.NullsFirst = o.Nulls == ast.NullsFirst
		}
		m.node.Order = append(m.node.Order, key)
	}
	return nil
}

// time checks that rows come in the order of a time that goes on.
func (m *matching) time(in plan.Node, o *ast.OrderItem, e expr.Expr) (plan.Node, error) {
	column, ok := e.(*expr.Column)
	if !ok || column.Index < 0 {
		return nil, m.errorf(sqlerr.BadClause, o, "the order of MATCH_RECOGNIZE begins with the time column of the table")
	}
	if o.Desc {
		return nil, m.errorf(sqlerr.BadClause, o, "the order of MATCH_RECOGNIZE begins with a time that ascends").Suggest("leave out DESC")
	}
	m.proctime = processingTime(in, column.Index)
	in = m.byClock(o, in, column.Index)
	t := in.Schema()[column.Index].Type
	switch {
	case !t.IsTimestamp():
		return nil, m.errorf(sqlerr.TypeMismatch, o, "column %s is %s, the order of MATCH_RECOGNIZE begins with a TIMESTAMP", column.Name, t.WithNull(true)).
			Suggest("write ORDER BY the event time of the rows, then others")
	case !plan.Bounded(in) && !plan.EventTime(in, column.Index):
		return nil, m.errorf(sqlerr.NoEventTime, o, "column %s has no watermark, so nobody knows when rows of this unbounded table are complete", column.Name).
			Suggest("declare WATERMARK FOR %s AS %s - INTERVAL '5' SECOND in the table", datatype.QuoteName(column.Name), datatype.QuoteName(column.Name))
	}
	return in, nil
}

func (m *matching) partition() error {
	x := exprBinder{Binder: m.Binder, scope: m.scope, clause: "PARTITION BY"}
	for _, p := range m.syntax.PartitionBy {
		e, err := x.bind(p)
		if err != nil {
			return err
		}
		column, ok := e.(*expr.Column)
		if !ok || column.Index < 0 {
			return m.unsupported(p, "PARTITION BY an expression in MATCH_RECOGNIZE is").Suggest("compute it as a column of the table: (SELECT *, ... AS k FROM t)")
		}
		if at := addColumn(m.below, e); !slices.Contains(m.node.Partition, at) {
			m.node.Partition = append(m.node.Partition, at)
		}
	}
	return nil
}

// defines binds the conditions. What they say of the row alone is computed below.
func (m *matching) defines() error {
	for _, d := range m.syntax.Defines {
		v := m.variable(d.Var.Name)
		if v < 0 {
			return m.errorf(sqlerr.UnknownColumn, d.Var, "the pattern has no variable %s", d.Var.Name).DidYouMean(d.Var.Name, m.names())
		}
		to := &m.node.Variables[v]
		if to.Define != nil {
			return m.errorf(sqlerr.Duplicate, d.Var, "variable %s is defined twice", d.Var.Name)
		}
		x := m.expressions("DEFINE", &to.References)
		x.match.defining = v
		e, err := x.bind(d.Cond)
		if err != nil {
			return err
		}
		if e, err = m.condition(d.Cond, e, "DEFINE"); err != nil {
			return err
		}
		to.Define = m.split(e)
	}
	return nil
}

// split computes the terms of a condition that read the row alone below.
func (m *matching) split(e expr.Expr) expr.Expr {
	var own, rest []expr.Expr
	for _, term := range plan.Conjuncts(e) {
		if plan.OnlyColumns(term, func(i int) bool { return i < firstReference }) {
			own = append(own, term)
		} else {
			rest = append(rest, term)
		}
	}
	if len(own) > 0 {
		mask := plan.AllOf(own)
		at := addColumn(m.below, mask)
		rest = append([]expr.Expr{&expr.Column{Index: at, Name: m.below.Names[at], T: mask.Type()}}, rest...)
	}
	return plan.AllOf(rest)
}

func (m *matching) within() error {
	n := m.syntax.Within
	if n == nil {
		return nil
	}
	x := exprBinder{Binder: m.Binder, scope: &scope{}, clause: "WITHIN"}
	e, err := x.bind(n)
	if err != nil {
		return err
	}
	lit, ok := e.(*expr.Literal)
	if !ok || lit.T.Kind != datatype.IntervalSecond || lit.Value == nil || lit.Value.(int64) <= 0 {
		return m.errorf(sqlerr.WrongArguments, n, "WITHIN takes a positive interval of days, hours, minutes or seconds").Suggest("write WITHIN INTERVAL '1' MINUTE")
	}
	m.node.WithinMillis = lit.Value.(int64)
	return nil
}

func (m *matching) after() error {
	a := m.syntax.After
	if a == nil {
		return nil
	}
	m.node.After = a.Kind
	if a.Var == nil {
		return nil
	}
	if m.node.AfterVariable = m.variable(a.Var.Name); m.node.AfterVariable < 0 {
		return m.errorf(sqlerr.UnknownColumn, a.Var, "the pattern has no variable %s", a.Var.Name).DidYouMean(a.Var.Name, m.names())
	}
	return nil
}

// measures binds MEASURES and returns what computes them.
func (m *matching) measures() (*plan.Project, error) {
	above := &plan.Project{Place: m.node.Place, Input: m.node}
	for i, p := range m.node.Partition {
		f := m.below.Schema()[p]
		above.Exprs, above.Names = append(above.Exprs, &expr.Column{Index: i, Name: f.Name, T: f.Type}), append(above.Names, f.Name)
	}
	x := m.expressions("MEASURES", &m.node.Measures)
	for _, n := range m.syntax.Measures {
		e, err := x.bind(n.Expr)
		if err != nil {
			return nil, err
		}
		if slices.Contains(above.Names, n.Alias.Name) {
			return nil, m.errorf(sqlerr.Duplicate, n.Alias, "MATCH_RECOGNIZE gives column %s twice", n.Alias.Name)
		}
		above.Exprs, above.Names = append(above.Exprs, e), append(above.Names, n.Alias.Name)
	}
	for i := range m.node.Measures {
		m.node.Measures[i].Name = m.measureName(above, i)
	}
	if len(m.node.Partition)+len(m.node.Measures) == 0 { // measures are constants: a match is a row
		m.node.Measures = []plan.MatchReference{m.rowTime()}
	}
	return above, nil
}

// measureName is the name of the measure that is just this reference.
func (m *matching) measureName(above *plan.Project, i int) string {
	for j, e := range above.Exprs {
		if c, ok := e.(*expr.Column); ok && c.Index == firstReference+i {
			return above.Names[j]
		}
	}
	r := m.node.Measures[i]
	if r.Call.Function != "" {
		return r.Call.Function
	}
	return m.below.Names[r.Column]
}

// rowTime is the time of the last row of a match.
func (m *matching) rowTime() plan.MatchReference {
	column := m.node.Order[0].Column
	return plan.MatchReference{Variable: -1, Column: column, Name: m.below.Names[column], Type: m.below.Schema()[column].Type}
}

// number gives references their columns, now that it is known what comes before them.
func (m *matching) number(above *plan.Project) {
	width := len(m.below.Exprs)
	for i := range m.node.Variables {
		if v := &m.node.Variables[i]; v.Define != nil {
			v.Define = plan.Renumber(v.Define, referenceAt(width))
		}
	}
	for i, e := range above.Exprs {
		above.Exprs[i] = plan.Renumber(e, referenceAt(len(m.node.Partition)))
	}
}

func referenceAt(first int) func(int) int {
	return func(i int) int {
		if i < firstReference {
			return i
		}
		return first + i - firstReference
	}
}

func (m *matching) variable(name string) int {
	return slices.IndexFunc(m.node.Variables, func(v plan.MatchVariable) bool { return v.Name == name })
}

func (m *matching) names() (names []string) {
	for _, v := range m.node.Variables {
		names = append(names, v.Name)
	}
	return names
}
