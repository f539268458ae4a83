package jobmaster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// Master runs one job.
type Master struct {
	opts   Options
	config config.Config
	layout *layout
	begun  time.Time
	inbox  *queue[func()]
	outbox *queue[call]
	saver  *queue[call] // what concerns checkpoints, and the end: it may take long
	store  *checkpointing.Store
	// gatherer copies savepoints: it may take long.
	gatherer *queue[call]
	history  *checkpointing.History
	done     chan struct{} // closed when the outcome is known

	// What follows belongs to Run.
	graph       *execgraph.Graph
	coordinator id.Worker // where the coordinator task runs; empty: the job needs none
	placed      map[id.Attempt]id.Slot
	output      map[id.Subtask]*rpc.TaskReport // of finished attempts
	timers      map[*time.Timer]bool
	starting    context.CancelFunc // ends the start of the coordinator task
	starts      int                // of the coordinator task: only the latest one counts
	workers     map[id.Worker]bool // that have something of the job
	ended       bool
	held        []execgraph.Deploy // that wait for the coordinator task
	lines       map[id.Worker]line
	places      map[uint32]*place    // by exchange
	servers     map[string]bool      // that keep something of the job
	keeps       map[id.Worker]string // the servers of workers that keep stored lanes themselves
	manifests   map[lane]*rpc.LaneManifest
	doubts      map[id.Subtask]bool // whose last attempt could not read what should be there
	moves
	rescaling
	unwanted  []*rpc.Committable // staged output that could not be discarded yet
	decisions []*rpc.Decision
	parts     []string // names of the regions; nobody changes them
	// uncoordinated is when the coordinator task was lost; zero: it was not.
	uncoordinated time.Duration
	resumed       bool // it only publishes what was decided before it
	written       Written

	// checkpointed says that the job takes checkpoints; the rest is set once it has
	// begun. restored is what its attempts start from, nil for nothing.
	checkpointed bool
	checkpoints  *checkpointing.Coordinator
	restored     *checkpointing.Restored
	base         id.Checkpoint       // what the job as a whole has begun from last; 0: nothing
	final        *execgraph.JobEnded // the end that waits for the final checkpoint
	finals       int                 // how often that was tried again
	stopped      bool                // with a savepoint: it has not failed, and was not cancelled
	// unpublished says that a complete checkpoint may have something to publish still.
	unpublished atomic.Bool
	// undiscarded says that the last checkpoint that was given up may be there still; it is
	// the saver's.
	undiscarded bool

	mu         sync.Mutex
	savepoints []*savepoint // the newest last
	status     Status
	progress   map[id.Attempt]*rpc.TaskProgress
	heard      time.Duration // when the last of it came
	// coordinatedBy is coordinator as last published.
	coordinatedBy id.Worker
	details       details
	result        *rpc.Edge     // once it can be read
	changed       chan struct{} // closed and replaced with the state, and when there is a result
}

// call is one thing to do outside; it runs on the outbox's goroutine.
type call func(ctx context.Context)

// New prepares a job; Run runs it.
func New(o Options) (*Master, error) {
	o = o.complete()
	c, err := config.FromMap(o.Graph.GetOptions(), "job "+o.Graph.GetName())
	if err != nil {
		return nil, err
	}
	alone := o.Resources.Fixed()
	l, err := newLayout(o.Graph, config.Parallelism.Get(c), o.Slots, alone)
	if err != nil {
		return nil, err
	}
	restarts, err := strategy(c, alone)
	if err != nil {
		return nil, err
	}
	checkpointed := l.streaming() && config.CheckpointInterval.Get(c) > 0 && l.checkpointable()
	if checkpointed && restarts.Kind != execgraph.RestartNone && config.ExchangeReplay.Get(c) != "none" {
		l.keepForReplay()
	}
	graph, err := execgraph.New(l.topology(checkpointed, uint32(o.Runs)*attemptsPerRun), restarts)
	if err != nil {
		return nil, err
	}
	store, err := openStore(o, c, l, checkpointed)
	if err != nil {
		return nil, err
	}
	m := &Master{
		opts: o, config: c, layout: l, graph: graph, begun: time.Now(),
		checkpointed: checkpointed, store: store,
		inbox: newQueue[func()](), outbox: newQueue[call](), saver: newQueue[call](), gatherer: newQueue[call](), history: &checkpointing.History{}, done: make(chan struct{}),
		placed: map[id.Attempt]id.Slot{}, output: map[id.Subtask]*rpc.TaskReport{},
		workers: map[id.Worker]bool{}, timers: map[*time.Timer]bool{}, progress: map[id.Attempt]*rpc.TaskProgress{},
		lines: map[id.Worker]line{}, places: map[uint32]*place{}, servers: map[string]bool{}, keeps: map[id.Worker]string{},
		manifests: map[lane]*rpc.LaneManifest{}, doubts: map[id.Subtask]bool{},
		moves: newMoves(), changed: make(chan struct{}),
	}
	m.required = o.Requirements
	m.name()
	m.status = m.describe()
	return m, nil
}

// Done is closed when the outcome of the job is known.
func (m *Master) Done() <-chan struct{} { return m.done }

// Run runs the job to its end, which is in Status. When ctx ends first the job is
// suspended: its attempts are told to stop and nothing is published.
func (m *Master) Run(ctx context.Context) {
	calls, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { empty(calls, m.outbox) })
	running.Go(func() { empty(calls, m.saver) })
	running.Go(func() { empty(calls, m.mover) })
	running.Go(func() { empty(calls, m.gatherer) })
	defer func() {
		for t := range m.timers {
			t.Stop()
		}
		for w := range m.lines {
			m.hangUp(w)
		}
		stop()
		m.standby.calls.Wait()
		running.Wait()
		close(m.done)
	}()
	defer m.measure()()
	m.begin(calls)
	for !m.ended {
		select {
		case <-m.inbox.wake:
			for _, handle := range m.inbox.take() {
				handle()
			}
			m.evacuate()
			m.publish()
		case <-m.freed:
			m.freed = m.opts.Resources.Freed()
			m.consider()
			m.publish()
		case <-ctx.Done():
			m.handle(execgraph.Suspend{})
			m.publish()
			return
		}
	}
}

// empty is the goroutine of the outbox, the saver or the mover.
func empty(ctx context.Context, q *queue[call]) {
	for {
		select {
		case <-q.wake:
			for _, c := range q.take() {
				if ctx.Err() == nil {
					c(ctx)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// post has f run by the owner of the graph.
func (m *Master) post(f func()) { m.inbox.add(f) }

// do has f run by the outbox.
func (m *Master) do(f call) { m.outbox.add(f) }

// save has f run by the saver.
func (m *Master) save(f call) { m.saver.add(f) }

// after has f run by the owner of the graph after a time.
func (m *Master) after(d time.Duration, f func()) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		m.post(func() {
			delete(m.timers, t)
			f()
		})
	})
	m.timers[t] = true
}

// handle feeds the graph and performs its answer.
func (m *Master) handle(ev execgraph.Event) {
	if m.resumed { // its tasks are over
		return
	}
	actions := m.graph.Handle(time.Since(m.begun), ev)
	m.placeAll(actions)
	m.checkResult()
	m.perform(actions)
}

// begin finds what to restore, starts the coordinator task, then the graph.
func (m *Master) begin(ctx context.Context) {
	if m.opts.Decided != nil {
		m.resume()
		return
	}
	ctx = m.beginStart(ctx)
	if m.checkpointed {
		m.freed = m.opts.Resources.Freed()
	}
	parallelism := m.resize()
	if !m.restores() {
		m.start(ctx, nil, parallelism)
		return
	}
	m.do(func(context.Context) {
		found, err := m.awaitRestored(ctx)
		m.post(func() {
			if err != nil {
				m.handle(execgraph.Fail{Cause: fmt.Errorf("find a checkpoint to go on from: %w", err)})
				return
			}
			m.start(ctx, found, parallelism)
		})
	})
}

func (m *Master) start(ctx context.Context, restored *checkpointing.Restored, parallelism map[id.Vertex]int) {
	m.restored = restored
	if m.checkpointed {
		m.beginCheckpoints()
	}
	m.coordinate(ctx, func() {
		m.restarted()
		m.handle(execgraph.Start{Restore: restored != nil, Parallelism: parallelism})
	})
}

// coordinate starts the coordinator task, from what is restored, publishes what
// that may not have published yet, and goes on with then. It is tried again while
// workers are away; any other failure fails the job.
func (m *Master) coordinate(ctx context.Context, then func()) { m.tryCoordinate(ctx, 1, then) }

// beginStart returns the context of a start of the coordinator task. It ends the start
// before, which must not go on beside: enumerators that began again would hand out once
// more what sources have been given meanwhile.
func (m *Master) beginStart(ctx context.Context) context.Context {
	if m.starting != nil {
		m.starting()
	}
	m.starts++
	ctx, m.starting = context.WithCancel(ctx)
	return ctx
}

func (m *Master) tryCoordinate(ctx context.Context, try int, then func()) {
	vertices := m.layout.coordinated()
	if len(vertices) == 0 {
		then()
		return
	}
	var unpublished []*rpc.Committable
	origin, before, start := m.origin(), m.coordinator, m.starts
	attempts := m.attempts()
	for _, v := range vertices {
		vertex := id.Vertex(v.GetVertex().GetId())
		v.FirstAttempt = firstAttempt(attempts, vertex)
		if m.restored != nil {
			v.Restored = m.restored.Positions[vertex]
			unpublished = m.restored.Committables
		}
	}
	if m.restored != nil && id.Checkpoint(m.restored.Manifest.GetCheckpoint()) == m.published {
		unpublished = nil
	}
	m.do(func(calls context.Context) { // neither outlives the job master, nor its wish to start
		during, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(calls, stop)()
		w, err := m.startCoordinator(during, before, vertices, origin)
		if len(unpublished) > 0 {
			m.unpublished.Store(true)
		}
		if err == nil && len(unpublished) > 0 {
			err = m.commit(during, w, &rpc.CommitRequest{
				Job: m.ref(), Checkpoint: m.restored.Manifest.GetCheckpoint(), Committables: unpublished,
			})
			m.unpublished.Store(err != nil)
		}
		m.post(func() {
			if w != "" {
				m.workers[w] = true
			}
			if start != m.starts {
				return // it began anew
			}
			if w != "" {
				m.coordinator = w
			}
			if err == nil && !slices.Contains(m.opts.Resources.Workers(), w) { // nobody knew yet what went with it
				err = lost(w)
			}
			switch {
			case err == nil:
				then()
			case !failure.Of(err).Retryable() || ctx.Err() != nil || try == coordinatorTries || m.opts.Resources.Fixed():
				m.handle(execgraph.Fail{Cause: err})
			case !m.graph.State().Terminal():
				m.coordinator = ""
				m.after(min(commitFirstPause*time.Duration(try), mostPause), func() {
					if start == m.starts {
						m.tryCoordinate(ctx, try+1, then)
					}
				})
			}
		})
	})
}

// origin is the first job of those that were restored from each other, up to this one.
func (m *Master) origin() id.Job {
	if m.restored != nil {
		return m.restored.Origin
	}
	return m.opts.Job
}

// firstAttempt is the lowest number of the present attempts of a vertex.
func firstAttempt(attempts map[id.Subtask]id.Attempt, v id.Vertex) uint32 {
	least, found := uint32(0), false
	for s, a := range attempts {
		if s.Vertex == v && (!found || a.N < least) {
			least, found = a.N, true
		}
	}
	return least
}

// startCoordinator returns the worker that was asked, also when it fails: the one where the
// task was before, if that is still there.
func (m *Master) startCoordinator(ctx context.Context, before id.Worker, vertices []*rpc.CoordinatedVertex, origin id.Job) (id.Worker, error) {
	workers := m.opts.Resources.Usable()
	if len(workers) == 0 {
		return "", failure.Errorf(failure.Transient, "no worker for the coordinator task")
	}
	w := workers[int(m.opts.Job[0])%len(workers)]
	if slices.Contains(workers, before) {
		w = before
	}
	r := &rpc.CoordinatorRequest{Job: m.ref(), Vertices: vertices, Origin: origin[:]}
	err := m.whileThere(ctx, w, func(ctx context.Context) error {
		_, err := m.opts.Dialer.Worker(w).StartCoordinator(ctx, r)
		return err
	})
	m.unreached(w, err)
	return w, err
}

func (m *Master) ref() *rpc.JobRef { return rpc.Ref(m.opts.Job, m.opts.Term) }

// Cancel ends the job by the user's wish. It returns at once and may be called by
// anybody, more than once.
func (m *Master) Cancel() {
	m.post(func() {
		if m.starting != nil {
			m.starting()
		}
		m.handle(execgraph.Cancel{})
	})
}

// Fail ends the job with a cause from outside.
func (m *Master) Fail(cause error) {
	m.post(func() { m.handle(execgraph.Fail{Cause: cause}) })
}
