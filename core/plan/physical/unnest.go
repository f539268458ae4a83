package physical

import (
	"slices"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// unnest takes collections apart where they are: rows stay in their subtask and,
// but for repetition, in their order.
func (b *builder) unnest(n *plan.Unnest) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	place := func(c int) int { return slices.Index(n.Keep, c) }
	var order []plan.SortKey
	for _, k := range f.order {
		if k.Column = place(k.Column); k.Column < 0 { // the sort columns go away: bring the rows together before
			f, order = b.gather(f), nil
			break
		}
		order = append(order, k)
	}
	out := b.chain(f, n, n.Label(), n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Unnest{Unnest: &jobgraph.Unnest{
		Column: uint32(n.Column), Keep: refs(n.Keep), Fields: refs(n.Fields), Ordinality: n.Ordinality, Outer: n.Outer,
	}}})
	out.order = order
	out.hashed, _ = moved(f.hashed, place)
	return out, nil
}
