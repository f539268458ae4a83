package json

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// writer formats each column of a batch, then puts the lines together.
type writer struct {
	out     io.Writer
	schema  datatype.Schema
	keys    [][]byte // "name": with what stands before it
	columns []*writeColumn
	line    []byte
	written int64
	closed  bool
	err     error
}

var _ formats.Writer = (*writer)(nil)

func newWriter(out io.Writer, schema datatype.Schema, opts formats.WriteOptions) (*writer, error) {
	o, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	w := &writer{out: out, schema: schema}
	for i, f := range schema {
		c, err := newWriteColumn(f.Type, o.iso)
		if err != nil {
			return nil, failure.Errorf(failure.Usage, "column %s: %w", f.Name, err)
		}
		w.columns = append(w.columns, c)
		w.keys = append(w.keys, keyOf(i, f.Name))
	}
	return w, nil
}

func keyOf(i int, name string) []byte {
	before := byte(',')
	if i == 0 {
		before = '{'
	}
	return append(appendString([]byte{before}, []byte(name)), ':')
}

// Write implements formats.Writer.
func (w *writer) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed {
		return errors.New("write to a closed JSON writer")
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
	for i, c := range w.columns {
		if err := c.load(batch.Column(i)); err != nil {
			return fmt.Errorf("column %s: %w", w.schema[i].Name, err)
		}
	}
	for row := range int(batch.NumRows()) {
		if len(w.columns) == 0 {
			w.line = append(w.line, '{')
		}
		for i, c := range w.columns {
			w.line = c.append(append(w.line, w.keys[i]...), row)
		}
		w.line = append(w.line, '}', '\n')
	}
	n, err := w.out.Write(w.line)
	w.written += int64(n)
	w.line = w.line[:0]
	return err
}

// Close implements formats.Writer.
func (w *writer) Close() error {
	w.closed = true
	return w.err
}

// Bytes implements formats.Writer.
func (w *writer) Bytes() int64 { return w.written }

// writeColumn writes the values of one column, or of one inner type.
type writeColumn struct {
	typ       datatype.Type
	formatter cells.Formatter
	quoted    bool // the type's text stands in quotes
	keys      [][]byte
	children  []*writeColumn
	array     arrow.Array
	text      cells.Text
}

func newWriteColumn(t datatype.Type, iso bool) (*writeColumn, error) {
	c := &writeColumn{typ: t, formatter: cells.Formatter{Type: t, ISO: iso}, quoted: !t.IsNumeric() && t.Kind != datatype.Boolean}
	var inner []datatype.Type
	switch t.Kind {
	case datatype.Array:
		inner = []datatype.Type{*t.Elem}
	case datatype.Map:
		if !t.Key.IsString() {
			return nil, fmt.Errorf("writing %s to JSON is not supported: keys are strings", t)
		}
		inner = []datatype.Type{*t.Key, *t.Elem}
	case datatype.Row:
		for i, f := range t.Fields {
			inner = append(inner, f.Type)
			c.keys = append(c.keys, keyOf(i, f.Name))
		}
	default:
		if !cells.Supported(t) {
			return nil, fmt.Errorf("writing %s to JSON is not supported", t)
		}
	}
	for _, t := range inner {
		child, err := newWriteColumn(t, iso)
		if err != nil {
			return nil, err
		}
		c.children = append(c.children, child)
	}
	return c, nil
}

// load takes the array whose rows append writes.
func (c *writeColumn) load(a arrow.Array) (err error) {
	c.array = a
	var inner []arrow.Array
	switch a := a.(type) {
	case *array.Map:
		inner = []arrow.Array{a.Keys(), a.Items()}
	case *array.List:
		inner = []arrow.Array{a.ListValues()}
	case *array.Struct:
		for i := range a.NumField() {
			inner = append(inner, a.Field(i))
		}
	default:
		c.text, err = c.formatter.Format(a)
		return err
	}
	if len(inner) != len(c.children) {
		return fmt.Errorf("batch has %s where %s belongs", a.DataType(), c.typ)
	}
	for i, child := range c.children {
		if err := child.load(inner[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *writeColumn) append(dst []byte, row int) []byte {
	if cells.IsNull(c.array, row) {
		return append(dst, "null"...)
	}
	switch a := c.array.(type) {
	case *array.Map:
		return c.appendMap(dst, a, row)
	case *array.List:
		dst = append(dst, '[')
		from, to := a.ValueOffsets(row)
		for i := from; i < to; i++ {
			if i > from {
				dst = append(dst, ',')
			}
			dst = c.children[0].append(dst, int(i))
		}
		return append(dst, ']')
	case *array.Struct:
		if len(c.children) == 0 {
			dst = append(dst, '{')
		}
		for i, child := range c.children {
			dst = child.append(append(dst, c.keys[i]...), row)
		}
		return append(dst, '}')
	}
	text := c.text.At(row)
	if c.quoted || len(text) > 0 && text[len(text)-1] > '9' && c.typ.Is(datatype.Float, datatype.Double) {
		return appendString(dst, text) // infinity and NaN are no JSON numbers
	}
	return append(dst, text...)
}

func (c *writeColumn) appendMap(dst []byte, a *array.Map, row int) []byte {
	dst = append(dst, '{')
	from, to := a.ValueOffsets(row)
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = append(c.children[0].append(dst, int(i)), ':')
		dst = c.children[1].append(dst, int(i))
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// appendString writes text as a JSON string; bytes that are not UTF-8 become
// the replacement character, as JSON has no other way.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	if !utf8.Valid(text) {
		text = []byte(string([]rune(string(text))))
	}
	plain := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, text[plain:]...), '"')
}
