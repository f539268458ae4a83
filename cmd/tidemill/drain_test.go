package main_test

import (
	"strings"
	"testing"
)

// The one shuffle server is drained after it was used: the command returns when nothing is
// left there, the server ends and is not started again, and jobs run without it.
func TestClusterDrain(t *testing.T) {
	m := newMill(t)
	server := m.member("shuffle").Name
	const grouped = generator + "SELECT COUNT(*) FROM (SELECT k, COUNT(*) AS n FROM g WHERE id < 1000 GROUP BY k) AS t"
	before := m.run("sql", "-o", "csv", grouped)
	if before.code != 0 {
		t.Fatalf("exit code %d\n%s", before.code, before.stderr)
	}
	if o := m.run("drain", server, "--wait", "--timeout", "60s"); o.code != 0 {
		t.Fatalf("drain: exit code %d\n%s", o.code, o.stderr)
	}
	if o := m.run("nodes"); o.code != 0 || !strings.Contains(o.stdout, "drained") {
		t.Errorf("nodes: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	until(t, "the server is gone", func() bool { return m.run("drain", server).code == 4 })
	if o := m.run("nodes", "-o", "json"); !strings.Contains(o.stdout, `"drained": true`) {
		t.Errorf("who has ended is not shown as drained:\n%s", o.stdout)
	}
	if after := m.run("sql", "-o", "csv", grouped); after.code != 0 || after.stdout != before.stdout {
		t.Errorf("exit code %d\n%s%s\nbefore: %s", after.code, after.stdout, after.stderr, before.stdout)
	}
}
