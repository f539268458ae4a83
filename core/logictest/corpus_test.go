package logictest_test

import (
	"context"
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
func open(settings map[string]string) (client.Engine, error) {
	return openWith(settings, tidemill.Options{})
}

// apart starts an engine of two workers and a shuffle server.
func apart(settings map[string]string) (client.Engine, error) {
	return openWith(settings, tidemill.Options{Workers: 2, Servers: 1})
}

func openWith(settings map[string]string, o tidemill.Options) (client.Engine, error) {
	process := map[string]string{"worker.slots": "2"}
	for _, option := range config.All() {
		if text, ok := settings[option.Key]; ok && option.Reload == config.PerProcess {
			process[option.Key] = text
		}
	}
	o.Settings = process
	return tidemill.Embedded(context.Background(), o)
}
