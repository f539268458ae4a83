package jobgraph

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
)

// Limits of a graph: what plans it takes memory and time by its vertices, exchanges and
// tasks, and whoever may submit one must not be able to take all of them.
const (
	MaxVertices  = 10_000
	MaxExchanges = 20_000
	MaxTasks     = 100_000 // the sum of the parallelisms that are given
	maxNameBytes = 1 << 10 // of the graph's name and of a vertex's uid
)

// Validate reports the first rule that a graph breaks. A correct graph has
//
//   - as many vertices, exchanges and tasks as are allowed, and a name that can be shown
//   - a known version, a mode, and 1 to keygroup.MaxGroups key groups
//   - vertices and exchanges numbered as they stand, each exchange listed once
//     by its producer and, unless it is a result, once by its consumer
//   - vertices in topological order, feedback aside
//   - unique uids, and a chain whose only source or multi-input operator is its
//     head, whose only sink is its last
//   - exchanges with a schema that is the producer's output, a distribution
//     whose columns exist, a retention; forward ones between equal parallelisms
//   - specs whose column references exist and whose types parse
func Validate(g *Graph) error {
	v := validator{g: g}
	for _, check := range []func() error{v.header, v.exchanges, v.vertices} {
		if err := check(); err != nil {
			return fmt.Errorf("job graph %.100q: %w", g.GetName(), err)
		}
	}
	return nil
}

type validator struct {
	g *Graph
}

func (v *validator) header() error {
	g := v.g
	switch {
	case g.Version != Version:
		return fmt.Errorf("version %d, this program knows %d", g.Version, Version)
	case g.Mode != Mode_MODE_BATCH && g.Mode != Mode_MODE_STREAMING:
		return fmt.Errorf("mode %v", g.Mode)
	case g.KeyGroups < 1 || g.KeyGroups > keygroup.MaxGroups:
		return fmt.Errorf("%d key groups, want 1 to %d", g.KeyGroups, keygroup.MaxGroups)
	case len(g.Vertices) == 0:
		return fmt.Errorf("no vertices")
	case len(g.Vertices) > MaxVertices || len(g.Exchanges) > MaxExchanges:
		return fmt.Errorf("%d vertices and %d exchanges, want at most %d and %d", len(g.Vertices), len(g.Exchanges), MaxVertices, MaxExchanges)
	case len(g.Name) > maxNameBytes:
		return fmt.Errorf("a name of %d bytes, want at most %d", len(g.Name), maxNameBytes)
	}
	return v.sizes()
}

// sizes looks at what makes a graph large, before anything is done for each part of it.
func (v *validator) sizes() error {
	tasks := uint64(0)
	for i, vertex := range v.g.Vertices {
		tasks += uint64(max(vertex.Parallelism, 1))
		if most := len(v.g.Exchanges); len(vertex.Inputs) > most || len(vertex.Outputs) > most {
			return fmt.Errorf("vertex %d: %d inputs and %d outputs, there are %d exchanges", i, len(vertex.Inputs), len(vertex.Outputs), most)
		}
		if len(vertex.Uid) > maxNameBytes {
			return fmt.Errorf("vertex %d: a uid of %d bytes, want at most %d", i, len(vertex.Uid), maxNameBytes)
		}
	}
	if tasks > MaxTasks {
		return fmt.Errorf("%d tasks, want at most %d", tasks, MaxTasks)
	}
	return nil
}

func (v *validator) exchanges() error {
	for i, e := range v.g.Exchanges {
		if err := v.exchange(i, e); err != nil {
			return fmt.Errorf("exchange %d: %w", i, err)
		}
	}
	return nil
}

func (v *validator) exchange(i int, e *Exchange) error {
	switch {
	case int(e.Id) != i:
		return fmt.Errorf("is numbered %d", e.Id)
	case int(e.Producer) >= len(v.g.Vertices):
		return fmt.Errorf("producer %d does not exist", e.Producer)
	case !e.Result && int(e.Consumer) >= len(v.g.Vertices):
		return fmt.Errorf("consumer %d does not exist", e.Consumer)
	case !e.Result && !e.Feedback && e.Consumer <= e.Producer:
		return fmt.Errorf("from vertex %d to %d, against the topological order", e.Producer, e.Consumer)
	case e.Retention == Retention_RETENTION_INVALID:
		return fmt.Errorf("no retention")
	case len(e.Schema) == 0:
		return fmt.Errorf("no columns")
	case times(v.g.Vertices[e.Producer].Outputs, e.Id) != 1:
		return fmt.Errorf("producer %d does not list it once", e.Producer)
	case !e.Result && times(v.g.Vertices[e.Consumer].Inputs, e.Id) != 1:
		return fmt.Errorf("consumer %d does not list it once", e.Consumer)
	}
	if err := schema(e.Schema); err != nil {
		return err
	}
	return v.distribution(e)
}

func times(ids []uint32, id uint32) int {
	n := 0
	for _, i := range ids {
		if i == id {
			n++
		}
	}
	return n
}

func (v *validator) distribution(e *Exchange) error {
	producer := v.g.Vertices[e.Producer]
	var consumer *Vertex
	if !e.Result {
		consumer = v.g.Vertices[e.Consumer]
	}
	width := len(e.Schema)
	switch e.Distribution {
	case Distribution_DISTRIBUTION_INVALID:
		return fmt.Errorf("no distribution")
	case Distribution_DISTRIBUTION_HASH:
		if len(e.Keys) == 0 {
			return fmt.Errorf("hash distribution without keys")
		}
		return columns("key", e.Keys, width)
	case Distribution_DISTRIBUTION_RANGE, Distribution_DISTRIBUTION_MERGE:
		if len(e.Order) == 0 {
			return fmt.Errorf("%v without an order", e.Distribution)
		}
		if err := order(e.Order, width); err != nil {
			return err
		}
	case Distribution_DISTRIBUTION_FORWARD:
		if consumer != nil && consumer.Parallelism != producer.Parallelism {
			return fmt.Errorf("forward from parallelism %d to %d", producer.Parallelism, consumer.Parallelism)
		}
	}
	single := e.Distribution == Distribution_DISTRIBUTION_SINGLETON || e.Distribution == Distribution_DISTRIBUTION_MERGE
	if single && consumer != nil && consumer.Parallelism != 1 {
		return fmt.Errorf("%v into parallelism %d", e.Distribution, consumer.Parallelism)
	}
	return nil
}

func (v *validator) vertices() error {
	uids := map[string]bool{}
	for i, vertex := range v.g.Vertices {
		err := v.vertex(i, vertex)
		if err == nil && (vertex.Uid == "" || uids[vertex.Uid]) {
			err = fmt.Errorf("uid %q is empty or taken", vertex.Uid)
		}
		if err != nil {
			return fmt.Errorf("vertex %d: %w", i, err)
		}
		uids[vertex.Uid] = true
	}
	return nil
}

func (v *validator) vertex(i int, vertex *Vertex) error {
	switch {
	case int(vertex.Id) != i:
		return fmt.Errorf("is numbered %d", vertex.Id)
	case len(vertex.Chain) == 0:
		return fmt.Errorf("no operators")
	case vertex.Parallelism > v.g.KeyGroups || vertex.MaxParallelism > v.g.KeyGroups:
		return fmt.Errorf("parallelism above the %d key groups", v.g.KeyGroups)
	}
	for _, id := range vertex.Inputs {
		if int(id) >= len(v.g.Exchanges) || v.g.Exchanges[id].Result || int(v.g.Exchanges[id].Consumer) != i {
			return fmt.Errorf("input %d is not an exchange to it", id)
		}
	}
	for _, id := range vertex.Outputs {
		if int(id) >= len(v.g.Exchanges) || int(v.g.Exchanges[id].Producer) != i {
			return fmt.Errorf("output %d is not an exchange from it", id)
		}
		if err := v.output(vertex, v.g.Exchanges[id]); err != nil {
			return fmt.Errorf("output %d %w", id, err)
		}
	}
	return v.chain(vertex)
}

// Sides are the side outputs of the vertex's operators, in the order of Exchange.Side, from 1 on.
func (v *Vertex) Sides() (all []*SideOutput) {
	for _, op := range v.GetChain() {
		all = append(all, op.GetSides()...)
	}
	return all
}

// output checks an exchange against what is emitted into it.
func (v *validator) output(vertex *Vertex, e *Exchange) error {
	last, sides := vertex.Chain[len(vertex.Chain)-1], vertex.Sides()
	out := last.Output
	switch {
	case e.Side == 0 && last.GetSink() != nil:
		return fmt.Errorf("of sink %s, which emits nothing", last.Name)
	case int(e.Side) > len(sides):
		return fmt.Errorf("takes side %d of %d", e.Side, len(sides))
	case e.Side > 0:
		out = sides[e.Side-1].Schema
	}
	if !sameFields(out, e.Schema) {
		return fmt.Errorf("has another schema than what is emitted into it")
	}
	return nil
}

func sameFields(a, b []*Field) bool {
	return slices.EqualFunc(a, b, func(x, y *Field) bool { return x.Name == y.Name && x.Type == y.Type })
}

func (v *validator) chain(vertex *Vertex) error {
	inputs := make([]int, len(vertex.Inputs)) // widths
	for i, id := range vertex.Inputs {
		inputs[i] = len(v.g.Exchanges[id].Schema)
	}
	for i, op := range vertex.Chain {
		if err := checkOperator(op, inputs); err != nil {
			return fmt.Errorf("operator %d (%s): %w", i, op.Name, err)
		}
		if op.GetSink() != nil && i < len(vertex.Chain)-1 {
			return fmt.Errorf("sink %s is not the end of its vertex", op.Name)
		}
		inputs = []int{len(op.Output)}
	}
	if last := vertex.Chain[len(vertex.Chain)-1]; last.GetSink() == nil && len(vertex.Outputs) == 0 {
		return fmt.Errorf("no output and no sink")
	}
	return nil
}

func schema(fields []*Field) error {
	for _, f := range fields {
		if _, err := datatype.Parse(f.Type); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return nil
}

func columns(what string, refs []uint32, width int) error {
	for _, c := range refs {
		if int(c) >= width {
			return fmt.Errorf("%s column %d of %d", what, c, width)
		}
	}
	return nil
}

func order(keys []*SortKey, width int) error {
	for _, k := range keys {
		if int(k.Column) >= width {
			return fmt.Errorf("sort column %d of %d", k.Column, width)
		}
	}
	return nil
}
