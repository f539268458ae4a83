package physical

import (
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// lookupJoin asks the table from where rows are: they stay there, in their order.
func (b *builder) lookupJoin(n *plan.LookupJoin) (*fragment, error) {
	settings, err := lookupSettings(n)
	if err != nil {
		return nil, err
	}
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	spec := &jobgraph.LookupJoin{
		Type: jobgraph.JoinType(n.Kind), Table: sourceProto(n.Table), LeftKeys: refs(n.LeftKeys), RightKeys: refs(n.RightKeys),
		CacheRows: settings.Rows, CacheMillis: settings.Expire.Milliseconds(),
	}
	if n.Residual != nil {
		spec.Residual = expr.ToProto(n.Residual)
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_LookupJoin{LookupJoin: spec}})
	out.order, out.hashed = f.order, f.hashed
	return out, nil
}

func lookupSettings(n *plan.LookupJoin) (connector.LookupSettings, error) {
	s, err := connector.ParseLookup(n.Table.Table, connector.FullCache)
	if err != nil {
		return s, sqlerr.New(sqlerr.InvalidOption, n.At(), "%v", err)
	}
	return s, nil
}

// settleLookup gives rows that are taken back only to a table that answers the same each
// time.
func settleLookup(n *plan.LookupJoin) (plan.Node, error) {
	s, err := lookupSettings(n)
	if err != nil || s.Cache == connector.FullCache && s.Reload == 0 {
		return n, err
	}
	in, err := inserts(n.Input, n)
	if err != nil {
		return nil, err
	}
	return n.WithInputs(in), nil
}

// temporalJoin brings rows and versions of equal keys together.
func (b *builder) temporalJoin(n *plan.TemporalJoin) (*fragment, error) {
	left, err := b.node(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := b.node(n.Right)
	if err != nil {
		return nil, err
	}
	f := &fragment{}
	if left.single() && right.single() {
		f.vertex = b.open(1)
		b.connect(left, f.vertex, forward())
		b.connect(right, f.vertex, forward())
	} else {
		f.vertex = b.open(b.o.Parallelism)
		b.connect(left, f.vertex, b.meeting(left, n.LeftKeys))
		b.connect(right, f.vertex, b.meeting(right, n.RightKeys))
	}
	spec := &jobgraph.TemporalJoin{
		Type: jobgraph.JoinType(n.Kind), LeftKeys: refs(n.LeftKeys), RightKeys: refs(n.RightKeys),
		LeftTime: uint32(n.LeftTime), RightTime: uint32(n.RightTime),
	}
	if n.Residual != nil {
		spec.Residual = expr.ToProto(n.Residual)
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_TemporalJoin{TemporalJoin: spec}})
	if !out.single() {
		out.hashed = n.LeftKeys
	}
	return out, nil
}

// lookupText says which answers a lookup join keeps.
func lookupText(j *jobgraph.LookupJoin) string {
	if j.CacheRows == 0 {
		return ""
	}
	text := fmt.Sprintf("the answers for %d keys by (%s)", j.CacheRows, columnNames(j.Table.Columns, j.RightKeys))
	if j.CacheMillis > 0 {
		text += ", for " + plan.Duration(j.CacheMillis)
	}
	return text + "; bounded"
}

// temporalText says what a temporal join keeps.
func temporalText(g *jobgraph.Graph, v *jobgraph.Vertex, j *jobgraph.TemporalJoin, streaming bool) string {
	left, right := g.Exchanges[v.Inputs[0]].Schema, g.Exchanges[v.Inputs[1]].Schema
	text := "left rows by (" + columnNames(left, j.LeftKeys) + "), versions by (" + columnNames(right, j.RightKeys) + "); "
	if !streaming {
		return text + "bounded by the input's end"
	}
	return text + "bounded by watermark: rows until it reaches " + left[j.LeftTime].Name + ", versions until it reaches the next one's " + right[j.RightTime].Name + ", the last one of each key for ever"
}
