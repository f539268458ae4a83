package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// Leave tells the master that the worker is about to be closed: what runs here runs
// elsewhere from now on. Nothing is started here any more, and the worker does not
// register again.
func (w *Worker) Leave(ctx context.Context, reason string) error {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	_, err := w.opts.Dialer.Master().Leave(ctx, &rpc.LeaveRequest{Worker: string(w.opts.ID), Reason: reason})
	if err != nil {
		return fmt.Errorf("sign off worker %s: %w", w.opts.ID, err)
	}
	return nil
}

func (w *Worker) isLeaving() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leaving
}

// runs lists the attempts that run here.
func (w *Worker) runs() (out []*rpc.Running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, jobID := range slices.SortedFunc(maps.Keys(w.jobs), func(a, b id.Job) int { return slices.Compare(a[:], b[:]) }) {
		j := w.jobs[jobID]
		for a := range j.tasks {
			out = append(out, &rpc.Running{Job: j.ref, Attempt: rpc.FromAttempt(a)})
		}
	}
	return out
}

// dismiss cancels attempts that the master does not want.
func (w *Worker) dismiss(unwanted []*rpc.Running) {
	for _, r := range unwanted {
		jobID, err := r.GetJob().ID()
		if err != nil {
			continue
		}
		w.mu.Lock()
		var x *execution
		if j := w.jobs[jobID]; j != nil {
			x = j.tasks[r.GetAttempt().ID()]
		}
		w.mu.Unlock()
		if x != nil {
			w.opts.Log.Warn("the master does not want a task that runs here: it is cancelled", "job", jobID, "attempt", r.GetAttempt().ID())
			x.task.Cancel()
		}
	}
}
