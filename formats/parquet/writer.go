package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// createdBy is what files say wrote them.
const createdBy = "tidemill version 1.0.0"

// writer writes a file. Rows are encoded column by column as
// they come; a row group leaves memory when it is full.
type writer struct {
	out     io.Writer
	schema  datatype.Schema
	opts    writeOptions
	fields  []*writeNode
	columns []columnWriter // leaves, depth first
	scratch *scratch
	indexes []pageIndex // of all chunks written
	rows    int         // in the current row group
	written int64
	meta    format.FileMetaData
	err     error // sticks
	closed  bool
}

var (
	_ formats.Writer  = (*writer)(nil)
	_ formats.Flusher = (*writer)(nil)
)

// columnWriter encodes one leaf of the current row group.
type columnWriter interface {
	// chunk is what notes the leaf's levels, before add gets the values.
	chunk() *chunkWriter
	// room is where a step of flat rows from that one on ends, at the latest at to.
	room(a arrow.Array, from, to int) int
	// add encodes the values of a stretch.
	add(s stretch) error
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

// stepRows is the most slots that a column takes at once.
const stepRows = 8 << 10

func newWriter(out io.Writer, schema datatype.Schema, opts formats.WriteOptions) (*writer, error) {
	parsed, err := parseOptions(opts.Options)
	if err != nil {
		return nil, err
	}
	if err := checkUnique(schema); err != nil {
		return nil, err
	}
	alloc := opts.Alloc
	if alloc == nil {
		alloc = memory.DefaultAllocator
	}
	w := &writer{out: out, schema: schema, opts: parsed, scratch: newScratch(parsed.codec, alloc)}
	w.meta.Version = 2
	w.meta.CreatedBy = createdBy
	b := schemaBuilder{opts: parsed, scratch: w.scratch, alloc: alloc}
	if err := b.build(schema); err != nil {
		return nil, err
	}
	w.meta.Schema, w.fields, w.columns = b.elements, b.fields, b.leaves
	for range w.columns {
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
	w.scratch.release()
	return w.err
}

func (w *writer) add(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(w.fields) {
		return fmt.Errorf("batch has %d columns, the file %d", batch.NumCols(), len(w.fields))
	}
	n := int(batch.NumRows())
	for from := 0; from < n; {
		to := min(n, from+w.opts.rowGroupRows-w.rows)
		for i, f := range w.fields {
			if err := f.add(batch.Column(i), from, to); err != nil {
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
	for _, c := range w.columns {
		meta, err := c.flush(w.out, w.written)
		if err != nil {
			return fmt.Errorf("write column %s: %w", strings.Join(c.chunk().path, "."), err)
		}
		w.written += meta.TotalCompressedSize
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
		w.indexes = append(w.indexes, c.chunk().index.take())
	}
	if err := w.writeFilters(group.Columns); err != nil {
		return err
	}
	w.meta.RowGroups = append(w.meta.RowGroups, group)
	w.meta.NumRows += int64(w.rows)
	w.rows = 0
	return nil
}

// writeFilters writes the bloom filters of the row group.
func (w *writer) writeFilters(chunks []format.ColumnChunk) error {
	for i, c := range w.columns {
		c := c.chunk()
		if !c.filter.wanted {
			continue
		}
		n, err := c.filter.write(w.out)
		if err != nil {
			return fmt.Errorf("write bloom filter of column %s: %w", strings.Join(c.path, "."), err)
		}
		chunks[i].MetaData.BloomFilterOffset, chunks[i].MetaData.BloomFilterLength = w.written, int32(n)
		w.written += int64(n)
	}
	return nil
}

// writeIndexes writes the page index: the bounds of all chunks' pages, then
// where they are.
func (w *writer) writeIndexes() error {
	for i := range w.indexes {
		c := &w.meta.RowGroups[i/len(w.columns)].Columns[i%len(w.columns)]
		index := w.indexes[i].columnIndex(c.MetaData.Type)
		if index == nil {
			continue
		}
		var err error
		if c.ColumnIndexOffset, c.ColumnIndexLength, err = w.marshal(index); err != nil {
			return fmt.Errorf("write column index: %w", err)
		}
	}
	for i := range w.indexes {
		c := &w.meta.RowGroups[i/len(w.columns)].Columns[i%len(w.columns)]
		var err error
		if c.OffsetIndexOffset, c.OffsetIndexLength, err = w.marshal(w.indexes[i].offsets()); err != nil {
			return fmt.Errorf("write offset index: %w", err)
		}
	}
	return nil
}

// marshal writes a Thrift structure and returns where it is.
func (w *writer) marshal(v any) (offset int64, length int32, err error) {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil {
		return 0, 0, err
	}
	offset = w.written
	return offset, int32(len(b)), w.raw(b)
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
	for _, f := range w.fields {
		f.release()
	}
	w.scratch.release()
	w.columns, w.fields, w.indexes = nil, nil, nil
	return w.err
}

func (w *writer) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	if err := w.writeIndexes(); err != nil {
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
	for _, f := range w.fields {
		f.release()
	}
	w.scratch.release()
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
