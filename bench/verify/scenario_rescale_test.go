package verify

import (
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/datagen"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// With a clock that stands still the filling table gives all of its rows, and the live one
// none: the first once had the rate that is the default, and state took minutes to come.
func TestFillingHasNoRate(t *testing.T) {
	const keys = 30_000
	script := streamScript(t.TempDir(), keys, 1)
	for table, want := range map[string]int{"filling": keys, "live": 0} {
		if rows := atOnce(t, script, table); rows != want {
			t.Errorf("%s gives %d rows at once, not %d", table, rows, want)
		}
	}
}

// atOnce is how many rows a generated table of a script gives without waiting.
func atOnce(t *testing.T, script, table string) (rows int) {
	t.Helper()
	s := connector.SourceSpec{Table: created(t, script, table), Parallelism: 1}
	s.Columns = s.Table.Schema
	now := time.Now()
	r, err := datagen.Connector{}.Reader(t.Context(), s, connector.ReaderEnv{
		Alloc: memory.DefaultAllocator, BatchRows: 4096, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	e, err := datagen.Connector{}.Enumerator(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	split, _, err := e.Next(t.Context(), 0)
	if err == nil {
		err = r.Add(split)
	}
	for err == nil {
		b, wait, pollErr := r.Poll(t.Context())
		if err = pollErr; b != nil {
			rows += b.Len()
			b.Release()
		} else if wait != connector.NoWait {
			return rows
		}
	}
	t.Fatal(err)
	return 0
}

// created is a table that a script creates.
func created(t *testing.T, script, name string) (table connector.Table) {
	t.Helper()
	statements, err := parser.ParseScript(script)
	if err != nil {
		t.Fatal(err)
	}
	table.Name, table.Options = name, map[string]string{}
	for _, s := range statements {
		c, ok := s.(*ast.CreateTable)
		if !ok || c.Name.String() != name {
			continue
		}
		for _, o := range c.Options {
			table.Options[o.Key.Value] = o.Value.Value
		}
		for _, column := range c.Columns {
			parsed, err := datatype.Parse(script[column.Type.Pos():column.Type.End()])
			if err != nil {
				t.Fatal(err)
			}
			table.Schema = append(table.Schema, datatype.Field{Name: column.Name.Name, Type: parsed})
		}
	}
	return table
}

// State is there once the source that ends has ended, however many rows have been read.
func TestStateIsThereWhenFillingHasEnded(t *testing.T) {
	filling, live := map[string]uint32{"RUNNING": 1, "FINISHED": 1}, map[string]uint32{"RUNNING": 2}
	job := rest.Job{Vertices: []rest.Vertex{
		{Source: true, Parallelism: 2, Subtasks: filling},
		{Source: true, Parallelism: 2, Subtasks: live},
		{Parallelism: 2, Subtasks: live, RowsIn: 1 << 40},
	}}
	if filled(job) {
		t.Error("filled while it is read")
	}
	filling["RUNNING"], filling["FINISHED"] = 0, 2
	if !filled(job) {
		t.Error("not filled when it has been read")
	}
}
