package physical

import (
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// expand multiplies the rows where they are.
func (b *builder) expand(n *plan.Expand) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	spec := &jobgraph.Expand{Keys: refs(n.Keys)}
	for _, set := range n.Sets {
		spec.Sets = append(spec.Sets, &jobgraph.ExpandSet{Keys: refs(set)})
	}
	return b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Expand{Expand: spec}}), nil
}
