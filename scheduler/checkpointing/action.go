package checkpointing

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// Action is something that the job master does for the Coordinator. The set is
// closed.
type Action interface {
	action()
	String() string
}

// The actions.
type (
	// Schedule asks for Elapsed after a time.
	Schedule struct{ After time.Duration }
	// Poll asks for Begin after a time.
	Poll struct{ After time.Duration }
	// Answer tells who asked for a checkpoint that it is complete, published and, if it is
	// a savepoint, copied, or why there is none.
	Answer struct {
		Request    Request
		Checkpoint id.Checkpoint
		Cause      error
	}
	// Gather copies a savepoint, which is complete and published, to its directory:
	// Gathered. Of one that stops the job, that it ends so is recorded before.
	Gather struct {
		Manifest *checkpoint.Manifest
		Request  Request
	}
	// Stop ends the job, which has a savepoint to go on from.
	Stop struct{ Checkpoint id.Checkpoint }
	// Resume lets heads go on that are silent after the barrier of a savepoint that was
	// given up. If event time has come to its end the job restarts instead.
	Resume struct {
		Checkpoint id.Checkpoint
		Attempts   []id.Attempt
		Restart    error
	}
	// Trigger sends a barrier into the job; after the timeout, unless zero, TimedOut
	// is called, and after Aligned, unless zero, Overdue.
	Trigger struct {
		Barrier  stream.Barrier
		Attempts []id.Attempt
		Timeout  time.Duration
		Aligned  time.Duration
	}
	// Overtake has attempts take their part of a checkpoint before the barrier has come.
	Overtake struct {
		Barrier  stream.Barrier
		Attempts []id.Attempt
	}
	// Position asks for the positions of all enumerators: Positioned, or Failed.
	Position struct {
		Checkpoint id.Checkpoint
		Sources    []*rpc.SourcePart
	}
	// Save writes the manifest and its entry: Saved, or Failed.
	Save struct{ Manifest *checkpoint.Manifest }
	// Publish hands committables to their sinks, until it succeeds: Published.
	Publish struct {
		Checkpoint   id.Checkpoint
		Committables []*rpc.Committable
	}
	// Notify tells an attempt that a checkpoint is complete.
	Notify struct {
		Checkpoint id.Checkpoint
		Attempt    id.Attempt
	}
	// Subsume forgets a complete checkpoint and removes its files.
	Subsume struct{ Checkpoint id.Checkpoint }
	// Discard removes the files of one that was given up.
	Discard struct {
		Checkpoint id.Checkpoint
		Cause      error
	}
	// Void discards what will never be published.
	Void struct{ Committables []*rpc.Committable }
	// FailJob ends the job.
	FailJob struct{ Cause error }
)

func (Schedule) action() {}
func (Poll) action()     {}
func (Answer) action()   {}
func (Gather) action()   {}
func (Stop) action()     {}
func (Resume) action()   {}
func (Trigger) action()  {}
func (Overtake) action() {}
func (Position) action() {}
func (Save) action()     {}
func (Publish) action()  {}
func (Notify) action()   {}
func (Subsume) action()  {}
func (Discard) action()  {}
func (Void) action()     {}
func (FailJob) action()  {}

func (a Schedule) String() string { return fmt.Sprintf("schedule in %v", a.After) }
func (a Poll) String() string     { return fmt.Sprintf("poll in %v", a.After) }
func (a Answer) String() string {
	if a.Cause != nil {
		return fmt.Sprintf("answer %v: %v", a.Request.Kind, a.Cause)
	}
	return fmt.Sprintf("answer %v: %d", a.Request.Kind, a.Checkpoint)
}

func (a Gather) String() string {
	return fmt.Sprintf("gather %d in %s", a.Manifest.GetCheckpoint(), a.Request.Directory)
}
func (a Stop) String() string { return fmt.Sprintf("stop with %d", a.Checkpoint) }
func (a Resume) String() string {
	if a.Restart != nil {
		return fmt.Sprintf("restart: %v", a.Restart)
	}
	return fmt.Sprintf("resume %v after %d", a.Attempts, a.Checkpoint)
}

func (a Trigger) String() string {
	text := fmt.Sprintf("trigger %v %d at %v", a.Barrier.Kind, a.Barrier.Checkpoint, a.Attempts)
	if a.Aligned > 0 {
		text += fmt.Sprintf(", overtaking after %v", a.Aligned)
	}
	return text
}

func (a Overtake) String() string {
	return fmt.Sprintf("overtake with %d at %v", a.Barrier.Checkpoint, a.Attempts)
}

func (a Position) String() string {
	return fmt.Sprintf("positions for %d from %d sources", a.Checkpoint, len(a.Sources))
}
func (a Save) String() string { return fmt.Sprintf("save %d", a.Manifest.GetCheckpoint()) }
func (a Publish) String() string {
	return fmt.Sprintf("publish %d: %d committables", a.Checkpoint, len(a.Committables))
}
func (a Notify) String() string  { return fmt.Sprintf("notify %v of %d", a.Attempt, a.Checkpoint) }
func (a Subsume) String() string { return fmt.Sprintf("subsume %d", a.Checkpoint) }
func (a Discard) String() string { return fmt.Sprintf("discard %d: %v", a.Checkpoint, a.Cause) }
func (a Void) String() string    { return fmt.Sprintf("void %d committables", len(a.Committables)) }
func (a FailJob) String() string { return fmt.Sprintf("fail the job: %v", a.Cause) }
