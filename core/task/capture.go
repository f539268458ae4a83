package task

import (
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// drainRound is how many elements of an input are read before others have their turn.
	drainRound = 64
	// quietAfter is how long nothing has come before the barriers when the task goes on
	// with what it has: until then reading is what lets blocked producers come to theirs.
	// A task with outputs waits longer: what it goes on with may have it wait for credit, for
	// as long as all takes that its consumer has in flight, while its barriers come.
	quietAfter        = 100 * time.Millisecond
	quietBeforeOutput = 2 * time.Second
)

// capture is a checkpoint that has overtaken what is in flight: the task's state is frozen
// and its barrier is on its way. Of inputs whose barrier has not come, what comes before it
// is noted here when it is read, and lies in gate.ahead until its turn to be processed.
type capture struct {
	frozen *frozen
	open   []bool // by input: the barrier is still to come
	left   int    // of those
	last   time.Time
	after  time.Duration // how long it is quiet until the task goes on
}

// waits reports whether the barrier is still to come on input i.
func (c *capture) waits(i int) bool { return c != nil && c.open[i] }

// quiet reports whether nothing has come for a while.
func (c *capture) quiet(now time.Time) bool { return now.Sub(c.last) >= c.after }

// overtake takes the task's part of a checkpoint although barriers are still to come.
func (t *Task) overtake(b stream.Barrier) error {
	waits, step, ok := t.alignment.Overtake(b)
	t.tellAlignment()
	if !ok {
		return nil
	}
	if step.Overtaken != 0 {
		t.reports.Lock()
		t.env.Reporter.Decline(t.d.Job, t.d.Attempt, step.Overtaken, errNewer())
		t.reports.Unlock()
	}
	t.abandon(errNewer())
	f, err := t.freeze(b)
	if err != nil {
		return err
	}
	f.flight, f.ack.Overtaken = make([][]*stream.Batch, len(t.gates)), true
	t.capture = &capture{frozen: f, open: waits, last: t.env.Now(), after: quietAfter}
	if len(t.d.Out) > 0 {
		t.capture.after = quietBeforeOutput
	}
	for _, open := range waits {
		if open {
			t.capture.left++
		}
	}
	for i := range t.gates {
		if err := t.captureAhead(i); err != nil {
			return err
		}
	}
	t.captured()
	return nil
}

// captureAhead notes what input i had read before its turn, or has yet to restore.
func (t *Task) captureAhead(i int) error {
	g := t.gates[i]
	if !t.capture.waits(i) {
		return nil
	}
	for len(g.restored) > 0 {
		if err := t.readRestored(i); err != nil {
			return err
		}
	}
	ahead := g.ahead
	g.ahead = nil
	for _, e := range ahead {
		if t.note(i, e) {
			g.ahead = append(g.ahead, e)
		}
	}
	return nil
}

// drain reads inputs up to their barriers, without processing anything. It reports whether
// something has come.
func (t *Task) drain() (came bool, err error) {
	for i, g := range t.gates {
		for n := 0; n < drainRound && t.capture.waits(i); n++ {
			e, ok, err := g.from.Poll()
			if err != nil {
				return came, err
			}
			if !ok {
				break
			}
			came = true
			if t.note(i, e) {
				g.add(e)
			}
		}
	}
	if t.capture != nil && came {
		t.capture.last = t.env.Now()
	}
	t.captured()
	return came, nil
}

// add appends an element; a watermark replaces one that it follows.
func (g *gate) add(e stream.Element) {
	if n := len(g.ahead); n > 0 && e.Kind == stream.WatermarkElem && g.ahead[n-1].Kind == stream.WatermarkElem {
		g.ahead[n-1] = e
		return
	}
	g.ahead = append(g.ahead, e)
}

// note sees an element of an input before its turn: it is a part of the checkpoint if it
// is rows that come before the barrier. It reports whether it is processed later on;
// watermarks and idleness are, but no checkpoint has them: restored producers tell them
// again.
func (t *Task) note(i int, e stream.Element) bool {
	c := t.capture
	if !c.waits(i) {
		return true
	}
	switch e.Kind {
	case stream.DataElement:
		f := c.frozen
		f.flight[i] = append(f.flight[i], e.Batch.Share())
		if f.ack.InFlight += e.Batch.Bytes(); f.ack.InFlight > t.d.Options.MostInFlight {
			t.abandon(failure.Errorf(failure.Transient, "more than %d bytes are in flight to the task", t.d.Options.MostInFlight))
		}
	case stream.EndOfInput:
		c.arrived(i)
	case stream.BarrierElement:
		if e.Barrier.Checkpoint > c.frozen.ack.Barrier.Checkpoint {
			t.abandon(errNewer())
			return true
		}
		if e.Barrier.Checkpoint == c.frozen.ack.Barrier.Checkpoint {
			c.arrived(i)
		}
		return false
	}
	return true
}

func (c *capture) arrived(i int) {
	c.open[i] = false
	c.left--
}

// captured ends the capture when the barrier has come everywhere.
func (t *Task) captured() {
	if t.capture != nil && t.capture.left == 0 {
		f := t.capture.frozen
		t.capture = nil
		t.writeAside(f)
	}
}

// abandon gives a capture up, if there is one: what it noted is processed as if nothing had
// been overtaken.
func (t *Task) abandon(cause error) {
	if t.capture != nil {
		t.forsake(t.capture.frozen, cause)
	}
}
