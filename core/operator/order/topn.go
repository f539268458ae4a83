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

// TopN is the operator of a jobgraph.TopN.
type TopN struct {
	keys          []rowsort.Key
	offset, limit int64
	ctx           *operator.Context

	best    arrow.RecordBatch   // sorted, at most offset + limit rows
	waiting []arrow.RecordBatch // rows since best was made
	rows    int64               // of waiting
}

// NewTopN returns the operator that spec describes.
func NewTopN(spec *jobgraph.TopN, in datatype.Schema) (operator.Operator, error) {
	if spec.Offset < 0 || spec.Limit < 0 {
		return nil, fmt.Errorf("top-n: offset %d, limit %d", spec.Offset, spec.Limit)
	}
	keys, err := SortKeys(spec.Keys, in)
	return &TopN{keys: keys, offset: spec.Offset, limit: spec.Limit}, err
}

// Open implements operator.Operator.
func (n *TopN) Open(ctx *operator.Context) error {
	n.ctx = ctx
	return nil
}

// Done implements operator.Finisher.
func (n *TopN) Done() bool { return n.limit == 0 }

// Process implements operator.Operator: it keeps the rows that may be among the
// first.
func (n *TopN) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if n.limit == 0 {
		return nil
	}
	sel, err := n.better(b)
	if err != nil {
		return err
	}
	if sel != nil && len(sel) == 0 {
		return nil
	}
	record, err := compute.TakeRecord(n.ctx.Alloc, b.Record, sel)
	if err != nil {
		return fmt.Errorf("top-n: %w", err)
	}
	n.waiting = append(n.waiting, record)
	n.rows += record.NumRows()
	if n.rows < max(n.offset+n.limit, stream.TargetRows) {
		return nil
	}
	return n.settle()
}

// better selects the rows that come before the last of the best, which are
// complete; nil means all rows.
func (n *TopN) better(b *stream.Batch) ([]int32, error) {
	if n.best == nil || n.best.NumRows() < n.offset+n.limit {
		return b.Sel, nil
	}
	rows, err := rowsort.Before(b.Record, b.Sel, n.best, int(n.best.NumRows())-1, n.keys)
	if err != nil {
		return nil, fmt.Errorf("top-n: %w", err)
	}
	return rows, nil
}

// settle makes best of best and what waits.
func (n *TopN) settle() error {
	if len(n.waiting) == 0 {
		return nil
	}
	records := n.waiting
	if n.best != nil {
		records = append([]arrow.RecordBatch{n.best}, records...)
	}
	all, err := compute.ConcatRecords(n.ctx.Alloc, records)
	if err != nil {
		return fmt.Errorf("top-n: %w", err)
	}
	defer all.Release()
	rows, err := rowsort.Permutation(all, n.keys)
	if err != nil {
		return err
	}
	best, err := compute.TakeRecord(n.ctx.Alloc, all, rows[:min(int64(len(rows)), n.offset+n.limit)])
	if err != nil {
		return fmt.Errorf("top-n: %w", err)
	}
	n.release()
	n.best = best
	return nil
}

// Watermark implements operator.Operator.
func (n *TopN) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator: it emits the first rows in order.
func (n *TopN) EndInput(int) error {
	if err := n.settle(); err != nil || n.best == nil {
		return err
	}
	end := n.best.NumRows()
	for from := n.offset; from < end; from += int64(n.ctx.BatchRows) {
		part := n.best.NewSlice(from, min(from+int64(n.ctx.BatchRows), end))
		if err := n.ctx.Output.Emit(stream.NewBatch(part)); err != nil {
			return err
		}
	}
	return nil
}

func (n *TopN) release() {
	for _, r := range n.waiting {
		r.Release()
	}
	n.waiting, n.rows = nil, 0
	if n.best != nil {
		n.best.Release()
		n.best = nil
	}
}

// Close implements operator.Operator.
func (n *TopN) Close() error {
	n.release()
	return nil
}

var (
	_ operator.Operator = (*TopN)(nil)
	_ operator.Finisher = (*TopN)(nil)
)
