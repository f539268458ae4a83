package physical

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Options steer the translation.
type Options struct {
	// Name is the job's name.
	Name string
	// Streaming plans for inputs that may not end.
	Streaming bool
	// Parallelism of vertices; 0: the scheduler decides.
	Parallelism uint32
	// KeyGroups of the job; 0: keygroup.DefaultGroups.
	KeyGroups uint32
	// Slots that the job may use; 0: as many as it needs.
	Slots uint32
	// BroadcastBytes replaces plan.BroadcastBytes; negative: never broadcast. A built
	// side of up to four times as much is where that moves less.
	BroadcastBytes int64
	// Blocking makes every batch exchange retain its data for the job.
	Blocking bool
	// NoRuntimeFilters keeps joins from telling scans their keys.
	NoRuntimeFilters bool
	// Late is what becomes of rows that operators leave out because they come late; nil: they
	// are counted.
	Late *plan.Rejects
	// HoldMillis is how long group-bys of streaming jobs may hold changes back, to tell
	// them as one.
	HoldMillis int64
	// KeepMillis is the time after which streaming jobs forget what nothing has come for;
	// 0: never.
	KeepMillis int64
	// MaxPartialMatches is how many partial matches a partition of MATCH_RECOGNIZE may
	// have; 0: 10,000.
	MaxPartialMatches int64
	// Settings go into the graph as they are.
	Settings map[string]string
}

// Emitters are the operators that emit the rows of plan nodes. Nodes that share an
// operator with the one above them have none.
type Emitters map[plan.Node]*jobgraph.Operator

// Build returns the job graph of plans: queries, whose rows the client reads, or
// sinks. Errors are *sqlerr.Error where the plan cannot be executed.
func Build(roots []plan.Node, o Options) (*jobgraph.Graph, Emitters, error) {
	if o.KeyGroups == 0 {
		o.KeyGroups = keygroup.DefaultGroups
	}
	if o.MaxPartialMatches == 0 {
		o.MaxPartialMatches = 10_000
	}
	if o.BroadcastBytes == 0 {
		o.BroadcastBytes = plan.BroadcastBytes
	}
	mode := jobgraph.Mode_MODE_BATCH
	if o.Streaming {
		mode = jobgraph.Mode_MODE_STREAMING
	}
	b := &builder{o: o, withoutBefore: map[plan.Node]bool{}, gathered: map[plan.Node]bool{}, sealed: map[uint32]bool{}, meetBy: map[*plan.Aggregate][]int{}, sources: map[*plan.Scan][]*jobgraph.Source{}, emitters: Emitters{}, graph: &jobgraph.Graph{
		Version: jobgraph.Version, Name: o.Name, Mode: mode, KeyGroups: o.KeyGroups, Options: o.Settings,
	}}
	if o.Streaming {
		roots, b.was = widenScans(roots)
	}
	b.findShared(roots)
	b.several = b.inShared()
	for _, root := range roots {
		if _, sink := root.(*plan.Sink); sink {
			b.writes = true
		}
	}
	for _, root := range roots {
		if err := refuseUnbounded(root); err != nil {
			return nil, nil, err
		}
		if sink, ok := root.(*plan.Sink); ok && o.Streaming {
			b.withoutBefore[withoutBefore(sink)] = true
		}
		f, err := b.node(root)
		if err != nil {
			return nil, nil, err
		}
		if _, sink := root.(*plan.Sink); !sink {
			b.result(f)
		}
	}
	if err := b.writeRejects(); err != nil {
		return nil, nil, err
	}
	b.attachKeys()
	b.retain()
	b.name()
	if err := jobgraph.Validate(b.graph); err != nil {
		return nil, nil, fmt.Errorf("plan: %w", err)
	}
	for n, s := range b.shared {
		b.emitAs(n, s.node)
	}
	for n, old := range b.was {
		b.emitAs(old, n)
	}
	return b.graph, b.emitters, nil
}

// emitAs has a node be what another one is, if that has an operator.
func (b *builder) emitAs(n, other plan.Node) {
	if op := b.emitters[other]; op != nil {
		b.emitters[n] = op
	}
}

type builder struct {
	o       Options
	graph   *jobgraph.Graph
	shared  map[plan.Node]*share
	was     map[plan.Node]plan.Node // what nodes were before scans were widened
	sealed  map[uint32]bool         // vertices that end in a shared subplan
	several map[plan.Node]bool      // that have several readers, or are below such
	// meetBy are the keys, by their place, that groups of an aggregate meet by, if not
	// all.
	meetBy map[*plan.Aggregate][]int

	// withoutBefore are the nodes whose updates need not tell what was before.
	withoutBefore map[plan.Node]bool
	gathered      map[plan.Node]bool // that end in one subtask

	writes  bool                    // the job writes tables
	rejects []rejecting             // operators with side outputs of rejected records or late rows
	given   map[plan.Node]*fragment // what stands for rows that come from elsewhere

	emitters Emitters
	sources  map[*plan.Scan][]*jobgraph.Source // what was made of each scan
	keys     []keyFilter
}

// fragment is the end of an open vertex.
type fragment struct {
	vertex *jobgraph.Vertex
	schema datatype.Schema
	order  []plan.SortKey // in which each subtask emits; nil: none
	// hashed are the columns whose equal values meet in one subtask; nil: none.
	hashed []int
	// sorted is an order in which each subtask emits that nobody asked for.
	sorted []plan.SortKey
	// sealed says that the vertex has other consumers: nothing may be chained to it.
	sealed *builder
}

func (f *fragment) single() bool { return f.vertex.Parallelism == 1 }

// open adds a vertex without operators.
func (b *builder) open(parallelism uint32) *jobgraph.Vertex {
	v := &jobgraph.Vertex{Id: uint32(len(b.graph.Vertices)), Parallelism: parallelism}
	b.graph.Vertices = append(b.graph.Vertices, v)
	return v
}

// chain appends an operator of n, which emits schema, to the fragment.
func (b *builder) chain(f *fragment, n plan.Node, name string, schema datatype.Schema, op *jobgraph.Operator) *fragment {
	if f.sealed != nil {
		f = f.reader()
	}
	op.Name, op.Output = name, fields(schema)
	if at := n.At(); at.Stop > at.Start {
		op.Position = uint32(at.Start) + 1
	}
	f.vertex.Chain = append(f.vertex.Chain, op)
	b.emitters[n] = op
	if leavesLate(op) {
		b.aside(f, b.o.Late)
	}
	return &fragment{vertex: f.vertex, schema: schema}
}

// connect adds an exchange from a fragment to a vertex.
func (b *builder) connect(from *fragment, to *jobgraph.Vertex, e *jobgraph.Exchange) {
	e.Id = uint32(len(b.graph.Exchanges))
	e.Producer, e.Schema = from.vertex.Id, fields(from.schema)
	from.vertex.Outputs = append(from.vertex.Outputs, e.Id)
	if to != nil {
		e.Consumer = to.Id
		to.Inputs = append(to.Inputs, e.Id)
	}
	b.graph.Exchanges = append(b.graph.Exchanges, e)
}

// hash redistributes by key columns.
func (b *builder) hash(f *fragment, keys []int) *fragment {
	v := b.open(b.o.Parallelism)
	b.connect(f, v, &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Keys: refs(keys)})
	return &fragment{vertex: v, schema: f.schema, hashed: keys}
}

// gather brings all rows into one subtask, in order if each producer has one.
func (b *builder) gather(f *fragment) *fragment {
	if f.single() {
		return f
	}
	v := b.open(1)
	b.connect(f, v, b.gathering(f))
	return &fragment{vertex: v, schema: f.schema, order: f.order}
}

func (b *builder) gathering(f *fragment) *jobgraph.Exchange {
	if len(f.order) == 0 {
		return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON}
	}
	return &jobgraph.Exchange{Distribution: jobgraph.Distribution_DISTRIBUTION_MERGE, Order: sortKeys(f.order)}
}

// result lets the client read the fragment.
func (b *builder) result(f *fragment) {
	e := b.gathering(f)
	e.Result = true
	b.connect(f, nil, e)
}

func (b *builder) node(n plan.Node) (*fragment, error) {
	if f := b.given[n]; f != nil {
		return f, nil
	}
	if s := b.shared[n]; s != nil && s.readers > 1 {
		return b.once(s)
	}
	return b.build(n)
}

// updating translates the nodes that streaming plans have operators of their own for.
func (b *builder) updating(n plan.Node) (*fragment, error) {
	switch n := n.(type) {
	case *plan.Aggregate:
		return b.updatingAggregate(n)
	case *plan.Join:
		return b.updatingJoin(n)
	case *plan.Over:
		return b.updatingOver(n)
	case *plan.GroupTop:
		return b.groupTop(n)
	}
	return nil, nil
}

func (b *builder) build(n plan.Node) (*fragment, error) {
	if b.o.Streaming {
		if f, err := b.updating(n); f != nil || err != nil {
			return f, err
		}
	}
	switch n := n.(type) {
	case *plan.Scan:
		return b.scan(n)
	case *plan.Values:
		return b.values(n)
	case *plan.Filter:
		return b.filter(n)
	case *plan.Project:
		return b.project(n)
	case *plan.Aggregate:
		return b.aggregate(n)
	case *plan.Expand:
		return b.expand(n)
	case *plan.Unnest:
		return b.unnest(n)
	case *plan.WindowAggregate:
		return b.windowAggregate(n)
	case *plan.Join:
		return b.join(n)
	case *plan.Over:
		return b.over(n)
	case *plan.Match:
		return b.match(n)
	case *plan.Sort:
		return b.sort(n)
	case *plan.TopN:
		return b.topN(n)
	case *plan.Limit:
		return b.limit(n)
	case *plan.Union:
		return b.union(n)
	case *plan.Watermark:
		return b.watermark(n)
	case *plan.Materialize:
		return b.materialize(n)
	case *plan.Sink:
		return b.sink(n)
	case *plan.WindowTVF:
		return b.windowTable(n)
	case *plan.LookupJoin:
		return b.lookupJoin(n)
	case *plan.TemporalJoin:
		return b.temporalJoin(n)
	}
	return nil, sqlerr.New(sqlerr.Unsupported, n.At(), "%s is not supported yet", n.Label())
}

func (b *builder) union(n *plan.Union) (*fragment, error) {
	inputs := make([]*fragment, len(n.All))
	single := true
	for i, in := range n.All {
		var err error
		if inputs[i], err = b.node(in); err != nil {
			return nil, err
		}
		single = single && inputs[i].single()
	}
	parallelism := b.o.Parallelism
	if single {
		parallelism = 1
	}
	v := b.open(parallelism)
	for _, in := range inputs {
		distribution := jobgraph.Distribution_DISTRIBUTION_FORWARD
		if in.vertex.Parallelism != parallelism {
			distribution = jobgraph.Distribution_DISTRIBUTION_REBALANCE
		}
		b.connect(in, v, &jobgraph.Exchange{Distribution: distribution})
	}
	f := &fragment{vertex: v}
	return b.chain(f, n, "Union", n.Schema(), &jobgraph.Operator{Spec: &jobgraph.Operator_Union{Union: &jobgraph.Union{}}}), nil
}

// name gives vertices the names of their chains.
func (b *builder) name() {
	for _, v := range b.graph.Vertices {
		names := make([]string, len(v.Chain))
		for i, op := range v.Chain {
			names[i] = strings.SplitN(op.Name, " ", 2)[0]
		}
		v.Name = strings.Join(names, " -> ")
		v.MaxParallelism = 0
		if v.Parallelism == 1 && b.o.Parallelism != 1 {
			v.MaxParallelism = 1
		}
	}
	b.identify()
}
