package jobmaster

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/adaptive"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// rewindFor prepares attempts that begin again from the latest checkpoint, while those that
// they read from go on: the checkpoint under way is given up, what the former attempts have
// made ready is void, and what came to them since is to be read again. That follows what
// the saver has to publish still: another writer of the same sink may not begin before.
func (m *Master) rewindFor(a execgraph.Rewind) {
	var subtasks []id.Subtask
	for _, next := range a.Attempts {
		subtasks = append(subtasks, next.Subtask)
		delete(m.output, next.Subtask)
	}
	for old := range m.placed {
		if next, ok := m.graph.Current(old.Subtask); ok && next.Attempt.N > old.N {
			delete(m.placed, old)
			m.forgetProgress(old)
		}
	}
	m.checkpoint(m.checkpoints.Replaced(subtasks))
	if !m.graph.Alone(a.Restart) {
		return // with the checkpoint that was given up, all begin again
	}
	latest := m.checkpoints.Latest()
	restored, err := m.restoreFrom(latest)
	if err != nil {
		m.handle(execgraph.Fail{Cause: err})
		return
	}
	m.restored = restored
	n := id.Checkpoint(latest.GetCheckpoint())
	from := n
	if n == m.base {
		from = 0
	}
	requests := m.rewinds(a.Attempts, from)
	m.save(func(ctx context.Context) {
		if !m.confirm(ctx, func() bool { return m.graph.Alone(a.Restart) }) {
			return // what the saver had to do took so long that all begin again
		}
		err := m.callRewinds(ctx, requests)
		m.post(func() { m.rewound(a, n, err) })
	})
}

// confirm has a question answered by the owner of the graph; no, when the job master has ended.
func (m *Master) confirm(ctx context.Context, question func() bool) bool {
	answer := make(chan bool, 1)
	m.post(func() { answer <- question() })
	select {
	case yes := <-answer:
		return yes
	case <-ctx.Done():
		return false
	}
}

// rewinds says which worker brings what back: the partitions that attempts read, without
// the lanes that other ones of them write.
func (m *Master) rewinds(attempts []id.Attempt, to id.Checkpoint) map[id.Worker]*rpc.RewindRequest {
	requests := map[id.Worker]*rpc.RewindRequest{}
	for _, reader := range attempts {
		now, _ := m.graph.Current(reader.Subtask)
		r := requests[now.Slot.Worker]
		if r == nil {
			r = &rpc.RewindRequest{Job: m.ref(), Checkpoint: uint64(to)}
			requests[now.Slot.Worker] = r
		}
		for _, n := range m.layout.graph.GetVertices()[reader.Subtask.Vertex].GetInputs() {
			x := m.layout.graph.GetExchanges()[n]
			p := &rpc.RewoundPartition{Exchange: n, Partition: reader.Subtask.Index, Reader: reader.N}
			for _, writer := range attempts {
				s := writer.Subtask
				paired := x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_FORWARD
				if uint32(s.Vertex) == x.GetProducer() && (!paired || s.Index == reader.Subtask.Index) {
					p.Lanes = append(p.Lanes, &rpc.LaneAttempt{Lane: s.Index, Attempt: writer.N})
				}
			}
			r.Partitions = append(r.Partitions, p)
		}
	}
	return requests
}

func (m *Master) callRewinds(ctx context.Context, requests map[id.Worker]*rpc.RewindRequest) (err error) {
	for w, r := range requests {
		ctx, stop := context.WithTimeout(ctx, serverTimeout)
		_, failed := m.opts.Dialer.Worker(w).Rewind(ctx, r)
		stop()
		err = errors.Join(err, failed)
	}
	return err
}

// rewound says what restarts, and has it deployed.
func (m *Master) rewound(a execgraph.Rewind, n id.Checkpoint, err error) {
	if !m.graph.Alone(a.Restart) {
		return // all begin again for another reason
	}
	d := adaptive.Decision{Rule: "restore alone", Subject: fmt.Sprintf("%d tasks", len(a.Attempts)), Inputs: fmt.Sprintf("checkpoint %d", n)}
	d.Effect = fmt.Sprintf("%v begin again; the tasks that they read from go on", a.Attempts)
	if err != nil {
		d.Inputs, d.Effect = err.Error(), "all tasks begin again"
	}
	m.record(d)
	m.handle(execgraph.Rewound{Restart: a.Restart, Cause: err})
}
