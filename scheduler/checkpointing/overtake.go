package checkpointing

import (
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// overtaking adds to a trigger when barriers may overtake what is in flight: savepoints and
// final checkpoints wait for it.
func (c *Coordinator) overtaking(t Trigger) []Action {
	if !c.opts.Unaligned || t.Barrier.Kind != stream.CheckpointKind {
		return []Action{t}
	}
	if t.Aligned = c.opts.AlignedTimeout; t.Aligned > 0 {
		return []Action{t}
	}
	return append([]Action{t}, c.Overdue(t.Barrier.Checkpoint)...)
}

// Overdue says that the time to collect a checkpoint with aligned barriers is over.
func (c *Coordinator) Overdue(n id.Checkpoint) []Action {
	if c.phase != collecting || n != c.current.barrier.Checkpoint {
		return nil
	}
	var attempts []id.Attempt
	for _, a := range inOrder(c.current.attempts) {
		if c.current.waiting[a] && c.vertices[a.Subtask.Vertex].Overtakes {
			attempts = append(attempts, a)
		}
	}
	if len(attempts) == 0 {
		return nil
	}
	return []Action{Overtake{Barrier: c.current.barrier, Attempts: attempts}}
}
