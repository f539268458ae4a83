package physical

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// share is a subplan that stands in several places and is computed once. In batch its
// consumers start when it is complete: an exchange retained for the job, or else
// one that waits for the other could stop both. In streaming they read along. Where
// branches of one subplan meet again, in joins or unions, these take what comes from
// either, and barriers, for which they let one wait for the other, were given to both
// branches before what follows them: so a branch that waits never has to wait for itself.
type share struct {
	node     plan.Node
	readers  int
	fragment *fragment // once it is built
}

// findShared looks for subplans that stand in the plans more than once and are worth
// sharing, largest first: what is below a second occurrence does not count.
func (b *builder) findShared(roots []plan.Node) {
	b.shared = map[plan.Node]*share{}
	alike := map[uint64][]*share{}
	marks := fingerprints{}
	var visit func(n plan.Node)
	visit = func(n plan.Node) {
		if b.shareable(n) {
			mark := marks.of(n)
			for _, s := range alike[mark] {
				if plan.Equal(s.node, n) {
					s.readers++
					b.shared[n] = s
					return
				}
			}
			s := &share{node: n, readers: 1}
			b.shared[n] = s
			alike[mark] = append(alike[mark], s)
		}
		for _, in := range n.Inputs() {
			visit(in)
		}
	}
	for _, root := range roots {
		visit(root)
	}
}

// fingerprints are hashes of subplans that are the same for equal ones, so that
// only those are compared that may well be equal.
type fingerprints map[plan.Node]uint64

func (f fingerprints) of(n plan.Node) uint64 {
	if mark, ok := f[n]; ok {
		return mark
	}
	h := fnv.New64a()
	h.Write([]byte(n.Label()))
	for _, in := range n.Inputs() {
		h.Write(binary.LittleEndian.AppendUint64(nil, f.of(in)))
	}
	f[n] = h.Sum64()
	return f[n]
}

// shareable are the subplans that cost more to compute than to keep; in streaming, where
// nothing is kept, all that read a table and do not wait for an end.
func (b *builder) shareable(n plan.Node) bool {
	if b.o.Streaming {
		return sharedAlong(n)
	}
	switch n := n.(type) {
	case *plan.Aggregate:
		return true
	case *plan.Join:
		return plan.Rows(n) < scanned(n)/2
	}
	return false
}

func sharedAlong(n plan.Node) bool {
	reads, waits := false, false
	plan.Walk(n, func(n plan.Node) {
		switch n := n.(type) {
		case *plan.Scan:
			reads, waits = true, waits || n.Limit > 0
		case *plan.Materialize:
			waits = waits || n.AtEnd
		case *plan.Sink, *plan.Sort, *plan.TopN, *plan.Limit:
			waits = true
		}
	})
	return reads && !waits
}

// inShared are the nodes of subplans with several readers.
func (b *builder) inShared() map[plan.Node]bool {
	all := map[plan.Node]bool{}
	for n, s := range b.shared {
		if s.readers > 1 {
			plan.Walk(n, func(n plan.Node) { all[n] = true })
		}
	}
	return all
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
