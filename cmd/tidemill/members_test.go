package main_test

import (
	"strings"
	"syscall"
	"testing"
)

// Members of a cluster come and go.

// slow is a job of two seconds.
const slow = `CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '40000',
		'rows-per-second' = '20000', 'fields.id.kind' = 'sequence');
		CREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'o', 'format' = 'parquet');
		INSERT INTO o SELECT id FROM g;`

// A worker that is told to end signs off: what it ran runs elsewhere.
func TestClusterWorkerSignsOff(t *testing.T) {
	m := newMill(t)
	put(t, m.work, "job.sql", slow)
	o := m.run("submit", "job.sql")
	if o.code != 0 {
		t.Fatalf("submit: exit code %d\n%s", o.code, o.stderr)
	}
	job := lines(o.stdout)[0]
	if o := m.run("wait", "--timeout", "200ms", job); o.code != 124 {
		t.Fatalf("the job is over too soon: exit code %d\n%s", o.code, o.stderr)
	}
	for _, name := range []string{"worker-1", "shuffle"} {
		if err := syscall.Kill(m.member(name).PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if o := m.run("wait", job); o.code != 0 {
		t.Errorf("wait: exit code %d\n%s%s", o.code, o.stderr, m.run("get", job).stdout)
	}
	if o := m.run("get", job); !strings.Contains(o.stdout, "signed off") {
		t.Errorf("why it was run again: %s", o.stdout)
	}
	if o := m.run("sql", "-o", "csv", "SELECT count(*), count(DISTINCT id) FROM 'o/*.parquet'"); o.code != 0 || lines(o.stdout)[1] != "40000,40000" {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// A job that nobody knows is an error, whatever is asked about it.
func TestClusterUnknownJob(t *testing.T) {
	m := newMill(t, "--in-process", "--workers", "1")
	job := strings.Repeat("0", 31) + "7"
	for _, verb := range []string{"get", "wait", "cancel", "why", "logs"} {
		if o := m.run(verb, job); o.code != 4 || !strings.Contains(o.stderr, "job "+job+" does not exist") || o.stdout != "" {
			t.Errorf("%s: exit code %d\n%s%s", verb, o.code, o.stdout, o.stderr)
		}
	}
}
