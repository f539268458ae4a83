package jobmaster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
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
	done   chan struct{} // closed when the outcome is known

	// What follows belongs to Run.
	graph       *execgraph.Graph
	coordinator id.Worker // where the coordinator task runs; empty: the job needs none
	placed      map[id.Attempt]id.Slot
	output      map[id.Subtask]*rpc.TaskReport // of finished attempts
	timers      []*time.Timer
	starting    context.CancelFunc // ends the start of the coordinator task
	workers     map[id.Worker]bool // that have something of the job
	ended       bool

	mu       sync.Mutex
	status   Status
	progress map[id.Attempt]*rpc.TaskProgress
	// coordinatedBy is coordinator as last published.
	coordinatedBy id.Worker
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
	def := config.Parallelism.Get(c)
	if def == 0 {
		def = o.Slots
	}
	l, err := newLayout(o.Graph, def)
	if err != nil {
		return nil, err
	}
	restarts, err := strategy(c, l.result != nil)
	if err != nil {
		return nil, err
	}
	graph, err := execgraph.New(l.topology(false), restarts)
	if err != nil {
		return nil, err
	}
	m := &Master{
		opts: o, config: c, layout: l, graph: graph, begun: time.Now(),
		inbox: newQueue[func()](), outbox: newQueue[call](), done: make(chan struct{}),
		placed: map[id.Attempt]id.Slot{}, output: map[id.Subtask]*rpc.TaskReport{},
		workers: map[id.Worker]bool{}, progress: map[id.Attempt]*rpc.TaskProgress{},
	}
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
	running.Go(func() { m.perform(calls) })
	defer func() {
		for _, t := range m.timers {
			t.Stop()
		}
		stop()
		running.Wait()
		close(m.done)
	}()
	m.begin(calls)
	for !m.ended {
		select {
		case <-m.inbox.wake:
			for _, handle := range m.inbox.take() {
				handle()
			}
			m.publish()
		case <-ctx.Done():
			m.handle(execgraph.Suspend{})
			m.publish()
			return
		}
	}
}

// perform is the outbox's goroutine.
func (m *Master) perform(ctx context.Context) {
	for {
		select {
		case <-m.outbox.wake:
			for _, c := range m.outbox.take() {
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

// handle feeds the graph and performs its answer.
func (m *Master) handle(ev execgraph.Event) {
	for _, a := range m.graph.Handle(time.Since(m.begun), ev) {
		m.act(a)
	}
}

// begin starts the coordinator task, then the graph.
func (m *Master) begin(ctx context.Context) {
	vertices := m.layout.coordinated()
	if len(vertices) == 0 {
		m.handle(execgraph.Start{})
		return
	}
	ctx, m.starting = context.WithCancel(ctx)
	m.do(func(context.Context) {
		w, err := m.startCoordinator(ctx, vertices)
		m.post(func() {
			if w != "" {
				m.coordinator = w
				m.workers[w] = true
			}
			if err != nil {
				m.handle(execgraph.Fail{Cause: err})
				return
			}
			m.handle(execgraph.Start{})
		})
	})
}

// startCoordinator returns the worker that was asked, also when it fails.
func (m *Master) startCoordinator(ctx context.Context, vertices []*rpc.CoordinatedVertex) (id.Worker, error) {
	workers := m.opts.Resources.Workers()
	if len(workers) == 0 {
		return "", failure.Errorf(failure.Transient, "no worker for the coordinator task")
	}
	w := workers[int(m.opts.Job[0])%len(workers)]
	_, err := m.opts.Dialer.Worker(w).StartCoordinator(ctx, &rpc.CoordinatorRequest{Job: m.ref(), Vertices: vertices})
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

// WorkerLost says that a worker is gone with all that ran on it.
func (m *Master) WorkerLost(w id.Worker, cause error) {
	m.post(func() {
		delete(m.workers, w)
		if w == m.coordinator && !m.graph.State().Terminal() {
			m.handle(execgraph.Fail{Cause: failure.Wrap(failure.Transient, fmt.Errorf("worker %s with the coordinator task is lost: %w", w, cause))})
			return
		}
		m.handle(execgraph.WorkerLost{Worker: w, Cause: cause})
	})
}
