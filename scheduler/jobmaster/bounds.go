package jobmaster

import (
	"math"
	"slices"

	"github.com/tidemill/tidemill/adaptive"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// Requirements say with how many subtasks a streaming job is to run. The zero value: as its
// plan and its options say.
type Requirements struct {
	// Most is that of all vertices that are not bound to one; 0: not said.
	Most     int                  `json:",omitempty"`
	Vertices map[id.Vertex]Bounds `json:",omitempty"`
}

// Bounds are between how many subtasks a vertex runs.
type Bounds struct{ Least, Most int }

// With returns the requirements that a request makes of r.
func (r Requirements) With(q *rpc.RescaleRequest) Requirements {
	out := Requirements{Most: r.Most, Vertices: map[id.Vertex]Bounds{}}
	for v, b := range r.Vertices {
		out.Vertices[v] = b
	}
	if p := int(q.GetParallelism()); p > 0 {
		out = Requirements{Most: p, Vertices: map[id.Vertex]Bounds{}}
	}
	for _, b := range q.GetVertices() {
		out.Vertices[id.Vertex(b.GetVertex())] = Bounds{Least: int(b.GetLeast()), Most: int(b.GetMost())}
	}
	return out
}

// scalables describe the vertices of a streaming job to who decides about their
// parallelism. With reactive they take what there is.
func (l *layout) scalables(r Requirements, reactive bool) []adaptive.Scalable {
	out := make([]adaptive.Scalable, len(l.parallelism))
	for i, v := range l.graph.GetVertices() {
		s := adaptive.Scalable{Name: v.GetName(), Like: l.forwarded(v)}
		most := l.classes[i].most
		asked, said := r.Vertices[id.Vertex(i)]
		switch {
		case s.Like >= 0:
		case l.single(v):
			s.Fixed = 1
		case said:
			s.Least, s.Most = min(asked.Least, most), min(asked.Most, most)
		case r.Most > 0:
			s.Most = min(r.Most, most)
		case reactive:
			s.Most = most
		case v.GetParallelism() > 0:
			s.Most = min(int(v.GetParallelism()), most)
		case l.wanted > 0:
			s.Most = min(l.wanted, most)
		default:
			s.Most = min(l.expected, most)
		}
		out[i] = s
	}
	return out
}

// single says that a vertex's place in the plan leaves it one subtask.
func (l *layout) single(v *jobgraph.Vertex) bool {
	if v.GetParallelism() == 1 || v.GetMaxParallelism() == 1 {
		return true
	}
	for _, n := range v.GetInputs() {
		switch l.graph.GetExchanges()[n].GetDistribution() {
		case jobgraph.Distribution_DISTRIBUTION_SINGLETON, jobgraph.Distribution_DISTRIBUTION_MERGE:
			return true
		}
	}
	return len(v.GetChain()) > 0 && v.GetChain()[0].GetValues() != nil // subtask 0 emits them all
}

// forwarded is the vertex that one has the parallelism of since a forward edge joins them;
// -1: there is none.
func (l *layout) forwarded(v *jobgraph.Vertex) int {
	for _, n := range v.GetInputs() {
		if x := l.graph.GetExchanges()[n]; x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_FORWARD {
			return int(x.GetProducer())
		}
	}
	return -1
}

// Check says whether a request can be met by the job, should there be the slots. Anybody
// may call it.
func (m *Master) Check(q *rpc.RescaleRequest) error {
	switch {
	case !m.layout.streaming():
		return failure.Errorf(failure.Usage, "a batch job takes the slots that there are, region after region: only streaming jobs are rescaled")
	case !m.checkpointed:
		return failure.Errorf(failure.Usage, "the job takes no checkpoints that it could go on from: set execution.checkpointing.interval")
	case hasReader(m.layout.graph):
		return failure.Errorf(failure.Usage, "a client reads the rows of the job as they come, and they cannot be taken back: only INSERT is rescaled")
	}
	if p, most := int(q.GetParallelism()), m.most(); p > most {
		return failure.Errorf(failure.Usage, "parallelism %d: the job has at most %d (pipeline.max-parallelism, or a vertex's own)", p, most)
	}
	for _, b := range q.GetVertices() {
		if int(b.GetVertex()) >= len(m.layout.classes) {
			return failure.Errorf(failure.Usage, "the job has no vertex %d", b.GetVertex())
		}
		most := m.layout.classes[b.GetVertex()].most
		if b.GetLeast() < 1 || b.GetMost() < b.GetLeast() || int(b.GetMost()) > most {
			return failure.Errorf(failure.Usage, "vertex %d: bounds %d to %d, want 1 <= lower <= upper <= %d", b.GetVertex(), b.GetLeast(), b.GetMost(), most)
		}
	}
	return nil
}

// most is the largest parallelism of any vertex.
func (m *Master) most() (most int) {
	for _, c := range m.layout.classes {
		most = max(most, c.most)
	}
	return most
}

func hasReader(g *jobgraph.Graph) bool {
	return slices.ContainsFunc(g.GetExchanges(), func(x *jobgraph.Exchange) bool { return x.GetResult() && !stored(x) })
}

// Bounds are between how many subtasks each vertex runs under requirements. Anybody may
// call it.
func (m *Master) Bounds(r Requirements) []*rpc.VertexBounds {
	all := m.layout.scalables(r, m.reactive())
	out := make([]*rpc.VertexBounds, len(all))
	for i, s := range all {
		b := &rpc.VertexBounds{Vertex: uint32(i), Least: 1, Most: uint32(min(s.Most, math.MaxInt32))}
		switch {
		case s.Like >= 0:
			b.Least, b.Most = out[s.Like].Least, out[s.Like].Most
		case s.Fixed > 0:
			b.Least, b.Most = uint32(s.Fixed), uint32(s.Fixed)
		case s.Least > 0:
			b.Least = uint32(s.Least)
		}
		out[i] = b
	}
	return out
}
