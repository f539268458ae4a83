package dispatcher

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
)

// Rescale stores within which bounds a streaming job is to run, under this master and any
// later one, and tells the job; unless the request only reads. It returns the bounds.
func (d *Dispatcher) Rescale(ctx context.Context, r *rpc.RescaleRequest) ([]*rpc.VertexBounds, error) {
	jobID := id.Job(r.GetJob())
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	m, done, now := j.master, j.phase == over, j.rec.Requirements
	d.mu.Unlock()
	switch {
	case done:
		return nil, failure.Errorf(failure.Conflict, "job %v is over", jobID)
	case m == nil:
		return nil, failure.Errorf(failure.Transient, "job %v has not begun", jobID)
	case r.GetRead():
		return m.Bounds(now), nil
	}
	if err := m.Check(r); err != nil {
		return nil, fmt.Errorf("rescale job %v: %w", jobID, err)
	}
	var next jobmaster.Requirements
	err = d.remember(ctx, j, func(rec *record) {
		next = rec.Requirements.With(r)
		rec.Requirements = next
	})
	if err != nil {
		return nil, fmt.Errorf("rescale job %v: %w", jobID, elsewhere(err))
	}
	m.Rescale(next)
	return m.Bounds(next), nil
}
