package main_test

import (
	"regexp"
	"strings"
	"testing"
)

// masked replaces times and memory, which differ from run to run.
func masked(plan string) string {
	plan = regexp.MustCompile(`(busy|ran) [0-9.]+(ns|µs|ms|s)`).ReplaceAllString(plan, "$1 TIME")
	return regexp.MustCompile(`peak [0-9.]+[kM]?B`).ReplaceAllString(plan, "peak BYTES")
}

// EXPLAIN ANALYZE shows beside the plan what each operator has done.
func TestExplainAnalyze(t *testing.T) {
	dir := t.TempDir()
	o := tidemill(t, dir, "sql", "-D", "parallelism.default=1", generator+"EXPLAIN ANALYZE SELECT k, count(*) AS n FROM g WHERE id >= 4000 GROUP BY k")
	want := `== Logical plan ==
Aggregate by k: COUNT(*)  (~259 rows; 3 actual)
└─ Project k  (~1.65k rows; 1000 actual)
   └─ Filter id >= 4000  (~1.65k rows)
      └─ Scan default_catalog.default_database.g [id, k] where id >= 4000  (~5k rows; 5000 actual)

== Job ==
mode batch, 1024 key groups, changelog insert-only, ran TIME
vertex 0, parallelism 1
  Scan default_catalog.default_database.g [id, k] where id >= 4000
    actual rows 5000, batches 1, subtasks 1, busy TIME, peak BYTES
  Calc k where id >= 4000
    actual rows 1000, batches 1, subtasks 1, busy TIME, peak BYTES
  Aggregate by k: COUNT(*)
    keeps accumulators by (k); bounded by the input's end, one row a key
    actual rows 3, batches 1, subtasks 1, busy TIME, peak BYTES
  result singleton to the client, retention none: the client reads along
`
	if got := masked(o.stdout); o.code != 0 || got != want {
		t.Errorf("exit code %d %s\n%s", o.code, o.stderr, got)
	}
}

// What does not fit memory, what a LIMIT stops, what an INSERT writes.
func TestExplainAnalyzeEffects(t *testing.T) {
	dir := t.TempDir()
	many := strings.Replace(generator, "'5000'", "'2000000'", 1)
	table := "CREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'o', 'format' = 'csv');"
	read := table + strings.NewReplacer(" o ", " p ", "'o'", "'p'").Replace(table)
	for _, c := range []struct{ statement, want string }{
		{"SELECT id, CAST(id AS STRING) FROM g ORDER BY k, id DESC", `(?s)Sort .*  actual rows 2000000, [^\n]*, spilled [0-9.]+MB, skew [12]\.\d\d\n`},
		{"SELECT id FROM g LIMIT 5", `Limit 5\n    actual rows 5, `},
		{"INSERT INTO o SELECT id FROM g WHERE id < 100", `Insert into .*\n    actual rows 100, `},
		{"CREATE TABLE p WITH ('connector' = 'filesystem', 'path' = 'p', 'format' = 'csv') AS SELECT id FROM o", `Insert into .*; 100 actual\)`},
		{"EXECUTE STATEMENT SET BEGIN INSERT INTO o VALUES (1), (2); INSERT INTO b VALUES (3); END", `(?s)Insert into .*; 2 actual\).*Insert into .*; 1 actual\)`},
	} {
		o := tidemill(t, dir, "sql", "-D", "worker.slots=2", "-D", "parallelism.default=2", "-D", "worker.memory.size=64mb",
			many+table+"CREATE TABLE b (id BIGINT) WITH ('connector' = 'blackhole'); EXPLAIN ANALYZE "+c.statement)
		if o.code != 0 || !regexp.MustCompile(c.want).MatchString(o.stdout) {
			t.Errorf("%s: exit code %d %s\n%s", c.statement, o.code, o.stderr, o.stdout)
		}
	}
	if got := sql(t, dir, read+"SELECT count(*) FROM (SELECT id FROM o UNION ALL SELECT id FROM p)"); lines(got)[1] != "202" {
		t.Errorf("rows written: %s", got)
	}
}

// What runtime filters have done stands beside them.
func TestExplainAnalyzeRuntimeFilters(t *testing.T) {
	dir := t.TempDir()
	tables := "CREATE TABLE f (k STRING, id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'parquet');" +
		"CREATE TABLE d (k STRING, id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'd', 'format' = 'parquet');"
	sql(t, dir, generator+tables+"INSERT INTO f SELECT CONCAT('key ', CAST(id AS STRING)), id FROM g; INSERT INTO d SELECT CONCAT('key ', CAST(id AS STRING)), id FROM g WHERE id < 100")
	o := tidemill(t, dir, "sql", tables+"EXPLAIN ANALYZE SELECT f.id FROM f JOIN d ON f.k = d.k WHERE d.id = 7")
	want := `drops rows by runtime filter 0 on k; dropped \d+ of \d+ rows, excluded 0 row groups or files\n(?s:.*)makes runtime filter 0 of k\n`
	if o.code != 0 || !regexp.MustCompile(want).MatchString(o.stdout) {
		t.Errorf("exit code %d %s\n%s", o.code, o.stderr, o.stdout)
	}
}

// The command that shows plans runs nothing.
func TestExplainRunsNothing(t *testing.T) {
	dir := t.TempDir()
	table := "CREATE TABLE o (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'o', 'format' = 'csv');"
	o := tidemill(t, dir, "explain", table+"EXPLAIN ANALYZE INSERT INTO o VALUES (1)")
	if o.code != 0 || !strings.HasPrefix(o.stdout, "== Logical plan ==\nInsert into") || strings.Contains(o.stdout, "actual") || len(files(t, dir)) > 0 {
		t.Errorf("exit code %d %s\n%s%v", o.code, o.stderr, o.stdout, files(t, dir))
	}
}

// A failure of the job is the statement's, with its place.
func TestExplainAnalyzeFailure(t *testing.T) {
	o := tidemill(t, t.TempDir(), "sql", generator+"EXPLAIN ANALYZE SELECT CAST('x' || CAST(id AS STRING) AS INT) FROM g")
	if o.code == 0 || o.stdout != "" || !strings.Contains(o.stderr, "INT") {
		t.Errorf("exit code %d %s\n%s", o.code, o.stderr, o.stdout)
	}
}
