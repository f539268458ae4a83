package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/shuffle"
)

// Cancel implements rpc.WorkerClient.
func (w *Worker) Cancel(ctx context.Context, r *rpc.CancelRequest) (*rpc.CancelReply, error) {
	return &rpc.CancelReply{}, w.tell(ctx, r.GetJob(), r.GetAttempts(), Task.Cancel)
}

// Trigger implements rpc.WorkerClient.
func (w *Worker) Trigger(ctx context.Context, r *rpc.TriggerRequest) (*rpc.TriggerReply, error) {
	b := r.GetBarrier().Stream()
	order := func(t Task) { t.Trigger(b) }
	if r.GetOvertake() {
		order = func(t Task) { t.Overtake(b) }
	}
	return &rpc.TriggerReply{}, w.tell(ctx, r.GetJob(), r.GetAttempts(), order)
}

// Notify implements rpc.WorkerClient.
func (w *Worker) Notify(ctx context.Context, r *rpc.NotifyRequest) (*rpc.NotifyReply, error) {
	if f := r.GetFilter(); f != nil {
		return &rpc.NotifyReply{}, w.takeFilter(ctx, r.GetJob(), f)
	}
	c := id.Checkpoint(r.GetCheckpoint())
	if r.GetGivenUp() {
		return &rpc.NotifyReply{}, w.tell(ctx, r.GetJob(), r.GetAttempts(), func(t Task) { t.GivenUp(c) })
	}
	if err := w.tell(ctx, r.GetJob(), r.GetAttempts(), func(t Task) { t.Completed(c) }); err != nil {
		return nil, err
	}
	jobID, err := r.GetJob().ID()
	if keeper, keeps := w.opts.Shuffle.(shuffle.Replayer); keeps && err == nil {
		keeper.Completed(jobID, c)
	}
	return &rpc.NotifyReply{}, err
}

// Rewind implements rpc.WorkerClient.
func (w *Worker) Rewind(ctx context.Context, r *rpc.RewindRequest) (*rpc.RewindReply, error) {
	jobID, err := w.admit(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	keeper, keeps := w.opts.Shuffle.(shuffle.Replayer)
	if !keeps {
		return nil, failure.Errorf(failure.Conflict, "the worker keeps nothing to be read again")
	}
	for _, p := range r.GetPartitions() {
		part := shuffle.Rewound{Partition: p.GetPartition(), Reader: p.GetReader()}
		for _, l := range p.GetLanes() {
			part.Lanes = append(part.Lanes, shuffle.LaneAttempt{Lane: l.GetLane(), Attempt: l.GetAttempt()})
		}
		if err := keeper.Rewind(jobID, id.Exchange(p.GetExchange()), id.Checkpoint(r.GetCheckpoint()), part); err != nil {
			return nil, err
		}
	}
	return &rpc.RewindReply{}, nil
}

// takeFilter adds a part of a runtime filter to those that the job's tasks share here.
func (w *Worker) takeFilter(ctx context.Context, ref *rpc.JobRef, f *rpc.FilterPart) error {
	jobID, err := w.admit(ctx, ref)
	if err != nil {
		return err
	}
	var filters *keyfilter.Set // none takes nothing
	w.mu.Lock()
	if j := w.jobs[jobID]; j != nil {
		filters = j.filters
	}
	w.mu.Unlock()
	return filters.Take(keyfilter.Part{ID: f.GetId(), Index: int(f.GetIndex()), Of: int(f.GetOf()), EncodedKeys: f.GetKeys()})
}

// tell passes an order on to those of the attempts that run here.
func (w *Worker) tell(ctx context.Context, ref *rpc.JobRef, attempts []*rpc.Attempt, order func(Task)) error {
	jobID, err := w.admit(ctx, ref)
	if err != nil {
		return err
	}
	w.mu.Lock()
	var tasks []Task
	if j := w.jobs[jobID]; j != nil {
		for _, a := range attempts {
			if x := j.tasks[a.ID()]; x != nil {
				tasks = append(tasks, x.task)
			}
		}
	}
	w.mu.Unlock()
	for _, t := range tasks {
		order(t)
	}
	return nil
}

// Drop implements rpc.WorkerClient.
func (w *Worker) Drop(ctx context.Context, r *rpc.DropRequest) (*rpc.DropReply, error) {
	jobID, err := w.admit(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	if r.GetEndJob() {
		return &rpc.DropReply{}, w.endJob(ctx, jobID, r.GetResults())
	}
	var all error
	for _, ex := range r.GetExchanges() {
		all = errors.Join(all, w.opts.Shuffle.Drop(ctx, jobID, id.Exchange(ex)))
	}
	return &rpc.DropReply{}, all
}

// StartCoordinator implements rpc.WorkerClient.
func (w *Worker) StartCoordinator(ctx context.Context, r *rpc.CoordinatorRequest) (*rpc.CoordinatorReply, error) {
	if _, err := w.admit(ctx, r.GetJob()); err != nil {
		return nil, err
	}
	return &rpc.CoordinatorReply{}, w.opts.Coordinators.Start(ctx, r)
}

// Logs implements rpc.WorkerClient.
func (w *Worker) Logs(_ context.Context, r *rpc.LogsRequest) (*rpc.LogsReply, error) {
	if w.opts.Logs == nil {
		return &rpc.LogsReply{}, nil
	}
	jobID, err := (&rpc.JobRef{Job: r.GetJob()}).ID()
	if err != nil {
		return nil, err
	}
	return &rpc.LogsReply{Lines: w.opts.Logs(jobID, int(r.GetMost()))}, nil
}

// endTasks cancels the tasks of a job and waits for them.
func (w *Worker) endTasks(ctx context.Context, jobID id.Job) error {
	w.mu.Lock()
	var tasks []*execution
	if j := w.jobs[jobID]; j != nil {
		for _, x := range j.tasks {
			tasks = append(tasks, x)
		}
	}
	w.mu.Unlock()
	for _, x := range tasks {
		x.task.Cancel()
	}
	for _, x := range tasks {
		select {
		case <-x.ended:
		case <-ctx.Done():
			return fmt.Errorf("wait for the tasks of job %v: %w", jobID, ctx.Err())
		}
	}
	return nil
}

// endJob ends and forgets everything of a job here; results only where asked.
func (w *Worker) endJob(ctx context.Context, jobID id.Job, results bool) error {
	if err := w.endTasks(ctx, jobID); err != nil {
		return err
	}
	all := w.opts.Coordinators.Stop(ctx, jobID)
	w.mu.Lock()
	j := w.jobs[jobID]
	delete(w.jobs, jobID)
	w.mu.Unlock()
	w.terms.Forget(jobID)
	if j == nil {
		return all
	}
	j.filters.Close()
	all = errors.Join(all, j.standby.Close())
	if j.home != nil {
		all = errors.Join(all, j.home.Close())
	}
	for ex, result := range j.exchanges {
		if !result || results {
			all = errors.Join(all, w.opts.Shuffle.Drop(ctx, jobID, ex))
		}
	}
	return all
}
