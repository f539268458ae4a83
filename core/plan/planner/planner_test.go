package planner_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan/planner"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// fake is a connector that knows tables by their options: rows, bytes, version,
// bounded, bounds (column low high, ...), partitions (total), takes and tells (upserts),
// narrow-rows, and a few files by path.
type fake struct {
	connector.Connector
	name string
}

func (f fake) Name() string { return f.name }

func (f fake) Describe(_ context.Context, t connector.Table, pred *predicate.Predicate) (connector.Description, error) {
	d := connector.Description{Schema: t.Schema, Partitions: t.Partitions, Bounded: true, Rows: 1000, Bytes: -1, Files: 1}
	for key, value := range t.Options {
		n, _ := strconv.ParseInt(value, 10, 64)
		switch key {
		case "connector", "path", "format", "takes":
		case "rows":
			d.Rows = n
		case "bytes":
			d.Bytes = n
		case "version":
			d.Version = value
		case "bounds":
			d.Columns = bounds(value)
		case "narrow-rows":
			d.NarrowRows = value == "true"
		case "many-splits":
			d.ManySplits = true
		case "tells":
			d.Changes = connector.Upserts
		case "scan.watermark.idle-timeout", "scan.watermark.alignment.max-drift":
		case "bounded":
			d.Bounded = value == "true"
		case "partitions":
			d.TotalPartitions, d.MatchPartitions = n, n
		default:
			return d, failure.Errorf(failure.InvalidSQL, "unknown option '%s' of connector %s", key, f.name)
		}
	}
	if path := t.Options["path"]; path != "" {
		schema, ok := files()[path]
		if !ok && len(t.Schema) == 0 {
			return d, failure.Errorf(failure.NotFound, "%s: no such file", path)
		}
		if len(t.Schema) == 0 {
			d.Schema = schema
		}
	}
	if pred != nil && d.TotalPartitions > 0 {
		pred.Columns(func(c string) {
			if len(t.Partitions) > 0 && c == t.Partitions[0] {
				d.MatchPartitions, d.Bytes = 1, d.Bytes/d.TotalPartitions
				if d.Rows >= 0 {
					d.Rows /= d.TotalPartitions
				}
				if d.Version != "" {
					d.Version += " of " + pred.String()
				}
			}
		})
	}
	return d, nil
}

// Accepts implements connector.ChangelogSink.
func (fake) Accepts(t connector.Table) connector.Changes {
	if t.Options["takes"] == "upserts" {
		return connector.Upserts
	}
	return connector.Inserts
}

// Publishes implements connector.Publisher.
func (f fake) Publishes(connector.Table) bool { return f.name == "filesystem" }

func bounds(text string) map[string]predicate.Summary {
	out := map[string]predicate.Summary{}
	for entry := range strings.SplitSeq(text, ",") {
		var column string
		var low, high int64
		if _, err := fmt.Sscan(entry, &column, &low, &high); err != nil {
			panic(err)
		}
		out[column] = predicate.Summary{Min: low, Max: high, Rows: -1}
	}
	return out
}

func files() map[string]datatype.Schema {
	text, number := datatype.Of(datatype.Varchar), datatype.Of(datatype.BigInt)
	return map[string]datatype.Schema{
		"trips.parquet":  {{Name: "passenger_count", Type: number}, {Name: "fare", Type: datatype.Of(datatype.Double)}, {Name: "city", Type: text}},
		"data/*.parquet": {{Name: "k", Type: text}, {Name: "v", Type: number}},
		"x.csv":          {{Name: "id", Type: number}, {Name: "name", Type: text}},
	}
}

type registry struct{}

func (registry) Names() []string { return []string{"blackhole", "datagen", "filesystem", "kafka"} }

func (registry) Lookup(name string) (connector.Connector, bool) {
	for _, n := range (registry{}).Names() {
		if n == name {
			return fake{name: name}, true
		}
	}
	return nil, false
}

// TestPlans plans scripts. The commands are
//
//	explain   all statements but the last are carried out, the last is explained;
//	          slots=n limits the job
//	error     every statement is planned; the first error is shown as users see it
//	rows      the last statement's rows
//	keep      the last statement is ANALYZE; row=(...) is what its job yields
//	show      the file that a plan was compiled to, by its path
//	write     the file of path=... to to=..., with each text before => replaced by the one
//	          behind it; seal: the checksum is made anew
//
// The session lives as long as the file.
func TestPlans(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := planner.New(catalog.NewSession(catalog.New()), registry{}, function.Builtins())
		files := fs.NewRegistry()
		if err := files.Register("mem", memfs.New(memfs.Options{})); err != nil {
			t.Fatal(err)
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var slots uint32
			d.MaybeScanArgs(t, "slots", &slots)
			switch d.Cmd {
			case "keep":
				return keep(t, p, d)
			case "show", "write":
				return planText(t, files, d)
			}
			return execute(p, d.Cmd, d.Input, planner.Options{Slots: slots, Files: files, Version: "0.1"})
		})
	})
}

// keep plans an ANALYZE and gives it the row that its job would yield.
func keep(t *testing.T, p *planner.Planner, d *datadriven.TestData) string {
	t.Helper()
	s, err := parser.ParseScript(d.Input)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Plan(t.Context(), s[0], planner.Options{})
	if err != nil {
		return rendered(err, d.Input)
	}
	var row []any
	for _, arg := range d.CmdArgs {
		for _, text := range arg.Vals {
			row = append(row, value(text))
		}
	}
	if len(row) != len(r.Schema) {
		return fmt.Sprintf("the job yields %s\n", strings.Join(r.Schema.Names(), ", "))
	}
	if err := r.Keep(row); err != nil {
		return rendered(err, d.Input)
	}
	return "ok\n"
}

func value(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	if text == "NULL" {
		return nil
	}
	return text
}

func execute(p *planner.Planner, cmd, text string, o planner.Options) string {
	ctx := context.Background()
	statements, err := parser.ParseScript(text)
	if err != nil {
		return rendered(err, text)
	}
	var out strings.Builder
	for i, s := range statements {
		if cmd == "explain" && i == len(statements)-1 {
			plan, err := p.Explain(ctx, s, o)
			if err != nil {
				return rendered(err, text)
			}
			return plan
		}
		r, err := p.Plan(ctx, s, o)
		if err != nil {
			return rendered(err, text)
		}
		if r.Store != nil {
			if err := r.Store(ctx); err != nil {
				return rendered(err, text)
			}
		}
		if cmd == "rows" && r.Kind == planner.Rows {
			out.WriteString(strings.Join(r.Schema.Names(), " | ") + "\n")
			for _, row := range r.Rows {
				parts := make([]string, len(row))
				for i, v := range row {
					if parts[i] = fmt.Sprint(v); v == nil {
						parts[i] = "NULL"
					}
				}
				out.WriteString(strings.Join(parts, " | ") + "\n")
			}
		}
		if cmd == "error" && i == len(statements)-1 {
			return "no error\n"
		}
	}
	if out.Len() == 0 {
		return "ok\n"
	}
	return out.String()
}

func rendered(err error, text string) string {
	var e *sqlerr.Error
	if errors.As(sqlerr.Attach(err, text), &e) {
		return e.Render() + "\n"
	}
	return "error: " + err.Error() + "\n"
}
