package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Members of a cluster come and go.

// slow is a job of ten seconds, of which a busy machine needs some to get at it.
const slow = `CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '100000',
		'rows-per-second' = '10000', 'fields.id.kind' = 'sequence');
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
	if o := m.run("sql", "-o", "csv", "SELECT count(*), count(DISTINCT id) FROM 'o/*.parquet'"); o.code != 0 || lines(o.stdout)[1] != "100000,100000" {
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

// Three masters: one is killed and its disk lost, and comes back by itself; one that stays
// away is shown as lost, and removed.
func TestClusterOfThreeMasters(t *testing.T) {
	m := newMill(t, "--masters", "3", "--workers", "1")
	masters := func() (out []string, leader string) {
		t.Helper()
		o := m.run("nodes")
		if o.code != 0 {
			t.Fatalf("nodes: exit code %d\n%s", o.code, o.stderr)
		}
		for _, l := range lines(o.stdout) {
			if strings.HasPrefix(l, "master ") {
				out = append(out, l)
			}
			if strings.HasSuffix(strings.TrimSpace(l), "leads") {
				leader = strings.Fields(l)[1]
			}
		}
		return out, leader
	}
	leader := ""
	if all, first := masters(); len(all) != 3 || first == "" {
		t.Fatalf("masters: %v", all)
	}
	first := m.member("master")
	if err := os.RemoveAll(filepath.Join(m.dir, "master", "master")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the killed one counts again", func() bool {
		var all []string
		all, leader = masters()
		return len(all) == 3 && leader != "" && !regexp.MustCompile("lost|joins").MatchString(strings.Join(all, "")) && alive(m, "master", first.PID)
	})
	if o := m.run("nodes", "remove", leader); o.code != 5 || !strings.Contains(o.stderr, "it ") {
		t.Errorf("remove one that is alive: exit code %d\n%s", o.code, o.stderr)
	}
	if o := m.run("nodes", "remove", "nobody"); o.code != 4 || !strings.Contains(o.stderr, "no such node") {
		t.Errorf("remove nobody: exit code %d\n%s", o.code, o.stderr)
	}
	if o := m.run("sql", "-o", "csv", generator+"SELECT count(*) FROM g"); o.code != 0 || lines(o.stdout)[1] != "5000" {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if code := m.end(); code != 130 {
		t.Errorf("up ended with %d\n%s", code, m.stderr.String())
	}
	if o := m.run("up", "--data-dir", m.dir); o.code != 2 || !strings.Contains(o.stderr, "--masters") {
		t.Errorf("up with fewer masters: exit code %d\n%s", o.code, o.stderr)
	}
}

// alive says whether a member serves that is another process than before.
func alive(m *mill, name string, before int) bool {
	_, err := os.Stat(filepath.Join(m.dir, name, "address.json"))
	return err == nil && m.member(name).PID != before
}

// until waits for something that others do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		}
	}
}
