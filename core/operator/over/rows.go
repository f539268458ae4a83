package over

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
)

// rows are dense batches one after the other, without the first rows of the
// first.
type rows struct {
	share *ledger.Share
	parts []*stream.Batch
	skip  int // rows of parts[0] that are gone
	n     int
}

func (r *rows) add(b *stream.Batch) {
	r.parts = append(r.parts, b)
	r.n += b.Len()
	r.share.Hold(b.Bytes())
}

// drop lets the first n rows go.
func (r *rows) drop(n int) {
	r.n -= n
	r.skip += n
	gone := 0
	for gone < len(r.parts) && r.skip >= r.parts[gone].Len() {
		b := r.parts[gone]
		r.skip -= b.Len()
		r.share.Hold(-b.Bytes())
		b.Release()
		gone++
	}
	r.parts = append(r.parts[:0], r.parts[gone:]...)
}

// each calls do with rows [from, to) part for part; do borrows the record.
func (r *rows) each(from, to int, do func(record arrow.RecordBatch, from, to int) error) error {
	at := -r.skip
	for _, b := range r.parts {
		first, last := max(from, at), min(to, at+b.Len())
		if first < last {
			if err := do(b.Record, first-at, last-at); err != nil {
				return err
			}
		}
		at += b.Len()
	}
	return nil
}

// gather returns some columns of the first n rows.
func (r *rows) gather(mem memory.Allocator, columns []int, n int) (arrow.RecordBatch, error) {
	fields, out := make([]arrow.Field, len(columns)), make([]arrow.Array, len(columns))
	defer func() { compute.ReleaseAll(out) }()
	for i, c := range columns {
		var err error
		if out[i], err = r.column(mem, c, n); err != nil {
			return nil, err
		}
		fields[i] = arrow.Field{Name: r.parts[0].Record.ColumnName(c), Type: out[i].DataType(), Nullable: true}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), out, int64(n)), nil
}

func (r *rows) column(mem memory.Allocator, c, n int) (arrow.Array, error) {
	var pieces []arrow.Array
	defer func() { compute.ReleaseAll(pieces) }()
	_ = r.each(0, n, func(record arrow.RecordBatch, from, to int) error {
		pieces = append(pieces, compute.Slice(record.Column(c), from, to))
		return nil
	})
	if len(pieces) == 1 {
		one := pieces[0]
		pieces = nil
		return one, nil
	}
	return compute.Concat(mem, pieces)
}

// merge makes one part of many small ones.
func (r *rows) merge(mem memory.Allocator) error {
	records := make([]arrow.RecordBatch, len(r.parts))
	for i, b := range r.parts {
		records[i] = b.Record
	}
	all, err := compute.ConcatRecords(mem, records)
	if err != nil {
		return err
	}
	skip := r.skip
	r.release()
	r.add(stream.NewBatch(all))
	r.drop(skip)
	return nil
}

func (r *rows) release() {
	for _, b := range r.parts {
		r.share.Hold(-b.Bytes())
		b.Release()
	}
	r.parts, r.skip, r.n = nil, 0, 0
}

// take hands all rows over to the caller, as batches.
func (r *rows) take() []*stream.Batch {
	parts := r.parts
	for _, b := range parts {
		r.share.Hold(-b.Bytes())
	}
	if r.skip > 0 {
		first := compute.SliceBatch(parts[0], r.skip, parts[0].Len())
		parts[0].Release()
		parts[0] = first
	}
	r.parts, r.skip, r.n = nil, 0, 0
	return parts
}
