package jobmaster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// maxWaits bounds the waits that a status lists.
const maxWaits = 100

// details is what a status says beyond numbers.
type details struct {
	vertices  []vertexDetails
	decisions []*rpc.Decision
	failures  []*rpc.JobFailure
	waits     []*rpc.Wait
	left      map[string]leftovers // by server
	// barrier is of the checkpoint whose parts are collected, missing who has not told its
	// own; nil: there is none.
	barrier *stream.Barrier
	missing []id.Attempt
}

type vertexDetails struct {
	region   uint32
	attempts []uint32
	workers  []string
}

// Describe adds to a status what the job master alone knows: the result, once it can be
// read; decisions and failures; what waits for what, other than for slots; attempts and
// places of the subtasks of the vertices that it lists.
func (m *Master) Describe(s *rpc.JobStatus) {
	m.mu.Lock()
	d, result := m.details, m.result
	if !s.GetOver() {
		m.stand(s, d)
	}
	m.mu.Unlock()
	s.Result, s.Decisions, s.Failures = result, d.decisions, d.failures
	for _, v := range s.GetVertices() {
		if i := int(v.GetVertex()); i < len(d.vertices) {
			v.Region, v.Attempts, v.Workers = d.vertices[i].region, d.vertices[i].attempts, d.vertices[i].workers
		}
	}
	if !s.GetOver() {
		s.Waits = append(s.Waits, d.waits...)
		s.Waits = append(s.Waits, m.collecting(d)...)
		s.Waits = s.Waits[:min(len(s.Waits), maxWaits)]
	}
}

// name names regions by their vertices.
func (m *Master) name() {
	for i := range m.graph.Regions() {
		var names []string
		for _, v := range m.graph.Members(i) {
			names = append(names, m.layout.graph.GetVertices()[v].GetName())
		}
		m.parts = append(m.parts, fmt.Sprintf("region %d: %s", i, strings.Join(names, ", ")))
	}
}

// detail reads the graph; only Run's goroutine, or New, calls it.
func (m *Master) detail() details {
	d := details{vertices: make([]vertexDetails, len(m.layout.parallelism)), decisions: slices.Clip(m.decisions), left: m.left()}
	for _, r := range m.graph.Regions() {
		for _, v := range m.graph.Members(r.Index) {
			d.vertices[v].region = uint32(r.Index)
		}
		for _, t := range r.Tasks {
			v := &d.vertices[t.Attempt.Subtask.Vertex]
			v.attempts = append(v.attempts, t.Attempt.N)
			v.workers = append(v.workers, string(t.Slot.Worker))
		}
		d.waits = append(d.waits, m.waitsOf(r)...)
	}
	for _, f := range m.graph.Failures() {
		out := &rpc.JobFailure{At: f.At.Milliseconds(), Cause: f.Cause.Error()}
		for _, r := range f.Regions {
			out.Regions = append(out.Regions, uint32(r))
		}
		d.failures = append(d.failures, out)
	}
	if m.coordinator == "" && m.uncoordinated > 0 {
		d.waits = append(d.waits, &rpc.Wait{
			Part: "sources and sinks", Reason: "the coordinator task to start", Owner: "cluster", Since: m.uncoordinated.Milliseconds(),
		})
	}
	d.waits = append(d.waits, m.rescaleWaits()...)
	if m.checkpoints != nil {
		d.barrier, d.missing = m.checkpoints.Collecting()
	}
	d.waits = d.waits[:min(len(d.waits), maxWaits)]
	return d
}

// waitsOf says what a region waits for, other than slots: the pool knows of those.
func (m *Master) waitsOf(r execgraph.Region) (out []*rpc.Wait) {
	wait := func(part, reason, owner string, since time.Duration) {
		out = append(out, &rpc.Wait{Part: part, Reason: reason, Owner: owner, Since: since.Milliseconds()})
	}
	switch r.State {
	case execgraph.RegionWaiting:
		for _, in := range r.Inputs {
			wait(m.parts[r.Index], fmt.Sprintf("input of region %d, which has not finished", in), m.parts[in], r.Since)
		}
	case execgraph.RegionDelayed:
		if r.Unreached != "" {
			wait(m.parts[r.Index], fmt.Sprintf("the delay before it is deployed anew: %v", r.Cause), "worker "+string(r.Unreached), r.Since)
			break
		}
		wait(m.parts[r.Index], "the delay before its restart", "restart strategy", r.Since)
	}
	for _, t := range r.Tasks {
		subtask := fmt.Sprintf("subtask %v", t.Attempt)
		switch t.State {
		case execgraph.AttemptDeploying:
			if slices.ContainsFunc(m.held, func(d execgraph.Deploy) bool { return d.Attempt == t.Attempt }) {
				wait(subtask, "the coordinator task, which hands it splits", "coordinator task", t.Since)
				continue
			}
			wait(subtask, "to be taken by its worker", "worker "+string(t.Slot.Worker), t.Since)
		case execgraph.AttemptInitializing:
			wait(subtask, "its operators and exchanges to open", "worker "+string(t.Slot.Worker), t.Since)
		case execgraph.AttemptCanceling:
			wait(subtask, "its end, which was ordered", "worker "+string(t.Slot.Worker), t.Since)
		}
	}
	return out
}
