package gateway

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan/planner"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/shuffle"
)

// Options are what sessions work with; all but Log is required.
type Options struct {
	Dispatcher *dispatcher.Dispatcher
	Shuffle    shuffle.Service
	Connectors catalog.Connectors
	Functions  *function.Catalog
	Log        *slog.Logger // nil: discarded
}

// Gateway opens sessions. It may be used concurrently.
type Gateway struct {
	opts     Options
	catalogs *catalog.Catalogs // shared by all sessions
	undoing  sync.WaitGroup    // what waits for jobs that change the catalog
}

// Wait returns when nothing waits for jobs any more. It is for the end: all jobs must
// be over, or be ended by another goroutine.
func (g *Gateway) Wait() { g.undoing.Wait() }

// New returns a gateway with empty catalogs.
func New(o Options) *Gateway {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Gateway{opts: o, catalogs: catalog.New()}
}

// Open starts a session with settings by their keys.
func (g *Gateway) Open(ctx context.Context, settings map[string]string) (client.Session, error) {
	c, err := config.FromMap(settings, "session")
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &Session{
		gateway: g, settings: c, open: map[*Result]bool{},
		planner: planner.New(catalog.NewSession(g.catalogs), g.opts.Connectors, g.opts.Functions),
	}, nil
}
