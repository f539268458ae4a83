// Package render prints result rows for the command line: as a table for people,
// as Markdown, or in one of the engine's file formats.
package render

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/formats"
)

// Printer takes the batches of one result. Batch does not keep what it is given.
type Printer interface {
	// Batch prints rows; streaming results appear at once.
	Batch(ctx context.Context, b *stream.Batch) error
	// Close prints what is left.
	Close() error
}

// Options of a printer.
type Options struct {
	// Format is one of Formats.
	Format string
	// Live prints each batch at once instead of waiting for column widths: for
	// results that do not end.
	Live bool
	// Changelog adds the row kind as the first column.
	Changelog bool
	// Verbatim prints texts with their lines instead of a table around them: for
	// plans.
	Verbatim bool
	// Screen has the table that changes make drawn on it, instead of the changes; nil: they
	// go to what New is given.
	Screen *Screen
	// Zone is that of TIMESTAMP_LTZ in tables; nil means UTC.
	Zone *time.Location
}

// fileFormats maps the names of the command line to those of the registry.
var fileFormats = map[string]string{"csv": "csv", "json": "json", "ndjson": "json", "arrow": "arrow", "parquet": "parquet"}

// Formats lists the values of Options.Format.
func Formats() []string { return []string{"table", "csv", "json", "ndjson", "arrow", "parquet", "md"} }

// New returns a printer of rows of schema to out.
func New(out io.Writer, schema datatype.Schema, registry *formats.Registry, o Options) (Printer, error) {
	if o.Changelog && o.Screen != nil && o.Format == "table" && !o.Verbatim {
		return newView(schema, o), nil
	}
	if o.Changelog {
		o.Changelog = false
		inner, err := New(out, append(datatype.Schema{{Name: "op", Type: datatype.Of(datatype.Char).NotNull()}}, schema...), registry, o)
		if err != nil {
			return nil, err
		}
		return &changes{inner}, nil
	}
	switch o.Format {
	case "", "table":
		if o.Verbatim {
			return &verbatim{out: out, schema: schema}, nil
		}
		return newTable(out, schema, o), nil
	case "md":
		return &markdown{out: out, schema: schema, zone: o.Zone}, nil
	}
	name, ok := fileFormats[o.Format]
	if !ok {
		return nil, failure.Errorf(failure.Usage, "output format %q is not one of %s", o.Format, strings.Join(Formats(), ", "))
	}
	format, err := registry.Lookup(name)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "output format %s: %w", o.Format, err)
	}
	var whole *jsonArray
	if o.Format == "json" {
		whole = &jsonArray{out: out}
		out = whole
	}
	w, err := format.NewWriter(out, schema, formats.WriteOptions{Options: formats.Options{}})
	if err != nil {
		return nil, err
	}
	if whole != nil {
		w = arrayWriter{w, whole}
	}
	return &file{out: w}, nil
}

// file prints through a file format's writer.
type file struct{ out formats.Writer }

func (f *file) Batch(ctx context.Context, b *stream.Batch) error {
	record, err := compute.TakeRecord(memory.DefaultAllocator, b.Record, b.Sel)
	if err != nil {
		return err
	}
	defer record.Release()
	return f.out.Write(ctx, record)
}

func (f *file) Close() error { return f.out.Close() }

// cells calls visit with the text of each selected row.
func cells(b *stream.Batch, schema datatype.Schema, zone *time.Location, visit func(row []string)) {
	columns := make([]arrow.Array, len(schema))
	for i := range columns {
		columns[i] = b.Column(i)
	}
	row := make([]string, len(schema))
	var text []byte
	one := func(r int) {
		for i, c := range columns {
			text = datatype.AppendText(text[:0], c, r, schema[i].Type, zone)
			row[i] = string(text)
		}
		visit(row)
	}
	if b.Sel != nil {
		for _, r := range b.Sel {
			one(int(r))
		}
		return
	}
	for r := range b.PhysicalRows() {
		one(r)
	}
}

// verbatim prints texts.
type verbatim struct {
	out    io.Writer
	schema datatype.Schema
}

func (v *verbatim) Batch(_ context.Context, batch *stream.Batch) error {
	var b strings.Builder
	cells(batch, v.schema, nil, func(row []string) {
		for _, c := range row {
			for line := range strings.Lines(c) {
				b.WriteString(strings.Map(visible, strings.TrimSuffix(line, "\n")) + "\n")
			}
		}
	})
	_, err := io.WriteString(v.out, b.String())
	return err
}

func (v *verbatim) Close() error { return nil }

// markdown prints a pipe table.
type markdown struct {
	out    io.Writer
	schema datatype.Schema
	zone   *time.Location
	begun  bool
}

func (m *markdown) begin() error {
	if m.begun {
		return nil
	}
	m.begun = true
	var b strings.Builder
	for _, f := range m.schema {
		b.WriteString("| " + escapePipes(f.Name) + " ")
	}
	b.WriteString("|\n")
	for _, f := range m.schema {
		if rightAligned(f.Type) {
			b.WriteString("|---:")
		} else {
			b.WriteString("|---")
		}
	}
	_, err := io.WriteString(m.out, b.String()+"|\n")
	return err
}

func (m *markdown) Batch(_ context.Context, batch *stream.Batch) error {
	if err := m.begin(); err != nil {
		return err
	}
	var b strings.Builder
	cells(batch, m.schema, m.zone, func(row []string) {
		for _, c := range row {
			b.WriteString("| " + escapePipes(c) + " ")
		}
		b.WriteString("|\n")
	})
	_, err := io.WriteString(m.out, b.String())
	return err
}

func (m *markdown) Close() error { return m.begin() }

func escapePipes(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

func rightAligned(t datatype.Type) bool { return t.IsNumeric() }
