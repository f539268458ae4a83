package jobmaster

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// Status is what is known of a job at one moment. It is a value that nobody
// changes any more.
type Status struct {
	Job   id.Job
	Name  string
	State execgraph.JobState
	// Cause is why the job fails or failed.
	Cause error
	// Running is how long the job has run, up to its end.
	Running  time.Duration
	Restarts int
	// Checkpoints is how many were completed.
	Checkpoints int
	Vertices    []VertexStatus
	// Written is what sinks have made ready to publish.
	Written Written
}

// Written counts output.
type Written struct{ Rows, Bytes, Files int64 }

// VertexStatus is what is known of a vertex.
type VertexStatus struct {
	Name        string
	Parallelism int
	Source      bool // it reads a table
	// Subtasks counts them by the state of their current attempt.
	Subtasks map[execgraph.AttemptState]int
	RowsIn   uint64
	RowsOut  uint64
	BytesIn  uint64
	// SpilledBytes is what operators wrote to disk because it did not fit memory.
	SpilledBytes uint64
	// LateRows came after their time was over, FutureRows were too far ahead of the clock.
	LateRows   uint64
	FutureRows uint64
	// RejectedRecords are no rows of the table RejectedOf; that is empty where none are
	// rejected.
	RejectedRecords uint64
	RejectedOf      string
}

// Status returns what is known now. Anybody may call it.
func (m *Master) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.Vertices = make([]VertexStatus, len(m.status.Vertices))
	copy(s.Vertices, m.status.Vertices)
	for a, p := range m.progress {
		v := &s.Vertices[a.Subtask.Vertex]
		v.RowsIn += p.GetRowsIn()
		v.RowsOut += p.GetRowsOut()
		v.BytesIn += p.GetBytesIn()
		v.SpilledBytes += p.GetSpilledBytes()
		v.LateRows += p.GetLateRows()
		v.FutureRows += p.GetFutureRows()
		v.RejectedRecords += p.GetRejectedRecords()
	}
	if !s.State.Terminal() {
		s.Running = time.Since(m.begun)
	}
	return s
}

// Operators returns what each operator of a vertex has done, by its place in the
// chain and by subtask, as far as attempts are over.
func (m *Master) Operators(v id.Vertex) [][]*rpc.OperatorCounts {
	out := make([][]*rpc.OperatorCounts, len(m.layout.graph.GetVertices()[v].GetChain()))
	m.mu.Lock()
	defer m.mu.Unlock()
	for a, p := range m.progress {
		if a.Subtask.Vertex != v {
			continue
		}
		for i, c := range p.GetOperators() {
			out[i] = append(out[i], c)
		}
	}
	return out
}

// Parallelism is the number of subtasks of a vertex; 0: it is not decided yet.
func (m *Master) Parallelism(v id.Vertex) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.layout.parallelism[v]
}

// describe reads the graph; only Run's goroutine, or New, calls it.
func (m *Master) describe() Status {
	s := Status{
		Job: m.opts.Job, Name: m.opts.Graph.GetName(), State: m.graph.State(), Cause: m.graph.Cause(),
		Restarts: m.graph.Restarts(), Vertices: make([]VertexStatus, len(m.layout.parallelism)), Written: m.written,
	}
	if s.State.Terminal() { // not before the output is published
		s.State = execgraph.JobRunning
	}
	if m.checkpoints != nil {
		s.Checkpoints = m.checkpoints.Count()
	}
	for i, v := range m.layout.graph.GetVertices() {
		s.Vertices[i] = VertexStatus{Name: v.GetName(), Parallelism: m.layout.parallelism[i], Source: m.layout.isSource(id.Vertex(i)), RejectedOf: rejectedOf(v), Subtasks: map[execgraph.AttemptState]int{}}
	}
	for _, r := range m.graph.Regions() {
		for _, t := range r.Tasks {
			s.Vertices[t.Attempt.Subtask.Vertex].Subtasks[t.State]++
		}
	}
	return s
}

// publish makes the present status visible.
func (m *Master) publish() {
	if m.ended {
		return // settle did
	}
	s, d := m.describe(), m.detail()
	m.mu.Lock()
	m.show(s)
	m.details, m.coordinatedBy = d, m.coordinator
	m.mu.Unlock()
}

// show replaces the status; the caller holds the lock.
func (m *Master) show(s Status) {
	if s.State != m.status.State {
		close(m.changed)
		m.changed = make(chan struct{})
	}
	m.status = s
}

// Changed is closed when the state is no longer what it is now.
func (m *Master) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// settle makes the outcome visible.
func (m *Master) settle(state execgraph.JobState, cause error) {
	s, d := m.describe(), m.detail()
	s.State, s.Cause, s.Running = state, cause, time.Since(m.begun)
	m.mu.Lock()
	m.show(s)
	m.details, m.coordinatedBy = d, ""
	m.mu.Unlock()
}

// Splits counts the job's splits; zeros where it has no coordinator task, or none
// any more.
func (m *Master) Splits(ctx context.Context) *rpc.ProgressReply {
	m.mu.Lock()
	w := m.coordinatedBy
	m.mu.Unlock()
	if w == "" {
		return &rpc.ProgressReply{}
	}
	r, err := m.opts.Dialer.Coordinator(w).Progress(ctx, &rpc.ProgressRequest{Job: m.ref()})
	if err != nil {
		return &rpc.ProgressReply{}
	}
	return r
}

// Graph is what the job runs; nobody changes it.
func (m *Master) Graph() *jobgraph.Graph { return m.opts.Graph }
