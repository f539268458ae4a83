package bench

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/parquet"
)

func TestChooseJobs(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(jobs) {
		t.Errorf("%d jobs, %v", len(all), err)
	}
	if some, err := choose([]string{"json", "daily"}); err != nil || len(some) != 2 || some[0].name != "json" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := choose([]string{"weekly"}); err == nil {
		t.Error("an unknown job was taken")
	}
}

func TestETLOptions(t *testing.T) {
	sh := Programs{Python: "/bin/sh", Binary: "/nowhere/tidemill"}
	for name, o := range map[string]ETLOptions{
		"--data":           {Scratch: "x"},
		"--scratch":        {Data: "x"},
		`no ETL job "x"`:   {Data: "x", Scratch: "x", Jobs: []string{"x"}},
		"make bench-peers": {Data: "x", Scratch: t.TempDir()},
		"takes one limit":  {Data: "x", Scratch: t.TempDir(), Programs: Programs{Memory: []string{"1GB", "none"}}},
		"start tidemill":   {Data: "x", Scratch: t.TempDir(), Programs: sh},
	} {
		o.Out = io.Discard
		if err := ETL(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCopyQuotesAndPartitions(t *testing.T) {
	o := ETLOptions{Scratch: "/it's"}
	run := &etlRun{job: job{name: "x", query: "SELECT 1", partition: "p"}, options: o}
	if got, want := run.copy(), "COPY (SELECT 1) TO '/it''s/duckdb-x' (FORMAT parquet, PARTITION_BY (p))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	run.partition = ""
	if got := run.copy(); !strings.Contains(got, "duckdb-x.parquet' (FORMAT parquet)") {
		t.Errorf("got %s", got)
	}
}

// The output must have the rows of the query; both are asked for before and after.
func TestJobComparesWhatWasWritten(t *testing.T) {
	o := ETLOptions{Scratch: t.TempDir()}
	j := job{name: "x", query: "SELECT 1", columns: "a INT", input: "json"}
	run := &etlRun{job: j, options: o, engines: []*engine{echo(t, "tidemill", `{}`), echo(t, "duckdb", `{"csv":"n"}`)}}
	if err := os.WriteFile(filepath.Join(o.Scratch, "lineitem.part"), nil, 0o600); err != nil { // as DuckDB would
		t.Fatal(err)
	}
	for engine := range 2 {
		if err := run.prepare(engine); err != nil {
			t.Fatal(err)
		}
		if err := run.check(t.Context(), engine); err != nil {
			t.Error(err)
		}
	}
	run.want = "m"
	if err := run.check(t.Context(), 0); err == nil || !strings.Contains(err.Error(), `the output is "n"`) {
		t.Errorf("got %v", err)
	}
	run.engines[1] = echo(t, "duckdb", `{"error":"no disk"}`)
	if err := run.check(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("got %v", err)
	}
	run.want = ""
	if err := run.prepare(0); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("got %v", err)
	}
}

// write makes a Parquet file of two columns.
func write(t *testing.T, name string, dates []arrow.Date32, keys []int64) {
	t.Helper()
	schema := datatype.Schema{{Name: "d", Type: datatype.Of(datatype.Date)}, {Name: "k", Type: datatype.Of(datatype.BigInt)}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	b.Field(0).(*array.Date32Builder).AppendValues(dates, nil)
	b.Field(1).(*array.Int64Builder).AppendValues(keys, nil)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := parquet.Format{}.NewWriter(f, schema, formats.WriteOptions{Options: formats.Options{"parquet.row-group-rows": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(context.Background(), b.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOrderIsChecked(t *testing.T) {
	for _, c := range []struct {
		dates   []arrow.Date32
		keys    []int64
		refused string
	}{
		{[]arrow.Date32{1, 1, 2, 2, 3}, []int64{5, 6, 1, 1, -9}, ""},
		{nil, nil, ""},
		{[]arrow.Date32{1, 2, 1}, []int64{1, 1, 1}, "row 3"},
		{[]arrow.Date32{1, 1, 1, 1}, []int64{1, 2, 3, 2}, "row 4"},
	} {
		name := filepath.Join(t.TempDir(), "a.parquet")
		write(t, name, c.dates, c.keys)
		err := inOrder(t.Context(), name, []string{"d", "k"})
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%v, %v: %v", c.dates, c.keys, err)
		}
	}
}

func TestSortedOutputIsOneFile(t *testing.T) {
	dir := t.TempDir()
	if err := inOrder(t.Context(), dir, []string{"d"}); err == nil || !strings.Contains(err.Error(), "0 files") {
		t.Errorf("got %v", err)
	}
	write(t, filepath.Join(dir, "a.parquet"), []arrow.Date32{1}, []int64{1})
	if err := inOrder(t.Context(), dir, []string{"d", "x"}); err == nil || !strings.Contains(err.Error(), "no column x") {
		t.Errorf("got %v", err)
	}
	write(t, filepath.Join(dir, "b.parquet"), []arrow.Date32{1}, []int64{1})
	if err := inOrder(t.Context(), dir, []string{"d"}); err == nil || !strings.Contains(err.Error(), "2 files") {
		t.Errorf("got %v", err)
	}
	if err := inOrder(t.Context(), filepath.Join(dir, "nothing"), []string{"d"}); err == nil {
		t.Error("found what is not there")
	}
}
