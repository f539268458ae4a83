package logictest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/logictest"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// TestBadInput runs testdata/bad/*.slt: input that is much too large, in one value,
// one key, one result. It takes its time, so each file runs once, under the
// settings that it names; those in bad/long beside DuckDB only (make verify-sql).
func TestBadInput(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.slt")
	if err != nil {
		t.Fatal(err)
	}
	duckdb := os.Getenv("TIDEMILL_DUCKDB")
	if duckdb != "" {
		long, err := filepath.Glob("testdata/bad/long/*.slt")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, long...)
	}
	logictest.Run(t, files, logictest.Options{
		Open: open, Rewrite: *rewrite, DuckDB: duckdb, Variations: []logictest.Variation{{Name: "straight"}},
	})
}

// A text that the memory cannot hold, or only once, ends the query with an error
// that names the operator, what it wanted and the setting; whatever fits, works.
func TestHugeTextInSmallMemory(t *testing.T) {
	dir := t.TempDir()
	const write = `CREATE TABLE huge WITH ('connector' = 'filesystem', 'path' = '${dir}/${n}.${format}', 'format' = '${format}')
		AS SELECT k, RPAD('x', ${n}, 'tidemill') AS v FROM (VALUES (1)) AS t (k)`
	fill := func(text, n, format string) string {
		return strings.NewReplacer("${n}", n, "${format}", format, "${dir}", dir).Replace(text)
	}
	small := map[string]string{"worker.memory.size": "64 mb"} // of which 28 are for data
	for _, c := range []struct {
		n     string
		fails []string // the operator of each query that fails; empty: it works
	}{
		{"40000000", []string{"Scan", "Scan", "Project"}},
		{"10000000", []string{"", "", "", "Aggregate", "Sort"}},
	} {
		for _, format := range []string{"parquet", "csv"} {
			if _, err := run(t, nil, fill(write, c.n, format)); err != nil {
				t.Fatal(err)
			}
		}
		for i, operator := range c.fails {
			query := []string{
				"SELECT CHAR_LENGTH(v) FROM '${dir}/${n}.parquet/*.parquet'",
				"SELECT CHAR_LENGTH(v) FROM '${dir}/${n}.csv/*.csv'",
				write,
				"SELECT CHAR_LENGTH(v), COUNT(*) FROM '${dir}/${n}.parquet/*.parquet' GROUP BY v",
				"SELECT CHAR_LENGTH(REPEAT(v, 2)) FROM (SELECT v, k FROM '${dir}/${n}.parquet/*.parquet' ORDER BY v, k) AS t",
			}[i]
			rows, err := run(t, small, fill(query, c.n, "json"))
			want := regexp.MustCompile(`memory exhausted: job \w+/task [\d.#]+/` + operator + `.* wanted \S+ \wiB, .*; raise worker.memory.size`)
			if failed := err != nil; failed != (operator != "") || failed && !want.MatchString(err.Error()) {
				t.Errorf("%s of %s: %d rows, %v, want %q", query, c.n, rows, err, want)
			}
		}
	}
}

// run runs a statement on an engine of its own and counts its rows.
func run(t *testing.T, settings map[string]string, text string) (rows int, err error) {
	t.Helper()
	engine, err := open(settings, new(logictest.Around))
	if err != nil {
		t.Fatal(err)
	}
	session, err := engine.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(errors.Join(err, engine.Close()))
	}
	defer func() { err = errors.Join(err, session.Close(), engine.Close()) }()
	statement, err := parser.ParseStatement(text)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.Execute(t.Context(), text, statement)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	for {
		b, err := result.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += b.Len()
		b.Release()
	}
}
