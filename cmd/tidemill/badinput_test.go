package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Bad input must end with the documented exit code, an error that names the
// file, its row or line, the column and the value, or the place in the SQL, and
// with nothing half-written left.

// numbers writes a Parquet file of ids 0 to 9999 with text.
func numbers(t *testing.T, dir, name string) string {
	t.Helper()
	sql(t, dir, `SET 'parallelism.default' = '1';
		CREATE TABLE g (id BIGINT, s STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '10000', 'rows-per-second' = '0', 'fields.id.kind' = 'sequence');
		CREATE TABLE t (id BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = 'made', 'format' = 'parquet');
		INSERT INTO t SELECT id, s FROM g`)
	parts, err := filepath.Glob(filepath.Join(dir, "made", "*.parquet"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("files %v, %v", parts, err)
	}
	path := filepath.Join(dir, name)
	if err := os.Rename(parts[0], path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "made")); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadParquet(t *testing.T) {
	dir := t.TempDir()
	path := numbers(t, dir, "n.parquet")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"empty", func(b []byte) []byte { return nil }, `n\.parquet.*Parquet`},
		{"cut in the middle", func(b []byte) []byte { return b[:len(b)/2] }, `n\.parquet.*truncated`},
		{"cut by a byte", func(b []byte) []byte { return b[:len(b)-1] }, `n\.parquet.*truncated`},
		{"footer length", func(b []byte) []byte { b[len(b)-5] = 0xff; return b }, `n\.parquet.*footer`},
		{"footer", func(b []byte) []byte { copy(b[len(b)-60:], strings.Repeat("\xff", 40)); return b }, `n\.parquet`},
		{"data pages", func(b []byte) []byte { copy(b[2000:], strings.Repeat("\xa5", 600)); return b }, `n\.parquet.*column (id|s)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, c.change(slices.Clone(whole)), 0o644); err != nil {
				t.Fatal(err)
			}
			o := tidemill(t, dir, "sql", "INSERT INTO 'out/copy.parquet' SELECT id, s FROM 'n.parquet'")
			expect(t, o, 1, c.want)
			if left := files(t, filepath.Join(dir, "out")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// expect compares a failed command with its exit code and message.
func expect(t *testing.T, o outcome, code int, want string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, not %d", o.code, code)
	}
	if !regexp.MustCompile(want).MatchString(o.stderr) {
		t.Errorf("the error does not match %q:\n%s", want, o.stderr)
	}
	if strings.Contains(o.stderr, "goroutine ") || strings.Contains(o.stderr, "panic") {
		t.Errorf("the error shows a stack:\n%s", o.stderr)
	}
	if n := len(lines(o.stderr)); n > 8 {
		t.Errorf("the error has %d lines:\n%s", n, o.stderr)
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	numbers(t, dir, "n.parquet")
	put(t, dir, "bad.csv", "id,n,d\n1,10,2026-01-01\n2,ten,2026-01-02\n3,30,2026-01-03\n")
	put(t, dir, "day.csv", "id,d\n1,2026-01-01\n2,2026-02-30\n")
	put(t, dir, "short.csv", "id,n\n1,2\n3\n")
	put(t, dir, "quote.csv", "id,s\n1,\"open\n2,x\n")
	put(t, dir, "bad.jsonl", "{\"id\": 1}\n{\"id\": \n")
	put(t, dir, "type.jsonl", "{\"id\": 1}\n{\"id\": \"one\"}\n")
	put(t, dir, "no.arrow", "not an Arrow file")
	put(t, dir, "file", "a regular file")
	put(t, dir, "wrong.sql", "SELECT 1;\nSELECT id\nFORM t;\n")
	typed := func(file, columns, query string) string {
		return "CREATE TABLE t (" + columns + ") WITH ('connector' = 'filesystem', 'path' = '" + file + "'); " + query
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"CSV value", []string{"sql", typed("bad.csv", "id INT, n INT, d DATE", "SELECT SUM(n) FROM t")}, 1, `bad\.csv:3: column n: value "ten"`},
		{"CSV date", []string{"sql", typed("day.csv", "id INT, d DATE", "SELECT d FROM t")}, 1, `day\.csv:3: column d: value "2026-02-30"`},
		{"CSV row too short", []string{"sql", typed("short.csv", "id INT, n INT", "SELECT n FROM t")}, 1, `short\.csv:3: .*1`},
		{"CSV quote", []string{"sql", typed("quote.csv", "id INT, s STRING", "SELECT s FROM t")}, 1, `quote\.csv:2: `},
		{"JSON syntax", []string{"sql", typed("bad.jsonl", "id INT", "SELECT id FROM t")}, 1, `bad\.jsonl:2: `},
		{"JSON type", []string{"sql", typed("type.jsonl", "id INT", "SELECT id FROM t")}, 1, `type\.jsonl:2: column id: value "?one`},
		{"Arrow", []string{"sql", "SELECT * FROM 'no.arrow'"}, 1, `no\.arrow`},
		{"Parquet of another type", []string{"sql", typed("n.parquet", "id BIGINT, s DATE", "SELECT s FROM t")}, 1, `n\.parquet: column s`},
		{"Parquet without the column", []string{"sql", typed("n.parquet", "id BIGINT, nope INT", "SELECT nope FROM t")}, 1, `n\.parquet: column nope`},
		{"missing file", []string{"sql", "SELECT * FROM 'nowhere.parquet'"}, 4, `nowhere\.parquet`},
		{"empty glob", []string{"sql", "SELECT * FROM 'nowhere/*.csv'"}, 4, `nowhere/\*\.csv`},
		{"missing script", []string{"run", "nowhere.sql"}, 4, `nowhere\.sql`},
		{"file of no format", []string{"sql", "SELECT * FROM 'file'"}, 3, `file.*format`},
		{"unknown table", []string{"sql", "SELECT 1 FROM trips"}, 3, `SQL-2001 at 1:15: .*trips`},
		{"unknown column", []string{"sql", "SELECT idd FROM 'n.parquet'"}, 3, `SQL-2002 at 1:8: .*idd`},
		{"suggestion", []string{"sql", "SELECT idd FROM 'n.parquet'"}, 3, `did you mean id\?`},
		{"wrong type", []string{"sql", "SELECT id + s FROM 'n.parquet' WHERE s > DATE '2026-01-01' + 1"}, 3, `SQL-300\d at 1:\d+: `},
		{"syntax", []string{"run", "wrong.sql"}, 3, `wrong\.sql(.|\n)*SQL-1001 at 3:1: (.|\n)*FORM(.|\n)*did you mean FROM`},
		{"check", []string{"check", "wrong.sql"}, 3, `SQL-1001 at 3:1: `},
		{"value at run time", []string{"sql", "SELECT CAST(s AS INT) FROM 'n.parquet'"}, 1, `CAST.*INT`},
		{"division", []string{"sql", "SELECT id / (id - id) FROM 'n.parquet'"}, 1, `division by zero`},
		{"flag", []string{"sql", "--no-such-flag"}, 2, `no-such-flag`},
		{"output format", []string{"sql", "-o", "xml", "SELECT 1"}, 2, `-o xml: want one of table`},
		{"mode", []string{"sql", "--mode", "fast", "SELECT 1"}, 2, `--mode fast`},
		{"setting", []string{"sql", "-D", "paralelism.default=2", "SELECT 1"}, 2, `paralelism\.default.*parallelism\.default`},
		{"value of a setting", []string{"sql", "-D", "parallelism.default=two", "SELECT 1"}, 2, `parallelism\.default.*two`},
		{"no argument", []string{"run"}, 2, `run`},
		{"unknown command", []string{"rnu"}, 2, `unknown command "rnu"; did you mean run`},
		{"variable", []string{"sql", "SELECT ${day}"}, 2, `day`},
		{"target below a file", []string{"sql", "INSERT INTO 'file/sub/x.parquet' SELECT id FROM 'n.parquet'"}, 1, `file/sub`},
		{"table below a file", []string{"sql", typed("file/dir", "id BIGINT", "INSERT INTO t /*+ OPTIONS('format' = 'csv') */ SELECT id FROM 'n.parquet'")}, 1, `file/dir`},
		{"unknown option", []string{"sql", "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'fromat' = 'csv'); SELECT * FROM t"}, 3, `fromat.*format`},
		{"restore from nothing", []string{"run", "-s", "nowhere", "ok.sql"}, 4, `nowhere`},
	} {
		put(t, dir, "ok.sql", "SET 'execution.runtime-mode' = 'streaming'; CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10'); SELECT id FROM g;")
		before := files(t, dir)
		t.Run(c.name, func(t *testing.T) {
			expect(t, tidemill(t, dir, c.args...), c.code, c.want)
			if after := files(t, dir); !slices.Equal(before, after) {
				t.Errorf("files before %v, after %v", before, after)
			}
		})
	}
}

// A job that fails half-way, by its input or by the disk under its output,
// leaves the table as it was.
func TestNothingHalfWritten(t *testing.T) {
	const table = `CREATE TABLE t (id BIGINT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv', 'csv.header' = 'false');`
	for _, c := range []struct {
		name, insert string
		code         int
		want         string
		setup        func(t *testing.T, dir string)
	}{
		{"bad row near the end", "INSERT INTO t SELECT id, 'new' FROM src", 1, `src\.csv:90002: column id: value "oops"`, func(t *testing.T, dir string) {
			put(t, dir, "src.csv", "id\n"+strings.Repeat("7\n", 90_000)+"oops\n")
		}},
		{"overwrite with a bad row", "INSERT OVERWRITE t SELECT id, 'old' FROM src", 1, `src\.csv:90002`, func(t *testing.T, dir string) {
			put(t, dir, "src.csv", "id\n"+strings.Repeat("7\n", 90_000)+"oops\n")
		}},
		{"a file where a partition goes", "INSERT INTO t SELECT id, CASE WHEN id > 1 THEN 'new' ELSE 'blocked' END FROM src", 1, `p=blocked`, func(t *testing.T, dir string) {
			put(t, dir, "src.csv", "id\n1\n2\n3\n")
			put(t, dir, "out/p=blocked", "in the way")
		}},
		{"overwrite with a file in the way", "INSERT OVERWRITE t SELECT id, CASE WHEN id > 1 THEN 'old' ELSE 'blocked' END FROM src", 1, `p=blocked`, func(t *testing.T, dir string) {
			put(t, dir, "src.csv", "id\n1\n2\n3\n")
			put(t, dir, "out/p=blocked", "in the way")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.setup(t, dir)
			put(t, dir, "out/p=old/kept.csv", "42\n")
			before := files(t, filepath.Join(dir, "out"))
			expect(t, tidemill(t, dir, "sql", "CREATE TABLE src (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'src.csv');"+table+c.insert), c.code, c.want)
			if after := files(t, filepath.Join(dir, "out")); !slices.Equal(before, after) {
				t.Errorf("files before %v, after %v", before, after)
			}
			if data, err := os.ReadFile(filepath.Join(dir, "out/p=old/kept.csv")); err != nil || string(data) != "42\n" {
				t.Errorf("the old rows are %q, %v", data, err)
			}
		})
	}
}
