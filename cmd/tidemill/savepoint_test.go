package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/scheduler/rest"
)

// checkpoints are those that the cluster remembers of a job.
func (m *mill) checkpoints(job string) (all rest.Checkpoints) {
	m.t.Helper()
	o := m.run("checkpoints", "-o", "json", job)
	if err := json.Unmarshal([]byte(o.stdout), &all); o.code != 0 || err != nil {
		m.t.Fatalf("checkpoints: exit code %d, %v\n%s%s", o.code, err, o.stdout, o.stderr)
	}
	return all
}

// begin starts the one job of a script.
func (m *mill) begin(args ...string) string {
	m.t.Helper()
	o := m.run(append([]string{"submit"}, args...)...)
	if o.code != 0 || len(lines(o.stdout)) != 1 {
		m.t.Fatalf("submit: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	return lines(o.stdout)[0]
}

// submit starts the one job of a script and waits until it has completed a checkpoint.
func (m *mill) submit(args ...string) string {
	m.t.Helper()
	job := m.begin(args...)
	for m.checkpoints(job).Completed == 0 {
		if o := m.run("list", "--running"); !strings.Contains(o.stdout, job) {
			m.t.Fatalf("%s", m.run("why", job).stdout)
		}
	}
	return job
}

// savepoint runs savepoint or stop and returns the directory that it prints.
func (m *mill) savepoint(args ...string) string {
	m.t.Helper()
	o := m.run(args...)
	if o.code != 0 || len(lines(o.stdout)) != 1 {
		m.t.Fatalf("%v: exit code %d\n%s%s", args, o.code, o.stdout, o.stderr)
	}
	return lines(o.stdout)[0]
}

// A job is stopped with a savepoint, again and again, and each time another one, of another
// parallelism, goes on from it after it has been moved and all checkpoints are gone: no row
// is lost, none is there twice. What a savepoint of a running job holds is a job of its own.
func TestStopAndGoOn(t *testing.T) {
	m := newMill(t, "-D", "worker.slots=2")
	// One subtask reads what two have read, one further than the other, with one watermark: no
	// row is to be late. So all windows close at the end.
	script := strings.Replace(fmt.Sprintf(windowJob, restoreKeys, restoreSlow, restoreTotal, "csv"), "INTERVAL '0.05' SECOND", "INTERVAL '1' MINUTE", 1)
	fast := strings.Replace(script, fmt.Sprintf("'rows-per-second' = '%d'", restoreSlow), fmt.Sprintf("'rows-per-second' = '%d'", restoreFast), 1)
	put(t, m.work, "job.sql", script)
	job := m.submit("job.sql")
	fork := m.savepoint("savepoint", job, "forks")
	for i := range 3 {
		at := m.savepoint("stop", job, "--savepoint-path", "save")
		if o := m.run("get", job); !strings.Contains(o.stdout, "FINISHED") {
			t.Fatalf("stopped: %s", o.stdout)
		}
		moved := filepath.Join(m.work, fmt.Sprintf("moved-%d", i))
		if err := os.Rename(at, moved); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(m.work, "checkpoints")); err != nil {
			t.Fatal(err)
		}
		next, start := script, m.submit
		if i == 2 {
			next, start = fast, m.begin
		}
		put(t, m.work, "job.sql", strings.Replace(next, "'parallelism.default' = '2'", fmt.Sprintf("'parallelism.default' = '%d'", 1+i%2), 1))
		job = start("-s", moved, "job.sql")
	}
	if o := m.run("wait", job); o.code != 0 {
		t.Fatalf("wait: exit code %d\n%s", o.code, o.stderr)
	}
	whole := m.windows()
	wantWindows(t, whole)

	// The other job publishes what came after the savepoint.
	first := m.work
	m.work = t.TempDir()
	put(t, m.work, "job.sql", "SET 'execution.checkpointing.externalized-checkpoint-retention' = 'NO_EXTERNALIZED_CHECKPOINTS';"+fast)
	if o := m.run("run", "-s", fork, "job.sql"); o.code != 0 {
		t.Fatalf("fork: exit code %d\n%s", o.code, o.stderr)
	}
	wantWindows(t, m.windows())
	if left, err := filepath.Glob(filepath.Join(m.work, "checkpoints", "*")); err != nil || len(left) > 0 {
		t.Errorf("checkpoints that nobody wants are left: %v, %v", left, err)
	}
	m.work = first

	put(t, m.work, "fork.sql", strings.NewReplacer("'path' = 'out'", "'path' = 'fork'", "SUM(", "MAX(").Replace(fast))
	for _, c := range []struct {
		args string
		code int
		text string
	}{
		{"checkpoints --path " + fork, 0, "savepoint"},
		{"checkpoints --path " + fork + " -o json", 0, "Window"},
		{"checkpoints --path nowhere", 4, "nowhere"},
		{"checkpoints " + job + " --path x", 2, "name a job"},
		{"savepoint " + job + " x", 5, "is over: FINISHED"},
		{"stop " + job, 5, "is over"},
		{"run -s " + fork + " fork.sql", 5, "--allow-non-restored-state"},
		{"run -n -s " + fork + " fork.sql", 0, ""},
	} {
		o := m.run(strings.Fields(c.args)...)
		if o.code != c.code || !strings.Contains(o.stdout+o.stderr, c.text) {
			t.Errorf("tidemill %s: exit code %d, want %d with %q\n%s%s", c.args, o.code, c.code, c.text, o.stdout, o.stderr)
		}
	}
}

// windows are what the window job has written.
func (m *mill) windows() []string {
	m.t.Helper()
	o := m.run("sql", "-o", "csv", `CREATE TABLE counts (w TIMESTAMP(3), k BIGINT, c BIGINT, s BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');
		SELECT CAST(w AS STRING), k, c, s FROM counts ORDER BY w, k`)
	if o.code != 0 {
		m.t.Fatal(o.stderr)
	}
	return lines(o.stdout)[1:]
}
