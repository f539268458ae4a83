package jobmaster

import (
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
	switch r.GetState() {
	case rpc.TaskState_TASK_STATE_RUNNING:
		m.handle(execgraph.Running{Attempt: a})
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
		SpilledBytes: r.GetSpilledBytes(), Operators: r.GetOperators(),
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
}

func (m *Master) forgetProgress(a id.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.progress, a)
}
