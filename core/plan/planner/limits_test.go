package planner_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan/planner"
)

// repeated joins n texts made by a format of their number.
func repeated(n int, format, separator string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, separator)
}

// Statements that programs write are large: they are planned in about linear time.
// What would be planned for hours is refused where it becomes too much.
func TestLimits(t *testing.T) {
	tables := "(VALUES (1, 2, 3)) AS t%[1]d (a%[1]d, b%[1]d, c%[1]d)"
	doubled := func(n int) string {
		var b strings.Builder
		b.WriteString("WITH c0 AS (SELECT 1 AS a)")
		for i := range n {
			fmt.Fprintf(&b, ",\n c%d AS (SELECT x.a FROM c%d AS x JOIN c%d AS y ON x.a = y.a)", i+1, i, i)
		}
		return fmt.Sprintf("%s\nSELECT * FROM c%d", b.String(), n)
	}
	nested := func(n int) string { // groups of joins of groups of joins ...
		q := "SELECT a, b, 1 AS c FROM (VALUES (1, 2)) AS v (a, b)"
		for i := range n {
			q = fmt.Sprintf("SELECT x%[1]d.a, x%[1]d.b, COUNT(*) AS c FROM (%[2]s) AS x%[1]d JOIN (VALUES (1, 2)) AS y%[1]d (a, b) "+
				"ON x%[1]d.a = y%[1]d.a AND x%[1]d.b = y%[1]d.b GROUP BY x%[1]d.a, x%[1]d.b", i, q)
		}
		return q
	}
	for _, c := range []struct{ name, text, want string }{
		{"joins and groups, 20 deep", nested(20), ""},
		{"40 correlated sums", "SELECT " + repeated(40, "SUM(CAST((SELECT i FROM (VALUES (1)) AS s (i) WHERE i = a + %[1]d - %[1]d) AS BIGINT)) + %[1]d", ", ") +
			" FROM (VALUES (1, 2)) AS v (a, b)", ""},
		{"40 correlated limits", "SELECT " + repeated(40, "(SELECT MAX(i) + %[1]d FROM (VALUES (1)) AS s (i) WHERE i = a GROUP BY i LIMIT 1)", ", ") +
			" FROM (VALUES (1, 2)) AS v (a, b)", ""},
		{"40 correlated tests as values", "SELECT " + repeated(40, "a IN (SELECT i FROM (VALUES (1)) AS s (i) WHERE i < b + %[1]d)", ", ") +
			" FROM (VALUES (1, 2)) AS v (a, b)", ""},
		{"500 tables", "SELECT COUNT(*) FROM " + repeated(500, tables, ", "), ""},
		{
			"200 joined tables",
			"SELECT COUNT(*) FROM " + repeated(200, tables, ", ") + " WHERE a0 = b1 AND " + repeated(199, "a%[1]d <= c%[1]d", " AND "),
			"",
		},
		{"1001 tables", "SELECT COUNT(*)\nFROM " + repeated(1001, tables, ",\n"), "SQL-1006 at 1002:1: a statement reads at most 1000 tables"},
		{"few common tables used often", doubled(6), ""},
		{"common tables that double", doubled(40), "SQL-1006 at 10:"},
		{"many subqueries", "SELECT " + repeated(1001, "(SELECT MAX(x) + %[1]d FROM (VALUES (1)) AS v (x))", ", "), "SQL-1006 at 1:"},
		{"20000 branches", "SELECT CASE x " + repeated(20_000, "WHEN %[1]d THEN -%[1]d", " ") + " END FROM (VALUES (1)) AS v (x)", ""},
		{"1000 unions", repeated(1000, "SELECT %d", " UNION ALL "), ""},
		{"100 distinct unions", repeated(100, "SELECT %d", " UNION "), ""},
		{"nested calls", "SELECT " + strings.Repeat("ABS(", 300) + "1" + strings.Repeat(")", 300), "SQL-1007 at 1:"},
		{"a long chain", "SELECT " + repeated(5000, "%d", " + "), "SQL-1007 at 1:"},
		{"a long text", "SELECT '" + strings.Repeat("x", 17<<20) + "'", "SQL-1006 at 1:1: the text has"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planner.New(catalog.NewSession(catalog.New()), registry{}, function.Builtins())
			got := execute(p, "error", c.text, planner.Options{})
			if c.want == "" && got != "no error\n" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%.300s\nwant %s", got, c.want)
			}
		})
	}
}
