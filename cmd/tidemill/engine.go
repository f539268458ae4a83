package main

import (
	"context"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/memory"
)

// embedded starts an engine inside this process and returns it with the formats
// that rows can be printed in.
func embedded(ctx context.Context, settings map[string]string) (client.Engine, *tidemill.Registry, error) {
	registry, err := tidemill.Builtins(settings)
	if err != nil {
		return nil, nil, err
	}
	if err := limitMemory(settings); err != nil {
		return nil, nil, err
	}
	engine, err := tidemill.Embedded(ctx, tidemill.Options{Registry: registry, Settings: settings, Version: version})
	if err != nil {
		return nil, nil, err
	}
	return engine, registry, nil
}

// connect returns the engine of a cluster, with the formats that rows can be printed in. From
// then on a write to a pipe that nobody reads, as of `| head`, is an error, and does not end the
// process: its query would run on.
func (f *clusterFlags) connect(settings map[string]string) (client.Engine, *tidemill.Registry, error) {
	a, err := f.find()
	if err != nil {
		return nil, nil, err
	}
	signal.Ignore(syscall.SIGPIPE)
	registry, err := tidemill.Builtins(settings)
	if err != nil {
		return nil, nil, err
	}
	engine, err := tidemill.Connect(tidemill.RemoteOptions{
		Masters: a.masters, TLS: a.tls, Token: a.token, Registry: registry, Settings: settings, Version: version,
	})
	return engine, registry, err
}

// limitMemory has the garbage collector work harder rather than let the process
// grow beyond what the worker may use.
func limitMemory(settings map[string]string) error {
	c, err := config.FromMap(settings, "engine")
	if err != nil {
		return err
	}
	heap, _ := memory.Divide(memory.OfProcess(c))
	debug.SetMemoryLimit(heap)
	return nil
}
