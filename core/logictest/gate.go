package logictest

import (
	"context"
	"sync"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/stream"
)

// Around is what a run puts between its engines and their connectors: a gate before each
// source, and a sink that keeps changes. An engine that is to be killed is opened with it.
type Around struct {
	gate    gate
	changes changes
}

// Connector puts the gate before the sources of c.
func (a *Around) Connector(c connector.Connector) connector.Connector {
	g := gated{Connector: c, gate: &a.gate}
	if l, ok := c.(connector.Looker); ok {
		return gatedLooker{gated: g, Looker: l}
	}
	return g
}

// Changes is the sink; it is to be registered with the engine.
func (a *Around) Changes() connector.Connector { return &a.changes }

// gate holds sources back in the middle of their rows, so that a job which would be over at
// once can be killed there. The zero value is open.
type gate struct {
	mu     sync.Mutex
	most   int           // batches that each reader may give
	opened chan struct{} // nil: it is open
}

// shut lets readers that are opened from now on give so many batches, and then wait.
func (g *gate) shut(most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most, g.opened = most, make(chan struct{})
}

// open lets all readers go on.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// isShut reports whether readers wait, or will.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened != nil
}

// gated is a connector behind a gate.
type gated struct {
	connector.Connector
	gate *gate
}

// CheckOptions implements connector.OptionChecker.
func (g gated) CheckOptions(t connector.Table) error {
	if c, ok := g.Connector.(connector.OptionChecker); ok {
		return c.CheckOptions(t)
	}
	return nil
}

// Accepts implements connector.ChangelogSink.
func (g gated) Accepts(t connector.Table) connector.Changes {
	if s, ok := g.Connector.(connector.ChangelogSink); ok {
		return s.Accepts(t)
	}
	return connector.Inserts
}

// Reader implements connector.Connector.
func (g gated) Reader(ctx context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	inner, err := g.Connector.Reader(ctx, s, env)
	if err != nil {
		return nil, err
	}
	g.gate.mu.Lock()
	r := &gatedReader{Reader: inner, left: g.gate.most, opened: g.gate.opened}
	g.gate.mu.Unlock()
	if splits, ok := inner.(connector.SplitReader); ok {
		return gatedSplits{gatedReader: r, SplitReader: splits}, nil
	}
	return r, nil
}

// gatedLooker is one that finds rows, too.
type gatedLooker struct {
	gated
	connector.Looker
}

// gatedReader gives some batches and then nothing, not even its end, until the gate opens.
type gatedReader struct {
	connector.Reader
	left   int
	given  bool          // it has had rows
	opened chan struct{} // closed when the gate opens; nil: it is open
	held   bool          // the last Poll was kept from its answer
}

// gatedSplits is one that tells its splits apart.
type gatedSplits struct {
	*gatedReader
	connector.SplitReader
}

// Poll implements connector.Reader.
func (r *gatedReader) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	shut := r.shut()
	if r.held = shut && r.left == 0; r.held {
		return nil, connector.ForData, nil
	}
	b, wait, err := r.Reader.Poll(ctx)
	switch {
	case b != nil:
		r.left, r.given = r.left-1, true
	case wait == connector.ForSplit && shut && r.given:
		r.held, wait = true, connector.ForData
	}
	return b, wait, err
}

func (r *gatedReader) shut() bool {
	if r.opened == nil {
		return false
	}
	select {
	case <-r.opened:
		return false
	default:
		return true
	}
}

// Ready implements connector.Reader.
func (r *gatedReader) Ready() <-chan struct{} {
	if r.held {
		return r.opened
	}
	return r.Reader.Ready()
}

// Early implements connector.EarlyReader.
func (r *gatedReader) Early() bool {
	e, ok := r.Reader.(connector.EarlyReader)
	return ok && e.Early()
}

// Yields implements connector.YieldingReader.
func (r *gatedReader) Yields() bool {
	y, ok := r.Reader.(connector.YieldingReader)
	return ok && y.Yields()
}

// Yield implements connector.YieldingReader.
func (r *gatedReader) Yield() {
	if y, ok := r.Reader.(connector.YieldingReader); ok {
		y.Yield()
	}
}

var (
	_ connector.OptionChecker  = gated{}
	_ connector.ChangelogSink  = gated{}
	_ connector.Looker         = gatedLooker{}
	_ connector.EarlyReader    = (*gatedReader)(nil)
	_ connector.YieldingReader = (*gatedReader)(nil)
	_ connector.SplitReader    = gatedSplits{}
)
