package calc

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/stream"
)

// WatermarkAssigner is the operator of a jobgraph.WatermarkAssigner. Its context's
// output must be an operator.IdleOutput.
type WatermarkAssigner struct {
	times   *EventTime
	idle    time.Duration
	rejects *aside.Rejects // nil: a row without a time is an error
	sides   bool

	out     operator.IdleOutput
	current stream.Watermark

	busy   bool      // there have been rows since the last Tick
	since  time.Time // when the last Tick found rows
	isIdle bool
}

// NewWatermarkAssigner returns the operator that spec describes. Rows that it rejects go to
// side 1 if sides, else nowhere.
func NewWatermarkAssigner(spec *jobgraph.WatermarkAssigner, in datatype.Schema, sides bool, deps Deps) (operator.Operator, error) {
	if int(spec.Column) >= len(in) {
		return nil, fmt.Errorf("watermark: time column %d of %d", spec.Column, len(in))
	}
	if spec.Processing {
		return newProcessingTime(spec, in, deps)
	}
	w := &WatermarkAssigner{current: stream.MinWatermark, idle: time.Duration(spec.IdleMillis) * time.Millisecond, sides: sides}
	if spec.Rejects != "" {
		now := deps.Expr.Now
		if now == nil {
			now = time.Now
		}
		w.rejects = aside.NewRejects(spec.Rejects, now)
	}
	var err error
	if w.times, err = NewEventTime(spec, in, deps, w.rejects); err != nil {
		return nil, err
	}
	return w, nil
}

// Open implements operator.Operator.
func (w *WatermarkAssigner) Open(ctx *operator.Context) (err error) {
	out, ok := ctx.Output.(operator.IdleOutput)
	if !ok {
		return failure.Errorf(failure.Internal, "watermark: the output takes no watermarks")
	}
	w.out = out
	if err := w.rejects.Open(ctx, w.sides); err != nil {
		return err
	}
	return w.times.Open(ctx.Alloc)
}

// Future is how many rows had event times too far ahead of the clock, since it was opened.
func (w *WatermarkAssigner) Future() int64 { return w.times.Future() }

// Rejected is how many rows were rejected, since it was opened.
func (w *WatermarkAssigner) Rejected() int64 { return w.rejects.Count() }

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
	next, err := w.times.Latest(b, "")
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
func (w *WatermarkAssigner) Close() error {
	w.rejects.Close()
	return nil
}

var (
	_ operator.Operator = (*WatermarkAssigner)(nil)
	_ operator.Ticker   = (*WatermarkAssigner)(nil)
)
