package physical

import (
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// join brings equal keys of both sides together, or, where that costs less or there
// are no keys, the whole built side to every subtask.
func (b *builder) join(n *plan.Join) (*fragment, error) {
	left, err := b.node(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := b.node(n.Right)
	if err != nil {
		return nil, err
	}
	if n.BuildLeft {
		return b.joinBuiltLeft(n, left, right), nil
	}
	f := &fragment{}
	// Built rows without a partner are emitted once: they must not be in several
	// places.
	keepsBuilt := n.Kind == plan.Right || n.Kind == plan.Full
	broadcast := !keepsBuilt && (len(n.LeftKeys) == 0 || b.broadcasts(n, left))
	switch {
	case left.single() && right.single(), keepsBuilt && len(n.LeftKeys) == 0:
		f.vertex = b.open(1)
		b.connect(left, f.vertex, intoOne(left))
		b.connect(right, f.vertex, intoOne(right))
	case broadcast:
		f.vertex = b.open(left.vertex.Parallelism)
		b.connect(left, f.vertex, forward())
		b.connect(right, f.vertex, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_BROADCAST})
	default:
		f.vertex = b.open(b.o.Parallelism)
		b.connect(left, f.vertex, b.meeting(left, n.LeftKeys))
		b.connect(right, f.vertex, b.meeting(right, n.RightKeys))
	}
	spec := &jobgraph.Join{Type: jobgraph.JoinType(n.Kind), LeftKeys: refs(n.LeftKeys), RightKeys: refs(n.RightKeys)}
	if n.Residual != nil {
		spec.Residual = expr.ToProto(n.Residual)
	}
	if n.Kind == plan.Inner || n.Kind == plan.Semi || n.Kind == plan.Right { // others emit probe rows without a partner
		b.findKeys(spec, n.Left, n.Right, broadcast || f.single())
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Join{Join: spec}})
	switch {
	case out.single(), n.Kind == plan.Full:
	case broadcast:
		out.hashed = left.hashed
	case n.Kind == plan.Right: // its rows are where their keys are, also those without a partner
		out.hashed = shifted(n.RightKeys, len(n.Left.Schema()))
	default:
		out.hashed = n.LeftKeys
	}
	return out, nil
}

func shifted(columns []int, by int) []int {
	out := make([]int, len(columns))
	for i, c := range columns {
		out[i] = c + by
	}
	return out
}

// joinBuiltLeft is a semi or anti join whose left side is built: to the operator
// it is the right one. Each of its rows must be in one place.
func (b *builder) joinBuiltLeft(n *plan.Join, left, right *fragment) *fragment {
	f := &fragment{}
	if left.single() && right.single() {
		f.vertex = b.open(1)
		b.connect(right, f.vertex, forward())
		b.connect(left, f.vertex, forward())
	} else {
		f.vertex = b.open(b.o.Parallelism)
		b.connect(right, f.vertex, b.meeting(right, n.RightKeys))
		b.connect(left, f.vertex, b.meeting(left, n.LeftKeys))
	}
	spec := &jobgraph.Join{Type: jobgraph.JoinType_JOIN_RIGHT_SEMI, LeftKeys: refs(n.RightKeys), RightKeys: refs(n.LeftKeys)}
	if n.Kind == plan.Anti {
		spec.Type = jobgraph.JoinType_JOIN_RIGHT_ANTI
	}
	if n.Residual != nil {
		lefts, rights := len(n.Left.Schema()), len(n.Right.Schema())
		spec.Residual = expr.ToProto(plan.Renumber(n.Residual, func(i int) int {
			if i < lefts {
				return i + rights
			}
			return i - lefts
		}))
	}
	b.findKeys(spec, n.Right, n.Left, f.single())
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Join{Join: spec}})
	if !out.single() {
		out.hashed = n.LeftKeys
	}
	return out
}

// meeting brings equal keys of a side together; where they are, they stay.
func (b *builder) meeting(f *fragment, keys []int) *jobgraph.Exchange {
	if slices.Equal(f.hashed, keys) && f.vertex.Parallelism == b.o.Parallelism {
		return forward()
	}
	return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Keys: refs(keys)}
}

// intoOne brings a side to the one subtask of a join.
func intoOne(f *fragment) *jobgraph.Exchange {
	if f.single() {
		return forward()
	}
	return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON}
}

func forward() *jobgraph.Exchange {
	return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_FORWARD}
}

// broadcastSlack is how many times the limit a built side may have where sending it
// everywhere moves less than exchanging the other one. In each process it is built
// once, so what it costs is that one subtask does.
const broadcastSlack = 4

// broadcasts reports whether the built side is sent to every subtask of a join whose
// other side is left.
func (b *builder) broadcasts(n *plan.Join, left *fragment) bool {
	limit := float64(b.o.BroadcastBytes)
	if limit <= 0 {
		return false
	}
	built := plan.Bytes(n.Right)
	if built < limit {
		return true
	}
	stays := b.meeting(left, n.LeftKeys).Distribution == jobgraph.Distribution_DISTRIBUTION_FORWARD
	copies := float64(left.vertex.Parallelism)
	if copies == 0 {
		copies = float64(b.o.Slots)
	}
	return built < broadcastSlack*limit && !stays && copies > 0 && copies*built < plan.Bytes(n.Left)
}
