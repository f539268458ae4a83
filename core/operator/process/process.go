package process

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// Operator is the operator of a jobgraph.Process.
type Operator struct {
	uid      string
	function Function
	rt       *Runtime
	opened   bool
}

// New returns the operator of a spec that has a Process: it runs a function over input 0
// with columns in.
func New(op *jobgraph.Operator, in datatype.Schema, functions Functions) (*Operator, error) {
	uid, spec := op.Uid, op.GetProcess()
	if functions == nil {
		functions = None
	}
	newFunction, err := functions(spec.Function)
	if err != nil {
		return nil, err
	}
	o := &Operator{uid: uid, rt: &Runtime{watermark: stream.MinWatermark, shared: map[string]Shared{}, ids: map[uint16]string{}, sides: len(op.Sides)}}
	for _, k := range spec.Keys {
		if int(k) >= len(in) {
			return nil, fmt.Errorf("process %s: key column %d of %d", uid, k, len(in))
		}
		o.rt.keys.columns, o.rt.keys.schema = append(o.rt.keys.columns, int(k)), append(o.rt.keys.schema, in[k])
	}
	o.function = newFunction()
	return o, nil
}

// saved is what a subtask's snapshot holds beside keyed state. Its bytes have the checksum
// of the manifest that they are part of.
type saved struct {
	Version   int
	Watermark int64
	Shared    map[string][]byte `json:",omitempty"`
}

const savedVersion = 1

// Open implements operator.Operator.
func (o *Operator) Open(ctx *operator.Context) (err error) {
	defer o.guard("open", &err)
	o.rt.ctx, o.opened = ctx, true
	for i, data := range ctx.Restored {
		var s saved
		if err := json.Unmarshal(data, &s); err != nil || s.Version != savedVersion {
			return failure.Errorf(failure.BadData, "%s: saved state of version %d cannot be read: %w", o.uid, s.Version, err)
		}
		o.rt.restored = append(o.rt.restored, s.Shared)
		if w := stream.Watermark(s.Watermark); i == 0 || w < o.rt.watermark {
			o.rt.watermark = w
		}
	}
	if err := o.rt.open(); err != nil {
		return fmt.Errorf("%s: %w", o.uid, err)
	}
	if err := o.function.Open(o.rt); err != nil {
		return o.failed(err)
	}
	o.rt.sealed = true
	return nil
}

// Process implements operator.Operator.
func (o *Operator) Process(input int, b *stream.Batch) (err error) {
	defer b.Release()
	defer o.guard("process", &err)
	if b.Len() == 0 {
		return nil
	}
	for i := range b.Kinds {
		if b.Kinds[i] != stream.Insert {
			return failure.Errorf(failure.Internal, "%s: a function is given rows that are taken back", o.uid)
		}
	}
	if input == 0 {
		err = o.rt.begin(o.rt.keys.of(b), b.Sel, b.Len())
	} else {
		o.rt.keys.none()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.uid, err)
	}
	if err := o.function.Process(input, b); err != nil {
		return o.failed(err)
	}
	return o.end()
}

// end writes what a batch or timers have left to be written.
func (o *Operator) end() error {
	if err := o.function.Flush(); err != nil {
		return o.failed(err)
	}
	if err := o.rt.end(); err != nil {
		return fmt.Errorf("%s: %w", o.uid, err)
	}
	return nil
}

// Watermark implements operator.Operator: timers fire.
func (o *Operator) Watermark(w stream.Watermark) (err error) {
	defer o.guard("fire timers", &err)
	if w <= o.rt.watermark {
		return nil
	}
	o.rt.watermark = w
	return o.fire(o.rt.event, int64(w))
}

// Tick implements operator.Ticker: timers of processing time fire, and what has lived its
// time is forgotten.
func (o *Operator) Tick(now time.Time) (err error) {
	defer o.guard("fire timers", &err)
	o.rt.now = now.UnixMilli()
	if err := o.fire(o.rt.processing, o.rt.now); err != nil {
		return err
	}
	return o.rt.expire()
}

// fire fires what is due of timers, in the order of times; those that are set meanwhile
// take their place.
func (o *Operator) fire(t *timers, upTo int64) error {
	for {
		due, err := t.due(upTo, o.rt.ctx.BatchRows)
		if err != nil {
			return fmt.Errorf("%s: timers: %w", o.uid, err)
		}
		if due == nil {
			return nil
		}
		if err := o.fireSome(t, due); err != nil {
			return err
		}
	}
}

func (o *Operator) fireSome(t *timers, d *dueTimers) error {
	defer d.release()
	if err := o.rt.begin(d.keys, nil, len(d.at)); err != nil {
		return fmt.Errorf("%s: %w", o.uid, err)
	}
	if err := o.function.Timers(len(d.at)); err != nil {
		return o.failed(err)
	}
	for i, at := range d.at {
		if t.changed(at) {
			break // the rest is looked for again
		}
		o.rt.Select(i)
		t.fired(o.rt.keys.current, at)
		if err := o.function.Timer(i, Timer{t.domain, at}); err != nil {
			return o.failed(err)
		}
	}
	return o.end()
}

// EndInput implements operator.Operator.
func (o *Operator) EndInput(int) error { return nil }

// Snapshot implements operator.Snapshotter.
func (o *Operator) Snapshot(stream.Barrier) (_ []byte, err error) {
	defer o.guard("snapshot", &err)
	s := saved{Version: savedVersion, Watermark: int64(o.rt.watermark), Shared: map[string][]byte{}}
	for name, part := range o.rt.shared {
		if s.Shared[name], err = part.Snapshot(); err != nil {
			return nil, fmt.Errorf("%s: state %s: %w", o.uid, name, err)
		}
	}
	return json.Marshal(s)
}

// Completed implements operator.Snapshotter.
func (o *Operator) Completed(id.Checkpoint) error { return nil }

// Everywhere implements operator.Spread.
func (o *Operator) Everywhere() bool { return len(o.rt.shared) > 0 }

// Close implements operator.Operator.
func (o *Operator) Close() (err error) {
	if !o.opened {
		return nil
	}
	o.opened = false
	defer o.rt.close()
	defer o.guard("close", &err)
	if err := o.function.Close(); err != nil {
		return o.failed(err)
	}
	return nil
}

// failed says of an error of the function where it came from.
func (o *Operator) failed(err error) error {
	return fmt.Errorf("%s: %w", o.uid, err)
}

// guard turns a panic into an error.
func (o *Operator) guard(doing string, err *error) {
	r := recover()
	switch r := r.(type) {
	case nil:
		return
	case *memory.ExhaustedError:
		panic(r) // the task knows it
	case *StateError:
		*err = fmt.Errorf("%s: %w", o.uid, r.Err)
		return
	}
	row := o.function.Row()
	if row != "" {
		row = " at " + row
	}
	*err = failure.Errorf(failure.UserCode, "%s: %s: the function panicked%s: %v\n%s", o.uid, doing, row, r, debug.Stack())
}

// StateError is what access to state panics with, so that functions need not ask after
// each: it ends the task as the error that it holds.
type StateError struct{ Err error }

// Error implements error.
func (e *StateError) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e *StateError) Unwrap() error { return e.Err }

// must panics with a StateError where there is an error.
func must(err error) {
	if err != nil {
		panic(&StateError{err})
	}
}

var (
	_ operator.Operator = (*Operator)(nil)
	_ operator.Spread   = (*Operator)(nil)
	_ operator.Ticker   = (*Operator)(nil)
)
