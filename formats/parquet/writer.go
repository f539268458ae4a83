package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// createdBy is what files say wrote them.
const createdBy = "tidemill version 1.0.0"

// writer writes a file of flat columns. Rows are encoded column by column as
// they come; a row group leaves memory when it is full.
type writer struct {
	out     io.Writer
	schema  datatype.Schema
	opts    writeOptions
	columns []columnWriter
	rows    int // in the current row group
	written int64
	meta    format.FileMetaData
	err     error // sticks
	closed  bool
}

var (
	_ formats.Writer  = (*writer)(nil)
	_ formats.Flusher = (*writer)(nil)
)

// columnWriter encodes one column of the current row group.
type columnWriter interface {
	// add encodes rows [from, to) of the array.
	add(a arrow.Array, from, to int) error
	// size is about how many bytes flush would write.
	size() int
	// held is how many bytes of memory the rows not flushed take.
	held() int
	// shrink gives up what flush keeps for the next row group.
	shrink()
	// release frees what is charged to the allocator.
	release()
	// flush writes the column's chunk, its pages beginning at offset, and
	// begins a new one.
	flush(w io.Writer, offset int64) (format.ColumnMetaData, error)
}

func newWriter(out io.Writer, schema datatype.Schema, opts formats.WriteOptions) (*writer, error) {
	parsed, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	if err := checkUnique(schema); err != nil {
		return nil, err
	}
	w := &writer{out: out, schema: schema, opts: parsed}
	if w.meta.Schema, err = schemaElements(schema); err != nil {
		return nil, err
	}
	w.meta.Version = 2
	w.meta.CreatedBy = createdBy
	compressor, alloc := newCompressor(parsed.codec), opts.Alloc
	if alloc == nil {
		alloc = memory.DefaultAllocator
	}
	for i, f := range schema {
		w.columns = append(w.columns, newColumnWriter(f, w.meta.Schema[i+1].Type.V, compressor, parsed.dictionary, alloc))
		w.meta.ColumnOrders = append(w.meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	return w, nil
}

// Write implements formats.Writer.
func (w *writer) Write(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed {
		return errors.New("write to a closed Parquet writer")
	}
	if w.err == nil {
		w.err = w.add(batch)
	}
	return w.err
}

func (w *writer) add(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(w.columns) {
		return fmt.Errorf("batch has %d columns, the file %d", batch.NumCols(), len(w.columns))
	}
	n := int(batch.NumRows())
	for from := 0; from < n; {
		to := min(n, from+w.opts.rowGroupRows-w.rows)
		for i, c := range w.columns {
			if err := c.add(batch.Column(i), from, to); err != nil {
				return fmt.Errorf("column %s: %w", w.schema[i].Name, err)
			}
		}
		w.rows += to - from
		from = to
		if w.rows == w.opts.rowGroupRows {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) raw(p []byte) error {
	n, err := w.out.Write(p)
	w.written += int64(n)
	return err
}

func (w *writer) begin() error {
	if w.written > 0 {
		return nil
	}
	return w.raw([]byte(magic))
}

// flush writes the current row group.
func (w *writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	group := format.RowGroup{NumRows: int64(w.rows), FileOffset: w.written, Ordinal: int16(len(w.meta.RowGroups))}
	for i, c := range w.columns {
		meta, err := c.flush(w.out, w.written)
		if err != nil {
			return fmt.Errorf("write column %s: %w", w.schema[i].Name, err)
		}
		meta.PathInSchema = []string{w.schema[i].Name}
		meta.NumValues = int64(w.rows)
		w.written += meta.TotalCompressedSize
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
	}
	w.meta.RowGroups = append(w.meta.RowGroups, group)
	w.meta.NumRows += int64(w.rows)
	w.rows = 0
	return nil
}

// Close implements formats.Writer.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.err == nil {
		w.err = w.finish()
	}
	for _, c := range w.columns {
		c.release()
	}
	w.columns = nil
	return w.err
}

func (w *writer) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &w.meta)
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return w.raw(append(footer, magic...))
}

// Buffered implements formats.Flusher.
func (w *writer) Buffered() (n int64) {
	for _, c := range w.columns {
		n += int64(c.held())
	}
	return n
}

// Flush implements formats.Flusher: it ends the row group.
func (w *writer) Flush() error {
	if w.closed || w.err != nil {
		return w.err
	}
	w.err = w.flush()
	for _, c := range w.columns {
		c.shrink()
	}
	return w.err
}

// Bytes implements formats.Writer.
func (w *writer) Bytes() int64 {
	n := w.written
	for _, c := range w.columns {
		n += int64(c.size())
	}
	return n
}
