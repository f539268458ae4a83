package worker

import (
	"context"
	"log/slog"
	"slices"
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
	var r *rpc.SplitReply
	for r == nil || r.GetLater() {
		var err error
		r, err = s.coordinator.NextSplit(ctx, &rpc.SplitRequest{Job: s.ref, Attempt: rpc.FromAttempt(to), Sequence: s.answered.Load() + 1})
		if err != nil {
			return connector.Split{}, false, err
		}
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
func (r reporter) State(job id.Job, a id.Attempt, s task.State, done *task.Done, cause error) {
	state := states[s]
	if state == rpc.TaskState_TASK_STATE_INVALID {
		return
	}
	m := &rpc.TaskReport{Job: r.ref, Attempt: rpc.FromAttempt(a), State: state, Failure: rpc.ToFailure(cause)}
	if done != nil {
		m.RowsIn, m.RowsOut, m.BytesIn, m.Committables = done.RowsIn, done.RowsOut, done.BytesIn, committables(done.Committables)
		m.SpilledBytes, m.LateRows, m.FutureRows, m.RejectedRecords = done.SpilledBytes, done.Late, done.Future, done.Rejected
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
	send := func(ctx context.Context) error { _, err := r.master.Report(ctx, m); return err }
	if key := (attemptOf{job, a}); s == task.Running {
		r.outbox.addSoon(key, send)
	} else {
		r.outbox.addInstead(key, send)
	}
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
		InFlightBytes: uint64(ack.InFlight), Overtaken: ack.Overtaken, WroteBytes: uint64(ack.WroteBytes),
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
// the job. That a task runs is told a moment later, and not at all if it has ended by then:
// the master learns it from the end, and short tasks cost one call less.
type outbox struct {
	log   *slog.Logger
	limit int
	wake  chan struct{}

	mu    sync.Mutex
	queue []func(context.Context) error
	soon  []soon // by their time
	lost  bool   // said once
}

// soon is a report that is sent at its time, unless the attempt has ended.
type soon struct {
	of   attemptOf
	at   time.Time
	send func(context.Context) error
}

type attemptOf struct {
	job     id.Job
	attempt id.Attempt
}

// runningDelay is how long a task runs before that is told.
const runningDelay = 20 * time.Millisecond

func newOutbox(log *slog.Logger, limit int) *outbox {
	return &outbox{log: log, limit: limit, wake: make(chan struct{}, 1)}
}

// add queues a report. Beyond the limit it is lost: a master that was away for so
// long has counted the worker as lost before.
func (o *outbox) add(send func(context.Context) error) {
	o.put(func() { o.queue = append(o.queue, send) })
}

// addSoon queues the report that an attempt runs.
func (o *outbox) addSoon(of attemptOf, send func(context.Context) error) {
	o.put(func() { o.soon = append(o.soon, soon{of: of, at: time.Now().Add(runningDelay), send: send}) })
}

// addInstead queues the report that an attempt has ended.
func (o *outbox) addInstead(of attemptOf, send func(context.Context) error) {
	o.put(func() {
		o.soon = slices.DeleteFunc(o.soon, func(s soon) bool { return s.of == of })
		o.queue = append(o.queue, send)
	})
}

func (o *outbox) put(add func()) {
	o.mu.Lock()
	full := len(o.queue)+len(o.soon) >= o.limit
	if !full {
		add()
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

// take returns what is to be sent now, and in how long there will be more; negative: that
// is not known.
func (o *outbox) take(now time.Time) (queue []func(context.Context) error, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue, o.queue = o.queue, nil
	for len(o.soon) > 0 && !o.soon[0].at.After(now) {
		queue = append(queue, o.soon[0].send)
		o.soon = o.soon[1:]
	}
	if len(o.soon) > 0 {
		return queue, o.soon[0].at.Sub(now)
	}
	return queue, -1
}

func (o *outbox) run(ctx context.Context) {
	later := time.NewTimer(0)
	defer later.Stop()
	for {
		select {
		case <-o.wake:
		case <-later.C:
		case <-ctx.Done():
			return
		}
		queue, wait := o.take(time.Now())
		if wait >= 0 {
			later.Reset(wait)
		}
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
