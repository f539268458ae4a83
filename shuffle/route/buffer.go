package route

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/stream"
)

// buffer holds a partition's rows: batches that came as they are, then rows that
// are being gathered.
type buffer struct {
	pieces []*stream.Batch // without selections
	open   gather          // what comes after them
	rows   int
	bytes  int64
}

// addBatch appends a batch, which it owns.
func (f *buffer) addBatch(b *stream.Batch) {
	f.seal()
	f.pieces = append(f.pieces, b)
	f.rows += b.Len()
	f.bytes += b.Bytes()
}

// addRows appends some rows of b, which are about so many bytes on average; longer
// ones may all be of one partition.
func (f *buffer) addRows(mem memory.Allocator, b *stream.Batch, rows []int32, bytes int64) {
	if s := b.Record.Schema(); f.open.schema != s && f.open.rows > 0 && !f.open.schema.Equal(s) {
		f.seal() // another encoding
	}
	f.bytes += max(bytes, f.open.add(mem, b, rows))
	f.rows += len(rows)
}

func (f *buffer) seal() {
	if b := f.open.take(); b != nil {
		f.pieces = append(f.pieces, b)
	}
}

// take returns what was added as one batch and empties the buffer; nil when
// there is nothing.
func (f *buffer) take(mem memory.Allocator) (*stream.Batch, error) {
	f.seal()
	if len(f.pieces) == 0 {
		return nil, nil
	}
	if len(f.pieces) == 1 {
		b := f.pieces[0]
		f.pieces[0] = nil
		f.release()
		return b, nil
	}
	defer f.release()
	records := make([]arrow.RecordBatch, len(f.pieces))
	kinds := false
	for i, b := range f.pieces {
		records[i] = b.Record
		kinds = kinds || b.Kinds != nil
	}
	joined, err := compute.ConcatRecords(mem, records)
	if err != nil {
		return nil, fmt.Errorf("gather %d rows: %w", f.rows, err)
	}
	b := stream.NewBatch(joined)
	if kinds {
		b.Kinds = make([]stream.RowKind, 0, f.rows)
		for _, piece := range f.pieces {
			for i := range piece.Len() {
				b.Kinds = append(b.Kinds, piece.Kind(i))
			}
		}
	}
	return b, nil
}

func (f *buffer) release() {
	for _, b := range f.pieces {
		if b != nil {
			b.Release()
		}
	}
	f.open.release()
	f.pieces, f.rows, f.bytes = f.pieces[:0], 0, 0
}
