package jobmaster

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// finish publishes or discards what the job has staged, drops everything and
// settles the outcome.
func (m *Master) finish(end execgraph.JobEnded) {
	if end.State == execgraph.JobSuspended {
		m.ended = true
		m.settle(end.State, end.Cause)
		return
	}
	var staged []*rpc.Committable
	for _, done := range m.output {
		staged = append(staged, done.GetCommittables()...)
	}
	workers := make([]id.Worker, 0, len(m.workers))
	for w := range m.workers {
		workers = append(workers, w)
	}
	coordinator := m.coordinator
	m.do(func(ctx context.Context) {
		state, cause := end.State, end.Cause
		if coordinator != "" && end.State == execgraph.JobFinished {
			if err := m.commit(ctx, coordinator, staged); err != nil {
				state, cause = execgraph.JobFailed, fmt.Errorf("publish the output: %w", err)
			}
		}
		if coordinator != "" && state != execgraph.JobFinished && len(staged) > 0 {
			if _, err := m.opts.Dialer.Coordinator(coordinator).Abort(ctx, &rpc.AbortRequest{Job: m.ref(), Committables: staged}); err != nil {
				m.opts.Log.Warn("staged output was not discarded", "job", m.opts.Job, "error", err)
			}
		}
		for _, w := range workers {
			if _, err := m.opts.Dialer.Worker(w).Drop(ctx, &rpc.DropRequest{Job: m.ref(), EndJob: true}); err != nil {
				m.opts.Log.Warn("job was not dropped", "job", m.opts.Job, "worker", w, "error", err)
			}
		}
		m.post(func() {
			m.ended = true
			m.settle(state, cause)
		})
	})
}

// commit publishes, and tries again where that may help: publishing is
// idempotent.
func (m *Master) commit(ctx context.Context, w id.Worker, staged []*rpc.Committable) error {
	pause := commitFirstPause
	for try := 1; ; try++ {
		_, err := m.opts.Dialer.Coordinator(w).Commit(ctx, &rpc.CommitRequest{Job: m.ref(), Committables: staged, Final: true})
		if err == nil || !failure.Of(err).Retryable() || try == commitTries {
			return err
		}
		m.opts.Log.Warn("publishing is tried again", "job", m.opts.Job, "try", try, "error", err)
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return err
		}
	}
}
