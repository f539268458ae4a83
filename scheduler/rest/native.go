package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

type (
	jobPath struct {
		Job string `path:"job" doc:"id of the job"`
	}
	nodePath struct {
		Node string `path:"node" doc:"id of the node"`
	}
	listQuery struct {
		Limit   uint32 `query:"limit" default:"1000" maximum:"10000" doc:"most jobs, the newest"`
		Running bool   `query:"running" doc:"only those that are not over"`
	}
	logsQuery struct {
		Job   string `path:"job" doc:"id of the job"`
		Limit uint32 `query:"limit" default:"1000" maximum:"10000" doc:"most lines, the newest"`
	}
	graphBody struct {
		Request string `header:"Idempotency-Key" doc:"32 hexadecimal digits: repeated with the same ones, the answer is the job that was accepted the first time"`
		RawBody []byte `contentType:"application/x-protobuf" doc:"a tidemill.jobgraph.v1.Graph"`
	}
	body[T any] struct{ Body T }

	// Accepted is the answer to a submission.
	Accepted struct {
		Job string `json:"job"`
	}
	// Jobs is a list of jobs.
	Jobs struct {
		Jobs []Job `json:"jobs" doc:"newest first"`
	}
	// Nodes is a list of nodes.
	Nodes struct {
		Nodes []Node `json:"nodes"`
	}
	// Lines is what was logged.
	Lines struct {
		Lines []LogLine `json:"lines" doc:"oldest first"`
	}
)

// operations are those of /api/v1.
func (s *server) operations(api huma.API) {
	huma.Register(api, operation("list-jobs", http.MethodGet, "/jobs", "List jobs"), s.listJobs)
	submit := operation("submit-job", http.MethodPost, "/jobs", "Submit a job graph")
	submit.DefaultStatus, submit.MaxBodyBytes = http.StatusAccepted, MaxGraphBytes
	huma.Register(api, submit, s.submitJob)
	huma.Register(api, operation("get-job", http.MethodGet, "/jobs/{job}", "Describe a job, with decisions, waits and attempts"), s.getJob)
	cancel := operation("cancel-job", http.MethodPost, "/jobs/{job}/cancel", "Ask a job to end")
	cancel.DefaultStatus = http.StatusAccepted
	huma.Register(api, cancel, s.cancelJob)
	s.requirements(api)
	s.checkpoints(api)
	s.watermarks(api)
	huma.Register(api, operation("get-logs", http.MethodGet, "/jobs/{job}/logs", "What was logged about a job"), s.getLogs)
	huma.Register(api, operation("list-nodes", http.MethodGet, "/nodes", "List masters, workers and shuffle servers"), s.listNodes)
	drain := operation("drain-node", http.MethodPost, "/nodes/{node}/drain", "Have a shuffle server take nothing new")
	drain.DefaultStatus = http.StatusAccepted
	huma.Register(api, drain, s.drainNode)
}

func operation(name, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: name, Method: method, Path: "/api/v1" + path, Summary: summary,
		Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusServiceUnavailable},
	}
}

func (s *server) listJobs(ctx context.Context, q *listQuery) (*body[Jobs], error) {
	r, err := s.opts.Cluster.ListJobs(ctx, &rpc.ListJobsRequest{Most: q.Limit, Running: q.Running})
	if err != nil {
		return nil, problem(err)
	}
	out := Jobs{Jobs: []Job{}}
	for _, j := range r.GetJobs() {
		out.Jobs = append(out.Jobs, JobOf(j))
	}
	return &body[Jobs]{out}, nil
}

func (s *server) submitJob(ctx context.Context, q *graphBody) (*body[Accepted], error) {
	g, request := &jobgraph.Graph{}, id.NewJob()
	if err := proto.Unmarshal(q.RawBody, g); err != nil {
		return nil, problem(failure.Errorf(failure.BadData, "the body is no job graph: %w", err))
	}
	if q.Request != "" {
		var err error
		if request, err = id.ParseJob(q.Request); err != nil {
			return nil, problem(failure.Errorf(failure.Usage, "Idempotency-Key: %w", err))
		}
	}
	r, err := s.opts.Cluster.Submit(ctx, &rpc.SubmitRequest{Graph: g, Request: request[:]})
	if err != nil {
		return nil, problem(err)
	}
	job, err := (&rpc.JobRef{Job: r.GetJob()}).ID()
	if err != nil {
		return nil, problem(err)
	}
	return &body[Accepted]{Accepted{Job: job.String()}}, nil
}

// find asks for a job by the text of its id.
func (s *server) find(ctx context.Context, text string) (*rpc.JobStatus, error) {
	job, err := parse(text)
	if err != nil {
		return nil, err
	}
	return s.opts.Cluster.GetJob(ctx, &rpc.GetJobRequest{Job: job[:]})
}

// parse reads a job's id; what is none is not found.
func parse(text string) (id.Job, error) {
	job, err := id.ParseJob(text)
	if err != nil {
		return job, failure.Wrap(failure.NotFound, err)
	}
	return job, nil
}

func (s *server) getJob(ctx context.Context, q *jobPath) (*body[Job], error) {
	status, err := s.find(ctx, q.Job)
	if err != nil {
		return nil, problem(err)
	}
	return &body[Job]{JobOf(status)}, nil
}

func (s *server) cancel(ctx context.Context, text string) error {
	job, err := parse(text)
	if err != nil {
		return err
	}
	_, err = s.opts.Cluster.CancelJob(ctx, &rpc.CancelJobRequest{Job: job[:]})
	return err
}

func (s *server) cancelJob(ctx context.Context, q *jobPath) (*struct{}, error) {
	if err := s.cancel(ctx, q.Job); err != nil {
		return nil, problem(err)
	}
	return &struct{}{}, nil
}

func (s *server) getLogs(ctx context.Context, q *logsQuery) (*body[Lines], error) {
	job, err := parse(q.Job)
	if err != nil {
		return nil, problem(err)
	}
	r, err := s.opts.Cluster.Logs(ctx, &rpc.LogsRequest{Job: job[:], Most: q.Limit})
	if err != nil {
		return nil, problem(err)
	}
	return &body[Lines]{Lines{LinesOf(r)}}, nil
}

func (s *server) listNodes(ctx context.Context, _ *struct{}) (*body[Nodes], error) {
	r, err := s.opts.Cluster.Nodes(ctx, &rpc.NodesRequest{})
	if err != nil {
		return nil, problem(err)
	}
	return &body[Nodes]{Nodes{NodesOf(r)}}, nil
}

func (s *server) drainNode(ctx context.Context, q *nodePath) (*struct{}, error) {
	if _, err := s.opts.Cluster.DrainNode(ctx, &rpc.DrainNodeRequest{Id: q.Node}); err != nil {
		return nil, problem(err)
	}
	return &struct{}{}, nil
}
