package over

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// partition is one that goes to a file.
type partition struct {
	writer *spill.Writer
	file   *spill.File
	last   arrow.RecordBatch // its last row so far
}

// spillPartition computes what is complete and puts the last partition, which is
// not, into a file.
func (o *Over) spillPartition() error {
	if err := o.complete(); err != nil {
		return err
	}
	if o.kept.n == 0 {
		return nil
	}
	if err := o.open(o.kept.parts[0].Record); err != nil {
		return err
	}
	if err := o.kept.each(0, o.kept.n, o.spill); err != nil {
		return err
	}
	o.kept.release()
	o.forget(0)
	return nil
}

// open begins a partition in a file, of rows like those of record.
func (o *Over) open(record arrow.RecordBatch) error {
	o.unreserve()
	w, err := o.ctx.Spill.Create("partition", compute.DecodedSchema(record.Schema()))
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	o.spilled = &partition{writer: w}
	return nil
}

// again takes the rows that are kept as if they were new, the first of their
// partitions through a file: memory does not suffice to compute them at a time.
func (o *Over) again() error {
	parts := o.kept.take()
	defer func() {
		for _, b := range parts {
			b.Release()
		}
	}()
	first := parts[0].Record
	if err := o.open(first); err != nil {
		return err
	}
	if err := o.spill(first, 0, 1); err != nil {
		return err
	}
	rest := compute.SliceBatch(parts[0], 1, parts[0].Len())
	parts[0].Release()
	parts[0] = rest
	for len(parts) > 0 {
		b := parts[0]
		parts = parts[1:]
		if err := o.keepWhole(b); err != nil {
			return err
		}
	}
	return nil
}

// spill adds rows of a record to the partition in a file.
func (o *Over) spill(record arrow.RecordBatch, from, to int) (err error) {
	defer ledger.Recover(&err)
	some := record.NewSlice(int64(from), int64(to))
	defer some.Release()
	if err := o.spilled.writer.Append(some); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	if err := o.note(some); err != nil {
		return err
	}
	last, err := compute.TakeRecord(o.ctx.Alloc, record, []int32{int32(to) - 1})
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	if o.spilled.last != nil {
		o.spilled.last.Release()
	}
	o.spilled.last = last
	return nil
}

// note shows a batch of the partition to the columns.
func (o *Over) note(record arrow.RecordBatch) error {
	columns := make([]arrow.Array, len(o.needed))
	fields := make([]arrow.Field, len(o.needed))
	for i, c := range o.needed {
		columns[i] = record.Column(c)
		fields[i] = arrow.Field{Name: record.ColumnName(c), Type: columns[i].DataType(), Nullable: true}
	}
	needed := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, record.NumRows())
	defer needed.Release()
	for i, c := range o.columns {
		if f, ok := c.(foreteller); ok {
			if err := f.note(needed); err != nil {
				return fmt.Errorf("over: %s: %w", o.names[i], err)
			}
		}
	}
	return nil
}

// appendSpilled adds the rows of b that belong to the partition in a file. If
// others follow, that one is complete, and they are returned.
func (o *Over) appendSpilled(b *stream.Batch) (*stream.Batch, error) {
	defer b.Release()
	n, err := o.sameAsSpilled(b.Record)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		if err := o.spill(b.Record, 0, n); err != nil {
			return nil, err
		}
	}
	if n == b.Len() {
		return nil, nil
	}
	if err := o.replay(); err != nil {
		return nil, err
	}
	return compute.SliceBatch(b, n, b.Len()), nil
}

// sameAsSpilled is how many rows of record belong to the partition in a file.
func (o *Over) sameAsSpilled(record arrow.RecordBatch) (int, error) {
	same, err := rowsort.Comparers(o.spilled.last, record, o.partition)
	if err != nil {
		return 0, fmt.Errorf("over: %w", err)
	}
	n := 0
	for n < int(record.NumRows()) && rowsort.Compare(same, 0, n) == 0 {
		n++
	}
	return n, nil
}

// replay computes the partition in a file, which is complete.
func (o *Over) replay() (err error) {
	p := o.spilled
	if p.file, err = p.writer.Finish(); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	if err := o.foresee(); err != nil {
		return err
	}
	r, err := p.file.Open(o.ctx.Alloc)
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	defer r.Close()
	f := &foresight{rows: p.file.Rows()}
	for read := int64(0); read < f.rows; {
		rec, err := o.read(r)
		if err != nil {
			return fmt.Errorf("over: read a partition back: %w", err)
		}
		f.chunks++
		read += rec.NumRows()
		o.kept.add(stream.NewBatch(rec))
		if read < f.rows && o.kept.n < o.next {
			continue
		}
		if _, err := o.section(o.kept.n, read < f.rows, f); err != nil {
			return err
		}
	}
	for _, c := range o.columns {
		if f, ok := c.(foreteller); ok {
			f.forget()
		}
	}
	o.spilled = nil
	return p.remove()
}

func (o *Over) read(r *spill.Reader) (rec arrow.RecordBatch, err error) {
	defer ledger.Recover(&err)
	rec, err = r.Next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return rec, err
}

func (o *Over) foresee() (err error) {
	defer ledger.Recover(&err)
	for i, c := range o.columns {
		if f, ok := c.(foreteller); ok {
			if err := f.foresee(); err != nil {
				return fmt.Errorf("over: %s: %w", o.names[i], err)
			}
		}
	}
	return nil
}

// remove frees what is left of a partition; a nil one has nothing.
func (p *partition) remove() error {
	if p == nil {
		return nil
	}
	if p.last != nil {
		p.last.Release()
		p.last = nil
	}
	p.writer.Abort()
	if p.file == nil {
		return nil
	}
	if err := p.file.Remove(); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	return nil
}
