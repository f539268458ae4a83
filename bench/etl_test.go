package bench

import (
	"io"
	"strings"
	"testing"
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
	for name, o := range map[string]ETLOptions{
		"no data": {Scratch: "x"}, "no scratch": {Data: "x"}, "no such job": {Data: "x", Scratch: "x", Jobs: []string{"x"}},
		"no binary": {Data: "x", Scratch: t.TempDir(), Binary: "/nowhere/tidemill"},
	} {
		o.Out = io.Discard
		if err := ETL(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCopyQuotesAndPartitions(t *testing.T) {
	o := ETLOptions{Scratch: "/it's"}
	got := o.copy(job{name: "x", query: "SELECT 1", partition: "p"})
	if want := "COPY (SELECT 1) TO '/it''s/duckdb-x' (FORMAT parquet, PARTITION_BY (p))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := o.copy(job{name: "x"}); !strings.Contains(got, "duckdb-x.parquet' (FORMAT parquet)") {
		t.Errorf("got %s", got)
	}
}

// A job whose first engine fails says so; what the engines answer is checked.
func TestJobReportsFailures(t *testing.T) {
	o := ETLOptions{Scratch: t.TempDir(), Runs: 1}
	reply := func(text string) *engine {
		e, err := shell(t, `while read q; do echo '`+text+`'; done`)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.close() })
		return e
	}
	j := job{name: "x", query: "SELECT 1"}
	if _, _, err := o.job(t.Context(), reply(`{"csv":"n"}`), reply(`{"csv":"n"}`), j); err != nil {
		t.Error(err)
	}
	failing, err := shell(t, `read q; echo '{}'; while read q; do echo '{"error":"no disk"}'; done`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = failing.close() })
	if _, _, err := o.job(t.Context(), failing, reply(`{}`), j); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("got %v", err)
	}
}
