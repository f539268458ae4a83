package tidemill

import (
	"context"
	"errors"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/rpc"
)

// program is what tasks find the parts of a program with.
func (o Options) program() (func(string) (connector.Connector, error), process.Functions, error) {
	if o.Program == nil {
		return o.Registry.Connector, nil, nil
	}
	functions, err := o.Program.Functions()
	return o.Program.Connectors(o.Registry.Connector), functions, err
}

// Run runs a program's job inside this process and waits for its end. The end of ctx
// cancels it.
func Run(ctx context.Context, program *datastream.Env, o Options) error {
	o.Program = program
	if o.Registry == nil {
		builtins, err := Builtins(o.Settings)
		if err != nil {
			return err
		}
		defer func() { _ = builtins.Close() }()
		o.Registry = builtins
	}
	engine, err := Embedded(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(runOn(ctx, program, engine.(*embedded).cluster.Client(), o.Registry), engine.Close())
}

// runOn runs a program's job on a cluster to its end.
func runOn(ctx context.Context, program *datastream.Env, cluster rpc.ClusterClient, registry *Registry) error {
	g, err := program.Graph(ctx, registry.Connector)
	if err != nil {
		return err
	}
	job, err := datastream.Submit(ctx, cluster, g)
	if err != nil {
		return err
	}
	return job.Wait(ctx)
}
