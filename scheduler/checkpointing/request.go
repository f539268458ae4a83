package checkpointing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// Request is a checkpoint that somebody asks for, whatever the interval is. Its failure
// does not count among those that fail the job.
type Request struct {
	Kind      stream.BarrierKind // CheckpointKind, or a savepoint
	Directory string             // of a savepoint: its own
	// Done is called once by who performs Answer: with the checkpoint, which is complete,
	// published and, if it is a savepoint, copied, or with why there is none.
	Done func(n id.Checkpoint, cause error)
}

const (
	// maxAsked bounds how many requests wait.
	maxAsked = 64
	// pollEvery is how often it is looked whether a job has begun.
	pollEvery = 50 * time.Millisecond
)

// errEnds is why nothing more comes of requests.
var errEnds = errors.New("the job has ended")

// Now asks for a checkpoint at once, or after the one under way. While tasks are being
// deployed it waits; a restart fails it only if it was under way.
func (c *Coordinator) Now(r Request) []Action {
	if len(c.asked) == maxAsked {
		return []Action{Answer{Request: r, Cause: failure.Errorf(failure.Transient, "%d requests for checkpoints wait already", maxAsked)}}
	}
	c.asked = append(c.asked, r)
	if c.phase != idle || len(c.asked) > 1 {
		return nil
	}
	return []Action{Poll{}}
}

// Begin triggers the next checkpoint that was asked for. attempts are those that run, now
// being the coordinator's clock.
func (c *Coordinator) Begin(attempts []id.Attempt, now time.Time) []Action {
	if c.phase != idle || len(c.asked) == 0 {
		return nil
	}
	r := c.asked[0]
	actions := c.begin(r.Kind, attempts, now)
	if len(actions) == 0 {
		return []Action{Poll{After: pollEvery}}
	}
	c.asked, c.current.request = c.asked[1:], &r
	return actions
}

// answer tells who asked for the checkpoint under way, if anybody did.
func (c *Coordinator) answer(cause error) []Action {
	r := c.current.request
	if r == nil {
		return nil
	}
	c.current.request = nil
	return []Action{Answer{Request: *r, Checkpoint: c.current.barrier.Checkpoint, Cause: cause}}
}

// refuse answers all requests.
func (c *Coordinator) refuse(cause error) []Action {
	cause = failure.Wrap(failure.Conflict, cause)
	actions := c.answer(cause)
	for _, n := range slices.Sorted(maps.Keys(c.copied)) {
		actions = append(actions, Answer{Request: *c.copied[n], Checkpoint: n, Cause: cause})
		c.opts.History.ended(n, cause, c.opts.Clock())
	}
	clear(c.copied)
	for _, r := range c.asked {
		actions = append(actions, Answer{Request: r, Cause: cause})
	}
	c.asked = nil
	return actions
}

// Gathered says that a savepoint was copied, or why not. One that was to stop the job does
// so, or lets it go on.
func (c *Coordinator) Gathered(n id.Checkpoint, cause error) (actions []Action) {
	r := c.copied[n]
	if r == nil {
		return nil // the job has ended meanwhile
	}
	delete(c.copied, n)
	if cause == nil {
		c.opts.History.Placed(n, r.Directory)
	}
	c.opts.History.ended(n, cause, c.opts.Clock())
	stops := c.phase == stopping && n == c.current.barrier.Checkpoint
	if stops && cause == nil {
		actions = append(actions, Stop{Checkpoint: n})
	}
	actions = append(append(actions, Answer{Request: *r, Checkpoint: n, Cause: cause}), c.trim()...)
	if stops && cause != nil {
		resume := c.resume(cause)
		actions = append(append(actions, c.rest()...), resume...)
	}
	return actions
}

// resume lets heads go on that the checkpoint under way has silenced.
func (c *Coordinator) resume(cause error) []Action {
	switch b := c.current.barrier; {
	case !b.Kind.Stops():
		return nil
	case b.Kind == stream.DrainSavepoint:
		return []Action{Resume{Checkpoint: b.Checkpoint, Restart: failure.Wrap(failure.Transient, fmt.Errorf("event time was brought to its end for a savepoint that was given up: %w", cause))}}
	default:
		return []Action{Resume{Checkpoint: b.Checkpoint, Attempts: c.current.heads}}
	}
}
