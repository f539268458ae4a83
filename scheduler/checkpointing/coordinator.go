package checkpointing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// Options are the settings of a job's checkpoints.
type Options struct {
	Interval time.Duration // between triggers; positive
	Timeout  time.Duration // a checkpoint that takes longer is given up; zero: never
	Retained int           // completed ones that are kept; at least one
	// Failures is how many checkpoints may fail one after the other; one more fails
	// the job. Zero means 10. Those for which somebody is not reached count once in ten
	// seconds.
	Failures int
	// Plan is what manifests show of the job's graph.
	Plan []byte
	// Complete are those that the job has from an earlier leader, the oldest first: they are
	// subsumed in their turn.
	Complete []id.Checkpoint
	// History is told of each checkpoint; nil: nobody is.
	History *History
	// Clock says when a checkpoint ends; nil: time.Now.
	Clock func() time.Time
	// Unaligned has barriers overtake what is in flight once a checkpoint has been
	// collected for AlignedTimeout; zero: at once.
	Unaligned      bool
	AlignedTimeout time.Duration
}

// Vertex is what a checkpoint says of a vertex besides its subtasks' state.
type Vertex struct {
	UID, Name   string
	Parallelism int
	// Source is the uid of the source operator of a vertex that has one.
	Source string
	// Operators are those of the vertex that may have state.
	Operators []*checkpoint.KeptOperator
	// Head says that the vertex has no inputs: its subtasks are triggered.
	Head bool
	// Inputs are its exchanges. Overtakes says that barriers may overtake what is in flight
	// on them.
	Inputs    []checkpoint.Input
	Overtakes bool
}

// phase is how far the checkpoint under way is.
type phase uint8

const (
	idle phase = iota
	collecting
	positions
	storing
	publishing
	stopping
)

func (p phase) String() string {
	return [...]string{"idle", "collecting", "positions", "storing", "publishing", "stopping"}[p]
}

// Coordinator is the state machine of one job's checkpoints. One goroutine owns
// it.
type Coordinator struct {
	opts     Options
	job      id.Job
	origin   id.Job // the first job of those that were restored from each other
	groups   int
	vertices []Vertex

	last     id.Checkpoint // the newest number given away
	phase    phase
	current  pending
	due      bool                       // the interval elapsed while a checkpoint was under way
	asked    []Request                  // out of turn, the next one first
	copied   map[id.Checkpoint]*Request // savepoints that are being copied: their files stay
	failed   int                        // one after the other
	missed   time.Time                  // when the last one was counted for which somebody was not reached
	complete []id.Checkpoint            // that are kept
	count    int                        // of those that were completed
	latest   *checkpoint.Manifest       // of the newest complete one
	finished map[id.Subtask]id.Attempt
	// carried was made ready to publish and is in no checkpoint yet.
	carried []made
}

// made is something that an attempt has made ready to publish.
type made struct {
	by id.Subtask
	*rpc.Committable
}

func madeBy(s id.Subtask, all []*rpc.Committable) (out []made) {
	for _, one := range all {
		out = append(out, made{s, one})
	}
	return out
}

func committables(all []made) (out []*rpc.Committable) {
	for _, one := range all {
		out = append(out, one.Committable)
	}
	return out
}

// pending is the checkpoint under way.
type pending struct {
	barrier      stream.Barrier
	waiting      map[id.Attempt]bool
	attempts     map[id.Subtask]id.Attempt
	states       map[id.Subtask]*checkpoint.SubtaskState
	committables []made
	manifest     *checkpoint.Manifest
	heads        []id.Attempt
	request      *Request // whose it is; nil: its time had come
}

// New returns the state machine of a job that has taken no checkpoint under this leader;
// restored, which may be nil, is the one that it starts from.
func New(job id.Job, groups int, vertices []Vertex, restored *checkpoint.Manifest, o Options) *Coordinator {
	if o.Failures == 0 {
		o.Failures = 10
	}
	if o.History == nil {
		o.History = &History{}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	c := &Coordinator{
		opts: o, job: job, groups: groups, vertices: vertices, latest: restored,
		finished: map[id.Subtask]id.Attempt{}, copied: map[id.Checkpoint]*Request{},
	}
	c.last, c.origin = id.Checkpoint(restored.GetCheckpoint()), job
	if n := len(o.Complete); n > 0 {
		damaged, _ := slices.BinarySearch(o.Complete, c.last+1) // those that are newer were passed over: they go first
		c.complete, c.last = slices.Concat(o.Complete[damaged:], o.Complete[:damaged]), max(c.last, o.Complete[n-1])
	}
	if restored != nil {
		c.origin = origin(restored, job)
	}
	return c
}

// Latest is the manifest of the newest complete checkpoint, the one that the job
// was started from included, or nil.
func (c *Coordinator) Latest() *checkpoint.Manifest { return c.latest }

// Count is how many checkpoints were completed.
func (c *Coordinator) Count() int { return c.count }

// Collecting is the barrier of the checkpoint whose parts are being collected, and the
// attempts that have not told theirs, in order; nil: there is none.
func (c *Coordinator) Collecting() (*stream.Barrier, []id.Attempt) {
	if c.phase != collecting {
		return nil, nil
	}
	barrier := c.current.barrier
	var missing []id.Attempt
	for _, a := range inOrder(c.current.attempts) {
		if c.current.waiting[a] {
			missing = append(missing, a)
		}
	}
	return &barrier, missing
}

// Carried is what was made ready to publish and is in no complete checkpoint.
func (c *Coordinator) Carried() []*rpc.Committable { return committables(c.unpublished()) }

func (c *Coordinator) unpublished() []made { return slices.Concat(c.carried, c.current.committables) }

// Elapsed says that the interval is over. attempts are those that run, now being
// the coordinator's clock.
func (c *Coordinator) Elapsed(attempts []id.Attempt, now time.Time) []Action {
	next := Schedule{After: c.opts.Interval}
	if c.phase != idle {
		c.due = true
		return nil // it is asked for again when the one under way is over
	}
	c.due = false
	return append([]Action{next}, c.begin(stream.CheckpointKind, attempts, now)...)
}

// begin triggers a checkpoint, unless something is still being deployed, or about to end.
func (c *Coordinator) begin(kind stream.BarrierKind, attempts []id.Attempt, now time.Time) []Action {
	var heads []id.Attempt
	waiting, current := map[id.Attempt]bool{}, map[id.Subtask]id.Attempt{}
	for _, a := range attempts {
		if c.over(a.Subtask) {
			continue
		}
		waiting[a], current[a.Subtask] = true, a
		if c.vertices[a.Subtask.Vertex].Head {
			heads = append(heads, a)
		}
	}
	if len(heads) == 0 || len(waiting)+len(c.finished) < c.subtasks() {
		return nil
	}
	c.last++
	c.phase = collecting
	c.current = pending{
		barrier: stream.Barrier{Checkpoint: c.last, Kind: kind, TriggeredAt: now.UnixMilli()},
		waiting: waiting, attempts: current, states: map[id.Subtask]*checkpoint.SubtaskState{}, committables: c.carried,
		heads: heads,
	}
	c.carried = nil
	c.opts.History.begun(c.current.barrier, len(waiting))
	return c.overtaking(Trigger{Barrier: c.current.barrier, Attempts: heads, Timeout: c.opts.Timeout})
}

func (c *Coordinator) subtasks() (n int) {
	for _, v := range c.vertices {
		n += v.Parallelism
	}
	return n
}

// Acknowledged takes the part of an attempt that was not replaced.
func (c *Coordinator) Acknowledged(a id.Attempt, r *rpc.AckRequest) []Action {
	if c.phase != collecting || !c.current.waiting[a] {
		c.carried = append(c.carried, madeBy(a.Subtask, r.GetCommittables())...) // late: of a checkpoint that was given up
		return nil
	}
	if id.Checkpoint(r.GetBarrier().GetCheckpoint()) != c.current.barrier.Checkpoint {
		// Late, too, but before the attempt's part of this one: a restart from this one does not
		// write it again.
		c.current.committables = append(c.current.committables, madeBy(a.Subtask, r.GetCommittables())...)
		return nil
	}
	delete(c.current.waiting, a)
	c.opts.History.acknowledged(c.current.barrier.Checkpoint, r)
	c.current.states[a.Subtask] = r.GetState()
	c.current.committables = append(c.current.committables, madeBy(a.Subtask, r.GetCommittables())...)
	return c.collected()
}

// Finished says that an attempt has come to the end of its input.
func (c *Coordinator) Finished(a id.Attempt, ready []*rpc.Committable) []Action {
	c.finished[a.Subtask] = a
	if c.phase != collecting || !c.current.waiting[a] {
		c.carried = append(c.carried, madeBy(a.Subtask, ready)...)
		return nil
	}
	delete(c.current.waiting, a)
	c.opts.History.acknowledged(c.current.barrier.Checkpoint, nil)
	c.current.committables = append(c.current.committables, madeBy(a.Subtask, ready)...)
	return c.collected()
}

// collected goes on when nobody is waited for any more.
func (c *Coordinator) collected() []Action {
	if len(c.current.waiting) > 0 {
		return nil
	}
	c.phase = positions
	return []Action{Position{Checkpoint: c.current.barrier.Checkpoint, Sources: c.sources()}}
}

// over reports whether a subtask has finished.
func (c *Coordinator) over(s id.Subtask) bool { _, ok := c.finished[s]; return ok }

// sources are the sources' parts of the checkpoint under way.
func (c *Coordinator) sources() (parts []*rpc.SourcePart) {
	for _, a := range inOrder(c.current.attempts) {
		for _, o := range c.current.states[a.Subtask].GetOperators() {
			if source := c.vertices[a.Subtask.Vertex].Source; source != "" && o.GetUid() == source {
				parts = append(parts, &rpc.SourcePart{Attempt: rpc.FromAttempt(a), State: o.GetState()})
			}
		}
	}
	for _, a := range inOrder(c.finished) {
		if c.vertices[a.Subtask.Vertex].Source != "" && c.current.states[a.Subtask] == nil {
			parts = append(parts, &rpc.SourcePart{Attempt: rpc.FromAttempt(a), Finished: true})
		}
	}
	return parts
}

// inOrder lists attempts by vertex and index.
func inOrder(all map[id.Subtask]id.Attempt) []id.Attempt {
	return slices.SortedFunc(maps.Values(all), func(a, b id.Attempt) int {
		return cmp.Or(cmp.Compare(a.Subtask.Vertex, b.Subtask.Vertex), cmp.Compare(a.Subtask.Index, b.Subtask.Index))
	})
}

// Positioned takes the positions of the enumerators.
func (c *Coordinator) Positioned(n id.Checkpoint, by map[id.Vertex][]byte) []Action {
	if c.phase != positions || n != c.current.barrier.Checkpoint {
		return nil
	}
	c.phase = storing
	c.current.manifest = c.manifest(by)
	return []Action{Save{Manifest: c.current.manifest}}
}

// Final begins the last checkpoint of a job whose subtasks have all finished.
// One that is under way is given up. The positions of its enumerators follow.
func (c *Coordinator) Final(now time.Time) []Action {
	var actions []Action
	switch c.phase {
	case collecting, positions, storing:
		actions = append(actions, Subsume{Checkpoint: c.current.barrier.Checkpoint})
		c.opts.History.ended(c.current.barrier.Checkpoint, errEnds, now)
	}
	actions = append(actions, c.refuse(errEnds)...)
	c.carried = c.unpublished()
	c.last++
	c.current = pending{
		barrier:      stream.Barrier{Checkpoint: c.last, Kind: stream.FinalCheckpoint, TriggeredAt: now.UnixMilli()},
		committables: c.carried,
	}
	c.carried = nil
	c.phase = positions
	c.opts.History.begun(c.current.barrier, 0)
	return append(actions, Position{Checkpoint: c.last, Sources: c.sources()})
}

// Saved says that the manifest and its entry are written: the checkpoint is
// complete.
func (c *Coordinator) Saved(n id.Checkpoint) []Action {
	if c.phase != storing || n != c.current.barrier.Checkpoint {
		return []Action{Subsume{Checkpoint: n}} // it was given up meanwhile
	}
	c.phase, c.failed = publishing, 0
	c.latest = c.current.manifest
	c.complete = append(c.complete, n)
	c.count++
	c.opts.History.saved(n, c.latest, c.opts.Clock())
	actions := []Action{Publish{Checkpoint: n, Committables: committables(c.current.committables)}}
	for _, a := range inOrder(c.current.attempts) {
		if !c.over(a.Subtask) {
			actions = append(actions, Notify{Checkpoint: n, Attempt: a})
		}
	}
	c.current.committables = nil
	return actions
}

// Published says that the outside has what the checkpoint made ready.
func (c *Coordinator) Published(n id.Checkpoint) []Action {
	if c.phase != publishing || n != c.current.barrier.Checkpoint {
		return nil
	}
	var actions []Action
	if r := c.current.request; r != nil && r.Kind.Savepoint() {
		c.copied[n], c.current.request = r, nil
		actions = append(actions, Gather{Manifest: Detached(c.latest), Request: *r})
		if r.Kind.Stops() {
			c.phase = stopping
			return append(actions, c.trim()...)
		}
	}
	actions = append(actions, c.answer(nil)...)
	return append(append(actions, c.trim()...), c.rest()...)
}

// trim subsumes the oldest checkpoints beyond those that are retained, but none that is
// being copied.
func (c *Coordinator) trim() (actions []Action) {
	excess := len(c.complete) - len(c.copied) - max(c.opts.Retained, 1)
	c.complete = slices.DeleteFunc(c.complete, func(n id.Checkpoint) bool {
		if excess <= 0 || c.copied[n] != nil {
			return false
		}
		excess--
		actions = append(actions, Subsume{Checkpoint: n})
		c.opts.History.gone(n)
		return true
	})
	return actions
}

// rest ends the checkpoint under way, and has the next one triggered if somebody has asked
// for it or its time has come meanwhile.
func (c *Coordinator) rest() (actions []Action) {
	c.phase, c.current = idle, pending{}
	if len(c.asked) > 0 {
		actions = append(actions, Poll{})
	}
	if c.due {
		c.due = false
		actions = append(actions, Schedule{})
	}
	return actions
}

// errTimeout is why a checkpoint was given up.
var errTimeout = errors.New("it took longer than execution.checkpointing.timeout")

// TimedOut says that a checkpoint's time is over.
func (c *Coordinator) TimedOut(n id.Checkpoint) []Action {
	if c.phase != collecting && c.phase != positions {
		return nil
	}
	return c.Failed(n, errTimeout)
}

// Failed gives a checkpoint up that is not complete: it was declined, or could
// not be stored. What was made ready belongs to the next one.
func (c *Coordinator) Failed(n id.Checkpoint, cause error) []Action {
	if c.settled() || n != c.current.barrier.Checkpoint {
		return nil
	}
	if c.current.request == nil && c.counts(cause) { // who asks for one is told
		c.failed++
	}
	actions := c.giveUp(cause)
	if c.failed > c.opts.Failures {
		actions = append(actions, FailJob{Cause: failure.Wrap(failure.Of(cause), fmt.Errorf("%d checkpoints have failed, the last one: %w", c.failed, cause))})
	}
	return actions
}

// missedPause is how long others have to find out that somebody is lost who is not reached.
const missedPause = 10 * time.Second

// counts says whether a failure is one of those that a job survives so many of. Where somebody
// is not reached each trigger fails at once, many of them before a heartbeat is missed.
func (c *Coordinator) counts(cause error) bool {
	if !errors.Is(cause, rpc.ErrUnreachable) {
		return true
	}
	now := c.opts.Clock()
	if !c.missed.IsZero() && now.Sub(c.missed) < missedPause {
		return false
	}
	c.missed = now
	return true
}

// giveUp gives the checkpoint under way up. What was made ready belongs to the next one.
func (c *Coordinator) giveUp(cause error) []Action {
	n, resume := c.current.barrier.Checkpoint, c.resume(cause)
	c.carried = append(c.current.committables, c.carried...)
	actions := []Action{Discard{Checkpoint: n, Cause: cause}}
	c.opts.History.ended(n, cause, c.opts.Clock())
	actions = append(actions, c.answer(cause)...)
	return append(append(actions, c.rest()...), resume...)
}

// Replaced says that some subtasks begin again from the latest checkpoint, while the others
// go on: the one under way is given up, and what they have made ready since is void.
func (c *Coordinator) Replaced(subtasks []id.Subtask) (actions []Action) {
	if !c.settled() {
		actions = c.giveUp(failure.Errorf(failure.Transient, "%d tasks begin again", len(subtasks)))
	}
	var void []made
	gone := func(m made) bool { return slices.Contains(subtasks, m.by) }
	for _, m := range c.carried {
		if gone(m) {
			void = append(void, m)
		}
	}
	c.carried = slices.DeleteFunc(c.carried, gone)
	for _, s := range subtasks {
		delete(c.finished, s)
	}
	if len(void) > 0 {
		actions = append(actions, Void{Committables: committables(void)})
	}
	return actions
}

// settled says that there is no checkpoint under way that may still be given up.
func (c *Coordinator) settled() bool {
	return c.phase == idle || c.phase == publishing || c.phase == stopping
}

// Restarted says that all attempts were replaced, from the latest checkpoint on.
// What was made ready since then is void.
func (c *Coordinator) Restarted() []Action {
	clear(c.finished)
	return c.forget(errors.New("the job restarts"))
}

// Ended says that the job is over without a final checkpoint.
func (c *Coordinator) Ended() []Action {
	c.due = false
	return append(c.refuse(errEnds), c.forget(errEnds)...)
}

// forget gives up the checkpoint under way and then voids what is in no complete
// one: in this order, or a manifest that was being written would name what is gone.
func (c *Coordinator) forget(cause error) (actions []Action) {
	void := c.Carried()
	c.carried, c.current.committables = nil, nil
	if !c.settled() { // what is published is of a complete one
		actions = append(actions, Discard{Checkpoint: c.current.barrier.Checkpoint, Cause: cause})
		c.opts.History.ended(c.current.barrier.Checkpoint, cause, c.opts.Clock())
		actions = append(actions, c.answer(failure.Wrap(failure.Transient, cause))...)
		actions = append(actions, c.rest()...)
	}
	if len(void) > 0 {
		actions = append(actions, Void{Committables: void})
	}
	return actions
}
