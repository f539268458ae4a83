package tidemill_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/parser"
)

// analyzed are three text files that say nothing of themselves: many facts, a wide
// but short dimension that few of them refer to, a narrow and longer one.
func analyzed(e *engine) {
	e.t.Helper()
	var facts, wide, narrow strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&facts, "%d,%d,%d\n", i, i%1000, i%5000)
	}
	for i := range 50 {
		fmt.Fprintf(&wide, "%d,%s\n", i, strings.Repeat("x", 4000))
	}
	for i := range 5000 {
		fmt.Fprintf(&narrow, "%d,%s\n", i, []string{"rare", "common", ""}[i%3])
	}
	for name, text := range map[string]string{"facts": facts.String(), "wide": wide.String(), "narrow": narrow.String()} {
		if err := os.Mkdir(filepath.Join(e.dir, name), 0o700); err != nil {
			e.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(e.dir, name, "0.csv"), []byte(text), 0o600); err != nil {
			e.t.Fatal(err)
		}
	}
	e.expect(`
		CREATE TABLE facts (id INT, w INT, n INT) WITH ('connector' = 'filesystem', 'path' = '${dir}/facts', 'format' = 'csv');
		CREATE TABLE wide (id INT, note STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/wide', 'format' = 'csv');
		CREATE TABLE narrow (id INT, kind STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/narrow', 'format' = 'csv')`)
}

const threeTables = "SELECT COUNT(*) FROM facts f, wide w, narrow n WHERE f.w = w.id AND f.n = n.id"

// plan is the logical plan of a statement.
func (e *engine) plan(script string) string {
	e.t.Helper()
	statements, err := parser.ParseScript(script)
	if err != nil {
		e.t.Fatal(err)
	}
	text, err := e.session.Explain(e.t.Context(), script, statements[0])
	if err != nil {
		e.t.Fatal(err)
	}
	logical, _, _ := strings.Cut(text, "\n== Job")
	return logical
}

// ANALYZE TABLE finds rows, distinct values, nulls and bounds out by a job; a join of
// text files then begins with the smaller one; an overwritten file is noticed.
func TestAnalyzeTable(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	analyzed(e)
	before := e.plan(threeTables)
	if at := strings.Index(before, "(~20k rows)"); at >= 0 {
		t.Fatalf("known before it was analysed:\n%s", before)
	}
	e.expect(`ANALYZE TABLE facts COMPUTE STATISTICS FOR ALL COLUMNS;
		ANALYZE TABLE wide COMPUTE STATISTICS FOR COLUMNS note;
		ANALYZE TABLE wide COMPUTE STATISTICS FOR COLUMNS id;
		ANALYZE TABLE narrow COMPUTE STATISTICS FOR ALL COLUMNS`)
	rows, err := e.execute("DESCRIBE EXTENDED wide")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"min 0, max 49, nulls 0, distinct ~50", "nulls 0, distinct ~1, average length 4000.0", "1 file; analyzed: 50 rows",
	} {
		if !strings.HasSuffix(rows[i], want) {
			t.Errorf("%q does not end with %q", rows[i], want)
		}
	}
	after := e.plan(threeTables)
	for _, want := range []string{"(~20k rows)", "(~50 rows)", "(~5k rows)"} {
		if !strings.Contains(after, want) {
			t.Errorf("no estimate %s:\n%s", want, after)
		}
	}
	if order(before) == order(after) {
		t.Errorf("the order of the joins is the same:\n%s%s", before, after)
	}
	e.expect(threeTables, "1000")

	e.expect("INSERT OVERWRITE narrow SELECT id, 'rare' FROM facts WHERE id < 10000")
	if changed := e.plan("SELECT * FROM narrow"); !strings.Contains(changed, "statistics stale") {
		t.Errorf("the change is not noticed:\n%s", changed)
	}
	if rows, err = e.execute("DESCRIBE EXTENDED narrow"); err != nil || !strings.Contains(rows[2], "stale") {
		t.Errorf("the change is not noticed: %q, %v", rows, err)
	}
	e.expect("ANALYZE TABLE narrow COMPUTE STATISTICS")
	if again := e.plan("SELECT * FROM narrow"); !strings.Contains(again, "(~10k rows)") || strings.Contains(again, "stale") {
		t.Errorf("not analysed again:\n%s", again)
	}
}

// order is the names of the tables in the order of a plan.
func order(plan string) string {
	var names []string
	for _, word := range strings.Fields(plan) {
		if name, ok := strings.CutPrefix(word, "default_catalog.default_database."); ok {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// A partition's statistics are about its files only; footers count rows themselves.
func TestAnalyzePartitions(t *testing.T) {
	e := open(t, nil)
	e.expect(`
		CREATE TABLE p (v INT, k STRING) PARTITIONED BY (k) WITH ('connector' = 'filesystem', 'path' = '${dir}/p', 'format' = 'csv');
		INSERT INTO p VALUES (1, 'a'), (2, 'a'), (3, 'a'), (NULL, 'b');
		ANALYZE TABLE p PARTITION (k = 'a') COMPUTE STATISTICS FOR COLUMNS v`)
	if plan := e.plan("SELECT v FROM p WHERE k = 'a'"); !strings.Contains(plan, "partitions 1/2  (~3 rows)") {
		t.Errorf("the partition's rows are not known:\n%s", plan)
	}
	rows, err := e.execute("DESCRIBE EXTENDED p")
	if err != nil || len(rows) != 4 || !strings.HasSuffix(rows[3], "analyzed: 3 rows") {
		t.Errorf("%q, %v", rows, err)
	}
	e.expect(`
		CREATE TABLE q (v INT, s STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/q', 'format' = 'parquet');
		INSERT INTO q VALUES (1, 'x'), (2, NULL);
		ANALYZE TABLE q COMPUTE STATISTICS FOR ALL COLUMNS;
		INSERT INTO q VALUES (3, 'y')`)
	if plan := e.plan("SELECT * FROM q"); !strings.Contains(plan, "(~3 rows)") {
		t.Errorf("the footers' rows are not taken:\n%s", plan)
	}
}

// What was changed while it was analysed has no statistics; a job that fails keeps
// none either.
func TestAnalyzeFails(t *testing.T) {
	e := open(t, nil)
	analyzed(e)
	statements, err := parser.ParseScript("ANALYZE TABLE facts COMPUTE STATISTICS")
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.session.Execute(t.Context(), "ANALYZE TABLE facts COMPUTE STATISTICS", statements[0])
	if err != nil {
		t.Fatal(err)
	}
	e.expect("DROP TABLE facts")
	if _, err = r.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "SQL-5001 at 1:15: table facts was changed or dropped") {
		t.Errorf("dropped meanwhile: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "wide", "0.csv"), []byte("1,a\nno number,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = e.execute("ANALYZE TABLE wide COMPUTE STATISTICS FOR COLUMNS id"); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "no number") {
		t.Errorf("bad data: %v", err)
	}
	if rows, err := e.execute("DESCRIBE EXTENDED wide"); err != nil || !strings.HasSuffix(rows[2], "never analyzed") {
		t.Errorf("%q, %v", rows, err)
	}
}
