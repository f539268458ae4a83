package task

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// maxWrites bounds the snapshots that are written at a time; a checkpoint that
// finds so many under way is declined.
const maxWrites = 2

// frozen is a snapshot that waits to be written.
type frozen struct {
	ack    Ack
	states []frozenState // by operator, those with keyed state
	paused time.Time     // when the task stood still
}

type frozenState struct {
	operator *checkpoint.OperatorState
	name     string
	content  state.Snapshot
}

// snapshot takes the task's part of a checkpoint: operators' state, keyed state
// frozen, then the barrier goes on. The rest happens aside.
func (t *Task) snapshot(b stream.Barrier) error {
	f := &frozen{paused: t.env.Now(), ack: Ack{Barrier: b, State: &checkpoint.SubtaskState{Index: t.d.Attempt.Subtask.Index}}}
	if !t.alignedSince.IsZero() {
		f.ack.Aligned = f.paused.Sub(t.alignedSince)
		t.alignedSince = time.Time{}
	}
	for i, l := range t.chain.links {
		if err := f.take(t, i, l, b); err != nil {
			f.release()
			return fmt.Errorf("checkpoint %d: %w", b.Checkpoint, err)
		}
	}
	f.ack.Committables, t.prepared = t.prepared, nil
	if err := t.chain.broadcast(stream.Element{Kind: stream.BarrierElement, Barrier: b}); err != nil {
		f.release()
		return err
	}
	f.ack.Paused = t.env.Now().Sub(f.paused)
	select {
	case t.writing <- struct{}{}:
		t.writers.Go(func() {
			defer func() { <-t.writing }()
			t.write(f)
		})
	default:
		t.decline(f, failure.Errorf(failure.Transient, "%d earlier snapshots are still being written", maxWrites))
	}
	return nil
}

func (f *frozen) take(t *Task, i int, l *link, b stream.Barrier) error {
	o := &checkpoint.OperatorState{Uid: l.spec.Uid}
	if l.snapshotter != nil {
		s, err := l.snapshotter.Snapshot(b)
		if err != nil {
			return l.wrap(err)
		}
		o.State = s
	}
	if l.state != nil {
		s, err := l.state.Snapshot()
		if err != nil {
			return l.wrap(err)
		}
		name := fmt.Sprintf("%d-%d-%d.%d", t.d.Attempt.Subtask.Vertex, t.d.Attempt.Subtask.Index, t.d.Attempt.N, i)
		f.states = append(f.states, frozenState{o, name, s})
	}
	if len(o.State) > 0 || l.state != nil {
		f.ack.State.Operators = append(f.ack.State.Operators, o)
	}
	return nil
}

func (f *frozen) release() {
	for _, s := range f.states {
		s.content.Release()
	}
	f.states = nil
}

// write stores the frozen state and acknowledges. It runs aside, in a goroutine
// that Run waits for.
func (t *Task) write(f *frozen) {
	started := t.env.Now()
	for _, s := range f.states {
		handles, err := t.env.Snapshots.Write(t.ctx, t.d.Job, f.ack.Barrier.Checkpoint, s.name, s.content)
		if err != nil {
			t.decline(f, fmt.Errorf("write state of %s: %w", s.operator.Uid, err))
			return
		}
		s.operator.Handles = handles
	}
	f.release()
	f.ack.Wrote = t.env.Now().Sub(started)
	t.reports.Lock()
	defer t.reports.Unlock()
	t.env.Reporter.Acknowledge(t.d.Job, t.d.Attempt, f.ack)
}

// decline gives up the task's part of a checkpoint. Output that was prepared in
// it belongs to the next one.
func (t *Task) decline(f *frozen, cause error) {
	f.release()
	if len(f.ack.Committables) > 0 && !t.mailbox.post(letter{returned: f.ack.Committables}) {
		cause = fmt.Errorf("%w; and the mailbox is full", cause)
	}
	t.reports.Lock()
	defer t.reports.Unlock()
	t.env.Reporter.Decline(t.d.Job, t.d.Attempt, f.ack.Barrier.Checkpoint, cause)
}
