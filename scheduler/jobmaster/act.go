package jobmaster

import (
	"context"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// perform performs actions of the graph in turn, but what is deployed together at once.
func (m *Master) perform(actions []execgraph.Action) {
	var deploys []execgraph.Deploy
	for _, a := range actions {
		if d, ok := a.(execgraph.Deploy); ok {
			deploys = append(deploys, d)
			continue
		}
		m.deploy(deploys)
		deploys = nil
		m.act(a)
	}
	m.deploy(deploys)
}

// act performs one action of the graph, other than to deploy.
func (m *Master) act(a execgraph.Action) {
	switch a := a.(type) {
	case execgraph.RequestSlots:
		m.requestSlots(a)
	case execgraph.CancelAttempt:
		m.cancelAttempt(a.Attempt)
	case execgraph.ReleaseSlots:
		if len(a.Slots) == 0 {
			m.opts.Resources.Withdraw(m.request(a.Region))
			return
		}
		m.opts.Resources.Release(m.opts.Job, a.Slots)
	case execgraph.ScheduleRestart:
		m.after(a.Delay, func() { m.restart(a.Restart) })
	case execgraph.RestoreFromCheckpoint: // deploy and coordinate do
	case execgraph.Rewind:
		m.rewindFor(a)
	case execgraph.ResetExchange:
		m.drop([]uint32{uint32(a.Exchange)})
	case execgraph.JobEnded:
		m.finish(a)
	default:
		invariant.Broken("job master: unknown action %T", a)
	}
}

func (m *Master) request(region int) resource.Request {
	return resource.Request{Job: m.opts.Job, Region: region}
}

// deploysTogether is how many attempts are sent to workers at a time.
const deploysTogether = 16

// deploy sends attempts to their workers, several at a time: they are started by what they
// read, in no order. Sources wait for the coordinator task, if that is being started again.
func (m *Master) deploy(all []execgraph.Deploy) {
	var calls []call
	for _, a := range all {
		m.placed[a.Attempt] = a.Slot
		m.workers[a.Slot.Worker] = true
		if m.coordinator == "" && m.layout.isSource(a.Attempt.Subtask.Vertex) {
			m.held = append(m.held, a)
			continue
		}
		r, err := m.deployment(a)
		if err != nil {
			m.post(func() { m.handle(execgraph.TaskFailed{Attempt: a.Attempt, Cause: err}) })
			continue
		}
		calls = append(calls, m.told(a.Slot.Worker, func(ctx context.Context) { m.send(ctx, a, r) }))
	}
	if len(calls) == 0 {
		return
	}
	m.do(func(ctx context.Context) {
		var sending sync.WaitGroup
		turns := make(chan struct{}, deploysTogether)
		for _, c := range calls {
			turns <- struct{}{}
			sending.Go(func() {
				c(ctx)
				<-turns
			})
		}
		sending.Wait()
	})
}

// deployment is what an attempt's worker is told.
func (m *Master) deployment(a execgraph.Deploy) (*rpc.DeployRequest, error) {
	v := m.layout.graph.GetVertices()[a.Attempt.Subtask.Vertex]
	r := &rpc.DeployRequest{
		Job: m.ref(), Attempt: rpc.FromAttempt(a.Attempt), Slot: a.Slot.Index, Vertex: v,
		Parallelism: uint32(m.layout.parallelism[v.GetId()]), KeyGroups: m.layout.graph.GetKeyGroups(),
		Streaming: m.layout.streaming(),
		Restore:   m.restoreOf(a.Attempt.Subtask),
		Options:   m.layout.graph.GetOptions(), Coordinator: string(m.coordinator),
	}
	var err error
	if r.In, err = m.ins(v); err == nil {
		r.Out, err = m.outs(v)
	}
	return r, err
}

// send tells a worker to run an attempt, and the graph what came of it.
func (m *Master) send(ctx context.Context, a execgraph.Deploy, r *rpc.DeployRequest) {
	_, err := m.opts.Dialer.Worker(a.Slot.Worker).Deploy(ctx, r)
	unreached := m.unreached(a.Slot.Worker, err)
	m.post(func() {
		if err != nil {
			m.handle(execgraph.TaskFailed{Attempt: a.Attempt, Cause: err, Unreached: unreached})
			return
		}
		m.handle(execgraph.Deployed{Attempt: a.Attempt})
	})
}

func (m *Master) cancelAttempt(a id.Attempt) {
	slot := m.placed[a]
	if at := slices.IndexFunc(m.held, func(d execgraph.Deploy) bool { return d.Attempt == a }); at >= 0 {
		m.held = slices.Delete(m.held, at, at+1)
		m.post(func() { m.handle(execgraph.TaskCanceled{Attempt: a}) })
		return
	}
	m.tell(slot.Worker, func(ctx context.Context) {
		r := &rpc.CancelRequest{Job: m.ref(), Attempts: []*rpc.Attempt{rpc.FromAttempt(a)}}
		if _, err := m.opts.Dialer.Worker(slot.Worker).Cancel(ctx, r); err != nil {
			m.untold(slot.Worker, err)
		}
	})
}

// line is the connection to a worker, for as long as it is not lost.
type line struct {
	ctx  context.Context
	stop context.CancelFunc
}

// tell has the outbox call a worker; the call ends when the worker is lost.
func (m *Master) tell(w id.Worker, f func(ctx context.Context)) { m.do(m.told(w, f)) }

// told is a call to a worker that ends when the worker is lost.
func (m *Master) told(w id.Worker, f func(ctx context.Context)) call {
	l, ok := m.lines[w]
	if !ok {
		l.ctx, l.stop = context.WithCancel(context.Background())
		m.lines[w] = l
	}
	return func(ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, callTimeout)
		defer stop()
		defer context.AfterFunc(l.ctx, stop)()
		f(ctx)
	}
}

// hangUp ends the calls to a worker that is lost.
func (m *Master) hangUp(w id.Worker) {
	if l, ok := m.lines[w]; ok {
		l.stop()
		delete(m.lines, w)
	}
}

// drop forgets exchanges on every worker and server that may have them.
func (m *Master) drop(exchanges []uint32) {
	if len(exchanges) == 0 {
		return
	}
	for w := range m.workers {
		m.tell(w, func(ctx context.Context) {
			if _, err := m.opts.Dialer.Worker(w).Drop(ctx, &rpc.DropRequest{Job: m.ref(), Exchanges: exchanges}); err != nil {
				m.untold(w, err)
			}
		})
	}
	servers := m.keepers(exchanges)
	if len(servers) == 0 {
		return
	}
	m.do(func(ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, serverTimeout)
		defer stop()
		m.dropStored(ctx, servers, exchanges)
	})
}

// restart tells the graph that a restart's delay is over, after what the attempts
// to be replaced have left was put away.
func (m *Master) restart(number int) {
	switch {
	case !m.graph.Awaits(number):
		return // another restart took its attempts over, which puts away what they have left
	case m.graph.Alone(number):
		m.handle(execgraph.RestartDelayElapsed{Restart: number})
		return
	}
	ev := execgraph.RestartDelayElapsed{Restart: number}
	if m.graph.State() == execgraph.JobRestarting {
		ev.Parallelism = m.resize()
	}
	before := m.attempts()
	m.handle(ev)
	replaced, vertices, now := []id.Attempt{}, map[uint32]bool{}, m.attempts()
	for subtask, old := range before {
		if now[subtask] != old {
			replaced = append(replaced, old)
			vertices[uint32(subtask.Vertex)] = true
		}
	}
	m.drop(m.pipelinedWithin(vertices))
	if m.layout.streaming() {
		m.rewind(replaced)
		return
	}
	m.putAway(replaced)
}

// attempts are the current ones.
func (m *Master) attempts() map[id.Subtask]id.Attempt {
	all := map[id.Subtask]id.Attempt{}
	for _, r := range m.graph.Regions() {
		for _, t := range r.Tasks {
			all[t.Attempt.Subtask] = t.Attempt
		}
	}
	return all
}

// pipelinedWithin are the exchanges whose rows are gone with their readers.
func (m *Master) pipelinedWithin(vertices map[uint32]bool) (out []uint32) {
	for _, x := range m.layout.graph.GetExchanges() {
		if !x.GetResult() && vertices[x.GetProducer()] && vertices[x.GetConsumer()] && x.GetRetention() != jobgraph.Retention_RETENTION_JOB {
			out = append(out, x.GetId())
		}
	}
	return out
}

// putAway gives the splits of replaced attempts back and discards what they
// staged.
func (m *Master) putAway(replaced []id.Attempt) {
	var staged []*rpc.Committable
	var sources []*rpc.Attempt
	for _, a := range replaced {
		if done := m.output[a.Subtask]; done != nil {
			staged = append(staged, done.GetCommittables()...)
			m.count(done.GetCommittables(), -1)
			delete(m.output, a.Subtask)
		}
		if m.layout.isSource(a.Subtask.Vertex) {
			sources = append(sources, rpc.FromAttempt(a))
		}
		delete(m.placed, a)
		m.forgetProgress(a)
	}
	if len(sources) == 0 && len(staged) == 0 {
		return
	}
	coordinator := m.coordinator
	if coordinator == "" { // another one is being started, which knows nothing of them
		m.unwanted = append(m.unwanted, staged...)
		return
	}
	m.tell(coordinator, func(ctx context.Context) {
		c := m.opts.Dialer.Coordinator(coordinator)
		if _, err := c.Reset(ctx, &rpc.ResetRequest{Job: m.ref(), Attempts: sources}); err != nil {
			m.unreached(coordinator, err)
			m.post(func() {
				m.unwanted = append(m.unwanted, staged...)
				m.coordinatorLost(coordinator, err)
			})
			return
		}
		if len(staged) == 0 {
			return
		}
		if _, err := c.Abort(ctx, &rpc.AbortRequest{Job: m.ref(), Committables: staged}); err != nil {
			m.opts.Log.Warn("staged output is discarded later", "job", m.opts.Job, "error", err)
			m.post(func() { m.unwanted = append(m.unwanted, staged...) })
		}
	})
}
