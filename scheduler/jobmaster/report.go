package jobmaster

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// Report takes a worker's report about an attempt. It returns at once.
func (m *Master) Report(r *rpc.TaskReport) { m.post(func() { m.report(r) }) }

func (m *Master) report(r *rpc.TaskReport) {
	a := r.GetAttempt().ID()
	if !m.known(a) {
		return // of another job master's layout
	}
	if f := r.GetFilter(); f != nil {
		m.passOn(a, f)
		return
	}
	switch r.GetState() {
	case rpc.TaskState_TASK_STATE_RUNNING:
		m.handle(execgraph.Running{Attempt: a})
		m.rescaled()
	case rpc.TaskState_TASK_STATE_FINISHED:
		m.finished(a, r)
	case rpc.TaskState_TASK_STATE_FAILED:
		m.failed(a, r.GetFailure().Err())
	case rpc.TaskState_TASK_STATE_CANCELLED:
		if m.current(a) {
			m.total(r)
		}
		m.handle(execgraph.TaskCanceled{Attempt: a})
	default:
		invariant.Broken("job master: %v reports %v", a, r.GetState())
	}
}

// filterTimeout is how long a worker may take to be brought a part of a filter.
const filterTimeout = time.Second

// passOn brings a part of a runtime filter, made by an attempt's worker, to the others.
// One that cannot be reached does without: a filter is only ever an advantage.
func (m *Master) passOn(a id.Attempt, f *rpc.FilterPart) {
	maker, ok := m.placed[a]
	if !ok {
		return
	}
	r := &rpc.NotifyRequest{Job: m.ref(), Filter: f}
	for w := range m.workers {
		if w == maker.Worker {
			continue
		}
		m.tell(w, func(ctx context.Context) {
			ctx, stop := context.WithTimeout(ctx, filterTimeout)
			defer stop()
			if _, err := m.opts.Dialer.Worker(w).Notify(ctx, r); err != nil {
				m.opts.Log.Debug("a part of a runtime filter was not brought", "job", m.opts.Job, "worker", w, "error", err)
			}
		})
	}
}

func (m *Master) known(a id.Attempt) bool {
	v := int(a.Subtask.Vertex)
	return v < len(m.layout.parallelism) && int(a.Subtask.Index) < m.layout.parallelism[v]
}

// current says whether an attempt was deployed and not replaced.
func (m *Master) current(a id.Attempt) bool {
	_, ok := m.placed[a]
	return ok
}

// total takes what an attempt that is over has done in all.
func (m *Master) total(r *rpc.TaskReport) {
	m.Progress(&rpc.TaskProgress{
		Attempt: r.GetAttempt(), RowsIn: r.GetRowsIn(), RowsOut: r.GetRowsOut(), BytesIn: r.GetBytesIn(),
		SpilledBytes: r.GetSpilledBytes(), Operators: r.GetOperators(), LateRows: r.GetLateRows(), FutureRows: r.GetFutureRows(),
		RejectedRecords: r.GetRejectedRecords(),
	})
}

// Progress takes what running attempts have done so far, from a heartbeat.
func (m *Master) Progress(p *rpc.TaskProgress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := p.GetAttempt().ID()
	if !m.known(a) || len(p.GetOperators()) == 0 && len(m.progress[a].GetOperators()) > 0 {
		return // the latter is a heartbeat that the attempt's last report has overtaken
	}
	m.progress[a] = p
	m.heard = time.Since(m.begun)
}

func (m *Master) forgetProgress(a id.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.progress, a)
}
