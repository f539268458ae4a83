package tidemill_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// The whole engine from SQL text to rows, with every control-plane message
// encoded, and nothing left behind at the end.

type engine struct {
	t       *testing.T
	session client.Session
	dir     string
}

func open(t *testing.T, settings map[string]string) *engine {
	t.Helper()
	return openWith(t, settings, nil)
}

// openWith opens an engine whose control plane asks fault before each call.
func openWith(t *testing.T, settings map[string]string, fault func(method string) error) *engine {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	spill := t.TempDir()
	e, err := tidemill.Embedded(t.Context(), tidemill.Options{
		Settings: map[string]string{"worker.slots": "2", "io.tmp.dir": spill}, Wire: rpc.LocalOptions{Serialize: true, Fault: fault},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(spill); err != nil || len(left) > 0 {
			t.Errorf("left in the spill directory: %v, %v", left, err)
		}
		goleak.VerifyNone(t, leaks)
	})
	return &engine{t: t, session: s, dir: t.TempDir()}
}

// execute runs a script to its end and returns the rows of its last statement.
func (e *engine) execute(script string) ([]string, error) {
	e.t.Helper()
	script = strings.ReplaceAll(script, "${dir}", e.dir)
	statements, err := parser.ParseScript(script)
	if err != nil {
		e.t.Fatal(err)
	}
	var rows []string
	for _, s := range statements {
		r, err := e.session.Execute(e.t.Context(), script, s)
		if err != nil {
			return nil, err
		}
		rows, err = read(e.t.Context(), r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (e *engine) expect(script string, want ...string) {
	e.t.Helper()
	rows, err := e.execute(script)
	if err != nil {
		e.t.Fatalf("%s: %v", script, err)
	}
	slices.Sort(rows)
	if !slices.Equal(rows, want) {
		e.t.Fatalf("%s:\n got %q\nwant %q", script, rows, want)
	}
}

func read(ctx context.Context, r client.Result) (rows []string, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		at := func(i int) {
			cells := make([]string, b.Record.NumCols())
			for c := range cells {
				cells[c] = b.Column(c).ValueStr(i)
			}
			rows = append(rows, strings.Clone(strings.Join(cells, " "))) // a single cell is the memory that is released
		}
		if b.Sel == nil {
			for i := range b.PhysicalRows() {
				at(i)
			}
		}
		for _, i := range b.Sel {
			at(int(i))
		}
		b.Release()
	}
}

func TestValues(t *testing.T) {
	e := open(t, nil)
	e.expect("SELECT 1 + 1", "2")
	e.expect("SELECT k, SUM(v) FROM (VALUES ('a', 1), ('b', 2), ('a', 3)) AS t(k, v) GROUP BY k", "a 4", "b 2")
	e.expect("SELECT x FROM (VALUES (3), (1), (2)) AS t(x) ORDER BY x DESC LIMIT 2", "2", "3")
	e.expect("SELECT x FROM (VALUES (3), (1), (2)) AS t(x) ORDER BY x", "1", "2", "3")
}

func TestFiles(t *testing.T) {
	e := open(t, nil)
	var csv strings.Builder
	csv.WriteString("k,v\n")
	for i := range 1000 {
		fmt.Fprintf(&csv, "%d,%d\n", i%10, i)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "in.csv"), []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	e.expect(`
		CREATE TABLE src (k BIGINT, v BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/in.csv', 'format' = 'csv');
		CREATE TABLE dst (k BIGINT, total BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/out', 'format' = 'parquet');
		INSERT INTO dst SELECT k, SUM(v) FROM src WHERE v >= 500 GROUP BY k;
		SELECT COUNT(*), SUM(total) FROM dst`, "10 374750")
}

func TestStatementsWithoutJob(t *testing.T) {
	e := open(t, nil)
	e.expect("SHOW DATABASES", "default_database")
	e.expect("SET 'parallelism.default' = '1'; SELECT 7", "7")
	if _, err := e.execute("SELECT nothing FROM nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Fatal(err)
	}
}
