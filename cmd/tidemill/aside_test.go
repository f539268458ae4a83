package main_test

import (
	"strings"
	"testing"
)

// Rejected records and late rows of a job on a cluster are in their tables, each once, and `get`
// counts them.
func (m *mill) aside(t *testing.T) {
	put(t, m.work, "times.csv", "k,ts\n1,2024-01-01 00:00:01\nx,2024-01-01 00:00:02\n2,2024-01-01 00:00:11\n1,2024-01-01 00:00:02\n2\n1,2024-01-01 00:00:12\n")
	put(t, m.work, "aside.sql", `SET 'execution.runtime-mode' = 'streaming'; SET 'execution.batch-rows' = '1'; SET 'parallelism.default' = '1';
		SET 'execution.checkpointing.interval' = '50 ms'; SET 'state.checkpoints.dir' = 'checkpoints'; SET 'table.exec.late-rows.table' = 'late';
		CREATE TABLE bad (raw STRING) WITH ('connector' = 'filesystem', 'path' = 'bad', 'format' = 'json');
		CREATE TABLE late (event_time TIMESTAMP(3), raw STRING) WITH ('connector' = 'filesystem', 'path' = 'late', 'format' = 'json');
		CREATE TABLE times (k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
			WITH ('connector' = 'filesystem', 'path' = 'times.csv', 'format' = 'csv', 'rejects.table' = 'bad');
		CREATE TABLE windows (k INT, n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'windows', 'format' = 'csv');
		INSERT INTO windows SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE times, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k;`)
	o := m.run("submit", "aside.sql")
	if o.code != 0 {
		t.Fatalf("submit: exit code %d\n%s", o.code, o.stderr)
	}
	job := lines(o.stdout)[0]
	if o := m.run("wait", job); o.code != 0 {
		t.Fatalf("wait: exit code %d\n%s", o.code, o.stderr)
	}
	if o := m.run("get", job); !strings.Contains(o.stdout, "2 records of default_catalog.default_database.times\n") {
		t.Errorf("get:\n%s%s", o.stdout, o.stderr)
	}
	if o := m.run("get", "-o", "json", job); !strings.Contains(o.stdout, `"late_rows": 1`) || !strings.Contains(o.stdout, `"rejected_records": 2`) {
		t.Errorf("get -o json:\n%s%s", o.stdout, o.stderr)
	}
	o = m.run("sql", "-o", "csv", "SELECT raw FROM (SELECT raw FROM 'bad/*.json' UNION ALL SELECT raw FROM 'late/*.json' UNION ALL SELECT CONCAT_WS('|', CAST(k AS STRING), CAST(n AS STRING)) FROM 'windows/*.csv') AS t ORDER BY raw")
	if want := "raw\n1|1\n1|1\n2\n2|1\n\"x,2024-01-01 00:00:02\"\n\"{\"\"k\"\":1,\"\"ts\"\":\"\"2024-01-01 00:00:02\"\"}\"\n"; o.code != 0 || o.stdout != want {
		t.Errorf("exit code %d\n%swant\n%s%s", o.code, o.stdout, want, o.stderr)
	}
}
