package tidemill

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/scheduler/gateway"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
)

// RemoteOptions say which cluster a client uses, and with what.
type RemoteOptions struct {
	// Masters are the addresses of its masters, or of some. Required.
	Masters []string
	// TLS is the client's side of it (core/security); nil: this machine alone is called.
	TLS *tls.Config
	// Token is what the cluster wants to see.
	Token security.Token
	// Registry is what statements are planned with: it must know what the workers know,
	// and see the same files. nil: Builtins of the settings.
	Registry *Registry
	Settings map[string]string
	Version  string
	Log      *slog.Logger // nil: discarded
}

// callPatience is how long masters that do not answer are asked again: longer than it
// takes until another one leads.
const callPatience = 20 * time.Second

// queryAgain is how often a query is started again: it takes seconds until a dead worker
// is given no tasks any more.
const queryAgain = 4

// remote is a cluster elsewhere. Statements are planned here and run there.
type remote struct {
	*gateway.Gateway
	network  *network.Network
	shuffle  *flight.Service
	registry *Registry // that nobody else knows, or nil
}

var _ client.Engine = (*remote)(nil)

// Connect returns the engine of a cluster, whose masters need not answer yet. Closing it
// leaves inserts alone, and cancels the queries of sessions that are open.
func Connect(o RemoteOptions) (client.Engine, error) {
	if len(o.Masters) == 0 {
		return nil, failure.Errorf(failure.Usage, "no address of a master is given")
	}
	e := &remote{}
	if o.Registry == nil {
		builtins, err := Builtins(o.Settings)
		if err != nil {
			return nil, err
		}
		e.registry, o.Registry = builtins, builtins
	}
	to := network.Options{Masters: o.Masters, TLS: o.TLS, Token: o.Token, CallTimeout: callPatience, Version: o.Version}
	e.network = network.New(to)
	e.shuffle = flight.New(flight.Options{
		Self:  shuffle.Server{Host: flight.Machine()},
		Local: local.New(local.Options{Alloc: memory.DefaultAllocator}), Alloc: memory.DefaultAllocator,
		TLS: o.TLS, Token: o.Token,
	})
	e.Gateway = gateway.New(gateway.Options{
		Cluster: e.network.Cluster(), Shuffle: e.shuffle, Connectors: o.Registry, Functions: function.Builtins(), Log: o.Log,
		Files: o.Registry.FileSystems, Version: o.Version,
		Prepare: absolute, Again: queryAgain,
	})
	return e, nil
}

// Close implements client.Engine.
func (e *remote) Close() error {
	e.Gateway.Close()
	err := e.shuffle.Close()
	e.network.Close()
	if e.registry != nil {
		err = errors.Join(err, e.registry.Close())
	}
	return err
}

// absolute makes the paths of a job mean in the workers' directories what they mean in
// this process's.
func absolute(g *jobgraph.Graph) error {
	for _, v := range g.GetVertices() {
		for _, op := range v.GetChain() {
			for _, options := range []map[string]string{op.GetSource().GetOptions(), op.GetLookupJoin().GetTable().GetOptions(), op.GetSink().GetOptions()} {
				if err := absolutePath(options, "path"); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(
		absolutePath(g.GetOptions(), config.CheckpointDir.Key()),
		absolutePath(g.GetOptions(), config.RestorePath.Key()),
		absolutePath(g.GetOptions(), config.SavepointDir.Key()),
	)
}

func absolutePath(options map[string]string, key string) error {
	path := options[key]
	if scheme, _ := fs.SplitURI(path); path == "" || scheme != "" || filepath.IsAbs(path) {
		return nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return failure.Errorf(failure.Usage, "option %s: %w", key, err)
	}
	options[key] = abs
	return nil
}
