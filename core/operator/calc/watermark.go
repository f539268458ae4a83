package calc

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// WatermarkAssigner is the operator of a jobgraph.WatermarkAssigner. Its context's
// output must be an operator.IdleOutput.
type WatermarkAssigner struct {
	column int
	expr   expr.Expr
	idle   time.Duration
	deps   Deps

	out     operator.IdleOutput
	program *expr.Program
	current stream.Watermark
	ints    []int64
	valid   []bool

	busy   bool      // there have been rows since the last Tick
	since  time.Time // when the last Tick found rows
	isIdle bool
}

// NewWatermarkAssigner returns the operator that spec describes.
func NewWatermarkAssigner(spec *jobgraph.WatermarkAssigner, in datatype.Schema, deps Deps) (operator.Operator, error) {
	if int(spec.Column) >= len(in) {
		return nil, fmt.Errorf("watermark: time column %d of %d", spec.Column, len(in))
	}
	e, err := expr.FromProto(spec.Watermark)
	if err != nil {
		return nil, fmt.Errorf("watermark: %w", err)
	}
	if !e.Type().IsTimestamp() {
		return nil, fmt.Errorf("watermark: it is of type %s, not a timestamp", e.Type())
	}
	return &WatermarkAssigner{
		column: int(spec.Column), expr: e, deps: deps, current: stream.MinWatermark,
		idle: time.Duration(spec.IdleMillis) * time.Millisecond,
	}, nil
}

// Open implements operator.Operator.
func (w *WatermarkAssigner) Open(ctx *operator.Context) (err error) {
	out, ok := ctx.Output.(operator.IdleOutput)
	if !ok {
		return failure.Errorf(failure.Internal, "watermark: the output takes no watermarks")
	}
	w.out = out
	o := w.deps.Expr
	o.Allocator = ctx.Alloc
	if w.program, err = expr.Compile(w.expr, w.deps.Functions, o); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	return nil
}

// Process implements operator.Operator: the rows go on, then the watermark.
func (w *WatermarkAssigner) Process(_ int, b *stream.Batch) error {
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	w.busy = true
	if w.isIdle {
		w.isIdle = false
		if err := w.out.Idle(false); err != nil {
			b.Release()
			return err
		}
	}
	next, err := w.latest(b)
	if err != nil {
		b.Release()
		return err
	}
	if err := w.out.Emit(b); err != nil || next <= w.current {
		return err
	}
	w.current = next
	return w.out.Advance(next)
}

// latest is the greatest watermark of b's rows.
func (w *WatermarkAssigner) latest(b *stream.Batch) (stream.Watermark, error) {
	if err := w.checkTimes(b); err != nil {
		return 0, err
	}
	a, err := w.program.Eval(b)
	if err != nil {
		return 0, err
	}
	defer a.Release()
	var v []int64
	v, w.ints = compute.Integers(a, b.Sel, w.ints)
	valid := compute.Validity(a, b.Sel, w.valid)
	latest, found := int64(0), false
	for i, x := range v {
		if (valid == nil || valid[i]) && (!found || x > latest) {
			latest, found = x, true
		}
	}
	if valid != nil {
		w.valid = valid
	}
	if !found {
		return stream.MinWatermark, nil
	}
	return stream.Watermark(compute.Millis(w.expr.Type(), latest)), nil
}

// checkTimes refuses rows without an event time.
func (w *WatermarkAssigner) checkTimes(b *stream.Batch) error {
	times := b.Column(w.column)
	if times.NullN() == 0 {
		return nil
	}
	for i := range b.Len() {
		r := i
		if b.Sel != nil {
			r = int(b.Sel[i])
		}
		if times.IsNull(r) {
			return failure.Errorf(failure.BadData, "event time column %s is null in a row", b.Record.ColumnName(w.column))
		}
	}
	return nil
}

// Tick implements operator.Ticker: without rows for the idle timeout the output
// becomes idle.
func (w *WatermarkAssigner) Tick(now time.Time) error {
	if w.busy || w.since.IsZero() {
		w.busy, w.since = false, now
		return nil
	}
	if w.idle <= 0 || w.isIdle || now.Sub(w.since) < w.idle {
		return nil
	}
	w.isIdle = true
	return w.out.Idle(true)
}

// Watermark implements operator.Operator.
func (w *WatermarkAssigner) Watermark(stream.Watermark) error { return nil }

// EndInput implements operator.Operator.
func (w *WatermarkAssigner) EndInput(int) error { return nil }

// Close implements operator.Operator.
func (w *WatermarkAssigner) Close() error { return nil }

var (
	_ operator.Operator = (*WatermarkAssigner)(nil)
	_ operator.Ticker   = (*WatermarkAssigner)(nil)
)
