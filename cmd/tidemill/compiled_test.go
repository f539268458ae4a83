package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plan is compiled by one command into a file beside its script, and executed on a cluster
// by others, the second from a savepoint of the first and with settings by which the statement
// would be planned in another way. check and explain write nothing.
func TestCompiledPlanOnCluster(t *testing.T) {
	m := newMill(t, "-D", "worker.slots=2")
	// See TestStopAndGoOn: no row is to be late, and it is not to end before it is stopped.
	script := strings.Replace(fmt.Sprintf(windowJob, restoreKeys, restoreSlow, restoreTotal, "csv"), "INTERVAL '0.05' SECOND", "INTERVAL '1' MINUTE", 1)
	slow, fast := fmt.Sprintf("'rows-per-second' = '%d'", restoreSlow), fmt.Sprintf("'rows-per-second' = '%d'", restoreFast)
	tables, query, _ := strings.Cut(script, "INSERT INTO")
	put(t, m.work, "compile.sql", tables+"COMPILE PLAN 'plans/job.json' FOR INSERT INTO"+query)
	put(t, m.work, "job.sql", tables+"EXECUTE PLAN 'plans/job.json'")
	file := filepath.Join(m.work, "plans", "job.json")
	shown := func(command ...string) string {
		t.Helper()
		o := m.run(command...)
		if o.code != 0 {
			t.Fatalf("%v: exit code %d\n%s", command, o.code, o.stderr)
		}
		return o.stdout
	}
	shown("check", "compile.sql")
	if plan := shown("explain", "-f", "compile.sql"); !strings.Contains(plan, "WindowAggregate TUMBLE") {
		t.Errorf("explain: %s", plan)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Fatalf("check or explain has written the plan: %v", err)
	}
	shown("run", "compile.sql")
	shown("check", "job.sql")
	if plan := shown("explain", "-f", "job.sql"); !strings.Contains(plan, "WindowAggregate TUMBLE") {
		t.Errorf("explain: %s", plan)
	}
	at := m.savepoint("stop", m.submit("job.sql"), "--savepoint-path", "save")
	put(t, m.work, "job.sql", "SET 'table.optimizer.disabled-rules' = 'window';\n"+
		strings.NewReplacer(slow, fast, "'parallelism.default' = '2'", "'parallelism.default' = '1'").Replace(tables)+"EXECUTE PLAN 'plans/job.json'")
	shown("run", "-s", at, "job.sql")
	wantWindows(t, m.windows())
}
