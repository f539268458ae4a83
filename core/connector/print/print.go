package print

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// Name is the value of the 'connector' option.
const Name = "print"

// flushBytes is how much text is gathered before it is written.
const flushBytes = 1 << 16

// Connector writes rows as text.
type Connector struct {
	mu       sync.Mutex // held while writing, so that lines stay whole
	out, err io.Writer
}

var (
	_ connector.Connector     = (*Connector)(nil)
	_ connector.OptionChecker = (*Connector)(nil)
	_ connector.ChangelogSink = (*Connector)(nil)
)

// New returns a connector that writes to out, and to err tables with 'standard-error'.
func New(out, err io.Writer) *Connector { return &Connector{out: out, err: err} }

// Name implements connector.Connector.
func (*Connector) Name() string { return Name }

// Accepts implements connector.ChangelogSink.
func (*Connector) Accepts(connector.Table) connector.Changes { return connector.Retractions }

// Describe implements connector.Connector.
func (c *Connector) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	return connector.Description{Schema: t.Schema, Bounded: true}, c.CheckOptions(t)
}

// CheckOptions implements connector.OptionChecker.
func (*Connector) CheckOptions(t connector.Table) error {
	for key, value := range t.Options {
		switch key {
		case "connector", "print-identifier":
		case "standard-error":
			if _, err := strconv.ParseBool(value); err != nil {
				return failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not true or false", t.Name, key, value)
			}
		default:
			return failure.Errorf(failure.InvalidSQL, "table %s: connector %s has no option '%s', only 'print-identifier' and 'standard-error'", t.Name, Name, key)
		}
	}
	return nil
}

// Enumerator implements connector.Connector.
func (*Connector) Enumerator(_ context.Context, s connector.SourceSpec, _ []byte) (connector.Enumerator, error) {
	return nil, writeOnly(s)
}

// Reader implements connector.Connector.
func (*Connector) Reader(_ context.Context, s connector.SourceSpec, _ connector.ReaderEnv) (connector.Reader, error) {
	return nil, writeOnly(s)
}

func writeOnly(s connector.SourceSpec) error {
	return failure.Errorf(failure.InvalidSQL, "table %s: connector %s cannot be read from", s.Table.Name, Name)
}

// Writer implements connector.Connector.
func (c *Connector) Writer(_ context.Context, s connector.SinkSpec, _ connector.WriterEnv) (connector.Writer, error) {
	if err := c.CheckOptions(s.Table); err != nil {
		return nil, err
	}
	w := &writer{c: c, to: c.out, columns: s.Columns, table: s.Table.Name}
	if name := s.Table.Options["print-identifier"]; name != "" {
		w.head = name + "> "
	}
	if is, _ := strconv.ParseBool(s.Table.Options["standard-error"]); is { // it was checked
		w.to = c.err
	}
	return w, nil
}

// Committer implements connector.Connector.
func (*Connector) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return committer{}, nil
}

// writer writes the rows of a subtask.
type writer struct {
	c       *Connector
	to      io.Writer
	table   string
	head    string
	columns datatype.Schema
	text    []byte
	rows    int64
}

// Write implements connector.Writer.
func (w *writer) Write(_ context.Context, b *stream.Batch) error {
	defer b.Release()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.rows += int64(b.Len())
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		w.line(b, row)
		if len(w.text) < flushBytes {
			continue
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.text) == 0 {
		return nil
	}
	_, err := w.to.Write(w.text)
	w.text = w.text[:0]
	if err != nil {
		return fmt.Errorf("print rows of table %s: %w", w.table, err)
	}
	return nil
}

func (w *writer) line(b *stream.Batch, row int) {
	w.text = append(w.text, w.head...)
	w.text = append(w.text, b.Kind(row).String()...)
	w.text = append(w.text, '[')
	for c, f := range w.columns {
		if c > 0 {
			w.text = append(w.text, ", "...)
		}
		column := b.Column(c)
		switch v, isBool := column.(*array.Boolean); {
		case column.IsNull(row):
			w.text = append(w.text, "null"...)
		case isBool: // Flink has these two in small letters
			w.text = strconv.AppendBool(w.text, v.Value(row))
		default:
			w.text = datatype.AppendText(w.text, column, row, f.Type, time.UTC)
		}
	}
	w.text = append(w.text, "]\n"...)
}

// Prepare implements connector.Writer; it tells how many rows were printed.
func (w *writer) Prepare(context.Context) ([]connector.Committable, error) {
	rows := w.rows
	w.rows = 0
	if rows == 0 {
		return nil, nil
	}
	return []connector.Committable{{Rows: rows}}, nil
}

// Snapshot implements connector.Writer.
func (*writer) Snapshot() ([]byte, error) { return nil, nil }

// Close implements connector.Writer.
func (*writer) Close() error { return nil }

// committer has nothing to publish.
type committer struct{}

func (committer) Commit(context.Context, id.Checkpoint, []connector.Committable, bool) error {
	return nil
}
func (committer) Abort(context.Context, []connector.Committable) error { return nil }
func (committer) Close() error                                         { return nil }
