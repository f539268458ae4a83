package tpch_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/bench/tpch/gen"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/fs/local"
)

const golden = "testdata/scale0.01.txt"

var rewrite = flag.Bool("rewrite", false, "store the answers that came as the wanted ones")

// TestGoldenAnswers runs all 22 queries over generated data of scale 0.01, at one
// slot, two and four, with exchanges that are read along and with stored ones, and compares with the answers in testdata. With TIDEMILL_DUCKDB
// set to DuckDB's binary (make verify-sql) they are DuckDB's, too, on the same files.
// A wrong join order, a lost row at another parallelism or a changed generator fail
// here, in seconds and without anything but Go.
func TestGoldenAnswers(t *testing.T) {
	dir := data(t)
	got := map[string][]string{}
	for _, slots := range []int{1, 2, 4} {
		for _, retention := range []string{"automatic", "job"} {
			got[fmt.Sprintf("%d slots, retention %s", slots, retention)] = answers(t, dir, tidemill.Options{}, slots, retention)
		}
	}
	for _, servers := range []int{0, 1} {
		for _, retention := range []string{"automatic", "job"} {
			at := fmt.Sprintf("two workers and %d servers, retention %s", servers, retention)
			got[at] = answers(t, dir, tidemill.Options{Workers: 2, Servers: servers}, 2, retention)
		}
	}
	if *rewrite {
		store(t, got["4 slots, retention automatic"])
	}
	want := load(t)
	for n := 1; n <= tpch.Count; n++ {
		for at, all := range got {
			if err := tpch.SameAnswer(n, all[n-1], want[n]); err != nil {
				t.Errorf("query %d at %s: %v", n, at, err)
			}
		}
		if duckdb := os.Getenv("TIDEMILL_DUCKDB"); duckdb != "" {
			if err := tpch.SameAnswer(n, want[n], ask(t, duckdb, dir, n)); err != nil {
				t.Errorf("query %d against DuckDB: %v", n, err)
			}
		}
	}
}

// data makes the files; comments are cut from less text than the official ones,
// which take 300 MiB.
func data(t *testing.T) string {
	t.Helper()
	disk, err := local.New(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := gen.Write(t.Context(), disk, dir, gen.Options{Scale: 0.01, TextBytes: 8 << 20}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func answers(t *testing.T, dir string, o tidemill.Options, slots int, retention string) (all []string) {
	t.Helper()
	o.Settings = map[string]string{"worker.slots": fmt.Sprint(slots), "io.tmp.dir": t.TempDir()}
	session := map[string]string{"exchange.batch-retention": retention}
	if o.Workers == 0 {
		session["parallelism.default"] = fmt.Sprint(slots)
	}
	e, err := tidemill.Embedded(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := e.Open(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	execute(t, s, tpch.Views(dir))
	for n := 1; n <= tpch.Count; n++ {
		text, err := tpch.Query(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, execute(t, s, text))
	}
	return all
}

// execute returns the rows of a script's last statement as CSV.
func execute(t *testing.T, s client.Session, script string) (rows string) {
	t.Helper()
	statements, err := parser.ParseScript(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		r, err := s.Execute(t.Context(), script, statement)
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		rows, err = read(t.Context(), r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
	}
	return rows
}

func read(ctx context.Context, r client.Result) (string, error) {
	var out bytes.Buffer
	w, schema := csv.NewWriter(&out), r.Schema()
	if err := w.Write(schema.Names()); err != nil {
		return "", err
	}
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			w.Flush()
			return out.String(), w.Error()
		}
		if err != nil {
			return "", err
		}
		row := func(i int) error {
			cells := make([]string, len(schema))
			for c := range cells {
				cells[c] = null
				if !b.Column(c).IsNull(i) {
					cells[c] = string(datatype.AppendText(nil, b.Column(c), i, schema[c].Type, r.Zone()))
				}
			}
			return w.Write(cells)
		}
		if b.Sel == nil {
			for i := range b.PhysicalRows() {
				err = errors.Join(err, row(i))
			}
		}
		for _, i := range b.Sel {
			err = errors.Join(err, row(int(i)))
		}
		b.Release()
		if err != nil {
			return "", err
		}
	}
}

const (
	heading = "-- q"
	null    = "NULL"
)

func store(t *testing.T, all []string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("Answers to the queries of TPC-H over data of scale 0.01 as bench/tpch/gen makes it from 8 MiB of text.\n" +
		"go test ./bench/tpch -rewrite writes this file; make verify-sql compares it with DuckDB.\n")
	for i, rows := range all {
		fmt.Fprintf(&b, "%s%d\n%s", heading, i+1, rows)
	}
	if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T) map[int]string {
	t.Helper()
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for i, section := range strings.Split(string(text), heading)[1:] {
		_, rows, _ := strings.Cut(section, "\n")
		all[i+1] = rows
		// An answer without rows would show nothing.
		if n := strings.Count(rows, "\n"); n < 2 {
			t.Errorf("query %d has no rows", i+1)
		}
	}
	return all
}

func ask(t *testing.T, duckdb, dir string, query int) string {
	t.Helper()
	text, err := tpch.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), duckdb, "-batch", "-csv", "-nullvalue", null, "-init", os.DevNull)
	cmd.Stdin = strings.NewReader(tpch.Views(dir) + text + ";")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("query %d in DuckDB: %v", query, err)
	}
	return string(out)
}
