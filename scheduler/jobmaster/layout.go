package jobmaster

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// layout is a job graph with a parallelism for each vertex, as far as it is decided.
type layout struct {
	graph       *jobgraph.Graph
	parallelism []int              // by vertex; 0: not decided
	classes     []*class           // by vertex
	result      *jobgraph.Exchange // what a client reads, or nil
	wanted      int                // parallelism.default; 0: as many as there are slots
	expected    int                // what a vertex may be told of one that is not decided
}

// class is vertices that have one parallelism, since forward edges join them, and read
// what is stored by key alike: what equal keys of one input meet, those of another do.
type class struct {
	vertices []int
	most     int
	// partitions is how many there are in the stored exchanges that the vertices read,
	// more than there will be subtasks; 0: as many as subtasks, for something among what
	// they read is pipelined, or they have one.
	partitions int
	ranges     []uint32 // once it is decided, where there are partitions
}

// How many partitions a stored exchange has whose readers are not decided: enough to be
// cut evenly for a larger cluster, too.
const (
	leastPartitions   = 64
	partitionsPerSlot = 4
)

// newLayout chooses what does not depend on the slots that there will be: all of it in
// streaming jobs, and where the cluster is what it is (fixed); else only what the plan
// demands.
func newLayout(g *jobgraph.Graph, wanted, slots int, fixed bool) (*layout, error) {
	l := &layout{graph: g, parallelism: make([]int, len(g.GetVertices())), wanted: wanted, expected: max(wanted, slots, 1)}
	for _, x := range g.GetExchanges() {
		if x.GetResult() {
			l.result = x
		}
	}
	now := fixed || l.streaming()
	for i, v := range g.GetVertices() {
		if int(v.GetId()) != i {
			return nil, failure.Errorf(failure.Internal, "job graph: vertex %d is at place %d", v.GetId(), i)
		}
		p, most := int(v.GetParallelism()), maxParallelism(g, v)
		if p > most {
			return nil, failure.Errorf(failure.Usage, "vertex %s: parallelism %d exceeds its maximum of %d", v.GetName(), p, most)
		}
		if p == 0 && now {
			def := wanted
			if def == 0 {
				def = slots
			}
			p = min(def, most)
		}
		if forced := l.demanded(v); forced > 0 && (int(v.GetParallelism()) == 0 || !now) {
			p = forced
		} else if !now && p > 1 {
			l.wanted, p = max(l.wanted, p), 0
		}
		l.parallelism[i] = p
	}
	l.classify(max(leastPartitions, partitionsPerSlot*slots))
	return l, nil
}

// demanded is the parallelism that a vertex's inputs leave no choice about, or 0.
func (l *layout) demanded(v *jobgraph.Vertex) int {
	if v.GetParallelism() == 1 {
		return 1
	}
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
	return 0
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

// classify joins vertices to classes, and says which of these are free to be decided
// when the first of their vertices starts.
func (l *layout) classify(partitions int) {
	l.classes = make([]*class, len(l.parallelism))
	for i, v := range l.graph.GetVertices() {
		l.classes[i] = &class{vertices: []int{i}, most: maxParallelism(l.graph, v), partitions: partitions}
	}
	for _, x := range l.graph.GetExchanges() {
		if x.GetResult() || x.GetDistribution() != jobgraph.Distribution_DISTRIBUTION_FORWARD {
			continue
		}
		a, b := l.classes[x.GetProducer()], l.classes[x.GetConsumer()]
		if a == b {
			continue
		}
		a.vertices, a.most = append(a.vertices, b.vertices...), min(a.most, b.most)
		for _, v := range b.vertices {
			l.classes[v] = a
		}
	}
	for i := range l.parallelism {
		c := l.classes[i]
		c.partitions = min(c.partitions, c.most)
		if groups := int(l.graph.GetKeyGroups()); groups > 0 {
			c.partitions = min(c.partitions, groups)
		}
	}
	for i, c := range l.classes {
		if l.parallelism[i] > 0 {
			c.partitions = 0
		}
	}
	for _, x := range l.graph.GetExchanges() {
		if !x.GetResult() && spreads(x) && !stored(x) {
			l.classes[x.GetConsumer()].partitions = 0
		}
	}
}

// stored says that an exchange keeps its rows for the job.
func stored(x *jobgraph.Exchange) bool { return x.GetRetention() == jobgraph.Retention_RETENTION_JOB }

// spreads says that any lane may write any partition.
func spreads(x *jobgraph.Exchange) bool {
	switch x.GetDistribution() {
	case jobgraph.Distribution_DISTRIBUTION_FORWARD, jobgraph.Distribution_DISTRIBUTION_MERGE, jobgraph.Distribution_DISTRIBUTION_SINGLETON:
		return false
	}
	return true
}

// partitions is how many partitions an exchange has where that is not the parallelism
// of its reader, else 0.
func (l *layout) partitions(x *jobgraph.Exchange) int {
	if x.GetResult() || !spreads(x) || !stored(x) {
		return 0
	}
	return l.classes[x.GetConsumer()].partitions
}

// ranged says that subtasks read ranges of the exchange's partitions.
func (l *layout) ranged(x *jobgraph.Exchange) bool {
	return l.partitions(x) > 0 && x.GetDistribution() != jobgraph.Distribution_DISTRIBUTION_BROADCAST
}

func (l *layout) streaming() bool { return l.graph.GetMode() == jobgraph.Mode_MODE_STREAMING }

// checkpointable reports whether a checkpoint holds all that the job's operators
// know. Some keep rows until their bounded input has ended: their jobs are as short
// as batch jobs, and begin again instead. Where the rows come from state of the same task
// once the input has ended, no barrier ever finds any in them.
func (l *layout) checkpointable() bool {
	for _, x := range l.graph.GetExchanges() {
		if x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_MERGE {
			return false
		}
	}
	for _, v := range l.graph.GetVertices() {
		for i, op := range v.GetChain() {
			switch op.GetSpec().(type) {
			case *jobgraph.Operator_Join, *jobgraph.Operator_Over, *jobgraph.Operator_GroupTopN:
				return false
			case *jobgraph.Operator_Sort, *jobgraph.Operator_TopN:
				if i == 0 || !v.GetChain()[i-1].GetMaterialize().GetAtEnd() {
					return false
				}
			}
		}
	}
	return true
}

func (l *layout) topology(checkpointed bool, first uint32) execgraph.Topology {
	t := execgraph.Topology{Checkpointed: checkpointed, Streaming: l.streaming(), FirstAttempt: first}
	for i := range l.graph.GetVertices() {
		t.Vertices = append(t.Vertices, execgraph.Vertex{ID: id.Vertex(i), Parallelism: l.parallelism[i], Source: l.isSource(id.Vertex(i))})
	}
	for _, x := range l.graph.GetExchanges() {
		t.Edges = append(t.Edges, execgraph.Edge{
			ID: id.Exchange(x.GetId()), From: id.Vertex(x.GetProducer()), To: id.Vertex(x.GetConsumer()),
			Blocking: stored(x), Feedback: x.GetFeedback(), Result: x.GetResult(),
			Forward:    x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_FORWARD,
			Replayed:   x.GetRetention() == jobgraph.Retention_RETENTION_CHECKPOINT,
			Replayable: l.replayable(x),
		})
	}
	return t
}

// keepForReplay has pipelined exchanges keep what came since the latest checkpoint, so that
// a task which fails is restored without those that it reads from. Where a client reads
// along, none can be.
func (l *layout) keepForReplay() {
	if l.result != nil && !stored(l.result) {
		return
	}
	l.graph = proto.CloneOf(l.graph)
	for _, x := range l.graph.GetExchanges() {
		switch {
		case x.GetResult():
			l.result = x
		case x.GetRetention() == jobgraph.Retention_RETENTION_NONE && !x.GetFeedback():
			x.Retention = jobgraph.Retention_RETENTION_CHECKPOINT
		}
	}
}

// replayable says that a lane that is written again has the same rows for each reader:
// not where rows go wherever it comes, nor where it depends on what came first which
// rows there are.
func (l *layout) replayable(x *jobgraph.Exchange) bool {
	if x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_REBALANCE {
		return false
	}
	return !slices.ContainsFunc(l.graph.GetVertices()[x.GetProducer()].GetChain(), func(op *jobgraph.Operator) bool {
		return op.GetLimit() != nil || op.GetTopN() != nil || op.GetGroupTopN() != nil
	})
}

// coordinated lists the vertices that the coordinator task has halves of.
func (l *layout) coordinated() (out []*rpc.CoordinatedVertex) {
	for i, v := range l.graph.GetVertices() {
		for _, op := range v.GetChain() {
			if op.GetSource() != nil || op.GetSink() != nil {
				out = append(out, &rpc.CoordinatedVertex{Vertex: v, Parallelism: uint32(l.told(i)), Bounded: !l.streaming()})
				break
			}
		}
	}
	return out
}

// told is a vertex's parallelism, or what it may well become.
func (l *layout) told(v int) int {
	if p := l.parallelism[v]; p > 0 {
		return p
	}
	return min(l.expected, l.classes[v].most)
}

func (l *layout) isSource(v id.Vertex) bool {
	chain := l.graph.GetVertices()[v].GetChain()
	return len(chain) > 0 && chain[0].GetSource() != nil
}

// rejectedOf is the table whose records a vertex may reject; empty: there is none.
func rejectedOf(v *jobgraph.Vertex) string {
	for _, op := range v.GetChain() {
		if s := op.GetSource(); s.GetRejects() {
			return s.GetTable()
		}
		if w := op.GetWatermark(); w.GetRejects() != "" {
			return w.GetRejects()
		}
	}
	return ""
}

// output is the exchange at a place among the outputs of a vertex; nil: there is none.
func (l *layout) output(v id.Vertex, place uint32) *jobgraph.Exchange {
	outputs := l.graph.GetVertices()[v].GetOutputs()
	if int(place) >= len(outputs) {
		return nil
	}
	return l.graph.GetExchanges()[outputs[place]]
}
