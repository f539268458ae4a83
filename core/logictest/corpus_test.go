package logictest_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/logictest"
)

var rewrite = flag.Bool("rewrite", false, "store the rows that came as the wanted ones")

// TestCorpus runs testdata/*.slt on the embedded engine: as every program gets
// it, with every row through all layers. With TIDEMILL_DUCKDB set to DuckDB's
// binary (make verify-sql) the expected rows are DuckDB's as well.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.slt")
	if err != nil {
		t.Fatal(err)
	}
	logictest.Run(t, files, logictest.Options{Open: open, Apart: apart, Rewrite: *rewrite, DuckDB: os.Getenv("TIDEMILL_DUCKDB")})
}

// open starts an engine with the settings that are a process's; sessions get all.
func open(settings map[string]string, around *logictest.Around) (client.Engine, error) {
	return openWith(settings, around, tidemill.Options{})
}

// apart starts an engine of two workers and a shuffle server.
func apart(settings map[string]string, around *logictest.Around) (client.Engine, error) {
	return openWith(settings, around, tidemill.Options{Workers: 2, Servers: 1})
}

// engine is one with a registry of its own.
type engine struct {
	client.Engine
	registry *tidemill.Registry
}

func (e engine) Close() error { return errors.Join(e.Engine.Close(), e.registry.Close()) }

func openWith(settings map[string]string, around *logictest.Around, o tidemill.Options) (client.Engine, error) {
	o.Settings = map[string]string{"worker.slots": "2"}
	for _, option := range config.All() {
		if text, ok := settings[option.Key]; ok && option.Reload == config.PerProcess {
			o.Settings[option.Key] = text
		}
	}
	var err error
	if o.Registry, err = tidemill.Builtins(o.Settings); err != nil {
		return nil, err
	}
	o.Registry.Wrap(around.Connector)
	if err := o.Registry.Register(around.Changes()); err != nil {
		return nil, err
	}
	e, err := tidemill.Embedded(context.Background(), o)
	if err != nil {
		return nil, err
	}
	return engine{Engine: e, registry: o.Registry}, nil
}
