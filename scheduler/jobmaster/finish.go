package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// finish takes the final checkpoint of a job that takes any and has finished,
// then concludes.
func (m *Master) finish(end execgraph.JobEnded) {
	switch {
	case end.State == execgraph.JobSuspended:
		m.ended = true
		m.settle(end.State, end.Cause)
	case m.stopped:
		m.checkpoint(m.checkpoints.Ended())
		m.conclude(execgraph.JobFinished, nil, nil)
	case m.checkpoints == nil:
		var staged []*rpc.Committable
		for _, done := range m.output {
			staged = append(staged, done.GetCommittables()...)
		}
		m.conclude(end.State, end.Cause, staged)
	case end.State == execgraph.JobFinished:
		m.final = &end
		m.checkpoint(m.checkpoints.Final(time.Now()))
	default:
		m.checkpoint(m.checkpoints.Ended())
		m.conclude(end.State, end.Cause, nil)
	}
}

// conclude publishes or discards what the job has staged, drops everything and
// settles the outcome. It comes after all calls that were decided before.
func (m *Master) conclude(state execgraph.JobState, cause error, staged []*rpc.Committable) {
	workers, servers, lines := slices.Collect(maps.Keys(m.workers)), slices.Collect(maps.Keys(m.servers)), maps.Clone(m.lines)
	coordinator, unwanted := m.coordinator, m.unwanted
	sinks, own := len(m.layout.committing()) > 0, m.origin() == m.opts.Job
	publish := sinks && m.checkpoints == nil && state == execgraph.JobFinished
	again := m.opts.Runs > 0 || m.graph.Restarts() > 0 // something may be staged that nobody here knows of
	sweep := sinks && (again || state != execgraph.JobFinished)
	// What another leader's checkpoint has to publish is known once that is found.
	unknown := m.checkpointed && m.checkpoints == nil && m.opts.Runs > 0
	if m.stay(); m.standby.stop != nil {
		m.standby.stop()
	}
	m.inTurn(func(ctx context.Context) {
		sweep = sweep && !unknown && !m.unpublished.Load() && m.dropIncomplete(ctx)
		if publish {
			w, err := m.hand(ctx, coordinator, staged)
			sweep = sweep || w != coordinator // who published first died doing so
			coordinator = w
			if errors.Is(err, ErrDeposed) {
				m.suspend(err)
				return
			}
			if err != nil {
				state, cause = execgraph.JobFailed, fmt.Errorf("publish the output: %w", err)
				sweep = false // a publication that cannot be undone needs what is staged
			}
		}
		if state != execgraph.JobFinished {
			unwanted = append(unwanted, staged...)
		}
		if sweep && again || coordinator != "" && (sweep || len(unwanted) > 0) {
			if sweep && !own { // committers that know the job by its origin would look for that one's
				coordinator = ""
			}
			if w := m.void(ctx, coordinator, unwanted, sweep); w != "" && !slices.Contains(workers, w) {
				workers = append(workers, w)
			}
		}
		m.dropAll(ctx, workers, lines, state != execgraph.JobFinished)
		if err := m.dropCheckpoints(ctx, state, cause); err != nil {
			m.suspend(err)
			return
		}
		m.dropKept(ctx, servers, state != execgraph.JobFinished)
		m.post(func() {
			m.ended = true
			m.settle(state, cause)
		})
	})
}

// inTurn has f run by the saver, after all calls that were decided before.
func (m *Master) inTurn(f call) {
	m.do(func(context.Context) {
		m.mover.add(func(context.Context) { m.save(f) })
	})
}

// suspend ends this job master's part: another one brings the job to its end.
func (m *Master) suspend(cause error) {
	m.post(func() {
		m.ended = true
		m.settle(execgraph.JobSuspended, cause)
	})
}

// void discards what will never be published; with sweep also what nobody knows of,
// because a worker or a master is gone. Where the coordinator task is gone, or was never
// begun, another one does it, whose worker is returned.
func (m *Master) void(ctx context.Context, w id.Worker, staged []*rpc.Committable, sweep bool) id.Worker {
	r := &rpc.AbortRequest{Job: m.ref(), Committables: staged, Sweep: sweep}
	there := w != ""
	helps := func(err error) bool {
		return sweep && (!gone(err) && failure.Of(err).Retryable() || gone(err) && (w == "" || !m.opts.Resources.Fixed()))
	}
	err := m.repeat(ctx, "to discard staged output", voidTries, helps, func() (err error) {
		switch {
		case !there && !sweep:
			return rpc.ErrGone
		case !there:
			if w, err = m.startCoordinator(ctx, "", m.layout.committing(), m.opts.Job); err != nil {
				return err
			}
		}
		err = m.abort(ctx, w, r)
		there = !gone(err)
		return err
	})
	if err != nil {
		m.opts.Log.Warn("staged output was not discarded", "job", m.opts.Job, "error", err)
	}
	return w
}

func (m *Master) abort(ctx context.Context, w id.Worker, r *rpc.AbortRequest) error {
	return m.whileThere(ctx, w, func(ctx context.Context) error {
		_, err := m.opts.Dialer.Coordinator(w).Abort(ctx, r)
		return err
	})
}

// voidTries is how often what is staged is tried to be discarded, or another coordinator task is
// looked for to do it: until the death of a worker is noticed.
const voidTries = 7

// dropAll has workers forget everything of the job.
func (m *Master) dropAll(ctx context.Context, workers []id.Worker, lines map[id.Worker]line, results bool) {
	m.standby.calls.Wait() // they would have workers know the job again
	var dropping sync.WaitGroup
	for _, w := range workers {
		dropping.Go(func() {
			ctx, stop := context.WithTimeout(ctx, callTimeout)
			defer stop()
			if l, ok := lines[w]; ok {
				defer context.AfterFunc(l.ctx, stop)()
			}
			if _, err := m.opts.Dialer.Worker(w).Drop(ctx, &rpc.DropRequest{Job: m.ref(), EndJob: true, Results: results}); err != nil {
				m.opts.Log.Warn("job was not dropped", "job", m.opts.Job, "worker", w, "error", err)
			}
		})
	}
	dropping.Wait()
}

// dropIncomplete removes what names staged output that is about to be swept, and reports
// whether that may be.
func (m *Master) dropIncomplete(ctx context.Context) bool {
	if !m.checkpointed {
		return true
	}
	err := m.repeat(ctx, "to remove incomplete checkpoints", commitTries, nil, func() error { return m.store.DropIncomplete(ctx, m.opts.Job) })
	if err != nil {
		m.opts.Log.Warn("staged output is not swept", "job", m.opts.Job, "error", err)
	}
	return err == nil
}

// dropCheckpoints forgets the checkpoints of a job that is over, once that is recorded. Its
// error is ErrDeposed.
func (m *Master) dropCheckpoints(ctx context.Context, state execgraph.JobState, cause error) error {
	if !m.checkpointed {
		return nil
	}
	var err error
	if m.opts.Ends != nil {
		if err = m.opts.Ends(ctx, state, cause); errors.Is(err, ErrDeposed) {
			return err
		}
	}
	if err == nil {
		err = Forget(ctx, m.store, m.config, m.opts.Job, state)
	}
	if err != nil {
		m.opts.Log.Warn("checkpoints were not released", "job", m.opts.Job, "error", err)
	}
	return nil
}

// Forget has a store forget the checkpoints of a job that ends so and, where its settings
// want it, removes them.
func Forget(ctx context.Context, store *checkpointing.Store, c config.Config, job id.Job, state execgraph.JobState) error {
	switch config.CheckpointRetention.Get(c) {
	case "NO_EXTERNALIZED_CHECKPOINTS":
		return store.Remove(ctx, job)
	case "DELETE_ON_CANCELLATION":
		if state != execgraph.JobFailed {
			return store.Remove(ctx, job)
		}
	}
	return store.Release(ctx, job)
}

// dropKept has shuffle servers forget the job, except its result where a client may
// still read it.
func (m *Master) dropKept(ctx context.Context, servers []string, results bool) {
	if len(servers) == 0 {
		return
	}
	var exchanges []uint32
	if r := m.layout.result; r != nil && !results {
		for _, x := range m.layout.graph.GetExchanges() {
			if x != r {
				exchanges = append(exchanges, x.GetId())
			}
		}
		if len(exchanges) == 0 {
			return
		}
	}
	ctx, stop := context.WithTimeout(ctx, serverTimeout)
	defer stop()
	m.dropStored(ctx, servers, exchanges)
}

// commit publishes, and tries again where that may help: publishing is
// idempotent. It does not wait for a worker that is lost.
func (m *Master) commit(ctx context.Context, w id.Worker, r *rpc.CommitRequest) error {
	helps := func(err error) bool { return !errors.Is(err, rpc.ErrGone) && failure.Of(err).Retryable() }
	return m.repeat(ctx, "to publish", commitTries, helps, func() error { return m.commitOnce(ctx, w, r) })
}

func (m *Master) commitOnce(ctx context.Context, w id.Worker, r *rpc.CommitRequest) error {
	return m.whileThere(ctx, w, func(ctx context.Context) error {
		_, err := m.opts.Dialer.Coordinator(w).Commit(ctx, r)
		return err
	})
}
