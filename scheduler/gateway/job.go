package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// The states of jobs and subtasks that the gateway tells apart, by Flink's names.
const (
	finished = "FINISHED"
	canceled = "CANCELED"
	running  = "RUNNING"
)

// callTimeout bounds what is asked of a cluster for a statement that is over.
const callTimeout = 10 * time.Second

// job is a job of the cluster that a statement has started. A goroutine of the gateway
// follows it until it is over.
type job struct {
	cluster rpc.ClusterClient
	id      id.Job
	begun   time.Time
	stop    context.CancelFunc // ends following
	done    chan struct{}      // closed when the job is over, or not followed any more

	// Of the end: valid once done is closed.
	last *rpc.JobStatus // nil: the job was lost sight of
	lost error          // why
}

// submit starts a job and begins to follow it.
func (g *Gateway) submit(ctx context.Context, graph *jobgraph.Graph) (*job, error) {
	if g.opts.Prepare != nil {
		if err := g.opts.Prepare(graph); err != nil {
			return nil, err
		}
	}
	call := id.NewJob()
	r, err := g.opts.Cluster.Submit(ctx, &rpc.SubmitRequest{Graph: graph, Request: call[:]})
	if err != nil {
		return nil, err
	}
	j := &job{cluster: g.opts.Cluster, begun: time.Now(), done: make(chan struct{})}
	if j.id, err = (&rpc.JobRef{Job: r.GetJob()}).ID(); err != nil {
		return nil, err
	}
	root, stop := context.WithCancel(g.root)
	j.stop = stop
	g.following.Go(func() { j.follow(root) })
	return j, nil
}

// follow waits for the end of the job.
func (j *job) follow(ctx context.Context) {
	defer close(j.done)
	known := ""
	for {
		s, err := j.cluster.GetJob(ctx, &rpc.GetJobRequest{Job: j.id[:], KnownState: known})
		if err != nil {
			j.lost = fmt.Errorf("follow job %v: %w", j.id, err)
			return
		}
		if s.GetOver() {
			j.last = s
			return
		}
		known = s.GetState()
	}
}

// status is what is known of the job now.
func (j *job) status(ctx context.Context) (*rpc.JobStatus, error) {
	select {
	case <-j.done:
		return j.last, j.lost
	default:
		return j.cluster.GetJob(ctx, &rpc.GetJobRequest{Job: j.id[:]})
	}
}

// result waits until the job's result can be read and returns where it is. nil
// without an error: the job is over before that.
func (j *job) result(ctx context.Context) (*rpc.JobStatus, error) {
	for {
		s, err := j.cluster.GetJob(ctx, &rpc.GetJobRequest{Job: j.id[:], AwaitResult: true})
		switch {
		case err != nil:
			return nil, err
		case s.GetResult() != nil:
			return s, nil
		case s.GetOver():
			return nil, nil
		}
	}
}

// cancel asks the job to end. Where nobody can be asked, the job is not followed any
// longer, so that nobody waits for its end.
func (j *job) cancel() {
	ctx, stop := context.WithTimeout(context.Background(), callTimeout)
	defer stop()
	if _, err := j.cluster.CancelJob(ctx, &rpc.CancelJobRequest{Job: j.id[:]}); err != nil {
		j.stop()
	}
}

// outcome is why a job that is over did not finish, or nil.
func (j *job) outcome() error {
	switch {
	case j.last == nil:
		return j.lost
	case j.last.GetState() == finished:
		return nil
	case j.last.GetState() == canceled:
		return failure.Errorf(failure.Cancelled, "job %v was cancelled", j.id)
	case j.last.GetCause() == nil:
		return failure.Errorf(failure.Fatal, "job %v ended as %s", j.id, j.last.GetState())
	}
	return j.last.GetCause().Err()
}

// elapsed is how long the job has run.
func (j *job) elapsed(s *rpc.JobStatus) time.Duration {
	if s.GetOver() && s.GetStarted() > 0 {
		return time.Duration(s.GetEnded()-s.GetStarted()) * time.Millisecond
	}
	return time.Since(j.begun)
}

// progress tells how far the job has come; its state alone where that cannot be asked.
func (j *job) progress(ctx context.Context) client.Progress {
	s, err := j.status(ctx)
	if err != nil {
		return client.Progress{State: "UNKNOWN", Elapsed: time.Since(j.begun)}
	}
	p := client.Progress{
		State: s.GetState(), Elapsed: j.elapsed(s), Restarts: int64(s.GetRestarts()), Checkpoints: int64(s.GetCheckpoints()),
		RowsOut: int64(s.GetRowsWritten()), BytesOut: int64(s.GetBytesWritten()), FilesOut: int64(s.GetFilesWritten()),
		SplitsTotal: int64(s.GetSplitsTotal()),
	}
	inHand := int64(0) // a reader works on one split at a time
	for _, v := range s.GetVertices() {
		busy := int64(v.GetSubtasks()[running])
		if v.GetSource() {
			p.RowsIn += int64(v.GetRowsIn())
			p.BytesIn += int64(v.GetBytesIn())
			inHand += busy
		}
		p.SpilledBytes += int64(v.GetSpilledBytes())
		p.TasksRunning += busy
		p.TasksTotal += int64(v.GetParallelism())
	}
	p.SplitsDone = max(0, int64(s.GetSplitsAssigned())-inHand)
	return p
}
