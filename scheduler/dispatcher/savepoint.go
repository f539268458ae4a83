package dispatcher

import (
	"context"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// Savepoint takes a savepoint of a job, or waits on for one of the same request. A job that
// was stopped answers with the savepoint that it has ended with.
func (d *Dispatcher) Savepoint(ctx context.Context, jobID id.Job, r *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	m, rec, done := j.master, j.rec, j.phase == over
	d.mu.Unlock()
	switch {
	case rec.Savepoint != "" && (r.GetStop() || r.GetKnown()):
		return &rpc.SavepointReply{Path: rec.Savepoint}, nil
	case done:
		return nil, failure.Errorf(failure.Conflict, "job %v is over: %s", jobID, rec.State)
	case m == nil:
		return nil, failure.Errorf(failure.Transient, "job %v has not begun: try again when it runs", jobID)
	}
	reply, err := m.Savepoint(ctx, r)
	if err == nil {
		return reply, nil
	}
	if d.root.Err() != nil {
		return nil, closedError()
	}
	return nil, err
}

// Checkpoints tells what is remembered of a job's checkpoints, the newest first; most 0: a
// hundred.
func (d *Dispatcher) Checkpoints(jobID id.Job, most int) (*rpc.CheckpointsReply, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	m, done := j.master, j.phase == over
	d.mu.Unlock()
	switch {
	case !done && m != nil:
		return m.Checkpoints(most), nil
	case !done:
		return &rpc.CheckpointsReply{}, nil
	}
	s, err := d.show(j)
	if err != nil {
		return nil, err
	}
	all := s.GetEndedCheckpoints()
	reply := &rpc.CheckpointsReply{
		Checkpoints: all.GetCheckpoints(), Completed: all.GetCompleted(), Failed: all.GetFailed(), RestoredFrom: all.GetRestoredFrom(),
	}
	if most > 0 && len(reply.Checkpoints) > most {
		reply.Checkpoints = reply.Checkpoints[:most]
	}
	return reply, nil
}
