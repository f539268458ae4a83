package logictest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const everyKind = `# The story.

settings execution.batch-rows=3
streaming
without batch-1: of no use
include setup.inc

file a.csv
----
1,one

# oracle lines belong to the record behind them
oracle SELECT 1
oracle  + 1
query I
SELECT
  2
----
2

nooracle no such function
query IT rowsort same
SELECT 1, 'x'
----

statement error SQL-2001 no .able
SELECT * FROM t
`

func TestReadScript(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "setup.inc", "statement ok\nCREATE VIEW v AS SELECT 1\n")
	s, err := readScript(write(t, dir, "a.slt", everyKind))
	if err != nil {
		t.Fatal(err)
	}
	if !s.streaming || !slices.Equal(s.without, []string{"batch-1"}) || s.settings["execution.batch-rows"] != "3" || len(s.records) != 5 {
		t.Fatalf("%+v", s)
	}
	setup, file, one, two, wrong := s.records[0], s.records[1], s.records[2], s.records[3], s.records[4]
	if setup.kind != statementRecord || setup.text != "CREATE VIEW v AS SELECT 1" {
		t.Errorf("include: %+v", setup)
	}
	if file.kind != fileRecord || file.name != "a.csv" || file.text != "1,one\n" {
		t.Errorf("file: %+v", file)
	}
	if one.oracle != "SELECT 1\n+ 1\n" || one.text != "SELECT\n  2" || !slices.Equal(one.want, []string{"2"}) || one.order != exactOrder {
		t.Errorf("query: %+v", one)
	}
	if two.noOracle == "" || two.types != "IT" || two.order != rowOrder || two.name != "same" || len(two.want) != 0 {
		t.Errorf("query: %+v", two)
	}
	if wrong.failure == nil || wrong.failure.code != "SQL-2001" || !wrong.failure.pattern.MatchString("no table") {
		t.Errorf("error: %+v", wrong)
	}
}

// A file that is not what its author meant must not pass by doing nothing.
func TestReadScriptRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"querry I\nSELECT 1\n----\n1\n", "begins no record"},
		{"query\nSELECT 1\n----\n1\n", "types"},
		{"query Z\nSELECT 1\n----\n1\n", "is no type"},
		{"query I\nSELECT 1\n", "----"},
		{"query I\n----\n1\n", "without SQL"},
		{"query I rowsort a b\nSELECT 1\n----\n", "mean"},
		{"statement\nSELECT 1\n", "error CODE"},
		{"statement error SQL-1 (\nSELECT 1\n", "missing closing"},
		{"statement ok\nSELECT 1\n----\n1\n", "no rows"},
		{"file ../x\n----\nx\n", "below"},
		{"file x\nx\n", "content"},
		{"settings a\n", "key=value"},
		{"oracle SELECT 1\n", "without a record"},
		{"without batch-1\n", "VARIATION: why"},
		{"include self.slt\n", "deep"},
		{"include missing.slt\n", "missing.slt"},
		{"include queries.inc\n", "cannot have queries"},
	} {
		dir := t.TempDir()
		write(t, dir, "queries.inc", "query I\nSELECT 1\n----\n1\n")
		_, err := readScript(write(t, dir, "self.slt", c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestRewriteKeepsTheRest(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "setup.inc", "statement ok\nCREATE VIEW v AS SELECT 1\n")
	path := write(t, dir, "a.slt", everyKind)
	s, err := readScript(path)
	if err != nil {
		t.Fatal(err)
	}
	s.records[2].want = []string{"3", "4"}
	s.records[3].want = []string{"1 | x"}
	if err := s.rewrite(); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.Replace(everyKind, "----\n2\n", "----\n3\n4\n", 1), "'x'\n----\n", "'x'\n----\n1 | x\n", 1)
	if got, _ := os.ReadFile(path); string(got) != want {
		t.Errorf("got\n%s", got)
	}
}
