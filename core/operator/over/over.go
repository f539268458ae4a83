package over

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

// boundsBytes is what each row needs beside its columns: its four bounds.
const boundsBytes = 16

// Over is the operator of a jobgraph.Over.
type Over struct {
	calls     []*jobgraph.OverCall
	partition []rowsort.Key
	order     []rowsort.Key
	output    *arrow.Schema

	ctx  *operator.Context
	kept []*stream.Batch // rows of partitions that are not complete, dense
}

// New returns the operator that spec describes over input columns of in.
func New(spec *jobgraph.Over, in datatype.Schema) (operator.Operator, error) {
	o := &Over{calls: spec.Calls}
	for _, p := range spec.Partition {
		if int(p) >= len(in) {
			return nil, fmt.Errorf("over: partition column %d of %d", p, len(in))
		}
		o.partition = append(o.partition, rowsort.Key{Column: int(p), Order: compute.Order{NullsFirst: true}})
	}
	for _, k := range spec.Order {
		if int(k.Column) >= len(in) {
			return nil, fmt.Errorf("over: order column %d of %d", k.Column, len(in))
		}
		o.order = append(o.order, rowsort.Key{Column: int(k.Column), Order: compute.Order{Descending: k.Descending, NullsFirst: k.NullsFirst}})
	}
	out := append(datatype.Schema(nil), in...)
	for _, c := range spec.Calls {
		t, err := datatype.Parse(c.Call.Type)
		if err != nil {
			return nil, fmt.Errorf("over: type of %s: %w", c.Call.Function, err)
		}
		if err := check(c, o.order); err != nil {
			return nil, fmt.Errorf("over: %s: %w", c.Call.Function, err)
		}
		out = append(out, datatype.Field{Name: c.Call.Name, Type: t})
	}
	o.output = out.Arrow()
	return o, nil
}

// Open implements operator.Operator.
func (o *Over) Open(ctx *operator.Context) error {
	o.ctx = ctx
	return nil
}

// Process implements operator.Operator: it keeps the batch, and computes the
// partitions that it completes.
func (o *Over) Process(_ int, b *stream.Batch) error {
	b, err := compute.TakeBatch(o.ctx.Alloc, b)
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	if b.Record.NumRows() == 0 {
		b.Release()
		return nil
	}
	o.kept = append(o.kept, b)
	if err := b.Transfer(o.ctx.Memory); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	cut, err := o.lastStart(b.Record)
	if err != nil {
		return err
	}
	if cut < 0 {
		return nil
	}
	return o.complete(cut)
}

// lastStart is the first row of the last partition in record, which was just
// kept; -1 if that began before.
func (o *Over) lastStart(record arrow.RecordBatch) (int, error) {
	if len(o.partition) == 0 {
		return -1, nil
	}
	same, err := rowsort.Comparers(record, record, o.partition)
	if err != nil {
		return 0, fmt.Errorf("over: %w", err)
	}
	for i := int(record.NumRows()) - 1; i > 0; i-- {
		if rowsort.Compare(same, i-1, i) != 0 {
			return i, nil
		}
	}
	if len(o.kept) == 1 {
		return -1, nil
	}
	before := o.kept[len(o.kept)-2].Record
	if same, err = rowsort.Comparers(before, record, o.partition); err != nil {
		return 0, fmt.Errorf("over: %w", err)
	}
	if rowsort.Compare(same, int(before.NumRows())-1, 0) != 0 {
		return 0, nil
	}
	return -1, nil
}

// complete computes all rows kept before row cut of the last batch.
func (o *Over) complete(cut int) error {
	last := o.kept[len(o.kept)-1]
	rest := last.Record.NewSlice(int64(cut), last.Record.NumRows())
	records := make([]arrow.RecordBatch, 0, len(o.kept))
	for _, b := range o.kept[:len(o.kept)-1] {
		records = append(records, b.Record)
	}
	if cut > 0 {
		head := last.Record.NewSlice(0, int64(cut))
		defer head.Release()
		records = append(records, head)
	}
	err := o.compute(records)
	o.release()
	if err != nil {
		rest.Release()
		return err
	}
	b := stream.NewBatch(rest)
	o.kept = append(o.kept, b)
	if err := b.Transfer(o.ctx.Memory); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	return nil
}

// compute emits rows of complete partitions with their calls.
func (o *Over) compute(records []arrow.RecordBatch) error {
	all, err := compute.ConcatRecords(o.ctx.Alloc, records)
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	defer all.Release()
	charge := all.NumRows() * boundsBytes
	if err := o.ctx.Memory.Grow(charge); err != nil {
		return fmt.Errorf("over: %w", err)
	}
	defer o.ctx.Memory.Shrink(charge)
	p, err := divide(all, o.partition, o.order)
	if err != nil {
		return fmt.Errorf("over: %w", err)
	}
	columns := make([]column, 0, len(o.calls))
	defer func() {
		for _, c := range columns {
			c.release()
		}
	}()
	for _, c := range o.calls {
		col, err := newColumn(c, p, o.ctx)
		if err != nil {
			return fmt.Errorf("over: %s: %w", c.Call.Function, err)
		}
		columns = append(columns, col)
	}
	for from := 0; from < p.rows; from += o.ctx.BatchRows {
		if err := o.emit(all, columns, from, min(from+o.ctx.BatchRows, p.rows)); err != nil {
			return err
		}
	}
	return nil
}

func (o *Over) emit(all arrow.RecordBatch, columns []column, from, to int) error {
	part := all.NewSlice(int64(from), int64(to))
	defer part.Release()
	out := append([]arrow.Array(nil), part.Columns()...)
	var made []arrow.Array
	defer func() { compute.ReleaseAll(made) }()
	for i, c := range columns {
		a, err := c.values(from, to)
		if err != nil {
			return fmt.Errorf("over: %s: %w", o.calls[i].Call.Function, err)
		}
		made, out = append(made, a), append(out, a)
	}
	return o.ctx.Output.Emit(operator.NewBatch(o.output, out, to-from))
}

// Watermark implements operator.Operator.
func (o *Over) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator: the last partition is complete.
func (o *Over) EndInput(int) error {
	if len(o.kept) == 0 {
		return nil
	}
	records := make([]arrow.RecordBatch, len(o.kept))
	for i, b := range o.kept {
		records[i] = b.Record
	}
	err := o.compute(records)
	o.release()
	return err
}

func (o *Over) release() {
	for _, b := range o.kept {
		b.Release()
	}
	o.kept = nil
}

// Close implements operator.Operator.
func (o *Over) Close() error {
	o.release()
	return nil
}

var _ operator.Operator = (*Over)(nil)
