package tidemill_test

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/datastream/ledger"
	"github.com/tidemill/tidemill/core/failure"
)

// The ledger's books are right, whatever becomes of the processes that write them.

func ledgerProgram(o ledger.Options, parallelism int, settings map[string]string) *datastream.Env {
	all := map[string]string{
		"execution.checkpointing.interval": "30 ms", "state.checkpoints.dir": filepath.Join(o.Dir, "checkpoints"),
	}
	for k, v := range settings {
		all[k] = v
	}
	env := datastream.New(datastream.Options{Name: "ledger", Parallelism: parallelism, Settings: all})
	ledger.Build(env, o)
	return env
}

func checkLedger(t *testing.T, o ledger.Options) {
	t.Helper()
	report, err := ledger.Check(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.Right() {
		t.Fail()
	}
}

func TestLedger(t *testing.T) {
	o := ledger.Options{Dir: t.TempDir(), Transfers: 3000}
	if err := tidemill.Run(t.Context(), ledgerProgram(o, 4, nil), tidemill.Options{}); err != nil {
		t.Fatal(err)
	}
	checkLedger(t, o)
}

// newest is the number of the latest checkpoint that is kept.
func newest(t *testing.T, dir string) (latest int) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "chk-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(name), "chk-")); err == nil {
			latest = max(latest, n)
		}
	}
	return latest
}

// A job with every kind of state goes on with another parallelism: lists are dealt out
// anew, a union comes to everybody, keys and their timers move.
func TestLedgerGoesOnWithAnotherParallelism(t *testing.T) {
	o := ledger.Options{Dir: t.TempDir(), Transfers: 2500, Rate: 100} // far more than half a minute
	checkpoints := filepath.Join(o.Dir, "checkpoints")
	settings := map[string]string{}
	for _, parallelism := range []int{4, 3} {
		before := newest(t, checkpoints)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tidemill.Run(ctx, ledgerProgram(o, parallelism, settings), tidemill.Options{}) }()
		tick := time.NewTicker(5 * time.Millisecond)
		for newest(t, checkpoints) < before+4 {
			select {
			case <-tick.C:
			case err := <-ended:
				t.Fatalf("parallelism %d: ended too early: %v", parallelism, err)
			}
		}
		tick.Stop()
		cancel()
		if err := <-ended; failure.Of(err) != failure.Cancelled {
			t.Fatalf("parallelism %d: %v", parallelism, err)
		}
		settings["execution.state-recovery.path"] = checkpoints
	}
	o.Rate = 0
	if err := tidemill.Run(t.Context(), ledgerProgram(o, 5, settings), tidemill.Options{}); err != nil {
		t.Fatal(err)
	}
	checkLedger(t, o)
}
