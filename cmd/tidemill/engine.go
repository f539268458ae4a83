package main

import (
	"context"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/formats"
)

// embedded starts an engine inside this process and returns it with the formats
// that rows can be printed in.
func embedded(ctx context.Context, settings map[string]string) (client.Engine, *formats.Registry, error) {
	registry, err := tidemill.Builtins(settings)
	if err != nil {
		return nil, nil, err
	}
	engine, err := tidemill.Embedded(ctx, tidemill.Options{Registry: registry, Settings: settings})
	if err != nil {
		return nil, nil, err
	}
	return engine, registry.Formats, nil
}
