package main_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const generator = `CREATE TABLE g (id BIGINT, k INT) WITH ('connector' = 'datagen', 'number-of-rows' = '5000',
	'rows-per-second' = '0', 'fields.id.kind' = 'sequence', 'fields.k.min' = '1', 'fields.k.max' = '3');
`

// Scripts count what they are given: exactly the rows, nothing else on standard
// output, in each form.
func TestOutputForms(t *testing.T) {
	dir := t.TempDir()
	query := func(format string) string {
		o := tidemill(t, dir, "sql", "-o", format, "--timing", generator+"SELECT id, k FROM g")
		if o.code != 0 {
			t.Fatalf("%s: exit code %d\n%s", format, o.code, o.stderr)
		}
		return o.stdout
	}
	rows, err := csv.NewReader(strings.NewReader(query("csv"))).ReadAll()
	if err != nil || len(rows) != 5001 {
		t.Errorf("csv: %d lines, %v", len(rows), err)
	}
	var objects []map[string]any
	if err := json.Unmarshal([]byte(query("json")), &objects); err != nil || len(objects) != 5000 {
		t.Errorf("json: %d objects, %v", len(objects), err)
	}
	if n := len(lines(query("ndjson"))); n != 5000 {
		t.Errorf("ndjson: %d lines", n)
	}
	if n := len(lines(query("md"))); n != 5002 {
		t.Errorf("md: %d lines", n)
	}
	if n := len(lines(query("table"))); n != 5002 {
		t.Errorf("table: %d lines", n)
	}
	for _, format := range []string{"parquet", "arrow"} {
		put(t, dir, "out."+format, query(format))
		got := sql(t, dir, "SELECT count(*), count(DISTINCT id), min(k), max(k) FROM 'out."+format+"'")
		if want := "5000,5000,1,3"; lines(got)[1] != want {
			t.Errorf("%s, read back: %s", format, got)
		}
	}
}

// The last line of --progress json is for the program that started the run.
func TestProgressReport(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "job.sql", generator+`
		CREATE TABLE o (id BIGINT, k INT) WITH ('connector' = 'filesystem', 'path' = 'o', 'format' = 'csv');
		INSERT INTO o SELECT id, k FROM g WHERE k < 3;
		SELECT count(*) FROM o;`)
	put(t, dir, "wrong.sql", "SELECT x FROM nowhere;")
	type line struct {
		State      string `json:"state"`
		Statements int    `json:"statements"`
		RowsIn     int64  `json:"rows_in"`
		RowsOut    int64  `json:"rows_out"`
		BytesIn    int64  `json:"bytes_in"`
		FilesOut   int64  `json:"files_out"`
		ErrorCode  string `json:"error_code"`
	}
	report := func(o outcome) (l line) {
		t.Helper()
		all := lines(o.stderr)
		if err := json.Unmarshal([]byte(all[len(all)-1]), &l); err != nil {
			t.Fatalf("last line of\n%s: %v", o.stderr, err)
		}
		return l
	}
	o := tidemill(t, dir, "run", "job.sql", "--progress", "json")
	got := report(o)
	kept := got.RowsOut - 1 // the query's row counts as written, too
	if o.code != 0 || got.State != "FINISHED" || got.Statements != 4 || got.ErrorCode != "" {
		t.Errorf("exit code %d, %+v", o.code, got)
	}
	if got.RowsIn != 5000+kept || got.BytesIn == 0 || got.FilesOut == 0 || kept < 1 || kept > 4999 {
		t.Errorf("%+v", got)
	}
	if o = tidemill(t, dir, "run", "wrong.sql", "--progress", "json"); o.code != 3 || report(o).State != "FAILED" || report(o).ErrorCode != "SQL-2001" {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
	if o = tidemill(t, dir, "run", "job.sql", "--progress", "none"); o.code != 0 || o.stderr != "" {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
	if o = tidemill(t, dir, "run", "job.sql", "--progress", "bar"); o.code != 0 || !strings.Contains(o.stderr, "finished in") {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
}

// The documented exit codes for what is wrong with the command line itself.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "ok.sql", "SELECT ${n};")
	for _, c := range []struct {
		args string
		code int
		want string // in standard error
	}{
		{"version", 0, ""},
		{"sql -o xml SELECT", 2, "-o xml: want one of table, csv"},
		{"sql --mode fast SELECT", 2, "want auto, batch or streaming"},
		{"sql --nope", 2, "unknown flag: --nope; see tidemill sql --help"},
		{"sql -D parallelism.defaul=1 SELECT", 2, "did you mean parallelism.default?"},
		{"sql -D parallelism.default=x SELECT", 2, "parallelism.default"},
		{"sql -v n ok", 2, `-v "n": want name=value`},
		{"sql -f ok.sql SELECT", 2, "not both"},
		{"run", 2, "see tidemill run --help"},
		{"run ok.sql --progress dots", 2, "want auto, bar, json or none"},
		{"run ok.sql --progress none -v n=1", 0, ""},
		{"run ok.sql --progress none", 2, "variable ${n} has no value: give -v n=..."},
		{"run ok.sql --progress none -v m=1", 2, "did you mean ${m}?"},
		{"run none.sql --progress none", 4, "none.sql: no such file"},
		{"check ok.sql -v n=1", 0, ""},
		{"check ok.sql -v n=x", 3, "unknown column x"},
		{"explain -f ok.sql -v n=1", 0, ""},
		{"bench query", 2, "unknown command"},
		{"sqll", 2, "did you mean sql?"},
	} {
		o := tidemill(t, dir, strings.Fields(c.args)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || c.code == 0 && o.stderr != "" {
			t.Errorf("tidemill %s: exit code %d, want %d with %q\n%s", c.args, o.code, c.code, c.want, o.stderr)
		}
	}
}

// Rows that cannot be written are a failure; a reader that has seen enough is none.
func TestStandardOutput(t *testing.T) {
	dir := t.TempDir()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"version"}, {"sql", "SELECT 1"}, {"sql", "-o", "parquet", "SELECT 1"}, {"explain", "SELECT 1"}} {
		cmd := command(t, dir, args...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		if code := exitStatus(t, cmd, cmd.Run()); code != 1 || strings.Count(stderr.String(), "no space left") != 1 {
			t.Errorf("%v on a full disk: exit code %d\n%s", args, code, stderr.String())
		}
	}
}
