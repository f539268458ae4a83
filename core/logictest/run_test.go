package logictest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/core/stream"
)

// canned answers statements by their text.
type canned struct {
	allocator *memory.CheckedAllocator
	answers   map[string]string // JSON rows of k INT, s STRING
	kinds     []stream.RowKind
	closed    int
}

func (c *canned) Open(context.Context, map[string]string) (client.Session, error) { return c, nil }
func (c *canned) Close() error                                                    { c.closed++; return nil }
func (c *canned) Words() []string                                                 { return nil }
func (c *canned) Check(context.Context, string, ast.Statement) error              { return nil }

func (c *canned) Explain(context.Context, string, ast.Statement) (string, error) { return "", nil }

func (c *canned) Execute(_ context.Context, source string, s ast.Statement) (client.Result, error) {
	answer, ok := c.answers[source]
	if !ok {
		return nil, sqlerr.New(sqlerr.UnknownTable, s, "no table").In(source)
	}
	return &answered{engine: c, json: answer}, nil
}

type answered struct {
	engine *canned
	json   string
	done   bool
}

func (a *answered) Schema() datatype.Schema {
	return datatype.Schema{{Name: "k", Type: datatype.Of(datatype.Int)}, {Name: "s", Type: datatype.Of(datatype.Varchar)}}
}
func (a *answered) Live() bool                { return false }
func (a *answered) Zone() *time.Location      { return time.UTC }
func (a *answered) Changelog() bool           { return a.engine.kinds != nil }
func (a *answered) Job() (id.Job, bool)       { return id.Job{}, false }
func (a *answered) Progress() client.Progress { return client.Progress{} }
func (a *answered) Close() error              { return nil }

func (a *answered) Next(context.Context) (*stream.Batch, error) {
	if a.done {
		return nil, io.EOF
	}
	a.done = true
	if a.json == "fail" {
		return nil, errors.New("disk on fire")
	}
	record, _, err := array.RecordFromJSON(a.engine.allocator, a.Schema().Arrow(), strings.NewReader(a.json))
	if err != nil {
		return nil, err
	}
	b := stream.NewBatch(record)
	b.Kinds = a.engine.kinds
	return b, nil
}

// runText runs one record and returns what it complains about.
func runText(t *testing.T, text string, c *canned) error {
	t.Helper()
	c.allocator = memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer c.allocator.AssertSize(t, 0)
	s, err := readScript(write(t, t.TempDir(), "a.slt", text))
	if err != nil {
		t.Fatal(err)
	}
	r := run{script: s, dir: t.TempDir(), session: c, labels: map[string]labelled{}}
	for _, rec := range s.records {
		if err := r.record(t.Context(), rec); err != nil {
			return err
		}
	}
	return nil
}

func TestRecords(t *testing.T) {
	answers := map[string]string{
		"SELECT 1": `[{"k": 2, "s": "b"}, {"k": 1, "s": ""}, {"k": null, "s": null}]`,
		"SELECT 2": `[{"k": 1, "s": "x"}]`,
		"SELECT 3": "fail",
	}
	for _, c := range []struct{ name, text, want string }{
		{"in order", "query IT\nSELECT 1\n----\n2 | b\n1 | (empty)\nNULL | NULL\n", ""},
		{"sorted", "query IT rowsort\nSELECT 1\n----\nNULL | NULL\n1 | (empty)\n2 | b\n", ""},
		{"wrong row", "query IT\nSELECT 2\n----\n2 | x\n", "row 1 want 2 | x"},
		{"missing row", "query IT\nSELECT 2\n----\n", "0 rows wanted, 1 came"},
		{"wrong types", "query TT\nSELECT 2\n----\n1 | x\n", "are IT, not TT"},
		{"expected error", "statement error SQL-2001 no table\nSELECT 9\n", ""},
		{"another code", "statement error SQL-2002 no table\nSELECT 9\n", "error SQL-2001, not SQL-2002"},
		{"another text", "statement error SQL-2001 nothing\nSELECT 9\n", "does not match"},
		{"no error", "statement error SQL-2001 .\nSELECT 2\n", "succeeds"},
		{"error while running", "query error fatal fire\nSELECT 3\n", ""},
		{"unexpected error", "statement ok\nSELECT 9\n", "no table"},
		{"syntax", "statement error SQL-1010 .\nSELCT\n", ""},
		{"labels", "query IT rowsort a\nSELECT 2\n----\n1 | x\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := runText(t, c.text, &canned{answers: answers})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestLabelsTieQueries(t *testing.T) {
	answers := map[string]string{"SELECT 1": `[{"k": 1, "s": "a"}]`, "SELECT 2": `[{"k": 2, "s": "a"}]`}
	text := "query IT rowsort same\nSELECT 1\n----\n1 | a\n\nquery IT rowsort same\nSELECT 2\n----\n2 | a\n"
	if err := runText(t, text, &canned{answers: answers}); err == nil || !strings.Contains(err.Error(), "label same") {
		t.Error(err)
	}
}

// A changelog is the table that it leaves; a retraction of nothing is a bug.
func TestChangelog(t *testing.T) {
	answers := map[string]string{"SELECT 1": `[{"k": 1, "s": "a"}, {"k": 1, "s": "a"}, {"k": 2, "s": "a"}]`}
	kinds := []stream.RowKind{stream.Insert, stream.UpdateBefore, stream.UpdateAfter}
	if err := runText(t, "query IT\nSELECT 1\n----\n2 | a\n", &canned{answers: answers, kinds: kinds}); err != nil {
		t.Error(err)
	}
	kinds = []stream.RowKind{stream.Insert, stream.Delete, stream.Delete}
	err := runText(t, "query IT\nSELECT 1\n----\n", &canned{answers: answers, kinds: kinds})
	if err == nil || !strings.Contains(err.Error(), "not there") {
		t.Error(err)
	}
}

func TestRunClosesEngineAndSession(t *testing.T) {
	file := write(t, t.TempDir(), "a.slt", "file in.csv\n----\n1\n\nquery IT\nSELECT 1\n----\n1 | a\n")
	c := &canned{allocator: memory.NewCheckedAllocator(memory.DefaultAllocator), answers: map[string]string{"SELECT 1": `[{"k": 1, "s": "a"}]`}}
	seen := map[string]bool{}
	Run(t, []string{file}, Options{Open: func(settings map[string]string, _ *Around) (client.Engine, error) {
		seen[settings["execution.batch-rows"]] = true
		return c, nil
	}})
	bounded := slices.DeleteFunc(Variations(), func(v Variation) bool { return v.Streaming || v.Apart || v.Name == "batch" }) // it is batch anyway
	if want := 2 * len(bounded); c.closed != want || !seen["1"] || !seen["3"] || !seen[""] {
		t.Errorf("closed %d times, not %d; batch rows %v", c.closed, want, seen)
	}
	c.allocator.AssertSize(t, 0)
}
