package physical

import (
	"maps"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

func (b *builder) scan(n *plan.Scan) (*fragment, error) {
	source := sourceProto(n)
	b.sources[n] = append(b.sources[n], source)
	f := &fragment{vertex: b.open(b.o.Parallelism)}
	f = b.chain(f, n, n.Label(), n.Columns, &jobgraph.Operator{Spec: &jobgraph.Operator_Source{Source: source}})
	if n.Rejects != nil {
		source.Rejects = true
		b.aside(f, n.Rejects)
	}
	return f, nil
}

func sourceProto(n *plan.Scan) *jobgraph.Source {
	source := &jobgraph.Source{
		Connector: n.Connector, Table: n.Table.Name, Options: maps.Clone(n.Table.Options),
		Columns: fields(n.Columns), PartitionColumns: n.Table.Partitions, PrimaryKey: n.Table.PrimaryKey,
		Limit: n.Limit, Bounded: n.Known.Bounded, TableColumns: fields(tableColumns(n)),
	}
	if n.Predicate != nil {
		source.Predicate = predicateProto(*n.Predicate)
	}
	return source
}

// tableColumns are all physical columns, as DDL or else the connector tells.
func tableColumns(n *plan.Scan) datatype.Schema {
	if len(n.Table.Schema) > 0 {
		return n.Table.Schema
	}
	return n.Known.Schema
}

func (b *builder) values(n *plan.Values) (*fragment, error) {
	values := &jobgraph.Values{}
	for _, row := range n.Rows {
		r := &jobgraph.ValuesRow{}
		for _, v := range row {
			r.Values = append(r.Values, literalProto(v.Value))
		}
		values.Rows = append(values.Rows, r)
	}
	f := &fragment{vertex: b.open(1)}
	return b.chain(f, n, n.Label(), n.Columns, &jobgraph.Operator{Spec: &jobgraph.Operator_Values{Values: values}}), nil
}

func (b *builder) filter(n *plan.Filter) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	b.giveConditions(n)
	out := b.chain(f, n, n.Label(), f.schema, calc(&jobgraph.Calc{Filter: expr.ToProto(n.Cond)}))
	out.order, out.hashed = f.order, f.hashed
	return out, nil
}

func calc(c *jobgraph.Calc) *jobgraph.Operator {
	return &jobgraph.Operator{Spec: &jobgraph.Operator_Calc{Calc: c}}
}

// project joins the filter below it, if there is one, in a single calc.
func (b *builder) project(n *plan.Project) (*fragment, error) {
	input := n.Input
	c := &jobgraph.Calc{}
	name := n.Label()
	if filter, ok := input.(*plan.Filter); ok {
		c.Filter = expr.ToProto(filter.Cond)
		input = filter.Input
		name = "Calc " + name[len("Project "):] + " where " + filter.Label()[len("Filter "):]
	}
	f, err := b.node(input)
	if err != nil {
		return nil, err
	}
	if filter, ok := n.Input.(*plan.Filter); ok {
		b.giveConditions(filter)
	}
	order, kept := keptOrder(f.order, n.Exprs)
	if !kept { // the sort columns go away: bring the rows together before
		f = b.gather(f)
	}
	for _, e := range n.Exprs {
		c.Projection = append(c.Projection, expr.ToProto(e))
	}
	out := b.chain(f, n, name, n.Schema(), calc(c))
	out.order = order
	out.hashed, _ = moved(f.hashed, func(c int) int { return placeOf(n.Exprs, c) })
	return out, nil
}

// placeOf is where a projection passes column c, or -1.
func placeOf(exprs []expr.Expr, c int) int {
	return slices.IndexFunc(exprs, func(e expr.Expr) bool {
		column, ok := e.(*expr.Column)
		return ok && column.Index == c
	})
}

// moved returns the new places of columns, and false if one has none.
func moved(columns []int, place func(int) int) ([]int, bool) {
	var out []int
	for _, c := range columns {
		to := place(c)
		if to < 0 {
			return nil, false
		}
		out = append(out, to)
	}
	return out, len(out) > 0
}

// keptOrder returns the order in terms of the projection's columns, and whether
// it is wholly visible there.
func keptOrder(order []plan.SortKey, exprs []expr.Expr) ([]plan.SortKey, bool) {
	var kept []plan.SortKey
	for _, k := range order {
		i := placeOf(exprs, k.Column)
		if i < 0 {
			return nil, false
		}
		k.Column = i
		kept = append(kept, k)
	}
	return kept, true
}

func (b *builder) sort(n *plan.Sort) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	if sortsByTime(n) {
		return b.sortByTime(n, f), nil
	}
	out := b.chain(f, n, n.Label(), f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_Sort{Sort: &jobgraph.Sort{Keys: sortKeys(n.Keys)}}})
	out.order = n.Keys
	return out, nil
}

// sortByTime tells rows in one subtask, in their order as event time passes them: those of a
// window without functions.
func (b *builder) sortByTime(n *plan.Sort, f *fragment) *fragment {
	after, _ := plan.Closing(n.Input, n.Keys[0].Column)
	return b.chain(b.meet(f, nil), n, n.Label(), f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_UpdatingOver{UpdatingOver: &jobgraph.UpdatingOver{
		Order: sortKeys(n.Keys), Closing: &jobgraph.Closing{Column: uint32(n.Keys[0].Column), AfterMillis: after},
	}}})
}

// topNRows is how many rows a TopN keeps at most. It cannot spill; sorting can.
const topNRows = 100_000

// topN keeps the first rows of each subtask, then of all.
func (b *builder) topN(n *plan.TopN) (*fragment, error) {
	if n.Offset+n.Count > topNRows {
		sort := &plan.Sort{Place: n.Place, Input: n.Input, Keys: n.Keys}
		return b.limit(&plan.Limit{Place: n.Place, Input: sort, Offset: n.Offset, Count: n.Count})
	}
	if b.o.Streaming { // what it keeps is no part of checkpoints: all must end at once
		b.gathered[n.Input] = true
	}
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	spec := func(offset, count int64) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_TopN{TopN: &jobgraph.TopN{Keys: sortKeys(n.Keys), Offset: offset, Limit: count}}}
	}
	if !f.single() {
		f = b.chain(f, n, n.Label()+" (partial)", f.schema, spec(0, n.Offset+n.Count))
		f = b.gather(f)
	}
	out := b.chain(f, n, n.Label(), f.schema, spec(n.Offset, n.Count))
	out.order = n.Keys
	return out, nil
}

func (b *builder) limit(n *plan.Limit) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	spec := func(offset, count int64) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Limit{Limit: &jobgraph.Limit{Offset: offset, Limit: count}}}
	}
	if !f.single() {
		if n.Count >= 0 {
			order := f.order
			f = b.chain(f, n, n.Label()+" (partial)", f.schema, spec(0, n.Offset+n.Count))
			f.order = order
		}
		f = b.gather(f)
	}
	out := b.chain(f, n, n.Label(), f.schema, spec(n.Offset, n.Count))
	out.order = f.order
	return out, nil
}

func (b *builder) sink(n *plan.Sink) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	if len(f.order) > 0 {
		f = b.gather(f) // the order was asked for: one writer keeps it
	}
	return b.chain(f, n, n.Label(), f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{
		Connector: n.Connector, Table: n.Table.Name, Options: maps.Clone(n.Table.Options), Columns: fields(n.Table.Schema),
		PartitionColumns: n.Table.Partitions, StaticPartition: n.StaticPartition, Overwrite: n.Overwrite,
		PrimaryKey: n.Table.PrimaryKey,
	}}}), nil
}
