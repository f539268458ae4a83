package tidemill_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/plan/optimizer"
)

// A job goes on from a savepoint although its plan has changed: a query was written in
// another way, rules of the optimizer were disabled, the parallelism is another one. State
// goes where it belongs, or the operator is named that it does not fit.

const planRows = 30_000

// planned is a job with a window, a join and a group-by that are read by two sinks. All
// results come at the end, so each run that goes on from one savepoint gives all of them.
type planned struct {
	rate                       int
	more                       string // settings
	ticks, windows, categories string // queries, in place of tables
	count, having              string
	out                        string // directory
	run                        string // what is done with the statement set; empty: EXECUTE
	compiled                   string // a plan that is executed in place of the statement set
}

func (p planned) script() string {
	orElse := func(text, other string) string {
		if text == "" {
			return other
		}
		return text
	}
	declared := fmt.Sprintf(`
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '20 ms';
		SET 'state.checkpoints.dir' = '${dir}/checkpoints';
		SET 'state.savepoints.dir' = '${dir}/savepoints';
		%s
		DROP TABLE IF EXISTS ticks; CREATE TABLE ticks (
			n BIGINT, k AS n %% 3 + 1, v AS n * 7 %% 11,
			ts AS CAST(TO_TIMESTAMP_LTZ(n, 3) AS TIMESTAMP(3)),
			WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
		) WITH ('connector' = 'datagen', 'rows-per-second' = '%d', 'number-of-rows' = '%d', 'fields.n.kind' = 'sequence');
		DROP TABLE IF EXISTS categories; CREATE TABLE categories (id BIGINT, category AS id %% 2)
			WITH ('connector' = 'datagen', 'number-of-rows' = '3', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1');
		DROP TABLE IF EXISTS windows; CREATE TABLE windows (start_time TIMESTAMP(3), k BIGINT, c BIGINT)
			WITH ('connector' = 'filesystem', 'path' = '${dir}/%[4]s/windows', 'format' = 'csv');
		DROP TABLE IF EXISTS totals; CREATE TABLE totals (category BIGINT, c BIGINT, s BIGINT)
			WITH ('connector' = 'filesystem', 'path' = '${dir}/%[4]s/totals', 'format' = 'csv');`, p.more, p.rate, planRows, p.out)
	if p.compiled != "" {
		return declared + fmt.Sprintf("EXECUTE PLAN '%s'", p.compiled)
	}
	return declared + fmt.Sprintf(`
		%s STATEMENT SET BEGIN
			INSERT INTO windows SELECT window_start, k, COUNT(*)
				FROM TABLE(TUMBLE(TABLE %s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, k;
			INSERT INTO totals SELECT c.category, %s, SUM(t.v) FROM %s AS t JOIN %s AS c ON t.k = c.id GROUP BY c.category %s;
		END;`, orElse(p.run, "EXECUTE"), orElse(p.windows, "ticks"), orElse(p.count, "COUNT(*)"), orElse(p.ticks, "ticks"),
		orElse(p.categories, "categories"), p.having)
}

const checkPlanned = `SET 'execution.runtime-mode' = 'batch'; SET 'execution.state-recovery.path' = '';
	SELECT 'w', COUNT(*), SUM(c), MIN(c), MAX(c) FROM windows UNION ALL SELECT 't', category, c, s, 0 FROM totals`

// savepoint starts a job and stops it before its end.
func (e *engine) savepoint(script string) string {
	e.t.Helper()
	r := e.startStream(script)
	await(e.t, r, func(p client.Progress) bool { return p.Checkpoints >= 3 && p.RowsIn > 100 })
	job, _ := r.Job()
	rows, err := e.execute(fmt.Sprintf("STOP JOB '%v' WITH SAVEPOINT", job))
	if err != nil || len(rows) != 1 {
		e.t.Fatalf("savepoint: %q, %v", rows, err)
	}
	if _, err := read(e.t.Context(), r); err != nil {
		e.t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		e.t.Fatal(err)
	}
	return rows[0]
}

// goOn runs a job from a savepoint to its end and returns what it has made of it.
func (e *engine) goOn(p planned, savepoint string) ([]string, error) {
	e.t.Helper()
	p.rate = 10_000_000
	p.more += fmt.Sprintf("SET 'execution.state-recovery.path' = '%s';", savepoint)
	if _, err := e.execute(p.script()); err != nil {
		return nil, err
	}
	rows, err := e.execute(checkPlanned)
	slices.Sort(rows)
	return rows, err
}

func TestPlanChanges(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	if _, err := e.execute(planned{rate: 10_000_000, out: "clean"}.script()); err != nil {
		t.Fatal(err)
	}
	want, err := e.execute(checkPlanned)
	if err != nil || len(want) != 3 {
		t.Fatalf("%q, %v", want, err)
	}
	slices.Sort(want)
	save := e.savepoint(planned{rate: 1_000, out: "first"}.script())
	for name, p := range map[string]planned{
		"same":              {},
		"parallelism":       {more: "SET 'parallelism.default' = '1';"},
		"filter before":     {ticks: "(SELECT * FROM ticks WHERE v >= 0)"},
		"filter on another": {ticks: "(SELECT * FROM ticks WHERE n >= 0)"},
		"filter of windows": {windows: "ticks_again", more: "CREATE TEMPORARY VIEW IF NOT EXISTS ticks_again AS SELECT * FROM ticks WHERE n + 1 > 0;"},
		"projection before": {ticks: "(SELECT v, k, n FROM (SELECT n, v AS v, k + 0 - 0 AS other, k FROM ticks))"},
		"columns renamed":   {categories: "(SELECT category AS category, id AS id FROM (SELECT category AS a, id AS b FROM categories) AS x (category, id))"},
		"filter after":      {having: "HAVING COUNT(*) > 0"},
		"filter of keys":    {having: "HAVING c.category >= 0"},
		"everything": {
			ticks: "(SELECT v, k FROM ticks WHERE v >= 0)", categories: "(SELECT category, id FROM categories WHERE id > 0)",
			having: "HAVING COUNT(*) > 0", more: "SET 'parallelism.default' = '1';",
		},
	} {
		p.out = strings.ReplaceAll(name, " ", "_")
		rows, err := e.goOn(p, save)
		if err != nil || !slices.Equal(rows, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", name, err, rows, want)
		}
	}
	// These decide what is kept: state of a plan with them is no state of one without.
	refused := map[string]string{"keys": "Join inner", "window": "WindowAggregate TUMBLE", "prune": "it has no column n BIGINT"}
	for _, rule := range optimizer.Rules() {
		rows, err := e.goOn(planned{out: "without_" + rule, more: fmt.Sprintf("SET 'table.optimizer.disabled-rules' = '%s';", rule)}, save)
		if text := refused[rule]; text != "" {
			if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "--allow-non-restored-state") {
				t.Errorf("without %s: %v, want %q", rule, err, text)
			}
			continue
		}
		if err != nil || !slices.Equal(rows, want) {
			t.Errorf("without %s: %v\n got %q\nwant %q", rule, err, rows, want)
		}
	}
	// A table of late rows has windows aggregated in one phase: their state is the same.
	rows, err := e.goOn(planned{out: "late", more: `CREATE TABLE late (raw STRING) WITH ('connector' = 'blackhole');
		SET 'table.optimizer.disabled-rules' = ''; SET 'table.exec.late-rows.table' = 'late';`}, save)
	if err != nil || !slices.Equal(rows, want) {
		t.Errorf("with a table of late rows: %v\n got %q\nwant %q", err, rows, want)
	}
}

// State of another aggregate is refused by name, and may be left out: then that one starts
// empty, and everything else goes on.
func TestPlanChangesTooMuch(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	save := e.savepoint(planned{rate: 1_000, out: "first"}.script())
	other := planned{out: "other", count: "SUM(t.k)"}
	if _, err := e.goOn(other, save); err == nil || !strings.Contains(err.Error(), "Aggregate by category: COUNT(*), SUM(v) (final) (group-by-") {
		t.Fatalf("another aggregate: %v", err)
	}
	other.more = "SET 'execution.state-recovery.ignore-unclaimed-state' = 'true';"
	other.out = "left_out"
	rows, err := e.goOn(other, save)
	if err != nil || len(rows) != 3 || rows[2] != "w 90 30000 333 334" {
		t.Fatalf("the windows go on: %q, %v", rows, err)
	}
	all := planRows / 3 * (1 + 2 + 3)
	for _, row := range rows[:2] {
		var category, sum, v int
		if _, err := fmt.Sscanf(row, "t %d %d %d", &category, &sum, &v); err != nil {
			t.Fatal(err)
		}
		all -= sum
	}
	if all <= 0 {
		t.Errorf("what came before the savepoint is not in an aggregate that starts empty: %q", rows)
	}
}

// A distinct aggregate in two group-bys goes on at another parallelism and with another
// condition; one in one group-by keeps other state, which is refused by name.
func TestPlanOfDistinctChanges(t *testing.T) {
	const split = "SET 'table.optimizer.distinct-agg.split.enabled' = '%t';"
	e := open(t, map[string]string{"parallelism.default": "2"})
	p := planned{rate: 10_000_000, out: "clean", count: "COUNT(DISTINCT t.v) + COUNT(DISTINCT t.n)", more: fmt.Sprintf(split, true)}
	if _, err := e.execute(p.script()); err != nil {
		t.Fatal(err)
	}
	want, err := e.execute(checkPlanned)
	if err != nil || len(want) != 3 {
		t.Fatalf("%q, %v", want, err)
	}
	slices.Sort(want)
	p.rate, p.out = 1_000, "first"
	save := e.savepoint(p.script())
	p.out, p.having, p.more = "again", "HAVING c.category >= 0", p.more+"SET 'parallelism.default' = '1';"
	if rows, err := e.goOn(p, save); err != nil || !slices.Equal(rows, want) {
		t.Errorf("again: %v\n got %q\nwant %q", err, rows, want)
	}
	p.out, p.having, p.more = "whole", "", fmt.Sprintf(split, false)
	if _, err := e.goOn(p, save); err == nil || !strings.Contains(err.Error(), "Aggregate by category: ") || !strings.Contains(err.Error(), "--allow-non-restored-state") {
		t.Errorf("in one group-by: %v", err)
	}
}

// A join that kept all rows does not go on where some are dropped before it that were
// dropped behind it: it would bring back those that it has.
func TestConditionMovesBeforeState(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	p := planned{rate: 1_000, out: "first", having: "HAVING c.category > 0", more: "SET 'table.optimizer.disabled-rules' = 'push-down; keys';"}
	save := e.savepoint(p.script())
	p.out, p.more = "second", "SET 'table.optimizer.disabled-rules' = 'keys';"
	if _, err := e.goOn(p, save); err == nil || !strings.Contains(err.Error(), "has rows that a condition behind it dropped") {
		t.Fatalf("a condition before the join: %v", err)
	}
	if _, err := e.goOn(planned{more: "SET 'table.optimizer.disabled-rules' = 'nothing';"}, save); err == nil || !strings.Contains(err.Error(), "there is no rule nothing; there are averages") {
		t.Fatalf("an unknown rule: %v", err)
	}
}
