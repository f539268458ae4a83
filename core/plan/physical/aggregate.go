package physical

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aggregate"
	"github.com/tidemill/tidemill/core/operator/updateagg"
	"github.com/tidemill/tidemill/core/plan"
)

// groupsToSpread are as many groups as a few subtasks share evenly enough.
const groupsToSpread = 256

// aggregate runs in two phases where the calls allow it: each subtask groups
// what it has, then groups of equal keys meet. Below a group-by of fewer of its keys
// (DISTINCT aggregates are planned so) they meet by those, which saves that one its
// exchange.
func (b *builder) aggregate(n *plan.Aggregate) (*fragment, error) {
	meet, preferred := b.meetBy[n]
	if !preferred {
		meet = firstColumns(len(n.Keys))
	}
	if lower, ok := n.Input.(*plan.Aggregate); ok && b.spreads(n, lower) {
		b.meetBy[lower] = choose(n.Keys, meet)
	}
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	calls := callProtos(n.Calls, n.Input.Schema())
	// Equal keys are together already where they contain what the rows are hashed by.
	at, together := moved(f.hashed, func(c int) int { return slices.Index(n.Keys, c) })
	if f.single() || together {
		out := b.chain(f, n, n.Label(), n.Schema(), aggregateOperator(jobgraph.Phase_PHASE_SINGLE, n.Keys, calls))
		out.hashed = at
		return out, nil
	}
	for _, c := range calls {
		if !aggregate.Splittable(c) {
			f = b.byKeys(f, choose(n.Keys, meet))
			out := b.chain(f, n, n.Label(), n.Schema(), aggregateOperator(jobgraph.Phase_PHASE_SINGLE, n.Keys, calls))
			out.hashed = meet
			return out, nil
		}
	}
	partial, err := appendAccumulators(append(datatype.Schema(nil), n.Schema()[:len(n.Keys)]...), n.Calls, calls, false)
	if err != nil {
		return nil, err
	}
	f = b.chain(f, n, n.Label()+" (partial)", partial, aggregateOperator(jobgraph.Phase_PHASE_PARTIAL, n.Keys, calls))
	f = b.byKeys(f, meet)
	out := b.chain(f, n, n.Label()+" (final)", n.Schema(), aggregateOperator(jobgraph.Phase_PHASE_FINAL, firstColumns(len(n.Keys)), calls))
	out.hashed = meet
	return out, nil
}

// spreads reports whether rows of lower may meet by the keys that upper groups its
// output by: they are keys of lower, and of many values.
func (b *builder) spreads(upper, lower *plan.Aggregate) bool {
	return !b.o.Streaming && len(upper.Keys) > 0 && slices.Max(upper.Keys) < len(lower.Keys) && plan.Rows(upper) >= groupsToSpread
}

// choose are the values at places.
func choose(values, places []int) []int {
	out := make([]int, len(places))
	for i, p := range places {
		out[i] = values[p]
	}
	return out
}

func firstColumns(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// byKeys brings equal keys together; no keys bring everything together.
func (b *builder) byKeys(f *fragment, keys []int) *fragment {
	if len(keys) > 0 {
		return b.hash(f, keys)
	}
	return b.gather(&fragment{vertex: f.vertex, schema: f.schema})
}

func aggregateOperator(phase jobgraph.Phase, keys []int, calls []*jobgraph.AggregateCall) *jobgraph.Operator {
	return &jobgraph.Operator{Spec: &jobgraph.Operator_Aggregate{Aggregate: &jobgraph.Aggregate{Phase: phase, Keys: refs(keys), Calls: calls}}}
}

func callProtos(calls []plan.Call, in datatype.Schema) []*jobgraph.AggregateCall {
	out := make([]*jobgraph.AggregateCall, len(calls))
	for i, c := range calls {
		out[i] = &jobgraph.AggregateCall{
			Function: c.Function, Args: refs(c.Args), Distinct: c.Distinct, Filter: int32(c.Filter), Type: c.Type.String(), Name: c.Name,
			Growing: c.Growing,
		}
		for _, a := range c.Args {
			out[i].ArgTypes = append(out[i].ArgTypes, in[a].Type.String())
		}
	}
	return out
}

// appendAccumulators appends the accumulator columns of each call, over an input that
// takes rows back or not.
func appendAccumulators(out datatype.Schema, calls []plan.Call, specs []*jobgraph.AggregateCall, retracting bool) (datatype.Schema, error) {
	for i, c := range specs {
		types, err := updateagg.AccumulatorTypes(c, retracting)
		if err != nil {
			return nil, failure.Errorf(failure.InvalidSQL, "aggregate %s: %w", calls[i].Function, err)
		}
		for j, t := range types {
			out = append(out, datatype.Field{Name: fmt.Sprintf("%s$%d", calls[i].Name, j), Type: t})
		}
	}
	return out, nil
}

// windowAggregate runs in two phases where the calls allow it, like aggregate:
// what meets over the exchange are the slices of windows.
func (b *builder) windowAggregate(n *plan.WindowAggregate) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	calls := callProtos(n.Calls, n.Input.Schema())
	splittable := true
	for _, c := range calls {
		splittable = splittable && aggregate.Splittable(c)
	}
	session := n.Window.Kind == plan.Session
	if f.single() || !splittable || session || b.tellsLate() { // sessions are no slices, nor what is late of them rows
		f = b.byKeys(f, n.Keys)
		return b.chain(f, n, n.Label(), n.Schema(), windowOperator(n, jobgraph.Phase_PHASE_SINGLE, n.Keys, calls)), nil
	}
	partial := append(datatype.Schema(nil), n.Schema()[:len(n.Keys)]...)
	partial = append(partial, datatype.Field{Name: "slice_end", Type: datatype.Of(datatype.BigInt).NotNull()})
	if partial, err = appendAccumulators(partial, n.Calls, calls, false); err != nil {
		return nil, err
	}
	f = b.chain(f, n, n.Label()+" (partial)", partial, windowOperator(n, jobgraph.Phase_PHASE_PARTIAL, n.Keys, calls))
	keys := firstColumns(len(n.Keys))
	f = b.byKeys(f, keys)
	return b.chain(f, n, n.Label()+" (final)", n.Schema(), windowOperator(n, jobgraph.Phase_PHASE_FINAL, keys, calls)), nil
}

func windowOperator(n *plan.WindowAggregate, phase jobgraph.Phase, keys []int, calls []*jobgraph.AggregateCall) *jobgraph.Operator {
	spec := &jobgraph.WindowAggregate{
		Phase: phase, Keys: refs(keys), Calls: calls,
		Window: windowProto(n.Window),
	}
	if phase != jobgraph.Phase_PHASE_FINAL {
		spec.TimeColumn = uint32(n.Time)
	}
	if phase != jobgraph.Phase_PHASE_PARTIAL {
		for _, p := range n.Properties {
			spec.Properties = append(spec.Properties, jobgraph.WindowProperty(p))
		}
	}
	return &jobgraph.Operator{Spec: &jobgraph.Operator_WindowAggregate{WindowAggregate: spec}}
}
