package nexmark

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/parser"
)

// All queries, what they need besides, and both kinds of source are texts that parse.
func TestTextsParse(t *testing.T) {
	texts := append(Source(Options{"events.num": "5"}), Tables("dir/")...)
	for _, name := range Names() {
		q, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if q.SQL == "" || q.DuckDB == "" && q.Before == "" || strings.Contains(q.DuckDB, "`") {
			t.Errorf("%s: %+v", name, q)
		}
		for _, text := range []string{q.SQL, q.Timed, q.Before, q.After} {
			if text != "" {
				texts = append(texts, text)
			}
		}
	}
	for _, text := range texts {
		if _, err := parser.ParseStatement(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Lookup("q24"); err == nil {
		t.Error("there is a q24")
	}
}

// What a query reads besides is where its texts say.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	for _, name := range Names() {
		q, err := Lookup(name)
		if err == nil {
			q, err = q.Beside(dir)
		}
		if err != nil || strings.Contains(q.Before+q.DuckDB+q.SQL, "${dir}") {
			t.Errorf("%s: %v: %s; %s", name, err, q.Before, q.DuckDB)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, sideFile))
	if err != nil || strings.Count(string(text), "\n") != sideRows {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	q, err := Lookup("q13")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Beside(filepath.Join(dir, sideFile)); err == nil {
		t.Error("a directory that is a file")
	}
}

func TestSameRows(t *testing.T) {
	const theirs = "a,b\n1,2.50\n1,2015-07-15 00:00:00.100000\n"
	for _, c := range []struct {
		ours    string
		changes bool
		want    string
	}{
		{"a,b\n1,2015-07-15 00:00:00.1\n1,2.5\n", false, ""},
		{"op,a,b\n+I,1,7\n-U,1,7\n+U,1,2.5\n+I,1,2015-07-15 00:00:00.1\n+I,2,2\n-D,2,2\n", true, ""},
		{"a,b\n1,2.5\n", false, "0 rows are too many and 1 are missing"},
		{"a,b\n1,2.5\n1,2.5\n1,2015-07-15 00:00:00.1\n", false, `1 rows are too many and 0 are missing, such as "1|2.5" (+1)`},
		{"op,a\n?,1\n", true, `kind "?"`},
		{"", false, "no header"},
		{"a\n\"", false, "read our rows"},
	} {
		err := SameRows(c.ours, theirs, c.changes)
		if c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.ours, err, c.want)
		}
	}
	if err := SameRows("a\n1\n", "", false); err == nil {
		t.Error("a peer without an answer is right")
	}
}
