package physical

import (
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// share is a subplan that stands in several places and is computed once. Its
// consumers start when it is complete: an exchange retained for the job, or else
// one that waits for the other could stop both.
type share struct {
	node     plan.Node
	readers  int
	fragment *fragment // once it is built
}

// findShared looks for joins and aggregates that stand in the plans more than
// once, largest first: what is below a second occurrence does not count.
func (b *builder) findShared(roots []plan.Node) {
	b.shared = map[plan.Node]*share{}
	byLabel := map[string][]*share{}
	var visit func(n plan.Node)
	visit = func(n plan.Node) {
		if shareable(n) {
			label := n.Label()
			for _, s := range byLabel[label] {
				if plan.Equal(s.node, n) {
					s.readers++
					b.shared[n] = s
					return
				}
			}
			s := &share{node: n, readers: 1}
			b.shared[n] = s
			byLabel[label] = append(byLabel[label], s)
		}
		for _, in := range n.Inputs() {
			visit(in)
		}
	}
	for _, root := range roots {
		visit(root)
	}
}

// shareable are the subplans that cost more to compute than to keep.
func shareable(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Aggregate:
		return true
	case *plan.Join:
		return plan.Rows(n) < scanned(n)/2
	}
	return false
}

// scanned estimates the rows read below n.
func scanned(n plan.Node) float64 {
	if scan, ok := n.(*plan.Scan); ok {
		return plan.Rows(scan)
	}
	rows := 0.0
	for _, in := range n.Inputs() {
		rows += scanned(in)
	}
	return rows
}

// once builds a shared subplan at its first occurrence.
func (b *builder) once(s *share) (*fragment, error) {
	if s.fragment == nil {
		f, err := b.build(s.node)
		if err != nil {
			return nil, err
		}
		s.fragment = f
		b.sealed[f.vertex.Id] = true
	}
	out := *s.fragment
	out.sealed = b
	return &out, nil
}

// reader is a new vertex that goes on with what a sealed fragment emits.
func (f *fragment) reader() *fragment {
	b := f.sealed
	v := b.open(f.vertex.Parallelism)
	b.connect(f, v, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_FORWARD})
	out := *f
	out.vertex, out.sealed = v, nil
	return &out
}
