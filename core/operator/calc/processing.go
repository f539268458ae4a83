package calc

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// ProcessingTime is the operator of a jobgraph.WatermarkAssigner of processing time: it
// writes the time at which a row comes by into the row, and its watermark follows the
// clock, also while nothing comes. Where the clock is set back, time stands still. Its
// context's output must be an operator.IdleOutput.
type ProcessingTime struct {
	column int
	typ    datatype.Type
	now    func() time.Time

	ctx     *operator.Context
	out     operator.IdleOutput
	current stream.Watermark
}

// newProcessingTime returns the operator that spec describes.
func newProcessingTime(spec *jobgraph.WatermarkAssigner, in datatype.Schema, deps Deps) (operator.Operator, error) {
	p := &ProcessingTime{column: int(spec.Column), now: deps.Expr.Now, current: stream.MinWatermark}
	if p.typ = in[p.column].Type; !p.typ.IsTimestamp() {
		return nil, fmt.Errorf("processing time: column %d is of type %s, not a timestamp", p.column, p.typ)
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// Open implements operator.Operator.
func (p *ProcessingTime) Open(ctx *operator.Context) error {
	out, ok := ctx.Output.(operator.IdleOutput)
	if !ok {
		return failure.Errorf(failure.Internal, "processing time: the output takes no watermarks")
	}
	p.ctx, p.out = ctx, out
	return nil
}

// Process implements operator.Operator: the rows go on with their time, which the
// watermark stays a millisecond behind.
func (p *ProcessingTime) Process(_ int, b *stream.Batch) error {
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	at := max(p.now().UnixMilli(), int64(p.current)+1)
	stamped, err := p.stamp(b, at)
	if err != nil {
		b.Release()
		return fmt.Errorf("processing time: %w", err)
	}
	if err := p.out.Emit(stamped); err != nil {
		return err
	}
	return p.advance(at)
}

// stamp puts the time, in milliseconds, into all rows of b, which it takes if it does not
// fail.
func (p *ProcessingTime) stamp(b *stream.Batch, at int64) (*stream.Batch, error) {
	perMilli := int64(time.Millisecond / datatype.TimestampUnit(p.typ.Precision).Multiplier())
	times, err := compute.Constant(p.ctx.Alloc, p.typ, at*perMilli, b.PhysicalRows())
	if err != nil {
		return nil, err
	}
	defer times.Release()
	columns := append([]arrow.Array(nil), b.Record.Columns()...)
	columns[p.column] = times
	stamped := operator.NewBatch(b.Record.Schema(), columns, b.PhysicalRows())
	return b.WithRecord(stamped.Record), nil
}

// advance makes the time at the least that of rows to come.
func (p *ProcessingTime) advance(at int64) error {
	if w := stream.Watermark(at - 1); w > p.current {
		p.current = w
		return p.out.Advance(w)
	}
	return nil
}

// Tick implements operator.Ticker.
func (p *ProcessingTime) Tick(now time.Time) error { return p.advance(now.UnixMilli()) }

// Watermark implements operator.Operator.
func (p *ProcessingTime) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (p *ProcessingTime) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (p *ProcessingTime) Close() error { return nil }

var (
	_ operator.Operator = (*ProcessingTime)(nil)
	_ operator.Ticker   = (*ProcessingTime)(nil)
)
