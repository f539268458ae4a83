package binder

import (
	"strconv"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// aggregateInput puts the Aggregate above WHERE and rewrites the expressions of
// the later clauses over its output: the keys, then the calls. Keys, arguments
// and filters are computed in a projection below.
func (s *selection) aggregateInput() error {
	g := s.group
	in := &plan.Project{Place: s.at(s.syntax), Input: s.node}
	agg := &plan.Aggregate{Place: s.groupPlace(), Input: in}
	for i, key := range g.keys {
		in.Exprs, in.Names = append(in.Exprs, key), append(in.Names, g.names[i])
		agg.Keys = append(agg.Keys, i)
	}
	separate := &plan.Project{}
	if g.sets == nil {
		separate = in
	}
	for i, c := range g.calls {
		call := plan.Call{Function: c.function, Distinct: c.distinct, Filter: -1, Type: c.typ, Name: s.callName(i)}
		for _, a := range c.args {
			call.Args = append(call.Args, addColumn(separate, a))
		}
		if c.filter != nil {
			call.Filter = addColumn(separate, c.filter)
		}
		agg.Calls = append(agg.Calls, call)
	}
	if len(agg.Keys) == 0 && len(agg.Calls) == 0 && g.sets == nil { // HAVING alone: one group, whatever the rows
		s.node = oneRow(s.groupPlace())
		return s.overAggregate(agg)
	}
	if len(in.Exprs) == 0 { // COUNT(*) alone: rows without columns
		in.Exprs, in.Names = []expr.Expr{boolLiteral(true)}, []string{"row"}
	}
	s.node = agg
	if g.sets == nil {
		return s.overAggregate(agg)
	}
	if err := s.expandSets(agg, in, separate); err != nil {
		return err
	}
	if err := s.grandTotals(agg); err != nil {
		return err
	}
	return s.overAggregate(s.node)
}

// groupPlace is what errors about the grouping point at.
func (s *selection) groupPlace() ast.Span {
	switch {
	case s.syntax.GroupBy != nil:
		return s.at(s.syntax.GroupBy)
	case len(s.group.calls) > 0:
		return s.at(s.group.calls[0].at)
	}
	return s.at(s.syntax)
}

// callName is the name of the item that is just this call.
func (s *selection) callName(i int) string {
	for _, it := range s.items {
		if c, ok := it.expr.(*expr.Column); ok && c.Index == s.group.width+i {
			return it.name
		}
	}
	return "agg" + strconv.Itoa(i)
}

// addColumn returns the column of p that computes e, adding it if it is new.
func addColumn(p *plan.Project, e expr.Expr) int {
	for i, have := range p.Exprs {
		if expr.Equal(have, e) {
			return i
		}
	}
	name := "arg" + strconv.Itoa(len(p.Exprs))
	if c, ok := e.(*expr.Column); ok && c.Name != "" {
		name = c.Name
	}
	p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, name)
	return len(p.Exprs) - 1
}

// later are the expressions that are evaluated above the aggregate.
func (s *selection) later() []*expr.Expr {
	var all []*expr.Expr
	for i := range s.items {
		all = append(all, &s.items[i].expr)
	}
	for i := range s.hidden {
		all = append(all, &s.hidden[i].expr)
	}
	if s.having != nil {
		all = append(all, &s.having)
	}
	if s.qualify != nil {
		all = append(all, &s.qualify)
	}
	for i := range s.overs.calls {
		c := &s.overs.calls[i]
		for j := range c.args {
			all = append(all, &c.args[j])
		}
		if c.filter != nil {
			all = append(all, &c.filter)
		}
		for j := range c.partition {
			all = append(all, &c.partition[j])
		}
		for j := range c.order {
			all = append(all, &c.order[j].expr)
		}
	}
	if s.above != nil {
		for i := range s.above.bound {
			for j := range s.above.bound[i].values {
				all = append(all, &s.above.bound[i].values[j])
			}
		}
	}
	return all
}

func (s *selection) overAggregate(agg plan.Node) error {
	schema := agg.Schema()
	for _, e := range s.later() {
		var err error
		if *e, err = s.aboveAggregate(*e, schema); err != nil {
			return err
		}
	}
	return s.joinAbove(schema)
}

// aboveAggregate rewrites e from the virtual row to the aggregate's output.
func (s *selection) aboveAggregate(e expr.Expr, out datatype.Schema) (expr.Expr, error) {
	for i, key := range s.group.keys {
		if expr.Equal(key, e) {
			return plan.Column(out, i), nil
		}
	}
	switch e := e.(type) {
	case *expr.Column:
		if e.Index >= firstOver || e.Index < 0 { // an outer column is the same in all rows
			return e, nil
		}
		if e.Index > groupingID {
			return s.bitsOf(s.group.bits[e.Index-groupingID-1], out)
		}
		if e.Index < s.group.width {
			return nil, s.notGrouped(e)
		}
		return plan.Column(out, len(s.group.keys)+e.Index-s.group.width), nil
	case *expr.Call:
		args := make([]expr.Expr, len(e.Args))
		for i, a := range e.Args {
			var err error
			if args[i], err = s.aboveAggregate(a, out); err != nil {
				return nil, err
			}
		}
		t := e.T
		for i, a := range args { // a grouping set makes keys NULL
			t.Nullable = t.Nullable || a.Type().Nullable && !e.Args[i].Type().Nullable
		}
		return &expr.Call{Function: e.Function, Args: args, T: t}, nil
	}
	return e, nil
}

func (s *selection) notGrouped(c *expr.Column) error {
	var at ast.Node = s.syntax
	if n, ok := s.places[c]; ok {
		at = n
	}
	return s.notGroupedAt(at, c.Name)
}

func (s *selection) notGroupedAt(at ast.Node, column string) error {
	return s.errorf(sqlerr.NotAggregated, at, "column %s is neither in GROUP BY nor inside an aggregate", column).
		Suggest("add it to GROUP BY, or take ANY_VALUE(%s)", column)
}
