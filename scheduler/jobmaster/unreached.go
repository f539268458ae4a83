package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/adaptive"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// unreached takes note of how a call to a worker has ended, on whichever goroutine that
// was. One where nobody answered has the worker set aside, for all jobs, so that nothing
// new is sent there before it is heard of. It reports whether it was such a call.
func (m *Master) unreached(w id.Worker, err error) bool {
	if err == nil {
		m.opts.Resources.Reached(w)
		return false
	}
	if !errors.Is(err, rpc.ErrUnreachable) && !errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if m.opts.Resources.Unreachable(w, err) {
		m.post(func() {
			m.record(adaptive.Decision{
				Rule: "set aside", Subject: "worker " + string(w), Inputs: err.Error(),
				Effect: "nothing is sent there before it is heard of",
			})
		})
	}
	return true
}

// untold takes a call to a worker that has failed, and that it needs to have heard: for
// this job it counts as lost.
func (m *Master) untold(w id.Worker, err error) {
	lost := execgraph.WorkerLost{Worker: w, Cause: err, Unreached: m.unreached(w, err)}
	m.post(func() { m.handle(lost) })
}

// lost is how a call ends whose worker is.
func lost(w id.Worker) error {
	return failure.Wrap(failure.Transient, fmt.Errorf("worker %s is lost: %w", w, rpc.ErrGone))
}

// whileThere calls a worker, and ends the call when the worker is lost, with rpc.ErrGone: one
// that was stopped takes calls and answers none.
func (m *Master) whileThere(ctx context.Context, w id.Worker, f func(ctx context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			changed := m.opts.Resources.Changed()
			if !slices.Contains(m.opts.Resources.Workers(), w) {
				stop(lost(w))
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && failure.Of(cause) == failure.Transient {
		err = cause
	}
	stop(nil)
	watching.Wait()
	return err
}
