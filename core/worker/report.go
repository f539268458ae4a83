package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
)

// splits is the coordinator task as one task sees it, which asks for a split at a time.
type splits struct {
	coordinator rpc.CoordinatorClient
	ref         *rpc.JobRef
	answered    atomic.Uint64 // requests
}

var _ task.SplitSource = (*splits)(nil)

// NextSplit implements task.SplitSource. A request that failed is asked again as the same
// one, so that no split is handed out to nobody.
func (s *splits) NextSplit(ctx context.Context, _ id.Job, to id.Attempt) (connector.Split, bool, error) {
	r, err := s.coordinator.NextSplit(ctx, &rpc.SplitRequest{Job: s.ref, Attempt: rpc.FromAttempt(to), Sequence: s.answered.Load() + 1})
	if err != nil {
		return connector.Split{}, false, err
	}
	s.answered.Add(1)
	if r.GetEnded() {
		return connector.Split{}, false, nil
	}
	return r.GetSplit().Connector(), true, nil
}

// reporter is the master as one task sees it.
type reporter struct {
	master rpc.MasterClient
	ref    *rpc.JobRef
	outbox *outbox
}

var _ task.Reporter = reporter{}

// states are core/task's as they travel; Deploying does not: the master knows.
var states = [...]rpc.TaskState{
	task.Running: rpc.TaskState_TASK_STATE_RUNNING, task.Finished: rpc.TaskState_TASK_STATE_FINISHED,
	task.Failed: rpc.TaskState_TASK_STATE_FAILED, task.Cancelled: rpc.TaskState_TASK_STATE_CANCELLED,
}

// State implements task.Reporter.
func (r reporter) State(_ id.Job, a id.Attempt, s task.State, done *task.Done, cause error) {
	state := states[s]
	if state == rpc.TaskState_TASK_STATE_INVALID {
		return
	}
	m := &rpc.TaskReport{Job: r.ref, Attempt: rpc.FromAttempt(a), State: state, Failure: rpc.ToFailure(cause)}
	if done != nil {
		m.RowsIn, m.RowsOut, m.BytesIn, m.Committables = done.RowsIn, done.RowsOut, done.BytesIn, committables(done.Committables)
		m.SpilledBytes = done.SpilledBytes
		for _, c := range done.Operators {
			counts := &rpc.OperatorCounts{
				Rows: c.Rows, Batches: c.Batches, SpilledBytes: c.SpilledBytes, PeakBytes: c.PeakBytes, BusyNanos: uint64(c.Busy),
			}
			for _, f := range c.Filters {
				counts.Filters = append(counts.Filters, &rpc.FilterCounts{Id: f.ID, Asked: f.Asked, Dropped: f.Dropped, Excluded: f.Excluded})
			}
			m.Operators = append(m.Operators, counts)
		}
		for _, x := range done.Manifests {
			written := rpc.FromManifest(x.Exchange, x.Manifest)
			written.Discarded = x.Discarded
			m.Manifests = append(m.Manifests, written)
		}
	}
	r.outbox.add(func(ctx context.Context) error { _, err := r.master.Report(ctx, m); return err })
}

// filter passes a part of a runtime filter to the job's other workers, by the master.
func (r reporter) filter(a *rpc.Attempt, p keyfilter.Part) {
	m := &rpc.TaskReport{Job: r.ref, Attempt: a, Filter: &rpc.FilterPart{
		Id: p.ID, Index: uint32(p.Index), Of: uint32(p.Of), Keys: p.EncodedKeys,
	}}
	r.outbox.add(func(ctx context.Context) error { _, err := r.master.Report(ctx, m); return err })
}

// Acknowledge implements task.Reporter.
func (r reporter) Acknowledge(_ id.Job, a id.Attempt, ack task.Ack) {
	m := &rpc.AckRequest{
		Job: r.ref, Attempt: rpc.FromAttempt(a), Barrier: rpc.FromBarrier(ack.Barrier), State: ack.State,
		Committables: committables(ack.Committables),
		AlignedNanos: int64(ack.Aligned), PausedNanos: int64(ack.Paused), WroteNanos: int64(ack.Wrote),
	}
	r.outbox.add(func(ctx context.Context) error { _, err := r.master.Acknowledge(ctx, m); return err })
}

// Decline implements task.Reporter.
func (r reporter) Decline(_ id.Job, a id.Attempt, c id.Checkpoint, cause error) {
	m := &rpc.DeclineRequest{Job: r.ref, Attempt: rpc.FromAttempt(a), Checkpoint: uint64(c), Failure: rpc.ToFailure(cause)}
	r.outbox.add(func(ctx context.Context) error { _, err := r.master.Decline(ctx, m); return err })
}

func committables(all []task.Committable) (out []*rpc.Committable) {
	for _, c := range all {
		out = append(out, rpc.FromCommittable(c.Operator, c.Committable))
	}
	return out
}

// outbox sends what tasks report, in order. A report that the master cannot take
// now is tried again; one that it refuses is dropped, for then another one leads
// the job.
type outbox struct {
	log   *slog.Logger
	limit int
	wake  chan struct{}

	mu    sync.Mutex
	queue []func(context.Context) error
	lost  bool // said once
}

func newOutbox(log *slog.Logger, limit int) *outbox {
	return &outbox{log: log, limit: limit, wake: make(chan struct{}, 1)}
}

// add queues a report. Beyond the limit it is lost: a master that was away for so
// long has counted the worker as lost before.
func (o *outbox) add(send func(context.Context) error) {
	o.mu.Lock()
	full := len(o.queue) >= o.limit
	if !full {
		o.queue = append(o.queue, send)
	}
	say := full && !o.lost
	o.lost = full
	o.mu.Unlock()
	if say {
		o.log.Error("reports are lost: the master was unreachable for too long", "waiting", o.limit)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) run(ctx context.Context) {
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
		queue := o.queue
		o.queue = nil
		o.mu.Unlock()
		for _, send := range queue {
			o.send(ctx, send)
		}
	}
}

func (o *outbox) send(ctx context.Context, send func(context.Context) error) {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, mostPause) {
		err := send(ctx)
		if err == nil {
			return
		}
		if !failure.Of(err).Retryable() {
			o.log.Warn("the master refused a report", "error", err)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}
