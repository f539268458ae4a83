package task

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// maxWrites bounds the snapshots that are written at a time; a checkpoint that
// finds so many under way is declined.
const maxWrites = 2

// frozen is a snapshot that waits to be written.
type frozen struct {
	ack    Ack
	states []frozenState     // by operator, those with keyed state
	left   []frozenState     // of states, those that are not all copied
	flight [][]*stream.Batch // by input: what the barrier overtook
	paused time.Time         // when the task stood still
	after  <-chan struct{}   // closed when the one before has been written, or not; nil: there is none
	done   chan struct{}
}

type frozenState struct {
	link     *link
	operator *checkpoint.OperatorState
	name     string
	scope    state.Scope
	content  state.Snapshot
}

// keyed is what a link's keyed state has been written to so far. Snapshots are written
// one after the other, for each builds on those before.
type keyed struct {
	chain checkpoint.Chain // of whoever writes
	// lost: a snapshot was not written, so that what changed before it is not in the
	// chain and the next one must hold everything.
	lost atomic.Bool
}

// snapshot takes the task's part of a checkpoint: operators' state, keyed state
// frozen, then the barrier goes on. The rest happens aside.
func (t *Task) snapshot(b stream.Barrier) error {
	t.abandon(errNewer())
	f, err := t.freeze(b)
	if err != nil {
		return err
	}
	t.writeAside(f)
	return nil
}

func errNewer() error { return failure.Errorf(failure.Transient, "a newer checkpoint overtook it") }

// freeze takes what the operators and their state hold, and sends the barrier on. What
// takes longer is copied between the elements that follow.
func (t *Task) freeze(b stream.Barrier) (*frozen, error) {
	t.copyAll()
	t.taken = b.Checkpoint
	f := &frozen{paused: t.env.Now(), ack: Ack{Barrier: b, State: &checkpoint.SubtaskState{Index: t.d.Attempt.Subtask.Index, Homes: t.homes}}}
	if !t.alignedSince.IsZero() {
		f.ack.Aligned = f.paused.Sub(t.alignedSince)
		t.alignedSince = time.Time{}
	}
	for i, l := range t.chain.links {
		if err := f.take(t, i, l, b); err != nil {
			f.lose()
			return nil, fmt.Errorf("checkpoint %d: %w", b.Checkpoint, err)
		}
	}
	if f.left = f.states; len(f.left) > 0 {
		t.copying = f
	}
	f.ack.Committables, t.prepared = t.prepared, nil
	if err := t.chain.broadcast(stream.Element{Kind: stream.BarrierElement, Barrier: b}); err != nil {
		t.copying = nil
		f.release()
		return nil, err
	}
	f.ack.Paused = t.env.Now().Sub(f.paused)
	return f, nil
}

// copySome copies some of the snapshot that is being copied, and has it written once that
// was all. It takes the time that the element before took, or that of state.CopyRows if that is
// longer: where elements wait for those who read, their checkpoint must not wait for many.
func (t *Task) copySome(took time.Duration) {
	for began := t.env.Now(); t.copying != nil; {
		t.copyNext()
		if t.env.Now().Sub(began) >= took {
			return
		}
	}
}

// copyAll copies all that is left.
func (t *Task) copyAll() {
	for t.copying != nil {
		t.copyNext()
	}
}

// copyNext copies about state.CopyRows.
func (t *Task) copyNext() {
	f := t.copying
	if len(f.left) > 0 {
		done, err := f.left[0].content.Copy(state.CopyRows)
		if err != nil {
			t.forsake(f, fmt.Errorf("copy state of %s: %w", f.left[0].operator.Uid, err))
			return
		}
		if done {
			f.left = f.left[1:]
		}
	}
	if len(f.left) == 0 {
		t.copying = nil
		t.writeAside(f)
	}
}

// writeAside has a goroutine write and acknowledge, once all is there: the task's state is
// copied, and what the barrier has overtaken has come.
func (t *Task) writeAside(f *frozen) {
	if t.copying == f || t.capture != nil && t.capture.frozen == f {
		return
	}
	select {
	case t.writing <- struct{}{}:
		f.after, f.done = t.written, make(chan struct{})
		t.written = f.done
		t.writers.Go(func() {
			defer func() { <-t.writing }()
			defer close(f.done)
			t.write(f)
		})
	default:
		t.decline(f, failure.Errorf(failure.Transient, "%d earlier snapshots are still being written", maxWrites))
	}
}

func (f *frozen) take(t *Task, i int, l *link, b stream.Barrier) error {
	o := &checkpoint.OperatorState{Uid: l.spec.Uid}
	if l.snapshotter != nil {
		s, err := l.snapshotter.Snapshot(b)
		if err != nil {
			return l.wrap(err)
		}
		o.State = s
		if spread, ok := l.snapshotter.(operator.Spread); ok {
			o.Everywhere = spread.Everywhere()
		}
	}
	if a, ok := l.state.(state.Adopter); ok {
		f.ack.State.Files = append(f.ack.State.Files, a.Adopted()...)
	}
	if l.state != nil {
		scope := state.Changes
		if l.keyed.lost.Load() {
			scope = state.Everything
		}
		s, err := l.state.Snapshot(scope)
		if err != nil {
			return l.wrap(err)
		}
		name := fmt.Sprintf("%d-%d-%d.%d", t.d.Attempt.Subtask.Vertex, t.d.Attempt.Subtask.Index, t.d.Attempt.N, i)
		f.states = append(f.states, frozenState{l, o, name, scope, s})
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
	for _, batches := range f.flight {
		for _, b := range batches {
			b.Release()
		}
	}
	f.flight = nil
}

// lose is release of what was not written.
func (f *frozen) lose() {
	for _, s := range f.states {
		s.link.keyed.lost.Store(true)
	}
	f.release()
}

// write stores the frozen state and acknowledges. It runs aside, in a goroutine
// that Run waits for.
func (t *Task) write(f *frozen) {
	if f.after != nil {
		<-f.after
	}
	started := t.env.Now()
	for _, s := range f.states {
		n, err := t.writeState(f.ack.Barrier.Checkpoint, s)
		f.ack.WroteBytes += n
		if err != nil {
			t.decline(f, fmt.Errorf("write state of %s: %w", s.operator.Uid, err))
			return
		}
	}
	if err := t.writeInFlight(f); err != nil {
		t.decline(f, fmt.Errorf("write what is in flight: %w", err))
		return
	}
	f.release()
	f.ack.Wrote = t.env.Now().Sub(started)
	t.reports.Lock()
	defer t.reports.Unlock()
	f.ack.Committables, t.returned = append(t.returned, f.ack.Committables...), nil
	t.env.Reporter.Acknowledge(t.d.Job, t.d.Attempt, f.ack)
}

// writeState writes the keyed state of one operator behind what was written before, and
// returns how many bytes that were.
func (t *Task) writeState(n id.Checkpoint, s frozenState) (bytes int64, err error) {
	k := &s.link.keyed
	if s.scope == state.Changes && k.lost.Load() {
		return 0, failure.Errorf(failure.Transient, "the snapshot before this one was not written")
	}
	handles, err := t.env.Snapshots.Write(t.ctx, t.d.Job, n, s.name, s.content)
	if err != nil {
		return 0, err
	}
	for _, h := range handles {
		bytes += h.GetLength()
	}
	k.chain.Add(handles, s.content.Whole(), t.d.KeyGroups)
	k.lost.Store(false)
	s.operator.Handles, s.operator.Shares = k.chain.Handles, k.chain.Shares
	return bytes, nil
}

// forsake declines a snapshot of which not all is there yet.
func (t *Task) forsake(f *frozen, cause error) {
	if t.copying == f {
		t.copying = nil
	}
	if t.capture != nil && t.capture.frozen == f {
		t.capture = nil
	}
	t.decline(f, cause)
}

// decline gives up the task's part of a checkpoint. Output that was prepared in
// it belongs to the next one.
func (t *Task) decline(f *frozen, cause error) {
	f.lose()
	t.reports.Lock()
	defer t.reports.Unlock()
	t.returned = append(t.returned, f.ack.Committables...)
	t.env.Reporter.Decline(t.d.Job, t.d.Attempt, f.ack.Barrier.Checkpoint, cause)
}
