package updateover

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/over"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// take returns the columns of rows of lists.
func (o *Over) take(lists state.Lists, rows []int32) (columns []arrow.Array, err error) {
	for i := range o.in {
		c, err := lists.Take(i, rows)
		if err != nil {
			compute.ReleaseAll(columns)
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, nil
}

// compute returns the values of the computed calls of all rows of columns, which come
// by partition and order.
func (o *Over) compute(columns []arrow.Array, rows int) (results []arrow.Array, err error) {
	if len(o.computed.Calls) == 0 || rows == 0 {
		return nil, nil
	}
	op, err := over.New(o.computed, o.in)
	if err != nil {
		return nil, err
	}
	out := &collector{from: len(o.in), columns: make([][]arrow.Array, len(o.computed.Calls))}
	defer out.release()
	ctx := *o.ctx
	ctx.Output, ctx.Contend = out, func() *memory.Share { return nil }
	if err := op.Open(&ctx); err != nil {
		return nil, err
	}
	defer func() {
		if e := op.Close(); err == nil && e != nil {
			compute.ReleaseAll(results)
			results, err = nil, e
		}
	}()
	record := array.NewRecordBatch(o.in.Arrow(), columns, int64(rows))
	defer record.Release()
	for from := 0; from < rows; from += stream.MaxRows {
		part := record.NewSlice(int64(from), int64(min(from+stream.MaxRows, rows)))
		if err := op.Process(0, stream.NewBatch(part)); err != nil {
			return nil, err
		}
	}
	if err := op.EndInput(0); err != nil {
		return nil, err
	}
	for _, parts := range out.columns {
		c, err := compute.Concat(o.ctx.Alloc, parts)
		if err != nil {
			compute.ReleaseAll(results)
			return nil, err
		}
		results = append(results, c)
	}
	return results, nil
}

// collector keeps the columns of what is emitted from one on.
type collector struct {
	from    int
	columns [][]arrow.Array
}

// Emit implements operator.Output.
func (c *collector) Emit(b *stream.Batch) error {
	defer b.Release()
	for i := range c.columns {
		column := b.Column(c.from + i)
		column.Retain()
		c.columns[i] = append(c.columns[i], column)
	}
	return nil
}

func (c *collector) release() {
	for _, parts := range c.columns {
		compute.ReleaseAll(parts)
	}
}

var _ operator.Output = (*collector)(nil)
