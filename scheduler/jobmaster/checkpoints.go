package jobmaster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// openStore opens where a job keeps its checkpoints, if it takes or restores any.
func openStore(o Options, c config.Config, l *layout, checkpointed bool) (*checkpointing.Store, error) {
	restores := l.streaming() && config.RestorePath.Get(c) != ""
	switch {
	case !checkpointed && l.streaming() && config.StateBackend.Get(c) == "tiered":
		return nil, failure.Errorf(failure.Usage, "tiered state is swept once a checkpoint is complete: set %s", config.CheckpointInterval.Key())
	case !checkpointed && !restores:
		return nil, nil
	case checkpointed && config.CheckpointDir.Get(c) == "":
		return nil, failure.Errorf(failure.Usage, "option %s is set: set %s, too", config.CheckpointInterval.Key(), config.CheckpointDir.Key())
	case o.Checkpoints == nil:
		return nil, failure.Errorf(failure.Internal, "there is nowhere to keep checkpoints")
	}
	return o.Checkpoints(c)
}

// checkpointVertices describes the job, with such a parallelism, to its checkpoints.
func (m *Master) checkpointVertices(parallelism []int) []checkpointing.Vertex {
	out := make([]checkpointing.Vertex, len(parallelism))
	for i, v := range m.layout.graph.GetVertices() {
		out[i] = checkpointing.Vertex{UID: v.GetUid(), Name: v.GetName(), Parallelism: parallelism[i], Head: len(v.GetInputs()) == 0}
		out[i].Inputs, out[i].Overtakes = m.layout.inFlight(v)
		if m.layout.isSource(id.Vertex(i)) {
			out[i].Source = v.GetChain()[0].GetUid()
		}
		for _, op := range v.GetChain() {
			out[i].Operators = append(out[i].Operators, &checkpoint.KeptOperator{
				Uid: op.GetUid(), Name: op.GetName(), Source: op.GetUid() == out[i].Source, Kept: op.GetKept(),
			})
		}
	}
	return out
}

// restores says whether the job may have to start from a checkpoint.
func (m *Master) restores() bool {
	return m.layout.streaming() && (config.RestorePath.Get(m.config) != "" || m.opts.Runs > 0 && m.checkpointed)
}

// awaitRestored is findRestored, which is tried again where that may help.
func (m *Master) awaitRestored(ctx context.Context) (found *checkpointing.Restored, err error) {
	err = m.repeat(ctx, "to find the checkpoint to go on from", handTries, nil, func() (err error) {
		found, err = m.findRestored(ctx)
		return err
	})
	return found, err
}

// findRestored finds what the job is to start from: its own latest checkpoint, what it
// was told, or, for a job that has not completed a checkpoint, nothing.
func (m *Master) findRestored(ctx context.Context) (*checkpointing.Restored, error) {
	damaged := func(name string, cause error) {
		m.opts.Log.Warn("a damaged checkpoint is passed over", "job", m.opts.Job, "manifest", name, "error", cause)
	}
	var manifest *checkpoint.Manifest
	var complete []id.Checkpoint
	var err error
	if m.opts.Runs > 0 && m.checkpointed {
		manifest, complete, err = m.store.Latest(ctx, m.opts.Job, damaged)
	}
	if place := config.RestorePath.Get(m.config); err == nil && manifest == nil && place != "" {
		manifest, err = m.findElsewhere(ctx, place, damaged)
	}
	if err != nil || manifest == nil {
		return nil, err
	}
	restored, err := m.restoreFrom(manifest)
	if err == nil {
		restored.Complete = complete
	}
	return restored, err
}

// findElsewhere finds what the job was told to start from, which may be on another file
// system than its own checkpoints.
func (m *Master) findElsewhere(ctx context.Context, place string, damaged func(string, error)) (*checkpoint.Manifest, error) {
	options := maps.Clone(m.layout.graph.GetOptions())
	delete(options, config.CheckpointDir.Key())
	c, err := config.FromMap(options, "job "+m.opts.Graph.GetName())
	if err != nil {
		return nil, err
	}
	store, err := m.opts.Checkpoints(c)
	if err != nil {
		return nil, err
	}
	manifest, err := store.Find(ctx, place, damaged)
	if err != nil {
		return nil, err
	}
	m.history.RestoredFrom(place)
	own, _ := fs.SplitURI(config.CheckpointDir.Get(m.config))
	if from, _ := fs.SplitURI(place); cmp.Or(from, fs.DefaultScheme) != cmp.Or(own, fs.DefaultScheme) {
		manifest = store.Files.Locate(manifest)
	}
	return manifest, nil
}

// restoreFrom says what the job's parts start from.
func (m *Master) restoreFrom(manifest *checkpoint.Manifest) (*checkpointing.Restored, error) {
	r, err := checkpointing.Restore(m.opts.Job, manifest, m.checkpointVertices(m.layout.parallelism), int(m.layout.graph.GetKeyGroups()), config.IgnoreUnclaimedState.Get(m.config))
	if err == nil && r != nil && len(r.LeftOut) > 0 {
		m.opts.Log.Warn("state was left out", "job", m.opts.Job, "checkpoint", manifest.GetCheckpoint(), "of", r.LeftOut)
	}
	if err == nil && r != nil && len(r.Empty) > 0 {
		m.opts.Log.Warn("operators that the checkpoint knows nothing of start empty", "job", m.opts.Job, "checkpoint", manifest.GetCheckpoint(), "operators", r.Empty)
	}
	return r, err
}

// restoreOf is what a subtask starts from.
func (m *Master) restoreOf(s id.Subtask) *checkpoint.Restore {
	if m.restored == nil {
		return nil
	}
	return m.restored.Subtasks[s]
}

// beginCheckpoints makes the state machine; the first checkpoint is due after one
// interval.
func (m *Master) beginCheckpoints() {
	var from *checkpoint.Manifest
	var complete []id.Checkpoint
	if m.restored != nil {
		from, complete = m.restored.Manifest, m.restored.Complete
	}
	o := checkpointing.Options{
		Interval: config.CheckpointInterval.Get(m.config), Timeout: config.CheckpointTimeout.Get(m.config),
		Retained: config.CheckpointsRetained.Get(m.config), Complete: complete, History: m.history, Plan: m.layout.shown(),
		Unaligned: config.UnalignedCheckpoints.Get(m.config), AlignedTimeout: config.AlignedTimeout.Get(m.config),
	}
	m.base = id.Checkpoint(from.GetCheckpoint())
	m.checkpoints = checkpointing.New(m.opts.Job, int(m.layout.graph.GetKeyGroups()), m.checkpointVertices(m.layout.parallelism), from, o)
	m.after(o.Interval, m.checkpointDue)
}

func (m *Master) checkpointDue() {
	if !m.graph.State().Terminal() {
		m.checkpoint(m.checkpoints.Elapsed(m.runningAttempts(), time.Now()))
	}
}

func (m *Master) checkpointAsked() {
	if !m.graph.State().Terminal() {
		m.checkpoint(m.checkpoints.Begin(m.runningAttempts(), time.Now()))
	}
}

// checkpointNow takes a checkpoint at once, or after the one under way; while the job
// restarts it waits. done is called once, with one that is complete and published or with
// why there is none. Both belong to Run's goroutine.
func (m *Master) checkpointNow(done func(n id.Checkpoint, cause error)) {
	if m.checkpoints == nil {
		done(0, m.uncheckpointed())
		return
	}
	m.checkpoint(m.checkpoints.Now(checkpointing.Request{Kind: stream.CheckpointKind, Done: done}))
}

// runningAttempts are those that may be triggered.
func (m *Master) runningAttempts() (running []id.Attempt) {
	for _, r := range m.graph.Regions() {
		for _, t := range r.Tasks {
			if t.State == execgraph.AttemptRunning {
				running = append(running, t.Attempt)
			}
		}
	}
	return running
}

// rewind starts a streaming job's replaced attempts from the latest checkpoint,
// or from where the job began.
func (m *Master) rewind(replaced []id.Attempt) {
	for _, a := range replaced {
		if done := m.output[a.Subtask]; done != nil && m.checkpoints == nil {
			m.checkpoint([]checkpointing.Action{checkpointing.Void{Committables: done.GetCommittables()}})
		}
		delete(m.output, a.Subtask)
		delete(m.placed, a)
		m.forgetProgress(a)
	}
	if m.checkpoints != nil {
		m.checkpoint(m.checkpoints.Restarted())
		restored, err := m.restoreFrom(m.checkpoints.Latest())
		if err != nil {
			m.handle(execgraph.Fail{Cause: err})
			return
		}
		m.restored, m.base = restored, id.Checkpoint(m.checkpoints.Latest().GetCheckpoint())
	}
	m.restarted()
	ctx := m.beginStart(context.Background())
	m.coordinate(ctx, m.sendHeld)
	m.coordinator, m.uncoordinated = "", m.started // sources wait for the new one
}

// checkpoint performs what the checkpoints' state machine decided.
func (m *Master) checkpoint(actions []checkpointing.Action) {
	for _, a := range actions {
		m.opts.Log.Debug("checkpoint", "job", m.opts.Job, "action", a)
		switch a := a.(type) {
		case checkpointing.Schedule:
			m.after(a.After, m.checkpointDue)
		case checkpointing.Poll:
			m.after(a.After, m.checkpointAsked)
		case checkpointing.Answer:
			a.Request.Done(a.Checkpoint, a.Cause)
		case checkpointing.Gather:
			m.gather(a)
		case checkpointing.Stop:
			m.stopped = true
			m.handle(execgraph.Cancel{})
		case checkpointing.Resume:
			m.letGoOn(a)
		case checkpointing.Trigger:
			m.trigger(a)
		case checkpointing.Overtake:
			m.overtake(a)
		case checkpointing.Position:
			m.position(a)
		case checkpointing.Save:
			m.saveManifest(a)
		case checkpointing.Publish:
			m.publishCheckpoint(a)
		case checkpointing.Notify:
			m.notify(a)
		case checkpointing.Subsume:
			m.save(func(ctx context.Context) { m.removed(a.Checkpoint, m.store.Subsume(ctx, m.opts.Job, a.Checkpoint)) })
		case checkpointing.Discard:
			m.opts.Log.Warn("checkpoint was given up", "job", m.opts.Job, "checkpoint", a.Checkpoint, "error", a.Cause)
			m.discard(a.Checkpoint)
			if m.final != nil && failure.Of(a.Cause).Retryable() && m.finals < commitTries {
				m.finals++
				m.after(commitFirstPause, func() { m.checkpoint(m.checkpoints.Final(time.Now())) })
			} else if m.final != nil {
				m.conclude(execgraph.JobFailed, fmt.Errorf("final checkpoint: %w", a.Cause), m.checkpoints.Carried())
			}
		case checkpointing.Void:
			// After what the saver has to do with the checkpoint that they were of.
			coordinator := m.coordinator
			m.do(func(context.Context) {
				m.save(func(ctx context.Context) {
					if !m.undiscarded { // or its manifest may be gone on from, and name them
						m.void(ctx, coordinator, a.Committables, false)
					}
				})
			})
		case checkpointing.FailJob:
			m.handle(execgraph.Fail{Cause: a.Cause})
		default:
			invariant.Broken("job master: unknown action %T", a)
		}
	}
}

func (m *Master) trigger(a checkpointing.Trigger) {
	n := a.Barrier.Checkpoint
	m.callTrigger(a.Barrier, a.Attempts, false)
	if a.Timeout > 0 {
		m.after(a.Timeout, func() { m.checkpoint(m.checkpoints.TimedOut(n)) })
	}
	if a.Aligned > 0 {
		m.after(a.Aligned, func() { m.checkpoint(m.checkpoints.Overdue(n)) })
	}
}

func (m *Master) overtake(a checkpointing.Overtake) {
	m.opts.Log.Info("barriers overtake what is in flight", "job", m.opts.Job, "checkpoint", a.Barrier.Checkpoint, "attempts", len(a.Attempts))
	m.callTrigger(a.Barrier, a.Attempts, true)
}

func (m *Master) callTrigger(b stream.Barrier, all []id.Attempt, overtake bool) {
	for w, attempts := range m.byWorker(all) {
		m.tell(w, func(ctx context.Context) {
			r := &rpc.TriggerRequest{Job: m.ref(), Attempts: rpc.FromAttempts(attempts), Barrier: rpc.FromBarrier(b), Overtake: overtake}
			if _, err := m.opts.Dialer.Worker(w).Trigger(ctx, r); err != nil {
				m.post(func() { m.checkpoint(m.checkpoints.Failed(b.Checkpoint, err)) })
			}
		})
	}
}

func (m *Master) byWorker(attempts []id.Attempt) map[id.Worker][]id.Attempt {
	out := map[id.Worker][]id.Attempt{}
	for _, a := range attempts {
		w := m.placed[a].Worker
		out[w] = append(out[w], a)
	}
	return out
}

// position asks for the positions of the enumerators. The last checkpoint needs none: all that
// was to be read was, and whoever starts from it reads nothing.
func (m *Master) position(a checkpointing.Position) {
	if m.coordinator == "" {
		m.checkpoint(m.checkpoints.Positioned(a.Checkpoint, nil))
		return
	}
	coordinator, final := m.coordinator, m.final != nil
	m.save(func(ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, callTimeout)
		defer stop()
		var r *rpc.SnapshotReply
		err := m.whileThere(ctx, coordinator, func(ctx context.Context) (err error) {
			r, err = m.opts.Dialer.Coordinator(coordinator).Snapshot(ctx, &rpc.SnapshotRequest{
				Job: m.ref(), Checkpoint: uint64(a.Checkpoint), Sources: a.Sources,
			})
			return err
		})
		m.post(func() {
			if err != nil && !(final && gone(err)) {
				m.checkpoint(m.checkpoints.Failed(a.Checkpoint, err))
				return
			}
			by := map[id.Vertex][]byte{}
			for _, v := range r.GetVertices() {
				by[id.Vertex(v.GetVertex())] = v.GetState()
			}
			m.checkpoint(m.checkpoints.Positioned(a.Checkpoint, by))
		})
	})
}

func (m *Master) saveManifest(a checkpointing.Save) {
	n := id.Checkpoint(a.Manifest.GetCheckpoint())
	m.save(func(ctx context.Context) {
		place, err := m.store.Save(ctx, a.Manifest)
		m.post(func() {
			m.history.Placed(n, place)
			if err != nil {
				m.checkpoint(m.checkpoints.Failed(n, err))
				return
			}
			m.checkpoint(m.checkpoints.Saved(n))
		})
	})
}

// publishCheckpoint hands over what a complete checkpoint made ready. That it
// fails for good fails the job: the checkpoint promises it.
func (m *Master) publishCheckpoint(a checkpointing.Publish) {
	coordinator, final := m.coordinator, m.final != nil
	m.unpublished.Store(true)
	m.save(func(ctx context.Context) {
		var err error
		r := &rpc.CommitRequest{Job: m.ref(), Checkpoint: uint64(a.Checkpoint), Committables: a.Committables, Final: final}
		switch {
		case coordinator != "" && (final || len(a.Committables) > 0):
			if err = m.commit(ctx, coordinator, r); gone(err) {
				err = m.commitLater(ctx, r)
			}
		case len(a.Committables) > 0:
			err = m.commitLater(ctx, r)
		}
		m.unpublished.Store(err != nil)
		m.post(func() {
			switch {
			case err != nil && m.final != nil: // also of one before the last: the graph does not fail any more
				m.final = nil
				m.checkpoint(m.checkpoints.Ended())
				m.conclude(execgraph.JobFailed, fmt.Errorf("publish the output: %w", err), nil)
			case err != nil:
				m.handle(execgraph.Fail{Cause: fmt.Errorf("publish checkpoint %d: %w", a.Checkpoint, err)})
			default:
				m.checkpoint(m.checkpoints.Published(a.Checkpoint))
				if final {
					m.conclude(m.final.State, m.final.Cause, nil)
				}
			}
		})
	})
}

// commitLater publishes when the worker with the coordinator task is gone: with the one
// that the restart of the job brings, or, when the job's tasks have finished, with any.
func (m *Master) commitLater(ctx context.Context, r *rpc.CommitRequest) (err error) {
	m.opts.Log.Warn("publishing waits for another coordinator task", "job", m.opts.Job, "checkpoint", r.Checkpoint)
	type now struct {
		coordinator id.Worker
		state       execgraph.JobState
		origin      id.Job
	}
	for err = rpc.ErrGone; gone(err); {
		answer := make(chan now, 1)
		m.post(func() { answer <- now{m.coordinator, m.graph.State(), m.origin()} })
		select {
		case at := <-answer:
			switch {
			case at.state == execgraph.JobFinished:
				_, err = m.handElsewhere(ctx, at.origin, r)
				return err
			case at.state.Terminal():
				return err
			case at.coordinator != "":
				err = m.commit(ctx, at.coordinator, r)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(commitFirstPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (m *Master) notify(a checkpointing.Notify) {
	w := m.placed[a.Attempt].Worker
	m.tell(w, func(ctx context.Context) {
		r := &rpc.NotifyRequest{Job: m.ref(), Attempts: []*rpc.Attempt{rpc.FromAttempt(a.Attempt)}, Checkpoint: uint64(a.Checkpoint)}
		if _, err := m.opts.Dialer.Worker(w).Notify(ctx, r); err != nil {
			m.opts.Log.Debug("attempt was not notified", "job", m.opts.Job, "attempt", a.Attempt, "error", err)
		}
	})
}

// discard removes a checkpoint that was given up.
func (m *Master) discard(n id.Checkpoint) {
	m.save(func(ctx context.Context) {
		err := m.store.Discard(ctx, m.opts.Job, n)
		m.undiscarded = err != nil
		m.removed(n, err)
	})
}

func (m *Master) removed(n id.Checkpoint, err error) {
	if err != nil {
		m.opts.Log.Warn("a checkpoint was not removed", "job", m.opts.Job, "checkpoint", n, "error", err)
	}
}

// Acknowledge takes an attempt's part of a checkpoint. It returns at once.
func (m *Master) Acknowledge(r *rpc.AckRequest) {
	m.post(func() {
		a := r.GetAttempt().ID()
		if m.checkpoints == nil || !m.current(a) {
			return
		}
		m.count(r.GetCommittables(), 1)
		m.checkpoint(m.checkpoints.Acknowledged(a, r))
	})
}

// Decline takes an attempt's refusal of its part of a checkpoint. It returns at
// once.
func (m *Master) Decline(r *rpc.DeclineRequest) {
	m.post(func() {
		if m.checkpoints != nil && m.current(r.GetAttempt().ID()) {
			cause := fmt.Errorf("task %v declined: %w", r.GetAttempt().ID(), r.GetFailure().Err())
			m.checkpoint(m.checkpoints.Failed(id.Checkpoint(r.GetCheckpoint()), cause))
		}
	})
}

// count adds output to what was written, or takes it back.
func (m *Master) count(all []*rpc.Committable, sign int64) {
	for _, c := range all {
		m.written.Rows += sign * c.GetRows()
		m.written.Bytes += sign * c.GetBytes()
		m.written.Files += sign * c.GetFiles()
	}
}
