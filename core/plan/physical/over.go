package physical

import (
	"slices"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// over brings partitions together, sorts, and computes over the sorted rows. A
// window over what the one below is sorted by takes its order.
func (b *builder) over(n *plan.Over) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	at, together := moved(f.hashed, func(c int) int { return slices.Index(n.Partition, c) })
	hashed := f.hashed
	if len(at) == 0 || !together {
		hashed = nil
		if !f.single() {
			f = &fragment{vertex: f.vertex, schema: f.schema, sealed: f.sealed}
			if n.Top.Count > 0 {
				f = b.chain(f, n, n.TopLabel()+" (partial)", f.schema, topOperator(n, jobgraph.Phase_PHASE_PARTIAL))
			}
			f = b.byKeys(f, n.Partition)
			hashed = f.hashed
		}
	}
	keys := overKeys(n)
	sorted := f.sorted
	if sorted == nil {
		sorted = f.order
	}
	if !startsWith(sorted, keys) && n.Top.Count > 0 {
		f = b.chain(f, n, n.TopLabel(), f.schema, topOperator(n, jobgraph.Phase_PHASE_SINGLE))
		sorted = keys
	}
	if !startsWith(sorted, keys) {
		sort := &plan.Sort{Place: n.Place, Input: n.Input, Keys: keys}
		f = b.chain(f, sort, sort.Label(), f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_Sort{Sort: &jobgraph.Sort{Keys: sortKeys(keys)}}})
		sorted = keys
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Over{Over: overProto(n)}})
	out.hashed, out.sorted = hashed, sorted
	return out, nil
}

// topOperator drops most of the rows that need no rank, and sorts the others.
func topOperator(n *plan.Over, phase jobgraph.Phase) *jobgraph.Operator {
	order := overKeys(n)[len(n.Partition):]
	return &jobgraph.Operator{Spec: &jobgraph.Operator_GroupTopN{GroupTopN: &jobgraph.GroupTopN{
		Phase: phase, Groups: refs(n.Partition), Order: sortKeys(order), Ranking: rankingProto(n.Top.Function), Limit: n.Top.Count,
	}}}
}

// overKeys are the columns that the input is sorted by.
func overKeys(n *plan.Over) []plan.SortKey {
	var keys []plan.SortKey
	for _, c := range n.Partition {
		keys = append(keys, plan.SortKey{Column: c, NullsFirst: true})
	}
	for _, k := range n.Order {
		if !slices.ContainsFunc(keys, func(have plan.SortKey) bool { return have.Column == k.Column }) {
			keys = append(keys, k)
		}
	}
	return keys
}

func startsWith(order, keys []plan.SortKey) bool {
	return len(order) >= len(keys) && slices.Equal(order[:len(keys)], keys)
}

func overProto(n *plan.Over) *jobgraph.Over {
	spec := &jobgraph.Over{Partition: refs(n.Partition), Order: sortKeys(n.Order)}
	in := n.Input.Schema()
	for _, c := range n.Calls {
		unit := jobgraph.FrameUnit_FRAME_ROWS
		if c.Frame.Range {
			unit = jobgraph.FrameUnit_FRAME_RANGE
		}
		spec.Calls = append(spec.Calls, &jobgraph.OverCall{
			Call:        callProtos([]plan.Call{c.Call}, in)[0],
			Frame:       &jobgraph.Frame{Unit: unit, From: boundProto(c.Frame.From), To: boundProto(c.Frame.To)},
			IgnoreNulls: c.IgnoreNulls,
		})
	}
	return spec
}

func boundProto(b plan.Bound) *jobgraph.FrameBound {
	return &jobgraph.FrameBound{Kind: jobgraph.BoundKind(b.Kind), Offset: b.Offset, Real: b.Real, Months: b.Months}
}
