package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

type (
	// Requirements are, by vertex, between how many subtasks a streaming job is to run.
	Requirements map[string]Requirement
	// Requirement is that of one vertex.
	Requirement struct {
		Parallelism Bounds `json:"parallelism"`
	}
	// Bounds are the fewest and the most subtasks. The job runs with as many as there are
	// slots for, and waits for slots if there are fewer than the lower bound.
	Bounds struct {
		Lower uint32 `json:"lowerBound" minimum:"1" default:"1"`
		Upper uint32 `json:"upperBound" minimum:"1"`
	}

	requirementsBody struct {
		Job  string `path:"job" doc:"id of the job"`
		Body Requirements
	}
)

// requirements adds the operations on the requirements of jobs.
func (s *server) requirements(api huma.API) {
	const path = "/jobs/{job}/resource-requirements"
	huma.Register(api, operation("get-requirements", http.MethodGet, path, "Between how many subtasks the vertices of a streaming job are to run"),
		func(ctx context.Context, q *jobPath) (*body[Requirements], error) {
			out, err := s.rescale(ctx, q.Job, nil)
			if err != nil {
				return nil, problem(err)
			}
			return &body[Requirements]{out}, nil
		})
	huma.Register(api, operation("put-requirements", http.MethodPut, path, "Rescale a streaming job: vertices that are not named keep their bounds"),
		func(ctx context.Context, q *requirementsBody) (*body[Requirements], error) {
			out, err := s.rescale(ctx, q.Job, q.Body)
			if err != nil {
				return nil, problem(err)
			}
			return &body[Requirements]{out}, nil
		})
}

// rescale reads the requirements of a job, or, with some, changes them.
func (s *server) rescale(ctx context.Context, text string, to Requirements) (Requirements, error) {
	job, err := parse(text)
	if err != nil {
		return nil, err
	}
	q := &rpc.RescaleRequest{Job: job[:], Read: to == nil}
	for v, r := range to {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return nil, failure.Errorf(failure.Usage, "%.100q is no vertex", v)
		}
		b := &rpc.VertexBounds{Vertex: uint32(n), Least: max(r.Parallelism.Lower, 1), Most: r.Parallelism.Upper}
		q.Vertices = append(q.Vertices, b)
	}
	reply, err := s.opts.Cluster.Rescale(ctx, q)
	if err != nil {
		return nil, err
	}
	out := Requirements{}
	for _, b := range reply.GetVertices() {
		out[strconv.FormatUint(uint64(b.GetVertex()), 10)] = Requirement{Bounds{Lower: b.GetLeast(), Upper: b.GetMost()}}
	}
	return out, nil
}

// flinkRequirements answers GET and PUT /jobs/{job}/resource-requirements.
func (s *server) flinkRequirements(ctx context.Context, r *http.Request) (object, error) {
	var to Requirements
	if r.Method == http.MethodPut {
		to = Requirements{}
		if err := json.NewDecoder(r.Body).Decode(&to); err != nil {
			return nil, failure.Errorf(failure.Usage, "the body is no resource requirements: %w", err)
		}
	}
	all, err := s.rescale(ctx, r.PathValue("job"), to)
	if err != nil || to != nil {
		return object{}, err
	}
	out := object{}
	for v, r := range all {
		out[v] = r
	}
	return out, nil
}
