package tidemill_test

import (
	"slices"
	"strings"
	"testing"
)

// A group-by below a join yields what one above it does, for joins of all kinds, with
// partners twice or none, NULL keys, filters and expressions: STDDEV_POP keeps the rule
// away.
func TestGroupedBeforeJoins(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	e.expect(`
		CREATE TABLE g (id BIGINT, k INT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '150000', 'rows-per-second' = '0',
			'fields.id.kind' = 'sequence', 'fields.k.min' = '1', 'fields.k.max' = '40', 'fields.k.null-rate' = '0.1', 'fields.v.min' = '0', 'fields.v.max' = '1000');
		ANALYZE TABLE g COMPUTE STATISTICS FOR ALL COLUMNS;
		CREATE VIEW d AS SELECT * FROM (VALUES (1, 'a'), (1, 'b'), (2, 'a'), (30, 'c'), (77, 'd'), (CAST(NULL AS INT), 'e'),
			(3, 'x'), (4, 'x'), (5, 'x'), (6, 'x'), (7, 'x'), (8, 'x'), (9, 'x'), (10, 'y'), (11, 'y'), (12, 'y'), (13, 'y'), (14, 'y'), (15, 'y'),
			(16, 'z'), (17, 'z'), (18, 'z'), (19, 'z'), (20, 'z'), (21, 'z'), (22, 'z'), (23, 'z'), (24, 'z'), (25, 'z'), (26, 'z')) AS t(i, name)`)
	calls := "COUNT(*) AS n, SUM(g.v * 2), MIN(g.v), COUNT(g.k), SUM(g.v) FILTER (WHERE g.v > 500)"
	for _, c := range []struct{ keys, from string }{
		{"d.name", "g JOIN d ON g.k = d.i"},
		{"g.k, d.name", "g JOIN d ON g.k = d.i AND (g.k < 20 OR d.name <> 'z')"},
		{"d.name", "d JOIN g ON g.k = d.i"},
		{"d.name", "g LEFT JOIN d ON g.k = d.i"},
		{"g.k % 3", "g LEFT JOIN d ON g.k = d.i"},
		{"d.name", "d RIGHT JOIN g ON g.k = d.i"},
	} {
		by := " FROM " + c.from + " GROUP BY " + c.keys
		rewritten := "SELECT " + c.keys + ", " + calls + by
		if plan := e.plan(rewritten); !strings.Contains(plan, "SUM0") {
			t.Errorf("not grouped before the join:\n%s", plan)
		}
		got, err := e.execute(rewritten)
		if err != nil {
			t.Fatal(err)
		}
		plain := "SELECT " + c.keys + ", " + calls + ", STDDEV_POP(g.v)" + by
		if plan := e.plan(plain); strings.Contains(plan, "SUM0") {
			t.Errorf("grouped before the join:\n%s", plan)
		}
		want, err := e.execute(plain)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range want {
			want[i] = row[:strings.LastIndexByte(row, ' ')]
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, not\n%q", rewritten, got, want)
		}
	}
	for _, where := range []string{"IN", "NOT IN"} {
		q := "SELECT COUNT(*), SUM(v) FROM g WHERE k IS NOT NULL AND k " + where + " (SELECT i FROM d WHERE i IS NOT NULL)"
		rows, err := e.execute(q)
		want, wantErr := e.execute(strings.Replace(q, "COUNT(*), SUM(v)", "COUNT(*), SUM(v), COUNT(DISTINCT id)", 1))
		if err != nil || wantErr != nil {
			t.Fatal(err, wantErr)
		}
		if !strings.HasPrefix(want[0], rows[0]+" ") {
			t.Errorf("%s: %q, not %q", q, rows, want)
		}
	}
}

// A limit below an outer join leaves as many rows as one above it, in the order that was
// asked for; swapped sides give the same columns.
func TestLimitedOuterJoins(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	e.expect(`
		CREATE TABLE big (id BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '1500000', 'rows-per-second' = '0',
			'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.v.min' = '0', 'fields.v.max' = '9');
		CREATE VIEW small AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (2, 'c'), (-1, 'd'), (CAST(NULL AS INT), 'e')) AS t(i, name)`)
	e.expect("SELECT COUNT(*) FROM (SELECT b.id, s.name FROM big b LEFT JOIN small s ON b.id = s.i LIMIT 5 OFFSET 1)", "5")
	e.expect("SELECT b.id, s.name FROM big b LEFT JOIN small s ON b.id = s.i ORDER BY b.id LIMIT 4", "1 a", "2 b", "2 c", "3 (null)")
	e.expect("SELECT s.name, b.id FROM small s LEFT JOIN big b ON b.id = s.i", "a 1", "b 2", "c 2", "d (null)", "e (null)")
	if plan := e.plan("SELECT s.name, b.id FROM small s LEFT JOIN big b ON b.id = s.i"); !strings.Contains(plan, "Join right") {
		t.Errorf("the larger side is built:\n%s", plan)
	}
}
