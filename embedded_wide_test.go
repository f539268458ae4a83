package tidemill_test

import (
	"fmt"
	"testing"
)

// Wide scans whose row groups do not fit memory beside each other, under exchanges by
// hash: what they hold is given back and read again instead of failing, at every
// parallelism, and each time.

const (
	wideTable = `
	CREATE TABLE wide (n BIGINT, a STRING, b STRING, c STRING, d STRING, e STRING, f STRING, g STRING, h STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/wide', 'format' = 'parquet');`
	fillWide = wideTable + `
	CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '100000', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence');
	INSERT INTO wide SELECT n, CONCAT(CAST(n * 7919 AS STRING), ' has a text'), CONCAT(CAST(n * 7907 AS STRING), ' has another'), CONCAT(CAST(n * 7901 AS STRING), ' has a third'),
		CONCAT(CAST(n * 7883 AS STRING), ' has a fourth'), CONCAT(CAST(n * 7879 AS STRING), ' has a fifth'), CONCAT(CAST(n * 7877 AS STRING), ' has a sixth'),
		CONCAT(CAST(n * 7873 AS STRING), ' has a seventh'), CONCAT(CAST(n * 7867 AS STRING), ' has one more') FROM numbers;`
)

func TestWideScansInSmallMemory(t *testing.T) {
	queries := []string{
		`SELECT COUNT(*), SUM(k), MAX(ma), MAX(mb), MAX(mc) FROM (SELECT n, COUNT(*) AS k, MAX(a) AS ma, MAX(b) AS mb, MIN(c) AS mc, MAX(d) AS md, MAX(e) AS me, MAX(f) AS mf, MAX(g) AS mg, MAX(h) AS mh FROM wide GROUP BY n) AS q`,
		`SELECT COUNT(*), MAX(x.a), MAX(y.b), MAX(x.c), MAX(y.d), MAX(x.e), MAX(y.f), MAX(x.g), MAX(y.h) FROM wide AS x JOIN wide AS y ON x.a = y.a AND x.n = y.n`,
		`SELECT COUNT(*), SUM(r), MAX(a), MAX(d), MAX(g), MAX(h) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY n / 7 ORDER BY a, b, c) AS r FROM wide) AS q`,
	}
	large := openSized(t, "1 gb", "2")
	if _, err := large.execute(fillWide); err != nil {
		t.Fatal(err)
	}
	want := make([][]string, len(queries))
	for i, q := range queries {
		var err error
		if want[i], err = large.execute(q); err != nil || len(want[i]) != 1 {
			t.Fatal(err, want[i])
		}
	}
	for _, size := range []string{"64 mb", "32 mb"} {
		for _, slots := range []string{"1", "2", "4"} {
			t.Run(fmt.Sprint(size, " for ", slots), func(t *testing.T) {
				e := openSized(t, size, slots)
				e.dir = large.dir
				if _, err := e.execute(wideTable); err != nil {
					t.Fatal(err)
				}
				for i, q := range queries {
					e.expect(q, want[i]...)
				}
			})
		}
	}
}
