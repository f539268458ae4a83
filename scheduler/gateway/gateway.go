package gateway

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan/planner"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/shuffle"
)

// Options are what sessions work with; Connectors, Functions, Cluster and Shuffle are required.
type Options struct {
	Cluster    rpc.ClusterClient // runs the jobs; in this process or elsewhere
	Shuffle    shuffle.Service   // reads their results
	Connectors catalog.Connectors
	Functions  *function.Catalog
	// Files are where compiled plans are kept; nil: they are refused.
	Files *fs.Registry
	// Version of the program, which compiled plans name; may be empty.
	Version string
	// Again is how often a query is started again whose processes died before any of its
	// rows was seen.
	Again int
	// Prepare changes a job's graph before it is submitted; nil: nothing does.
	Prepare func(g *jobgraph.Graph) error
	Log     *slog.Logger // nil: discarded
}

// Gateway opens sessions. It may be used concurrently.
type Gateway struct {
	opts      Options
	catalogs  *catalog.Catalogs // shared by all sessions
	root      context.Context   // ends with Close
	stop      context.CancelFunc
	following sync.WaitGroup // what follows jobs, and takes back what they were to fill
}

// New returns a gateway with empty catalogs.
func New(o Options) *Gateway {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{opts: o, catalogs: catalog.New()}
	g.root, g.stop = context.WithCancel(context.Background())
	return g
}

// Close stops following jobs, which go on; sessions are closed before. It returns when
// nothing of the gateway runs any more.
func (g *Gateway) Close() {
	g.stop()
	g.following.Wait()
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
