package calc

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/stream"
)

// EventTime derives watermarks from the rows of batches, by a jobgraph.WatermarkAssigner
// that is not of processing time. One goroutine uses it.
type EventTime struct {
	column int
	time   expr.Expr // instead of the column; nil: none
	expr   expr.Expr
	free   bool          // rows may be without a time
	limit  time.Duration // of how far times may be ahead of the clock; 0: any
	deps   Deps
	in     datatype.Schema
	// rejects take rows without a time, or too far ahead; nil: the first is an error, the
	// second pass.
	rejects *aside.Rejects

	program *expr.Program
	times   *expr.Program
	ahead   int64
	ints    []int64
	valid   []bool
}

// NewEventTime returns what spec says, for batches of these columns. rejects, which the caller
// opens and closes, take rows whose time is none or too far ahead; nil: the first is an error,
// and the second pass without a say.
func NewEventTime(spec *jobgraph.WatermarkAssigner, in datatype.Schema, deps Deps, rejects *aside.Rejects) (*EventTime, error) {
	t := &EventTime{
		column: int(spec.Column), free: spec.Timeless, limit: time.Duration(spec.FutureMillis) * time.Millisecond,
		deps: deps, in: in, rejects: rejects,
	}
	if deps.Expr.Now == nil {
		t.limit = 0
	}
	var err error
	if t.expr, err = expr.FromProto(spec.Watermark); err != nil {
		return nil, fmt.Errorf("watermark: %w", err)
	}
	if !t.expr.Type().IsTimestamp() {
		return nil, fmt.Errorf("watermark: it is of type %s, not a timestamp", t.expr.Type())
	}
	if spec.Time != nil {
		if t.time, err = expr.FromProto(spec.Time); err != nil {
			return nil, fmt.Errorf("watermark: time column: %w", err)
		}
	} else if t.column >= len(in) {
		return nil, fmt.Errorf("watermark: time column %d of %d", spec.Column, len(in))
	}
	return t, nil
}

// Open prepares it; Latest allocates from alloc.
func (t *EventTime) Open(alloc memory.Allocator) (err error) {
	o := t.deps.Expr
	o.Allocator = alloc
	if t.program, err = expr.Compile(t.expr, t.deps.Functions, o); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	if t.time != nil {
		if t.times, err = expr.Compile(t.time, t.deps.Functions, o); err != nil {
			return fmt.Errorf("watermark: time column: %w", err)
		}
	}
	return nil
}

// Future is how many rows were too far ahead of the clock to count.
func (t *EventTime) Future() int64 { return t.ahead }

// Latest is the greatest watermark of b's rows, MinWatermark if none has one. A row without
// an event time is an error, unless such rows are expected. Rows that are rejected leave b's
// selection and are emitted aside; place is where they are from, empty if that is not known.
func (t *EventTime) Latest(b *stream.Batch, place string) (stream.Watermark, error) {
	if !t.free {
		if err := t.checkTimes(b, place); err != nil {
			return 0, err
		}
	}
	w, err := t.latest(b, place)
	if err != nil {
		return 0, err
	}
	return w, t.rejects.Emit()
}

func (t *EventTime) latest(b *stream.Batch, place string) (stream.Watermark, error) {
	a, err := t.program.Eval(b)
	if err != nil {
		return 0, err
	}
	defer a.Release()
	var v []int64
	v, t.ints = compute.Integers(a, b.Sel, t.ints)
	valid := compute.Validity(a, b.Sel, t.valid)
	if valid != nil {
		t.valid = valid
	}
	latest, found := greatest(v, valid)
	if !found {
		return stream.MinWatermark, nil
	}
	w := stream.Watermark(compute.Millis(t.expr.Type(), latest))
	if t.limit > 0 {
		if most := stream.Watermark(t.deps.Expr.Now().Add(t.limit).UnixMilli()); w > most {
			return t.within(b, v, valid, most, place), nil
		}
	}
	return w, nil
}

// within is the greatest watermark that is not above most. Rows above it are rejected, if
// anybody takes them.
func (t *EventTime) within(b *stream.Batch, v []int64, valid []bool, most stream.Watermark, place string) stream.Watermark {
	latest := stream.MinWatermark
	var beyond []int // places of rows
	for i, x := range v {
		if valid != nil && !valid[i] {
			continue
		}
		if w := stream.Watermark(compute.Millis(t.expr.Type(), x)); w > most {
			t.ahead++
			beyond = append(beyond, i)
		} else {
			latest = max(latest, w)
		}
	}
	if t.rejects != nil {
		t.reject(b, beyond, fmt.Errorf("the event time is more than %v ahead of the clock", t.limit), place)
	}
	return latest
}

// reject takes the rows at these places, ascending, out of b.
func (t *EventTime) reject(b *stream.Batch, places []int, wrong error, place string) {
	kept := make([]int32, 0, b.Len()-len(places))
	for i := range b.Len() {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		if len(places) > 0 && places[0] == i {
			places = places[1:]
			t.rejects.AddRow(place, wrong, b, int(row), t.in)
			continue
		}
		kept = append(kept, row)
	}
	b.Sel = kept
}

func greatest(v []int64, valid []bool) (latest int64, found bool) {
	for i, x := range v {
		if (valid == nil || valid[i]) && (!found || x > latest) {
			latest, found = x, true
		}
	}
	return latest, found
}

// checkTimes refuses rows without an event time, or rejects them.
func (t *EventTime) checkTimes(b *stream.Batch, place string) error {
	var name string
	var times arrow.Array
	if t.times != nil {
		a, err := t.times.Eval(b)
		if err != nil {
			return err
		}
		defer a.Release()
		name, times = expr.String(t.time), a
	} else {
		name, times = b.Record.ColumnName(t.column), b.Column(t.column)
	}
	if times.NullN() == 0 {
		return nil
	}
	wrong := failure.Errorf(failure.BadData, "event time column %s is null in a row", name)
	var without []int
	for i := range b.Len() {
		r := i
		if b.Sel != nil {
			r = int(b.Sel[i])
		}
		if times.IsNull(r) && !b.Kind(r).Retracts() { // of a delete the key alone need be right
			if t.rejects == nil {
				return wrong
			}
			without = append(without, i)
		}
	}
	if len(without) > 0 {
		t.reject(b, without, wrong, place)
	}
	return nil
}
