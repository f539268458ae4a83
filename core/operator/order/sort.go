package order

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
)

// Sort is the operator of a jobgraph.Sort.
type Sort struct {
	keys []rowsort.Key
	ctx  *operator.Context
	kept []*stream.Batch
}

// NewSort returns the operator that spec describes.
func NewSort(spec *jobgraph.Sort, in datatype.Schema) (operator.Operator, error) {
	keys, err := SortKeys(spec.Keys, in)
	return &Sort{keys: keys}, err
}

// SortKeys reads the sort keys of rows of in.
func SortKeys(spec []*jobgraph.SortKey, in datatype.Schema) ([]rowsort.Key, error) {
	keys := make([]rowsort.Key, len(spec))
	for i, k := range spec {
		if int(k.Column) >= len(in) {
			return nil, fmt.Errorf("sort: key column %d of %d", k.Column, len(in))
		}
		keys[i] = rowsort.Key{Column: int(k.Column), Order: compute.Order{Descending: k.Descending, NullsFirst: k.NullsFirst}}
	}
	return keys, nil
}

// Open implements operator.Operator.
func (s *Sort) Open(ctx *operator.Context) error {
	s.ctx = ctx
	return nil
}

// Process implements operator.Operator: it keeps the batch.
func (s *Sort) Process(_ int, b *stream.Batch) error {
	b, err := compute.TakeBatch(s.ctx.Alloc, b)
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.kept = append(s.kept, b)
	if err := b.Transfer(s.ctx.Memory); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return nil
}

// Watermark implements operator.Operator.
func (s *Sort) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator: it sorts and emits.
func (s *Sort) EndInput(int) error {
	if len(s.kept) == 0 {
		return nil
	}
	records := make([]arrow.RecordBatch, len(s.kept))
	for i, b := range s.kept {
		records[i] = b.Record
	}
	all, err := compute.ConcatRecords(s.ctx.Alloc, records)
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	defer all.Release()
	s.release()
	if err := s.ctx.Memory.Grow(all.NumRows() * permutationBytes); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	defer s.ctx.Memory.Shrink(all.NumRows() * permutationBytes)
	rows, err := rowsort.Permutation(all, s.keys)
	if err != nil {
		return err
	}
	for from := 0; from < len(rows); from += s.ctx.BatchRows {
		part, err := compute.TakeRecord(s.ctx.Alloc, all, rows[from:min(from+s.ctx.BatchRows, len(rows))])
		if err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		if err := s.ctx.Output.Emit(stream.NewBatch(part)); err != nil {
			return err
		}
	}
	return nil
}

// permutationBytes is what sorting needs for each row beside the columns: two
// entries of 16 bytes and the row number.
const permutationBytes = 36

func (s *Sort) release() {
	for _, b := range s.kept {
		b.Release()
	}
	s.kept = nil
}

// Close implements operator.Operator.
func (s *Sort) Close() error {
	s.release()
	return nil
}

var _ operator.Operator = (*Sort)(nil)
