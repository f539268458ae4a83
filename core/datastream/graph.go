package datastream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
)

// printBytes is how much of the hash a fingerprint shows.
const printBytes = 6

// seal computes the fingerprint: of uids, columns and edges, but of nothing that is
// configured.
func (e *Env) seal() error {
	if err := errors.Join(e.errs...); err != nil {
		return err
	}
	if len(e.nodes) == 0 {
		return failure.Errorf(failure.Usage, "the job has no streams")
	}
	h := sha256.New()
	for _, n := range e.nodes {
		fmt.Fprintf(h, "%q %s\n", n.uid, n.output)
		for _, in := range n.inputs {
			fmt.Fprintf(h, "< %q %d %d %v\n", in.from.uid, in.side, in.how, in.keys)
		}
		for _, s := range n.sides {
			fmt.Fprintf(h, "> %q %s\n", s.name, s.schema)
		}
	}
	e.print = hex.EncodeToString(h.Sum(nil)[:printBytes])
	return nil
}

// Graph returns the job. Connectors finds those that are not the program's own.
func (e *Env) Graph(ctx context.Context, connectors func(name string) (connector.Connector, error)) (*jobgraph.Graph, error) {
	if err := e.seal(); err != nil {
		return nil, err
	}
	b := &builder{env: e, vertices: map[*node]*jobgraph.Vertex{}, graph: &jobgraph.Graph{
		Version: jobgraph.Version, Name: e.options.Name, Mode: jobgraph.Mode_MODE_STREAMING,
		KeyGroups: keygroup.DefaultGroups, Options: maps.Clone(e.options.Settings),
	}}
	settings, err := config.FromMap(e.options.Settings, "job")
	if err != nil {
		return nil, err
	}
	b.parallelism = uint32(e.options.Parallelism)
	if b.parallelism == 0 {
		b.parallelism = uint32(config.Parallelism.Get(settings))
	}
	for _, n := range e.nodes {
		if err := b.node(ctx, n, e.Connectors(connectors)); err != nil {
			return nil, fmt.Errorf("%s: %w", n.uid, err)
		}
	}
	if err := jobgraph.Validate(b.graph); err != nil {
		return nil, err
	}
	return b.graph, nil
}

type builder struct {
	env         *Env
	graph       *jobgraph.Graph
	parallelism uint32
	vertices    map[*node]*jobgraph.Vertex
}

// node takes an operator into the vertex that it follows, or into one of its own.
func (b *builder) node(ctx context.Context, n *node, connectors func(string) (connector.Connector, error)) error {
	if n.readers == 0 && n.output != nil {
		return failure.Errorf(failure.Usage, "nobody reads this stream: end it with To")
	}
	op := n.operator(b.env)
	op.Uid, op.Name, op.Output = n.uid, n.name+" "+strconv.Quote(n.uid), fields(n.output)
	if n.source != nil {
		if err := n.source.describe(ctx, op.GetSource(), connectors); err != nil {
			return err
		}
	}
	if v := b.chained(n); v != nil {
		v.Chain = append(v.Chain, op)
		v.Name += " -> " + n.uid
		b.vertices[n] = v
		return nil
	}
	v := &jobgraph.Vertex{
		Id: uint32(len(b.graph.Vertices)), Uid: n.uid, Name: n.uid, Parallelism: b.parallelism, Chain: []*jobgraph.Operator{op},
	}
	b.graph.Vertices = append(b.graph.Vertices, v)
	b.vertices[n] = v
	for _, in := range n.inputs {
		b.exchange(in, v)
	}
	return nil
}

// chained is the vertex whose last operator n follows in the same task, or nil.
func (b *builder) chained(n *node) *jobgraph.Vertex {
	if len(n.inputs) != 1 {
		return nil
	}
	in := n.inputs[0]
	if in.how != jobgraph.Distribution_DISTRIBUTION_FORWARD || in.from.readers != 1 || len(in.from.sides) > 0 {
		return nil
	}
	return b.vertices[in.from]
}

func (b *builder) exchange(in edge, to *jobgraph.Vertex) {
	from, schema := b.vertices[in.from], in.from.output
	if in.side > 0 {
		schema = in.from.sides[in.side-1].schema
	}
	x := &jobgraph.Exchange{
		Id: uint32(len(b.graph.Exchanges)), Producer: from.Id, Consumer: to.Id, Distribution: in.how, Keys: in.keys,
		Retention: jobgraph.Retention_RETENTION_NONE, RetentionReason: "streaming", Schema: fields(schema), Side: uint32(in.side),
	}
	from.Outputs, to.Inputs = append(from.Outputs, x.Id), append(to.Inputs, x.Id)
	b.graph.Exchanges = append(b.graph.Exchanges, x)
}
