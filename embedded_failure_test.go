package tidemill_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// A call of the control plane that fails once must not change what comes out, or
// must end the job with its error; nothing may hang or stay behind either way.
func TestCallsThatFailOnce(t *testing.T) {
	for _, c := range []struct {
		method string
		after  int32 // calls that succeed before
		fails  bool  // the job fails with the call's error
	}{
		{"worker.Deploy", 1, false},
		{"worker.Trigger", 1, false},
		{"worker.Notify", 0, false},
		{"worker.StartCoordinator", 0, true},
		{"master.Report", 2, false},
		{"master.Acknowledge", 3, false},
		{"master.Heartbeat", 0, false},
		{"coordinator.NextSplit", 1, false},
		{"coordinator.Snapshot", 1, false},
		{"coordinator.Commit", 1, false},
	} {
		t.Run(c.method, func(t *testing.T) {
			// Where the machine is so busy that the job is over before the call, the next job takes longer.
			for rate := 40_000; !callFailsOnce(t, c.method, c.after, c.fails, rate); rate /= 4 {
				if rate < 1000 {
					t.Fatalf("%s is not called so often", c.method)
				}
			}
		})
	}
}

// callFailsOnce runs a stream during which a call fails once, after so many that do not,
// and reports whether it came to that.
func callFailsOnce(t *testing.T, method string, after int32, fails bool, rate int) bool {
	t.Helper()
	var calls atomic.Int32
	e := openWith(t, nil, func(called string) error {
		if called == method && calls.Add(1) == after+1 {
			return failure.Errorf(failure.Transient, "wire cut")
		}
		return nil
	})
	_, err := e.execute(e.stream(rate, `SET 'restart-strategy.type' = 'fixed-delay'; SET 'restart-strategy.fixed-delay.delay' = '1 ms';`))
	if fails {
		if err == nil || !strings.Contains(err.Error(), "wire cut") {
			t.Fatalf("want the call's error, have %v", err)
		}
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	e.expect(checkStream, streamCounts)
	return calls.Load() > after
}

// A batch job whose source fails once is restarted: splits are given back, staged
// files discarded. Each call of that may fail, too.
func TestCallsOfARestartThatFail(t *testing.T) {
	for _, method := range []string{"none", "worker.Cancel", "worker.Drop", "coordinator.Reset"} {
		t.Run(method, func(t *testing.T) {
			// Both subtasks have begun when one fails, and the other one cannot end before.
			both, cancelled := make(chan struct{}), make(chan struct{})
			var splits, calls, cancels atomic.Int32
			e := openWith(t, nil, func(called string) error {
				cut := called == method && calls.Add(1) == 1
				switch called {
				case "coordinator.NextSplit":
					switch splits.Add(1) {
					case 1:
						<-both
					case 2:
						close(both)
					case 3:
						cut = true
					case 4:
						<-cancelled
					}
				case "worker.Cancel":
					if cancels.Add(1) == 1 {
						close(cancelled)
					}
				}
				if cut {
					return failure.Errorf(failure.Transient, "wire cut")
				}
				return nil
			})
			_, err := e.execute(`
				SET 'parallelism.default' = '2';
				SET 'restart-strategy.type' = 'fixed-delay'; SET 'restart-strategy.fixed-delay.delay' = '1 ms';
				CREATE TABLE src (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '100000', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence');
				CREATE TABLE dst (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/dst', 'format' = 'parquet');
				INSERT INTO dst SELECT n FROM src`)
			if err != nil {
				t.Fatal(err)
			}
			if splits.Load() < 4 || method != "none" && calls.Load() == 0 {
				t.Fatalf("%d splits asked for, %d calls", splits.Load(), calls.Load())
			}
			e.expect("SELECT COUNT(*), SUM(n) FROM dst", "100000 4999950000")
		})
	}
}

// The end of its context, and closing its result, cancel a query; closing only
// stops waiting for an insert.
func TestCancellation(t *testing.T) {
	e := open(t, nil)
	const endless = `
		CREATE TABLE t (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000');
		SELECT n FROM t`
	r := e.startStream(endless)
	ctx, cancel := context.WithCancel(t.Context())
	b, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	cancel()
	for err == nil {
		if b, err = r.Next(ctx); err == nil {
			b.Release()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if s := r.Progress().State; s != "CANCELED" {
		t.Fatalf("after close the query is %s", s)
	}
	e.expect("CREATE TABLE gone (n BIGINT) WITH ('connector' = 'blackhole')")
	insert := e.startStream("INSERT INTO gone SELECT n FROM t")
	await(t, insert, func(p client.Progress) bool { return p.State == "RUNNING" })
	if err := insert.Close(); err != nil {
		t.Fatal(err)
	}
	if s := insert.Progress().State; s != "RUNNING" {
		t.Fatalf("after close the insert is %s", s)
	}
	job, _ := insert.Job()
	e.expect(fmt.Sprintf("STOP JOB '%v'", job))
	await(t, insert, func(p client.Progress) bool { return p.State == "CANCELED" })
}

// killed is set in the process that TestKilledProcess ends.
const killed = "TIDEMILL_TEST_KILLED_DIR"

// A process that is killed between checkpoints leaves its directory behind; with
// the newest manifest damaged the one before it is taken. Another process ends
// with the same counts; in the second case what the damaged checkpoint had
// published comes once more, in rows that are the same.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		runUntilKilled(t, dir)
		return
	}
	for _, damage := range []bool{false, true} {
		t.Run(fmt.Sprintf("damage=%v", damage), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcess$")
			cmd.Env = append(os.Environ(), killed+"="+dir)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Fatalf("the process was not killed: %s", out)
			}
			manifests, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "chk-*", "MANIFEST"))
			if err != nil || len(manifests) < 2 {
				t.Fatalf("manifests %v, %v", manifests, err)
			}
			if damage {
				slices.SortFunc(manifests, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
				if err := os.Truncate(manifests[len(manifests)-1], 20); err != nil {
					t.Fatal(err)
				}
			}
			e := open(t, nil)
			e.dir = dir
			if _, err := e.execute(e.stream(1_000_000, killedSettings+"SET 'execution.state-recovery.path' = '${dir}/checkpoints';")); err != nil {
				t.Fatal(err)
			}
			if damage {
				e.expect(`SET 'execution.runtime-mode' = 'batch';
					SELECT COUNT(*), SUM(c) FROM (SELECT DISTINCT start_time, k, c FROM counts)`, fmt.Sprintf("%d %d", 3*streamRows/1000, streamRows))
				return
			}
			e.expect(checkStream, streamCounts)
		})
	}
}

const killedSettings = "SET 'state.checkpoints.num-retained' = '5';\n"

// runUntilKilled ends its own process, as SIGKILL does, after a few checkpoints.
func runUntilKilled(t *testing.T, dir string) {
	e := open(t, nil)
	e.dir = dir
	r := e.startStream(e.stream(500, killedSettings)) // a minute
	await(t, r, func(p client.Progress) bool { return p.Checkpoints >= 3 })
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	t.Fatalf("still alive: %v", err)
	<-time.After(time.Minute)
}

// The newest checkpoint is damaged and no other is left: the error names it.
func TestDamagedCheckpoint(t *testing.T) {
	e := open(t, nil)
	if _, err := e.execute(e.stream(200_000, "")); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(e.dir, "checkpoints", "*", "chk-*", "MANIFEST"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("manifests %v, %v", manifests, err)
	}
	if err := os.WriteFile(manifests[0], []byte("TMCP is not enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, nil)
	again.dir = e.dir
	_, err = again.execute(again.stream(200_000, "SET 'execution.state-recovery.path' = '${dir}/checkpoints';"))
	if failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), manifests[0]) {
		t.Fatalf("%v: %v", failure.Of(err), err)
	}
	_, err = again.execute(again.stream(200_000, "SET 'execution.state-recovery.path' = '${dir}/nothing';"))
	if err == nil {
		t.Fatal("restored from nothing")
	}
}

// Options of jobs that cannot work are refused before anything runs.
func TestCheckpointOptions(t *testing.T) {
	e := open(t, nil)
	script := strings.Replace(e.stream(200_000, ""), "SET 'state.checkpoints.dir' = '${dir}/checkpoints';", "", 1)
	if _, err := e.execute(script); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "state.checkpoints.dir") {
		t.Fatal(err)
	}
	statement, err := parser.ParseStatement("SHOW JOBS")
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.session.Execute(t.Context(), "SHOW JOBS", statement)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := read(t.Context(), r)
	if err != nil || len(rows) != 0 {
		t.Fatalf("jobs %v, %v", rows, err)
	}
}
