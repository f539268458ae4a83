package tidemill_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A plan is compiled into a file, executed, stopped with a savepoint, and executed again from
// there in sessions that would plan the statement in other ways, by rules that decide what is
// kept (see TestPlanChanges, where these are refused): all state is found, and the rows are
// those of the statement. The tables have other options each time.
func TestCompiledPlan(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	if _, err := e.execute(planned{rate: 10_000_000, out: "clean"}.script()); err != nil {
		t.Fatal(err)
	}
	want, err := e.execute(checkPlanned)
	if err != nil || len(want) != 3 {
		t.Fatalf("%q, %v", want, err)
	}
	slices.Sort(want)
	file := filepath.Join(e.dir, "plans", "job.json")
	if _, err := e.execute(planned{rate: 1, out: "nothing", run: "COMPILE PLAN '${dir}/plans/job.json' FOR"}.script()); err != nil {
		t.Fatal(err)
	}
	plan, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{e.dir, "rows-per-second", "state.checkpoints.dir"} {
		if strings.Contains(string(plan), secret) {
			t.Errorf("%s is in the plan", secret)
		}
	}
	if _, err := os.Stat(filepath.Join(e.dir, "nothing")); !os.IsNotExist(err) {
		t.Errorf("COMPILE PLAN has run the job: %v", err)
	}
	save := e.savepoint(planned{rate: 500, out: "first", compiled: file}.script())
	for name, more := range map[string]string{
		"same":     "",
		"rules":    "SET 'table.optimizer.disabled-rules' = 'keys; prune; window';",
		"settings": "SET 'parallelism.default' = '1'; SET 'pipeline.max-parallelism' = '16'; SET 'table.exec.state.ttl' = '1 s'; SET 'pipeline.name' = 'other';",
	} {
		rows, err := e.goOn(planned{out: name, more: "RESET;" + more, compiled: file}, save)
		if err != nil || !slices.Equal(rows, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", name, err, rows, want)
		}
	}
}

// COMPILE AND EXECUTE PLAN runs what it has written, or with IF NOT EXISTS what was written
// before; what cannot be written is not run.
func TestCompileAndExecute(t *testing.T) {
	e := open(t, map[string]string{"execution.runtime-mode": "streaming"})
	const tables = `
		CREATE TABLE IF NOT EXISTS numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10', 'fields.n.kind' = 'sequence');
		CREATE TABLE IF NOT EXISTS sums (s BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/sums', 'format' = 'csv');`
	const check = "SELECT COUNT(*), SUM(s) FROM sums"
	for _, step := range []struct{ statement, want string }{
		{"COMPILE AND EXECUTE PLAN '${dir}/plan' FOR INSERT INTO sums SELECT n FROM numbers", "10 45"},
		{"COMPILE AND EXECUTE PLAN 'file://${dir}/plan' IF NOT EXISTS FOR INSERT INTO sums SELECT n * 100 FROM numbers", "20 90"},
		{"EXECUTE PLAN '${dir}/plan'", "30 135"},
		{"SET 'table.plan.force-recompile' = 'true'; COMPILE AND EXECUTE PLAN '${dir}/plan' FOR INSERT INTO sums SELECT n * 100 FROM numbers", "40 4635"},
	} {
		if _, err := e.execute(tables + step.statement); err != nil {
			t.Fatalf("%s: %v", step.statement, err)
		}
		e.expect(check, step.want)
	}
	for statement, want := range map[string]string{
		"COMPILE AND EXECUTE PLAN '${dir}/plan/below' FOR INSERT INTO sums SELECT n FROM numbers": "SQL-5001",
		"EXECUTE PLAN '${dir}'": "SQL-5001",
	} {
		if _, err := e.execute(statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", statement, err, want)
		}
	}
	e.expect(check, "40 4635")
}
