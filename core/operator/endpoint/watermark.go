package endpoint

import (
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/operator/calc"
	"github.com/tidemill/tidemill/core/stream"
)

// whole is the name of the split of a reader that cannot tell its splits apart.
const whole = ""

// watermarks are those of a source that makes them itself, split by split.
type watermarks struct {
	times  *calc.EventTime
	splits *eventtime.Splits
	drift  time.Duration // 0: splits do not wait for each other
	every  time.Duration // how often they are compared
	looked time.Time
	paused int

	out    operator.IdleOutput
	reader connector.SplitReader // nil: it cannot tell
}

// newWatermarks returns what spec says, nil for nothing. rejects take rows whose time is no
// time; nil: there are none, or it is an error.
func newWatermarks(spec *jobgraph.WatermarkAssigner, in datatype.Schema, deps calc.Deps, rejects *aside.Rejects) (*watermarks, error) {
	if spec == nil {
		return nil, nil
	}
	if spec.Rejects == "" {
		rejects = nil
	}
	times, err := calc.NewEventTime(spec, in, deps, rejects)
	if err != nil {
		return nil, err
	}
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return &watermarks{
		times: times, splits: eventtime.NewSplits(millis(spec.IdleMillis)),
		drift: millis(spec.DriftMillis), every: millis(spec.AlignMillis),
	}, nil
}

// open begins with a reader.
func (w *watermarks) open(ctx *operator.Context, r connector.Reader) error {
	if w == nil {
		return nil
	}
	var ok bool
	if w.out, ok = ctx.Output.(operator.IdleOutput); !ok {
		return failure.Errorf(failure.Internal, "the output takes no watermarks")
	}
	w.reader, _ = r.(connector.SplitReader)
	return w.times.Open(ctx.Alloc)
}

// emit passes rows on, then the watermark.
func (w *watermarks) emit(b *stream.Batch) error {
	name := whole
	if w.reader != nil {
		name = w.reader.Of()
	}
	next, err := w.times.Latest(b, name)
	if err != nil {
		b.Release()
		return err
	}
	if err := w.tell(w.splits.Rows(name)); err != nil {
		b.Release()
		return err
	}
	if err := w.out.Emit(b); err != nil {
		return err
	}
	return w.tell(w.splits.Advance(name, next))
}

// hold looks which splits there are.
func (w *watermarks) hold() error {
	if w == nil {
		return nil
	}
	names := []string{whole}
	if w.reader != nil {
		names = w.reader.Splits()
	}
	return w.tell(w.splits.Hold(names))
}

// tick lets splits become idle, and wait for each other.
func (w *watermarks) tick(now time.Time) error {
	if w == nil {
		return nil
	}
	if err := w.tell(w.splits.Tick(now)); err != nil {
		return err
	}
	if w.drift > 0 && w.reader != nil && now.Sub(w.looked) >= w.every {
		w.looked = now
		if ahead := w.splits.Ahead(w.drift); len(ahead) > 0 || w.paused > 0 {
			w.reader.Pause(ahead)
			w.paused = len(ahead)
		}
	}
	return nil
}

func (w *watermarks) tell(c eventtime.Change) error {
	if c.ToActive {
		if err := w.out.Idle(false); err != nil {
			return err
		}
	}
	if c.Advanced {
		if err := w.out.Advance(c.Watermark); err != nil {
			return err
		}
	}
	if c.ToIdle {
		return w.out.Idle(true)
	}
	return nil
}

// Tick implements operator.Ticker.
func (s *Source) Tick(now time.Time) error {
	if s.watermarks == nil {
		return nil
	}
	return s.failed("watermark", s.watermarks.tick(now))
}

// Future is how many rows had event times too far ahead of the clock, since it was opened.
func (s *Source) Future() int64 {
	if s.watermarks == nil {
		return 0
	}
	return s.watermarks.times.Future()
}

// Behind names the split whose silence holds event time back, empty where the source does
// not tell its splits apart, and says for how long; false: there is none.
func (s *Source) Behind() (split string, quiet time.Duration, ok bool) {
	if s.watermarks == nil {
		return "", 0, false
	}
	return s.watermarks.splits.Behind()
}

var _ operator.Ticker = (*Source)(nil)
