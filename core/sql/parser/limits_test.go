package parser

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// TestLimits shows that texts beyond the limits end in an error with the right code, and that long ones within them are read.
func TestLimits(t *testing.T) {
	deep := func(open, middle, shut string) string {
		return strings.Repeat(open, 100_000) + middle + strings.Repeat(shut, 100_000)
	}
	for name, c := range map[string]struct {
		src  string
		code sqlerr.Code
	}{
		"parentheses":   {"SELECT " + deep("(", "1", ")"), sqlerr.TooDeep},
		"subqueries":    {deep("(", "SELECT 1", ")"), sqlerr.TooDeep},
		"derived":       {deep("SELECT * FROM (", "SELECT 1", ")"), sqlerr.TooDeep},
		"tables":        {"SELECT * FROM " + deep("(", "a", ")"), sqlerr.TooDeep},
		"nested joins":  {"SELECT * FROM a" + strings.Repeat(" JOIN a", 100_000), sqlerr.TooDeep},
		"joins":         {"SELECT * FROM a" + strings.Repeat(" CROSS JOIN a", 100_000), sqlerr.TooDeep},
		"commas":        {"SELECT * FROM a" + strings.Repeat(", a", 100_000), sqlerr.TooDeep},
		"unions":        {"SELECT 1" + strings.Repeat(" UNION SELECT 1", 100_000), sqlerr.TooDeep},
		"sum":           {"SELECT 1" + strings.Repeat(" + 1", 100_000), sqlerr.TooDeep},
		"minus":         {"SELECT " + strings.Repeat("- ", 100_000) + "1", sqlerr.TooDeep},
		"not":           {"SELECT " + strings.Repeat("NOT ", 100_000) + "a", sqlerr.TooDeep},
		"index":         {"SELECT a" + strings.Repeat("[1]", 100_000), sqlerr.TooDeep},
		"casts":         {"SELECT a" + strings.Repeat("::INT", 100_000), sqlerr.TooDeep},
		"case":          {"SELECT " + deep("CASE WHEN a THEN ", "1", " END"), sqlerr.TooDeep},
		"calls":         {"SELECT " + deep("f(", "1", ")"), sqlerr.TooDeep},
		"types":         {"SELECT CAST(a AS " + deep("ARRAY<", "INT", ">") + ")", sqlerr.TooDeep},
		"postfix types": {"SELECT CAST(a AS INT" + strings.Repeat(" ARRAY", 100_000) + ")", sqlerr.TooDeep},
		"patterns":      {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (" + deep("(", "A", ")") + "))", sqlerr.TooDeep},
		"excluded":      {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (" + deep("{-", "A", "-}") + "))", sqlerr.TooDeep},
		"grouping":      {"SELECT a FROM t GROUP BY " + deep("GROUPING SETS (", "a", ")"), sqlerr.TooDeep},
		"explain":       {strings.Repeat("EXPLAIN EXECUTE ", 100_000) + "SELECT 1", sqlerr.Syntax},
		"scopes":        {"SELECT " + strings.Repeat("FINAL f(", 100_000) + "1", sqlerr.TooDeep},
		"size":          {strings.Repeat(" ", MaxBytes+1), sqlerr.TooLarge},
		"long list":     {"SELECT 1" + strings.Repeat(", 1", 100_000), ""},
		"long values":   {"VALUES (1, 'a')" + strings.Repeat(", (1, 'a')", 50_000), ""},
		"long script":   {strings.Repeat("SELECT 1;", 50_000), ""},
		"long or":       {"SELECT a = 1" + strings.Repeat(" OR a = 1", 4000), ""},
		"long in":       {"SELECT a IN (1" + strings.Repeat(", 1", 100_000) + ")", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseScript(c.src)
			var e *sqlerr.Error
			switch {
			case c.code == "" && err != nil:
				t.Error(err)
			case c.code != "" && (!errors.As(err, &e) || e.Code != c.code):
				t.Errorf("want %s, have %.200v", c.code, err)
			}
		})
	}
}

// TestScriptKeepsWhatIsRight shows that the statements before a mistake are returned, and each with its own text.
func TestScriptKeepsWhatIsRight(t *testing.T) {
	src := "SELECT 1; /* two */ INSERT INTO t SELECT 2 ;\nSELCT"
	statements, err := ParseScript(src)
	if err == nil || len(statements) != 2 {
		t.Fatalf("%d statements, error %v", len(statements), err)
	}
	for i, want := range []string{"SELECT 1", "INSERT INTO t SELECT 2"} {
		s := statements[i]
		if have := ast.Text(s, src); have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}
