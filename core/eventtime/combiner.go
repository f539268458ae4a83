package eventtime

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/stream"
)

// Status is what an input does for the combined watermark.
type Status uint8

// The states of an input.
const (
	InvalidStatus Status = iota
	Active               // its watermark counts
	Idle                 // left out until it is active again
	Finished             // left out for ever
)

// String is the status in capitals, as users see it.
func (s Status) String() string {
	switch s {
	case Active:
		return "ACTIVE"
	case Idle:
		return "IDLE"
	case Finished:
		return "FINISHED"
	default:
		return fmt.Sprintf("STATUS %d", uint8(s))
	}
}

// Change is what an event did to the combination; the zero value is nothing. Of
// several fields, downstream is told of ToActive first, then of the watermark,
// then of ToIdle.
type Change struct {
	ToActive  bool
	Advanced  bool
	Watermark stream.Watermark // where Advanced
	ToIdle    bool
}

// Combiner combines the watermarks of a fixed number of inputs. One goroutine at
// a time uses it.
type Combiner struct {
	inputs   []input
	combined stream.Watermark
	idle     bool
}

type input struct {
	status    Status
	watermark stream.Watermark
}

// NewCombiner returns a combiner of n inputs, all active and at the beginning of
// time.
func NewCombiner(n int) *Combiner {
	c := &Combiner{inputs: make([]input, n), combined: stream.MinWatermark}
	for i := range c.inputs {
		c.inputs[i] = input{Active, stream.MinWatermark}
	}
	return c
}

// Clone returns a combiner in the same state, which goes on by itself.
func (c *Combiner) Clone() *Combiner {
	d := *c
	d.inputs = slices.Clone(c.inputs)
	return &d
}

// Watermark is the combined watermark.
func (c *Combiner) Watermark() stream.Watermark { return c.combined }

// Idle reports whether the combination is idle.
func (c *Combiner) Idle() bool { return c.idle }

// Advance says that input i has reached w; it becomes active if it was idle. A
// watermark that does not advance changes nothing.
func (c *Combiner) Advance(i int, w stream.Watermark) Change {
	in := c.live(i)
	in.status = Active
	in.watermark = max(in.watermark, w)
	return c.combine()
}

// SetIdle says whether input i is idle.
func (c *Combiner) SetIdle(i int, idle bool) Change {
	in := c.live(i)
	in.status = Active
	if idle {
		in.status = Idle
	}
	return c.combine()
}

// Finish says that nothing follows on input i.
func (c *Combiner) Finish(i int) Change {
	c.live(i).status = Finished
	return c.combine()
}

func (c *Combiner) live(i int) *input {
	in := &c.inputs[i]
	if in.status == Finished {
		invariant.Broken("event time of input %d after it has finished", i)
	}
	return in
}

func (c *Combiner) combine() (change Change) {
	least, most := stream.MaxWatermark, stream.MinWatermark
	active, idle, atMax := 0, 0, 0
	for _, in := range c.inputs {
		switch {
		case in.watermark == stream.MaxWatermark:
			atMax++
		case in.status == Active:
			active++
			least = min(least, in.watermark)
		case in.status == Idle:
			idle++
			most = max(most, in.watermark)
		}
	}
	next := c.combined
	switch {
	case active > 0:
		next = least
	case idle > 0:
		next = most
	case atMax == len(c.inputs):
		next = stream.MaxWatermark
	}
	if next > c.combined {
		c.combined = next
		change.Advanced, change.Watermark = true, next
	}
	nowIdle := active == 0 && idle > 0
	change.ToIdle, change.ToActive = nowIdle && !c.idle, !nowIdle && c.idle
	c.idle = nowIdle
	return change
}
