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
	// Trigger sends a barrier into the job; after the timeout, unless zero, TimedOut
	// is called.
	Trigger struct {
		Barrier  stream.Barrier
		Attempts []id.Attempt
		Timeout  time.Duration
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
func (Trigger) action()  {}
func (Position) action() {}
func (Save) action()     {}
func (Publish) action()  {}
func (Notify) action()   {}
func (Subsume) action()  {}
func (Discard) action()  {}
func (Void) action()     {}
func (FailJob) action()  {}

func (a Schedule) String() string { return fmt.Sprintf("schedule in %v", a.After) }
func (a Trigger) String() string {
	return fmt.Sprintf("trigger %v %d at %v", a.Barrier.Kind, a.Barrier.Checkpoint, a.Attempts)
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
