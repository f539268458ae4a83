package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// writer formats each column of a batch, then puts the rows together.
type writer struct {
	dialect
	out        io.Writer
	schema     datatype.Schema
	formatters []cells.Formatter
	line       []byte // rows not written yet
	written    int64
	begun      bool
	closed     bool
	err        error
}

var _ formats.Writer = (*writer)(nil)

func newWriter(out io.Writer, schema datatype.Schema, opts formats.WriteOptions) (*writer, error) {
	d, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	w := &writer{dialect: d, out: out, schema: schema, formatters: make([]cells.Formatter, len(schema))}
	for i, f := range schema {
		if !cells.Supported(f.Type) {
			return nil, failure.Errorf(failure.Usage, "column %s: writing %s to CSV is not supported", f.Name, f.Type)
		}
		w.formatters[i].Type = f.Type
	}
	return w, nil
}

// Write implements formats.Writer.
func (w *writer) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed {
		return errors.New("write to a closed CSV writer")
	}
	if w.err == nil {
		w.err = w.write(batch)
	}
	return w.err
}

func (w *writer) write(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(w.schema) {
		return fmt.Errorf("batch has %d columns, the file %d", batch.NumCols(), len(w.schema))
	}
	w.header()
	texts := make([]cells.Text, len(w.schema))
	for i := range texts {
		var err error
		if texts[i], err = w.formatters[i].Format(batch.Column(i)); err != nil {
			return fmt.Errorf("column %s: %w", w.schema[i].Name, err)
		}
	}
	columns := batch.Columns()
	for row := range int(batch.NumRows()) {
		for i, c := range columns {
			if i > 0 {
				w.line = append(w.line, w.delimiter)
			}
			if cells.IsNull(c, row) {
				w.line = append(w.line, w.nullLiteral...)
				continue
			}
			w.field(texts[i].At(row))
		}
		w.line = append(w.line, '\n')
	}
	return w.flush()
}

func (w *writer) header() {
	if w.begun {
		return
	}
	w.begun = true
	if w.dialect.header == headerAbsent {
		return
	}
	for i, f := range w.schema {
		if i > 0 {
			w.line = append(w.line, w.delimiter)
		}
		w.field([]byte(f.Name))
	}
	w.line = append(w.line, '\n')
}

// field appends a value, in quotes where it would be read as something else.
func (w *writer) field(text []byte) {
	if !w.quoting || !w.needsQuotes(text) {
		w.line = append(w.line, text...)
		return
	}
	w.line = append(w.line, w.quote)
	for {
		i := bytes.IndexByte(text, w.quote)
		if i < 0 {
			break
		}
		w.line = append(append(w.line, text[:i+1]...), w.quote)
		text = text[i+1:]
	}
	w.line = append(append(w.line, text...), w.quote)
}

func (w *writer) needsQuotes(text []byte) bool {
	if len(text) == 0 || w.hasNull && string(text) == w.nullLiteral || w.comments && text[0] == '#' {
		return true
	}
	for _, c := range text {
		if c == w.delimiter || c == w.quote || c == '\n' || c == '\r' {
			return true
		}
	}
	return false
}

func (w *writer) flush() error {
	n, err := w.out.Write(w.line)
	w.written += int64(n)
	w.line = w.line[:0]
	return err
}

// Close implements formats.Writer.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.err == nil {
		w.header()
		w.err = w.flush()
	}
	return w.err
}

// Bytes implements formats.Writer.
func (w *writer) Bytes() int64 { return w.written }
