package tidemill_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
)

// A row at a time, so that event time stands where the row before it has brought it.
var lateSettings = map[string]string{
	"execution.runtime-mode": "streaming", "execution.batch-rows": "1", "parallelism.default": "1",
}

const lateTable = `CREATE TABLE late (operator STRING, event_time TIMESTAMP(3), reached TIMESTAMP(3), row_kind STRING, raw STRING)
		WITH ('connector' = 'filesystem', 'path' = '${dir}/late', 'format' = 'json');
	`

const lateTables = lateTable + `CREATE TABLE a (id INT, k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = '${dir}/in.csv', 'format' = 'csv');
	CREATE TABLE o (id BIGINT, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/o', 'format' = 'csv');
	SET 'table.exec.late-rows.table' = 'late'; SET 'execution.checkpointing.interval' = '50 ms'; SET 'state.checkpoints.dir' = '${dir}/checkpoints';
	`

// openLate opens an engine with a table of four rows, of which the third is late.
func openLate(t *testing.T) *engine {
	t.Helper()
	e := open(t, lateSettings)
	const in = "id,k,ts\n1,1,2024-01-01 00:00:01\n2,2,2024-01-01 00:00:11\n3,1,2024-01-01 00:00:02\n4,1,2024-01-01 00:00:12\n"
	if err := os.WriteFile(filepath.Join(e.dir, "in.csv"), []byte(in), 0o600); err != nil {
		t.Fatal(err)
	}
	e.expect(lateTables)
	return e
}

// Of each operator that leaves rows out because they come late, these are in the table of late
// rows, with what the operator reads of them.
func TestLateRowsTable(t *testing.T) {
	for name, c := range map[string]struct{ query, operator, raw string }{
		"window": {
			"SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k",
			"WindowAggregate", `{"k":1,"ts":"2024-01-01 00:00:02"}`,
		},
		"session": {
			"SELECT k, COUNT(*) FROM TABLE(SESSION(TABLE a PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k",
			"WindowAggregate", `{"k":1,"ts":"2024-01-01 00:00:02"}`,
		},
		"group-by": {"SELECT MAX(k), COUNT(*) FROM a GROUP BY ts", "Aggregate", `{"ts":"2024-01-01 00:00:02","k":1}`},
		"top-n": {
			"SELECT id, rn FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY ts ORDER BY k DESC) AS rn FROM a) WHERE rn <= 2",
			"Top 2", `{"id":3,"k":1,"ts":"2024-01-01 00:00:02"}`,
		},
		"over": {"SELECT id, SUM(k) OVER (PARTITION BY k ORDER BY ts) FROM a", "Over", `{"id":3,"k":1,"ts":"2024-01-01 00:00:02"}`},
		"match": {
			"SELECT x, y FROM a MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES A.id AS x, A.id AS y ONE ROW PER MATCH PATTERN (A) DEFINE A AS A.id > 0)",
			"Match", `{"id":3,"k":1,"ts":"2024-01-01 00:00:02","arg3":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := openLate(t)
			e.expect("INSERT INTO o " + c.query)
			rows, err := e.execute("SELECT event_time, reached, row_kind, raw, operator FROM late")
			want := "2024-01-01T00:00:02 2024-01-01T00:00:11 +I " + c.raw + " " + c.operator
			if err != nil || len(rows) != 1 || !strings.HasPrefix(rows[0], want) {
				t.Errorf("%v: %q", err, rows)
			}
		})
	}
}

// Both sides of a join that closes give their late rows to one table, and one of them finds the
// partner that is still kept.
func TestLateRowsOfJoins(t *testing.T) {
	e := openLate(t)
	e.expect("INSERT INTO o SELECT a.id, b.id FROM a JOIN a AS b ON a.k = b.k AND a.ts BETWEEN b.ts - INTERVAL '1' SECOND AND b.ts + INTERVAL '1' SECOND")
	e.expect("SELECT DISTINCT event_time, raw FROM late", `2024-01-01T00:00:02 {"id":3,"k":1,"ts":"2024-01-01 00:00:02"}`)
	e.expect("SELECT COUNT(*) FROM late", "2")
}

// The plan shows where late rows go, and that they are not aggregated before they are told from
// others. A query, and a statement in batch mode, leave the table alone.
func TestLateRowsPlan(t *testing.T) {
	const windows = "SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k"
	const insert = "INSERT INTO o " + windows
	e := openLate(t)
	plan := func(script string) string {
		t.Helper()
		lines, err := e.execute(script)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	text := plan("SET 'parallelism.default' = '2'; SET 'table.exec.late-rows.max' = '7'; EXPLAIN " + insert)
	for _, want := range []string{"sends late rows to vertex", "of late rows", "RejectLimit 7 late rows", "Insert into default_catalog.default_database.late"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "(partial)") {
		t.Errorf("late rows come from a partial phase:\n%s", text)
	}
	for script, partial := range map[string]bool{
		"EXPLAIN " + windows: true, "SET 'execution.runtime-mode' = 'batch'; EXPLAIN " + insert: true,
		"SET 'execution.runtime-mode' = 'streaming'; SET 'table.exec.late-rows.table' = ''; EXPLAIN " + insert: true,
		"EXPLAIN INSERT INTO o SELECT id, k FROM a":                                                            false,
	} {
		if text := plan(script); strings.Contains(text, "late rows") || strings.Contains(text, "(partial)") != partial {
			t.Errorf("%s:\n%s", script, text)
		}
	}
}

// One more than the limit fails the job; the table must be there and take what it is given.
func TestLateRowsMistakes(t *testing.T) {
	const insert = "; INSERT INTO o SELECT id, SUM(k) OVER (PARTITION BY k ORDER BY ts) FROM a"
	for set, want := range map[string]string{
		"'table.exec.late-rows.max' = '0'":         "more than 0 rows came late and went to default_catalog.default_database.late, as many as 'table.exec.late-rows.max' allows; the last one at Over",
		"'table.exec.late-rows.table' = 'nowhere'": "option 'table.exec.late-rows.table': there is no table default_catalog.default_database.nowhere",
		"'table.exec.late-rows.table' = 'o'":       "table default_catalog.default_database.o takes late rows, of which column id is none",
	} {
		e := openLate(t)
		_, err := e.execute("SET " + set + insert)
		if class := failure.Of(err); err == nil || !strings.Contains(err.Error(), want) || class != failure.BadData && class != failure.InvalidSQL {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// A compiled plan has its table of late rows, as the catalog has it when it is executed.
func TestLateRowsOfCompiledPlans(t *testing.T) {
	e := openLate(t)
	e.expect("COMPILE PLAN '${dir}/plan.json' FOR INSERT INTO o SELECT id, SUM(k) OVER (PARTITION BY k ORDER BY ts) FROM a; SET 'table.exec.late-rows.table' = ''")
	if _, err := e.execute("DROP TABLE late; EXECUTE PLAN '${dir}/plan.json'"); err == nil || !strings.Contains(err.Error(), "there is no table default_catalog.default_database.late") {
		t.Errorf("without the table: %v", err)
	}
	e.expect(strings.ReplaceAll(lateTable, "${dir}/late", "${dir}/elsewhere") + "EXECUTE PLAN '${dir}/plan.json'")
	e.expect("SELECT raw FROM late", `{"id":3,"k":1,"ts":"2024-01-01 00:00:02"}`)
}
