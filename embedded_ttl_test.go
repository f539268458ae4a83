package tidemill_test

import (
	"testing"
	"testing/synctest"
)

// State with a time to live is forgotten by the clock, which is the test's: rows come one a
// second, those of a key ten seconds apart.
func TestTimeToLive(t *testing.T) {
	const ticks = `
		SET 'execution.runtime-mode' = 'streaming';
		SET 'parallelism.default' = '1';
		SET 'sql-client.execution.result-mode' = 'changelog';
		CREATE TABLE ticks (n BIGINT, k AS MOD(n, 10), ts AS CAST(TO_TIMESTAMP_LTZ(n * 1000, 3) AS TIMESTAMP(3)), WATERMARK FOR ts AS ts)
			WITH ('connector' = 'datagen', 'rows-per-second' = '1', 'number-of-rows' = '40', 'fields.n.kind' = 'sequence');`
	for name, c := range map[string]struct {
		query           string
		kept, forgotten int // changes
	}{
		"group":     {"SELECT k, COUNT(*) FROM ticks GROUP BY k", 10 + 30*2, 40},
		"join":      {"SELECT a.n, b.n FROM ticks AS a JOIN ticks AS b ON a.k = b.k", 10 * 4 * 4, 40},
		"first row": {"SELECT n, k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) AS r FROM ticks) WHERE r = 1", 10, 40},
		"over":      {"SELECT * FROM (SELECT COUNT(*) OVER (PARTITION BY k ORDER BY ts) AS c FROM ticks) WHERE c > 1", 30, 0},
		"match": {`SELECT k, a, b FROM ticks MATCH_RECOGNIZE (
			PARTITION BY k ORDER BY ts MEASURES A.n AS a, B.n AS b PATTERN (A B) DEFINE B AS B.n = A.n + 10)`, 30, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for ttl, want := range map[string]int{"1 d": c.kept, "3 s": c.forgotten} {
				synctest.Test(t, func(t *testing.T) {
					e := open(t, nil)
					rows, err := e.execute("SET 'table.exec.state.ttl' = '" + ttl + "';" + ticks + c.query)
					if err != nil {
						t.Fatal(err)
					}
					if len(rows) != want {
						t.Errorf("time to live %s: %d changes, want %d: %q", ttl, len(rows), want, rows)
					}
				})
			}
		})
	}
}
