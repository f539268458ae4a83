package jobmaster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// standby is what Run knows of state that workers restore before a job is rescaled.
type standby struct {
	holders []id.Worker        // that were asked
	stop    context.CancelFunc // ends the calls under way
	calls   sync.WaitGroup     // they
}

// standBy has keyed state restored from the checkpoint that was taken for a rescaling, where
// the attempts after it will probably run, while the present ones go on. Another checkpoint
// follows, and what it adds is all that is restored while nobody works. It is only ever an
// advantage: whatever fails, takes longer than a call may (callTimeout), or runs elsewhere,
// restores its state as ever.
func (m *Master) standBy(n id.Checkpoint, cause error) {
	var requests map[id.Worker]*rpc.StandByRequest
	if cause == nil && m.triggered > 0 && m.graph.State() == execgraph.JobRunning && config.StateBackend.Get(m.config) == "hashmap" {
		var err error
		if requests, err = m.standbys(); err != nil {
			m.opts.Log.Warn("state is not restored ahead", "job", m.opts.Job, "checkpoint", n, "error", err)
		}
	}
	if len(requests) == 0 {
		m.rescale(n, cause)
		return
	}
	began := m.triggered
	ctx, stop := context.WithCancel(context.Background())
	m.standby.stop = stop
	var calls []call
	for w, r := range requests {
		m.workers[w] = true
		m.holders = append(m.holders, w)
		calls = append(calls, m.told(w, func(ctx context.Context) {
			if _, err := m.opts.Dialer.Worker(w).StandBy(ctx, r); err != nil {
				m.opts.Log.Info("a worker has not restored state ahead", "job", m.opts.Job, "worker", w, "error", err)
			}
		}))
	}
	m.standby.calls.Go(func() {
		defer stop()
		var calling sync.WaitGroup
		for _, c := range calls {
			calling.Go(func() { c(ctx) })
		}
		calling.Wait()
		m.post(func() { m.stoodBy(began) })
	})
}

// stoodBy goes on with the rescaling that began at a time, unless the job has done something
// else meanwhile.
func (m *Master) stoodBy(began time.Duration) {
	switch {
	case m.triggered != began || m.saved > 0: // it restarts, or has
		m.rescaled()
	case m.stopped || m.final != nil || m.graph.State() != execgraph.JobRunning:
		m.steps = steps{}
	default:
		m.ahead = time.Since(m.begun)
		m.checkpointNow(func(n id.Checkpoint, cause error) {
			m.post(func() { m.rescale(n, cause) })
		})
	}
}

// standbys are what workers are asked to restore of the latest checkpoint; none where there is
// little of it.
func (m *Master) standbys() (map[id.Worker]*rpc.StandByRequest, error) {
	parallelism, _ := m.aim(m.slots())
	groups := int(m.layout.graph.GetKeyGroups())
	r, err := checkpointing.Restore(m.opts.Job, m.checkpoints.Latest(), m.checkpointVertices(parallelism), groups, true)
	if err != nil {
		return nil, err
	}
	bytes := int64(0)
	out := map[id.Worker]*rpc.StandByRequest{}
	for s, slot := range m.slotsAt(parallelism) {
		restore := keyedOnly(r.Subtasks[s])
		if restore == nil {
			continue
		}
		for _, o := range restore.GetOperators() {
			for _, h := range o.GetHandles() {
				bytes += h.GetLength()
			}
		}
		to := out[slot.Worker]
		if to == nil {
			to = &rpc.StandByRequest{Job: m.ref()}
			out[slot.Worker] = to
		}
		to.Tasks = append(to.Tasks, &rpc.DeployRequest{
			Job: m.ref(), Attempt: rpc.FromAttempt(id.Attempt{Subtask: s}), Slot: slot.Index, Vertex: m.layout.graph.GetVertices()[s.Vertex],
			Parallelism: uint32(parallelism[s.Vertex]), KeyGroups: uint32(groups), Streaming: true,
			Restore: restore, Options: m.layout.graph.GetOptions(),
		})
	}
	if bytes < config.RescaleStandbySize.Get(m.config) {
		return nil, nil
	}
	return out, nil
}

// keyedOnly is the part of a restore that can be done ahead; nil: there is none.
func keyedOnly(r *checkpoint.Restore) *checkpoint.Restore {
	out := &checkpoint.Restore{Checkpoint: r.GetCheckpoint()}
	for _, o := range r.GetOperators() {
		if len(o.GetHandles()) > 0 {
			out.Operators = append(out.Operators, &checkpoint.OperatorRestore{
				Uid: o.GetUid(), Handles: o.GetHandles(), Shares: o.GetShares(), Foreign: o.GetForeign(), Rearranged: o.GetRearranged(),
			})
		}
	}
	if len(out.Operators) == 0 || r.GetFinished() {
		return nil
	}
	return out
}

// slotsAt is where the subtasks of the job with such a parallelism run if it begins again, and
// nobody takes slots or gives some back until then.
func (m *Master) slotsAt(parallelism []int) map[id.Subtask]id.Slot {
	var widths []int
	for r := range m.graph.Regions() {
		widths = append(widths, m.graph.Width(r, parallelism))
	}
	out := map[id.Subtask]id.Slot{}
	for r, slots := range m.opts.Resources.Foresee(m.opts.Job, widths) {
		maps.Copy(out, m.graph.Places(r, parallelism, slots))
	}
	return out
}

// standDown has workers forget what was restored ahead and not taken.
func (m *Master) standDown() {
	for _, w := range m.holders {
		m.tell(w, func(ctx context.Context) {
			if _, err := m.opts.Dialer.Worker(w).StandBy(ctx, &rpc.StandByRequest{Job: m.ref()}); err != nil {
				m.opts.Log.Warn("a worker may keep what it has restored ahead", "job", m.opts.Job, "worker", w, "error", err)
			}
		})
	}
	m.holders = nil
}

// atWork says whether all attempts are.
func (m *Master) atWork() bool {
	return !slices.ContainsFunc(m.graph.Regions(), func(r execgraph.Region) bool {
		return slices.ContainsFunc(r.Tasks, func(t execgraph.Task) bool { return t.State < execgraph.AttemptRunning })
	})
}
