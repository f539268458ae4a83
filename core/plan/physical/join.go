package physical

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// join brings equal keys of both sides together, or, where the built side is
// small or there are no keys, the whole built side to every subtask.
func (b *builder) join(n *plan.Join) (*fragment, error) {
	switch n.Kind {
	case plan.Inner, plan.Left:
	default:
		return nil, sqlerr.New(sqlerr.Unsupported, n.At(), "a %s join is not supported yet", n.Kind)
	}
	left, err := b.node(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := b.node(n.Right)
	if err != nil {
		return nil, err
	}
	f := &fragment{}
	switch {
	case left.single() && right.single():
		f.vertex = b.open(1)
		b.connect(left, f.vertex, forward())
		b.connect(right, f.vertex, forward())
	case len(n.LeftKeys) == 0 || b.small(n.Right):
		f.vertex = b.open(left.vertex.Parallelism)
		b.connect(left, f.vertex, forward())
		b.connect(right, f.vertex, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_BROADCAST})
	default:
		f.vertex = b.open(b.o.Parallelism)
		b.connect(left, f.vertex, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Keys: refs(n.LeftKeys)})
		b.connect(right, f.vertex, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Keys: refs(n.RightKeys)})
	}
	spec := &jobgraph.Join{Type: jobgraph.JoinType(n.Kind), LeftKeys: refs(n.LeftKeys), RightKeys: refs(n.RightKeys)}
	if n.Residual != nil {
		spec.Residual = expr.ToProto(n.Residual)
	}
	return f.chain(n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Join{Join: spec}}), nil
}

func forward() *jobgraph.Exchange {
	return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_FORWARD}
}

func (b *builder) small(n plan.Node) bool {
	return b.o.BroadcastBytes > 0 && plan.Bytes(n) < float64(b.o.BroadcastBytes)
}
