package datastream

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// Job is a job of a cluster. Calls may be concurrent.
type Job struct {
	ID      id.Job
	cluster rpc.ClusterClient
}

// Submit starts the job of an Env's Graph on a cluster, whose workers are processes of the
// same program.
func Submit(ctx context.Context, cluster rpc.ClusterClient, g *jobgraph.Graph) (*Job, error) {
	call := id.NewJob()
	r, err := cluster.Submit(ctx, &rpc.SubmitRequest{Graph: g, Request: call[:]})
	if err != nil {
		return nil, fmt.Errorf("submit %s: %w", g.GetName(), err)
	}
	j := &Job{cluster: cluster}
	j.ID, err = (&rpc.JobRef{Job: r.GetJob()}).ID()
	return j, err
}

// Status is what is known of the job now.
func (j *Job) Status(ctx context.Context) (*rpc.JobStatus, error) {
	return j.cluster.GetJob(ctx, &rpc.GetJobRequest{Job: j.ID[:]})
}

// Wait waits until the job is over. It is an error unless it has finished.
func (j *Job) Wait(ctx context.Context) error {
	known := ""
	for {
		s, err := j.cluster.GetJob(ctx, &rpc.GetJobRequest{Job: j.ID[:], KnownState: known})
		switch {
		case err != nil:
			return fmt.Errorf("follow job %v: %w", j.ID, err)
		case !s.GetOver():
			known = s.GetState()
		case s.GetState() == "FINISHED":
			return nil
		case s.GetCause() != nil:
			return s.GetCause().Err()
		case s.GetState() == "CANCELED":
			return failure.Errorf(failure.Cancelled, "job %v was cancelled", j.ID)
		default:
			return failure.Errorf(failure.Fatal, "job %v ended as %s", j.ID, s.GetState())
		}
	}
}

// Cancel asks the job to end. It does not wait for it.
func (j *Job) Cancel(ctx context.Context) error {
	_, err := j.cluster.CancelJob(ctx, &rpc.CancelJobRequest{Job: j.ID[:]})
	return err
}
