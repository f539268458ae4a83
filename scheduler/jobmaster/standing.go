package jobmaster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

const (
	// slowCheckpoint is how long the parts of a checkpoint are collected before those that
	// are missing count as waits.
	slowCheckpoint = time.Second
	// maxMissing bounds how many of them are listed.
	maxMissing = 8
)

// stand adds what the present attempts have told of where they stand: their progress, and
// what they wait for. The caller holds the lock.
func (m *Master) stand(s *rpc.JobStatus, d details) {
	var credits []*rpc.TaskProgress
	pressed := map[uint32]bool{} // vertices of which a subtask waits for credit
	for _, v := range s.GetVertices() {
		i := int(v.GetVertex())
		if i >= len(d.vertices) {
			continue
		}
		for index, n := range d.vertices[i].attempts {
			a := id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(i), Index: uint32(index)}, N: n}
			p := m.progress[a]
			if p.GetStanding() == nil {
				continue
			}
			v.Progress = append(v.Progress, p)
			for _, w := range p.GetStanding().GetWaits() {
				if w.GetKind() == rpc.TaskWait_CREDIT {
					credits = append(credits, p)
					pressed[v.GetVertex()] = true
					continue
				}
				s.Waits = append(s.Waits, m.waitOf(a, w))
			}
		}
	}
	for _, p := range credits {
		a := p.GetAttempt().ID()
		for _, w := range p.GetStanding().GetWaits() {
			if w.GetKind() != rpc.TaskWait_CREDIT {
				continue
			}
			// Who waits for one that waits itself is not told: the last of a row of them is.
			if x := m.layout.output(a.Subtask.Vertex, w.GetEdge()); x.GetResult() || !pressed[x.GetConsumer()] {
				s.Waits = append(s.Waits, m.waitOf(a, w))
			}
		}
	}
	slices.SortStableFunc(s.Waits, func(a, b *rpc.Wait) int { return cmp.Compare(a.GetSince(), b.GetSince()) })
}

// waitOf says what an attempt waits for. The caller holds the lock.
func (m *Master) waitOf(a id.Attempt, w *rpc.TaskWait) *rpc.Wait {
	out := &rpc.Wait{
		Part:  fmt.Sprintf("subtask %v (%s)", a, m.layout.graph.GetVertices()[a.Subtask.Vertex].GetName()),
		Since: max(0, (m.heard - time.Duration(w.GetNanos())).Milliseconds()),
	}
	switch w.GetKind() {
	case rpc.TaskWait_CREDIT:
		out.Reason = "room for its rows, which are not taken as fast as it makes them"
		if x := m.layout.output(a.Subtask.Vertex, w.GetEdge()); x.GetResult() {
			out.Owner = "the client that reads the result"
		} else {
			out.Owner = m.vertexName(x.GetConsumer())
		}
	case rpc.TaskWait_BARRIER:
		out.Reason = fmt.Sprintf("the barrier of checkpoint %d", w.GetCheckpoint())
		if inputs := m.layout.graph.GetVertices()[a.Subtask.Vertex].GetInputs(); int(w.GetEdge()) < len(inputs) {
			out.Owner = m.vertexName(m.layout.graph.GetExchanges()[inputs[w.GetEdge()]].GetProducer())
		}
	case rpc.TaskWait_ROWS:
		out.Reason, out.Owner = "rows of its table: event time waits for them", "source"
		if split := w.GetSplit(); split != "" {
			out.Reason, out.Owner = "rows of a split: event time waits for them", "split "+split
		}
	}
	return out
}

func (m *Master) vertexName(v uint32) string {
	return fmt.Sprintf("vertex %d (%s)", v, m.layout.graph.GetVertices()[v].GetName())
}

// collecting says whose part a checkpoint waits for that takes long.
func (m *Master) collecting(d details) (out []*rpc.Wait) {
	if d.barrier == nil {
		return nil
	}
	triggered := time.UnixMilli(d.barrier.TriggeredAt)
	if time.Since(triggered) < slowCheckpoint {
		return nil
	}
	for i, a := range d.missing {
		w := &rpc.Wait{
			Part: fmt.Sprintf("%v %d", d.barrier.Kind, d.barrier.Checkpoint), Since: max(0, triggered.Sub(m.begun).Milliseconds()),
			Reason: fmt.Sprintf("the part of subtask %v", a), Owner: m.vertexName(uint32(a.Subtask.Vertex)),
		}
		if i == maxMissing {
			w.Reason, w.Owner = fmt.Sprintf("the parts of %d other subtasks", len(d.missing)-i), "workers"
			return append(out, w)
		}
		out = append(out, w)
	}
	return out
}
