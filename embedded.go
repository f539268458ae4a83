package tidemill

import (
	"context"
	"errors"
	"log/slog"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/minicluster"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/gateway"
)

// Options are what an embedded engine is made of.
type Options struct {
	// Registry is what it reads and writes with; nil: Builtins of the settings.
	Registry *Registry
	// Program is the job whose functions and connectors the engine has; nil: it runs SQL
	// only.
	Program *datastream.Env
	// Settings are those of the process, by their keys (core/config): worker.slots,
	// worker.memory.size, io.tmp.dir. Sessions have their own.
	Settings map[string]string
	Version  string           // of the program; may be empty
	Metrics  *metric.Registry // nil: one of its own
	Log      *slog.Logger     // nil: discarded
	// Wire has every control-plane message go through its encoding, and faults; the
	// zero value is right for programs.
	Wire rpc.LocalOptions
	// Workers and Servers are how many workers there are in it, and shuffle servers beside
	// them, each as if it were a process of its own; zero: one, and none, which is right
	// for programs.
	Workers, Servers int
}

// embedded is an engine inside this process.
type embedded struct {
	*gateway.Gateway
	cluster  *minicluster.Cluster
	registry *Registry // that nobody else knows, or nil
	hide     func()    // takes the counts of the file systems out of the metrics
}

var _ client.Engine = (*embedded)(nil)

// Embedded starts an engine inside this process; Close ends it with all its jobs.
func Embedded(ctx context.Context, o Options) (client.Engine, error) {
	own := o.Registry == nil
	if own {
		builtins, err := Builtins(o.Settings)
		if err != nil {
			return nil, err
		}
		o.Registry = builtins
	}
	c, err := config.FromMap(o.Settings, "engine")
	if err != nil {
		return nil, err
	}
	connectors, functions, err := o.program()
	if err != nil {
		return nil, err
	}
	cluster, err := minicluster.New(ctx, minicluster.Options{
		Config: c, Connectors: connectors, Functions: functions, FileSystems: o.Registry.FileSystems,
		Metrics: o.Metrics, Log: o.Log, Wire: o.Wire, Workers: o.Workers, Servers: o.Servers,
	})
	if err != nil {
		return nil, err
	}
	e := &embedded{cluster: cluster, Gateway: gateway.New(gateway.Options{
		Cluster: cluster.Client(), Shuffle: cluster.Shuffle(), Connectors: o.Registry, Functions: function.Builtins(), Log: o.Log,
		Files: o.Registry.FileSystems, Version: o.Version,
	})}
	if own {
		e.registry = o.Registry
	}
	if o.Metrics != nil {
		e.hide = o.Registry.FileSystems.Show(o.Metrics)
	}
	return e, nil
}

// Close implements client.Engine.
func (e *embedded) Close() error {
	err := e.cluster.Close()
	e.Gateway.Close()
	if e.hide != nil {
		e.hide()
	}
	if e.registry != nil {
		err = errors.Join(err, e.registry.Close())
	}
	return err
}
