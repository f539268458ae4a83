package spill

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
)

// A frame is a header (magic, rows, bytes of meta, bytes of body), meta, body and
// a checksum of all three.
const (
	magic       = 0x31534d54
	headerBytes = 20
	sumBytes    = 4
)

// BufferBytes is what a Writer holds in memory until it is finished. It is not
// charged to anybody: that is its owner's to do.
const BufferBytes = 32 << 10

// castagnoli is the table of a polynomial that processors compute.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Writer writes one file.
type Writer struct {
	f     *File
	out   *bufio.Writer
	table *crc32.Table
	sum   uint32
	shape shape
	err   error
	ended bool
}

func newWriter(f *File) *Writer {
	return &Writer{f: f, out: bufio.NewWriterSize(f.file, BufferBytes), table: castagnoli()}
}

// Rows is the number of rows that were appended.
func (w *Writer) Rows() int64 { return w.f.rows }

// Append adds a batch, which stays the caller's. Columns may be dictionary-encoded
// where the schema says plain. After an error the writer is only to be aborted.
func (w *Writer) Append(rec arrow.RecordBatch) error {
	if w.err == nil {
		w.err = w.append(rec)
	}
	return w.err
}

func (w *Writer) append(rec arrow.RecordBatch) error {
	w.shape.reset()
	for i, c := range rec.Columns() {
		if err := w.column(c, w.f.schema.Field(i).Type); err != nil {
			return w.f.failed("encode", err)
		}
	}
	if len(w.shape.meta)%padding != 0 { // the body is aligned in the file as in memory
		w.shape.meta = append(w.shape.meta, make([]byte, padding-len(w.shape.meta)%padding)...)
	}
	size := int64(headerBytes + len(w.shape.meta) + w.shape.bytes + sumBytes)
	if err := w.f.space.dir.Reserve(size); err != nil {
		return w.f.failed("write", err)
	}
	w.f.bytes += size
	w.f.rows += rec.NumRows()
	w.f.space.wrote(size)
	if err := w.frame(rec.NumRows()); err != nil {
		return w.f.failed("write", err)
	}
	return nil
}

// column adds a column with the kind of index it has: zero is none.
func (w *Writer) column(c arrow.Array, want arrow.DataType) error {
	d, encoded := c.(*array.Dictionary)
	if !encoded || want.ID() == arrow.DICTIONARY {
		w.shape.number(0)
		w.shape.column(c.Data(), c.Data().Offset(), c.Len())
		return nil
	}
	if d.Dictionary().Len() > 2*d.Len() {
		plain, err := compute.Decode(memory.DefaultAllocator, c)
		if err != nil {
			return err
		}
		defer plain.Release()
		return w.column(plain, want)
	}
	w.shape.number(int(d.DataType().(*arrow.DictionaryType).IndexType.ID()))
	w.shape.column(c.Data(), c.Data().Offset(), c.Len())
	return nil
}

func (w *Writer) frame(rows int64) error {
	var header [headerBytes]byte
	binary.LittleEndian.PutUint32(header[0:], magic)
	binary.LittleEndian.PutUint32(header[4:], uint32(rows))
	binary.LittleEndian.PutUint32(header[8:], uint32(len(w.shape.meta)))
	binary.LittleEndian.PutUint64(header[12:], uint64(w.shape.bytes))
	w.sum = 0
	if err := errors.Join(w.write(header[:]), w.write(w.shape.meta)); err != nil {
		return err
	}
	var zero [padding]byte
	for _, b := range w.shape.buffers {
		if err := w.write(b); err != nil {
			return err
		}
		if err := w.write(zero[:padded(len(b))-len(b)]); err != nil {
			return err
		}
	}
	return w.write(binary.LittleEndian.AppendUint32(nil, w.sum))
}

func (w *Writer) write(b []byte) error {
	w.sum = crc32.Update(w.sum, w.table, b)
	_, err := w.out.Write(b)
	return err
}

// Finish ends the file. After an error it is gone.
func (w *Writer) Finish() (*File, error) {
	if w.err == nil {
		w.err = failpoint.Hit(failpoint.SpillWrite)
	}
	if w.err == nil {
		if err := w.out.Flush(); err != nil {
			w.err = w.f.failed("write", err)
		}
	}
	if w.err != nil {
		w.Abort()
		return nil, w.err
	}
	w.ended, w.out = true, nil
	return w.f, nil
}

// Abort throws away what was written; after Finish it does nothing.
func (w *Writer) Abort() {
	if !w.ended {
		w.ended = true
		_ = w.f.Remove() // whatever stays goes with the directory
	}
}

// Reader reads a file once, front to back.
type Reader struct {
	f     *File
	alloc memory.Allocator
	table *crc32.Table
	at    int64
	rows  int64
}

// Open begins to read the file; batches are allocated from alloc.
func (f *File) Open(alloc memory.Allocator) (*Reader, error) {
	return &Reader{f: f, alloc: alloc, table: castagnoli()}, nil
}

// Next returns the next batch, which the caller releases, or io.EOF. Columns come
// encoded as they were written.
func (r *Reader) Next() (arrow.RecordBatch, error) {
	if r.at == r.f.bytes {
		return nil, io.EOF
	}
	rec, err := r.next()
	if err != nil {
		return nil, r.f.failed("read", err)
	}
	r.rows += rec.NumRows()
	return rec, nil
}

// Close ends reading; batches stay valid.
func (r *Reader) Close() { r.at = r.f.bytes }

func damaged(what string) error {
	return failure.Errorf(failure.Transient, "damaged: %s", what)
}

func (r *Reader) next() (arrow.RecordBatch, error) {
	var header [headerBytes]byte
	if err := r.read(header[:]); err != nil {
		return nil, err
	}
	rows, metaBytes := binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[8:])
	bodyBytes := binary.LittleEndian.Uint64(header[12:])
	left := uint64(r.f.bytes - r.at)
	if binary.LittleEndian.Uint32(header[:]) != magic || uint64(metaBytes)+sumBytes > left || bodyBytes > left-uint64(metaBytes)-sumBytes {
		return nil, damaged("no frame where one begins")
	}
	body := memory.NewResizableBuffer(r.alloc)
	defer body.Release()
	body.Resize(int(bodyBytes))
	meta := make([]byte, metaBytes)
	var sum [sumBytes]byte
	for _, b := range [][]byte{meta, body.Bytes(), sum[:]} {
		if err := r.read(b); err != nil {
			return nil, err
		}
	}
	have := crc32.Update(crc32.Update(crc32.Update(0, r.table, header[:]), r.table, meta), r.table, body.Bytes())
	if have != binary.LittleEndian.Uint32(sum[:]) {
		return nil, damaged("the checksum differs")
	}
	return r.f.record(&parser{meta: meta, body: body}, int64(rows))
}

// read fills b with what follows.
func (r *Reader) read(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := r.f.file.ReadAt(b, r.at)
	if n == len(b) {
		r.at += int64(n)
		return nil
	}
	if errors.Is(err, io.EOF) {
		return damaged("it ends too early")
	}
	return err
}

// record makes a batch of a frame's columns.
func (f *File) record(p *parser, rows int64) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, 0, f.schema.NumFields())
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	schema := f.schema
	var fields []arrow.Field
	for i := range f.schema.NumFields() {
		t := f.schema.Field(i).Type
		if index := arrow.Type(p.number()); index != 0 {
			it, err := indexType(index)
			if err != nil {
				return nil, err
			}
			t = &arrow.DictionaryType{IndexType: it, ValueType: t}
			if fields == nil {
				fields = f.schema.Fields()
			}
			fields[i].Type = t
		}
		d := p.column(t)
		if d == nil || int64(d.Len()) != rows {
			if d != nil {
				d.Release()
			}
			return nil, damaged("its columns make no sense")
		}
		columns = append(columns, array.MakeFromData(d))
		d.Release()
	}
	if fields != nil {
		schema = arrow.NewSchema(fields, nil)
	}
	return array.NewRecordBatch(schema, columns, rows), nil
}

func indexType(t arrow.Type) (arrow.DataType, error) {
	for _, it := range []arrow.DataType{
		arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int64,
		arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64,
	} {
		if it.ID() == t {
			return it, nil
		}
	}
	return nil, damaged("an index type that is none")
}
