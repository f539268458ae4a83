package checkpoint

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/stream"
)

// Outcome is what a barrier or the end of an input did to the alignment.
type Outcome uint8

// The outcomes.
const (
	InvalidOutcome Outcome = iota
	Ignored                // nothing changed: a barrier of a checkpoint that is over, or an input that nobody waited for
	Blocked                // the input waits for others
	Aligned                // the barrier has arrived everywhere; no input is blocked any more
)

// String is the outcome in a word.
func (o Outcome) String() string {
	switch o {
	case Ignored:
		return "ignored"
	case Blocked:
		return "blocked"
	case Aligned:
		return "aligned"
	default:
		return fmt.Sprintf("outcome %d", uint8(o))
	}
}

// Step is an outcome with what it concerns.
type Step struct {
	Outcome Outcome
	// Barrier is what is passed on, where Aligned.
	Barrier stream.Barrier
	// Overtaken is the checkpoint that this event gave up, because a newer one
	// arrived before it was aligned; zero for none. All its inputs were unblocked.
	Overtaken id.Checkpoint
}

// maxCancelled bounds how many cancelled checkpoints are remembered: more than a
// coordinator has in flight.
const maxCancelled = 64

// Alignment is the state machine of barriers over a fixed number of inputs. One
// goroutine at a time uses it.
type Alignment struct {
	inputs    []alignedInput
	current   stream.Barrier  // zero: none
	done      id.Checkpoint   // the newest that is over
	cancelled []id.Checkpoint // above done
}

type alignedInput struct{ blocked, finished bool }

// NewAlignment returns an alignment over n inputs.
func NewAlignment(n int) *Alignment { return &Alignment{inputs: make([]alignedInput, n)} }

// Clone returns an alignment in the same state, which goes on by itself.
func (a *Alignment) Clone() *Alignment {
	c := *a
	c.inputs, c.cancelled = slices.Clone(a.inputs), slices.Clone(a.cancelled)
	return &c
}

// Blocked reports whether input i must not be read.
func (a *Alignment) Blocked(i int) bool { return a.inputs[i].blocked }

// Pending is the checkpoint that some inputs wait for, or zero.
func (a *Alignment) Pending() id.Checkpoint { return a.current.Checkpoint }

// Barrier says that b has arrived on input i.
func (a *Alignment) Barrier(i int, b stream.Barrier) (step Step) {
	in := &a.inputs[i]
	if in.finished || in.blocked {
		invariant.Broken("barrier %d on input %d, which is finished (%t) or blocked (%t)", b.Checkpoint, i, in.finished, in.blocked)
	}
	if a.over(b.Checkpoint) || b.Checkpoint < a.current.Checkpoint {
		return Step{Outcome: Ignored}
	}
	if a.current.Checkpoint != 0 && b.Checkpoint > a.current.Checkpoint {
		step.Overtaken = a.current.Checkpoint
		a.end()
	}
	a.current = b
	in.blocked = true
	return a.advance(step)
}

// Overtake says that b is not waited for any more: its barriers are ignored from now on,
// and no input is blocked. waits says of each input whether its barrier is still to come.
// It reports false, and nothing changes, where the checkpoint or a newer one is under way
// or over already.
func (a *Alignment) Overtake(b stream.Barrier) (waits []bool, step Step, ok bool) {
	if a.over(b.Checkpoint) || b.Checkpoint < a.current.Checkpoint {
		return nil, Step{}, false
	}
	if b.Checkpoint > a.current.Checkpoint {
		if step.Overtaken = a.current.Checkpoint; step.Overtaken != 0 {
			a.end()
		}
		a.current = b
	}
	waits = make([]bool, len(a.inputs))
	for i, in := range a.inputs {
		waits[i] = !in.blocked && !in.finished
	}
	step.Outcome, step.Barrier = Aligned, b
	a.end()
	return waits, step, true
}

// Finish says that input i has ended; it counts as having every barrier.
func (a *Alignment) Finish(i int) Step {
	a.inputs[i].finished = true
	if a.current.Checkpoint == 0 {
		return Step{Outcome: Ignored}
	}
	if step := a.advance(Step{}); step.Outcome == Aligned {
		return step
	}
	return Step{Outcome: Ignored}
}

// Cancel gives a checkpoint up and reports whether inputs were waiting for it,
// which are unblocked. Its barriers are ignored from now on.
func (a *Alignment) Cancel(c id.Checkpoint) bool {
	if a.current.Checkpoint == c {
		a.end()
		return true
	}
	if !a.over(c) {
		if len(a.cancelled) == maxCancelled {
			a.cancelled = slices.Delete(a.cancelled, 0, 1)
		}
		a.cancelled = append(a.cancelled, c)
	}
	return false
}

func (a *Alignment) advance(step Step) Step {
	for _, in := range a.inputs {
		if !in.blocked && !in.finished {
			step.Outcome = Blocked
			return step
		}
	}
	step.Outcome, step.Barrier = Aligned, a.current
	a.end()
	return step
}

// end unblocks all inputs; the current checkpoint and older ones are over.
func (a *Alignment) end() {
	a.done = a.current.Checkpoint
	a.current = stream.Barrier{}
	for i := range a.inputs {
		a.inputs[i].blocked = false
	}
	a.cancelled = slices.DeleteFunc(a.cancelled, func(c id.Checkpoint) bool { return c <= a.done })
}

func (a *Alignment) over(c id.Checkpoint) bool { return c <= a.done || slices.Contains(a.cancelled, c) }
