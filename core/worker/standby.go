package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
)

// standbyPart is which part of the memory that is free what is restored ahead takes at most:
// who runs must not be refused any for it.
const standbyPart = 2

// StandBy implements rpc.WorkerClient.
func (w *Worker) StandBy(ctx context.Context, r *rpc.StandByRequest) (*rpc.StandByReply, error) {
	jobID, err := w.admit(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	doing := func(err error) error { return fmt.Errorf("restore state of job %v ahead: %w", jobID, err) }
	if len(r.GetTasks()) == 0 {
		w.standBy(jobID, nil)
		return &rpc.StandByReply{}, nil
	}
	limit := (w.opts.Memory.Limit() - w.opts.Memory.Used()) / standbyPart
	if w.opts.Snapshots == nil || limit <= 0 {
		return nil, doing(failure.Errorf(failure.Fatal, "there is no place for it"))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(w.root, stop)()
	account := w.opts.Memory.Child("job "+jobID.String(), 0).Child("restored ahead", limit).Until(ctx)
	s := task.NewStandby(account)
	if !w.standBy(jobID, s) {
		return nil, doing(failure.Wrap(failure.Transient, rpc.ErrUnreachable))
	}
	errs := make([]error, len(r.GetTasks()))
	var restoring sync.WaitGroup
	for i, t := range r.GetTasks() {
		restoring.Go(func() { errs[i] = w.restoreAhead(ctx, jobID, s, t) })
	}
	restoring.Wait()
	if err := errors.Join(errs...); err != nil { // or the caller is gone, and will not take it
		return nil, doing(errors.Join(err, s.Close()))
	}
	return &rpc.StandByReply{}, nil
}

func (w *Worker) restoreAhead(ctx context.Context, jobID id.Job, s *task.Standby, r *rpc.DeployRequest) error {
	c, err := config.FromMap(r.GetOptions(), "job")
	if err != nil {
		return err
	}
	d, err := descriptor(jobID, r, c)
	if err != nil {
		return err
	}
	snapshots, err := w.opts.Snapshots(jobID, c)
	if err != nil {
		return err
	}
	if err := s.Restore(ctx, d, snapshots); err != nil {
		return fmt.Errorf("subtask %v: %w", d.Attempt.Subtask, err)
	}
	return nil
}

// standBy keeps what is restored ahead for a job in place of what was kept; nil: nothing. It
// reports whether it does: a worker that is closed does not.
func (w *Worker) standBy(jobID id.Job, s *task.Standby) bool {
	w.mu.Lock()
	keeps := !w.closed && !w.leaving
	j := w.jobs[jobID]
	if j == nil && keeps && s != nil {
		j = w.jobOf(jobID)
	}
	var old *task.Standby
	if j != nil && (keeps || s == nil) {
		old, j.standby = j.standby, s
	}
	w.mu.Unlock()
	if err := old.Close(); err != nil {
		w.opts.Log.Warn("what was restored ahead was not freed", "worker", w.opts.ID, "job", jobID, "error", err)
	}
	return keeps
}
