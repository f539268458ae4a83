package fuzz_test

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/logictest/fuzz"
)

var (
	duration = flag.Duration("fuzz-time", 0, "how long TestFuzzSQL runs; 0: a short run")
	seed     = flag.Uint64("fuzz-seed", 1, "what TestFuzzSQL makes its statements from")
	only     = flag.String("fuzz-only", "", "ROUND/STATEMENT: one statement, to see it again")
	most     = flag.Int("fuzz-differences", 1, "how many differences end TestFuzzSQL")
)

// open starts an engine with the settings that are a process's; sessions get all.
func open(settings map[string]string) (client.Engine, error) {
	process := map[string]string{"worker.slots": "2"}
	for _, option := range config.All() {
		if text, ok := settings[option.Key]; ok && option.Reload == config.PerProcess {
			process[option.Key] = text
		}
	}
	return tidemill.Embedded(context.Background(), tidemill.Options{Settings: process})
}

// TestFuzzSQL is make fuzz-sql, and without -fuzz-time a short form of it for
// make verify-sql. It needs DuckDB in TIDEMILL_DUCKDB.
func TestFuzzSQL(t *testing.T) {
	binary := os.Getenv("TIDEMILL_DUCKDB")
	if binary == "" {
		t.Log("TIDEMILL_DUCKDB is not set: run make fuzz-sql or make verify-sql")
		return
	}
	o := fuzz.Options{Open: open, DuckDB: binary, Dir: t.TempDir(), Seed: *seed, MaxDifferences: *most}
	o.Found = func(d fuzz.Difference) { t.Errorf("%s", d) }
	ctx := t.Context()
	switch {
	case *only != "":
		if err := o.Name(*only); err != nil {
			t.Fatal(err)
		}
	case *duration == 0:
		o.Rounds, o.Statements = 6, 100
	default:
		limited, cancel := context.WithTimeout(ctx, *duration)
		defer cancel()
		ctx = limited
	}
	report, err := fuzz.Run(ctx, o)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s", report)
	if *duration == 0 && *only == "" && report.Answered < report.Statements*8/10 {
		t.Errorf("few statements have an answer")
	}
}
