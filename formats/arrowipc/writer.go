package arrowipc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// writer passes batches on to arrow-go.
type writer struct {
	out    *countingWriter
	schema datatype.Schema
	arrow  *arrow.Schema
	alloc  memory.Allocator
	ipc    interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	err    error
	closed bool
}

var _ formats.Writer = (*writer)(nil)

type countingWriter struct {
	io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

func newWriter(out io.Writer, schema datatype.Schema, opts formats.WriteOptions) (*writer, error) {
	o, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	w := &writer{out: &countingWriter{Writer: out}, schema: schema, arrow: schema.Arrow(), alloc: opts.Alloc}
	if w.alloc == nil {
		w.alloc = memory.DefaultAllocator
	}
	settings := []ipc.Option{ipc.WithSchema(w.arrow), ipc.WithAllocator(w.alloc)}
	switch o.compression {
	case "lz4":
		settings = append(settings, ipc.WithLZ4())
	case "zstd":
		settings = append(settings, ipc.WithZstd())
	}
	if o.stream {
		w.ipc = ipc.NewWriter(w.out, settings...)
		return w, nil
	}
	if w.ipc, err = ipc.NewFileWriter(w.out, settings...); err != nil {
		return nil, fmt.Errorf("begin Arrow file: %w", err)
	}
	return w, nil
}

// Write implements formats.Writer.
func (w *writer) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed {
		return errors.New("write to a closed Arrow writer")
	}
	if w.err == nil {
		w.err = w.write(batch)
	}
	return w.err
}

// write brings the columns to the file's plain types.
func (w *writer) write(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(w.schema) {
		return fmt.Errorf("batch has %d columns, the file %d", batch.NumCols(), len(w.schema))
	}
	columns := make([]arrow.Array, 0, len(w.schema))
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for i, c := range batch.Columns() {
		f := w.schema[i]
		if !f.Type.Nullable && c.NullN() > 0 {
			return fmt.Errorf("column %s: null in a column declared NOT NULL", f.Name)
		}
		plain, err := w.plain(c, f.Type)
		if err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
		columns = append(columns, plain)
	}
	plain := array.NewRecordBatch(w.arrow, columns, batch.NumRows())
	defer plain.Release()
	return w.ipc.Write(plain)
}

func (w *writer) plain(c arrow.Array, t datatype.Type) (arrow.Array, error) {
	if d, ok := c.(*array.Dictionary); ok {
		return decode(d, t, w.alloc)
	}
	if !arrow.TypeEqual(c.DataType(), t.Arrow()) {
		return nil, fmt.Errorf("batch has %s where %s belongs", c.DataType(), t.Arrow())
	}
	c.Retain()
	return c, nil
}

// Close implements formats.Writer.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if err := w.ipc.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}

// Bytes implements formats.Writer.
func (w *writer) Bytes() int64 { return w.out.n }
