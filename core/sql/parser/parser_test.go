package parser

import (
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, src := range []string{
		"SELECT a, count(*) AS c FROM t WHERE b > 1 AND NOT c IS NULL GROUP BY a ORDER BY 2 DESC LIMIT 10",
		"INSERT INTO t SELECT * FROM 'x.parquet'",
		"CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (a) NOT ENFORCED) WITH ('connector'='datagen')",
		"SELECT window_start, count(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start",
		"WITH a AS (SELECT 1) SELECT * FROM a JOIN b ON a.x = b.x, c LEFT JOIN d USING (k)",
	} {
		if _, err := ParseScript(src); err != nil {
			t.Error(err)
		}
	}
	for _, src := range []string{"SELECT a FORM t", "SELCT a", "SELECT * FROM t WEHRE a = 1", "SELECT a FROM t GRUOP BY b", "SELECT a, FROM t"} {
		_, err := ParseScript(src)
		t.Log(err)
	}
}
