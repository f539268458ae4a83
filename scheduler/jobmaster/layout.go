package jobmaster

import (
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// layout is a job graph with a parallelism for each vertex.
type layout struct {
	graph       *jobgraph.Graph
	parallelism []int              // by vertex
	result      *jobgraph.Exchange // what a client reads, or nil
}

// newLayout chooses parallelisms: what the plan says; one below a singleton edge;
// the producer's over a forward edge; else def, within the vertex's maximum.
func newLayout(g *jobgraph.Graph, def int) (*layout, error) {
	l := &layout{graph: g, parallelism: make([]int, len(g.GetVertices()))}
	for _, x := range g.GetExchanges() {
		if x.GetResult() {
			l.result = x
		}
	}
	for i, v := range g.GetVertices() {
		if int(v.GetId()) != i {
			return nil, failure.Errorf(failure.Internal, "job graph: vertex %d is at place %d", v.GetId(), i)
		}
		p := int(v.GetParallelism())
		if p == 0 {
			p = l.derive(v, def)
		}
		if most := maxParallelism(g, v); p > most {
			return nil, failure.Errorf(failure.Usage, "vertex %s: parallelism %d exceeds its maximum of %d", v.GetName(), p, most)
		}
		l.parallelism[i] = p
	}
	return l, nil
}

func maxParallelism(g *jobgraph.Graph, v *jobgraph.Vertex) int {
	most := int(v.GetMaxParallelism())
	if most == 0 {
		most = int(g.GetKeyGroups())
	}
	if most == 0 {
		most = 1 << 15
	}
	return most
}

func (l *layout) derive(v *jobgraph.Vertex, def int) int {
	for _, n := range v.GetInputs() {
		x := l.graph.GetExchanges()[n]
		switch x.GetDistribution() {
		case jobgraph.Distribution_DISTRIBUTION_SINGLETON, jobgraph.Distribution_DISTRIBUTION_MERGE:
			return 1
		case jobgraph.Distribution_DISTRIBUTION_FORWARD:
			return l.parallelism[x.GetProducer()]
		}
	}
	if len(v.GetChain()) > 0 && v.GetChain()[0].GetValues() != nil {
		return 1 // subtask 0 emits them all
	}
	return min(def, maxParallelism(l.graph, v))
}

func (l *layout) streaming() bool { return l.graph.GetMode() == jobgraph.Mode_MODE_STREAMING }

// checkpointable reports whether a checkpoint holds all that the job's operators
// know. Some keep rows until their bounded input has ended: their jobs are as short
// as batch jobs, and begin again instead.
func (l *layout) checkpointable() bool {
	for _, x := range l.graph.GetExchanges() {
		if x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_MERGE {
			return false
		}
	}
	for _, v := range l.graph.GetVertices() {
		for _, op := range v.GetChain() {
			switch op.GetSpec().(type) {
			case *jobgraph.Operator_Join, *jobgraph.Operator_Sort, *jobgraph.Operator_TopN, *jobgraph.Operator_Over, *jobgraph.Operator_GroupTopN:
				return false
			}
		}
	}
	return true
}

func (l *layout) topology(checkpointed bool) execgraph.Topology {
	t := execgraph.Topology{Checkpointed: checkpointed}
	for i := range l.graph.GetVertices() {
		t.Vertices = append(t.Vertices, execgraph.Vertex{ID: id.Vertex(i), Parallelism: l.parallelism[i]})
	}
	for _, x := range l.graph.GetExchanges() {
		if !x.GetResult() {
			t.Edges = append(t.Edges, execgraph.Edge{
				ID: id.Exchange(x.GetId()), From: id.Vertex(x.GetProducer()), To: id.Vertex(x.GetConsumer()),
				Blocking: x.GetRetention() == jobgraph.Retention_RETENTION_JOB, Feedback: x.GetFeedback(),
			})
		}
	}
	return t
}

// ins and outs are a vertex's exchanges as a task is told of them.
func (l *layout) ins(v *jobgraph.Vertex) (out []*rpc.Edge) {
	for _, n := range v.GetInputs() {
		x := l.graph.GetExchanges()[n]
		out = append(out, &rpc.Edge{Exchange: x, Peers: uint32(l.parallelism[x.GetProducer()])})
	}
	return out
}

func (l *layout) outs(v *jobgraph.Vertex) (out []*rpc.Edge) {
	for _, n := range v.GetOutputs() {
		x, peers := l.graph.GetExchanges()[n], 1
		if !x.GetResult() {
			peers = l.parallelism[x.GetConsumer()]
		}
		out = append(out, &rpc.Edge{Exchange: x, Peers: uint32(peers)})
	}
	return out
}

// coordinated lists the vertices that the coordinator task has halves of.
func (l *layout) coordinated() (out []*rpc.CoordinatedVertex) {
	for i, v := range l.graph.GetVertices() {
		for _, op := range v.GetChain() {
			if op.GetSource() != nil || op.GetSink() != nil {
				out = append(out, &rpc.CoordinatedVertex{Vertex: v, Parallelism: uint32(l.parallelism[i]), Bounded: !l.streaming()})
				break
			}
		}
	}
	return out
}

func (l *layout) isSource(v id.Vertex) bool {
	return l.graph.GetVertices()[v].GetChain()[0].GetSource() != nil
}
