package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

type (
	// Checkpoints is what is remembered of a job's checkpoints.
	Checkpoints struct {
		Completed    uint64       `json:"completed" doc:"of all, also those that are not remembered"`
		Failed       uint64       `json:"failed"`
		RestoredFrom string       `json:"restored_from,omitempty"`
		Checkpoints  []Checkpoint `json:"checkpoints" doc:"newest first"`
	}
	// Checkpoint is one of them.
	Checkpoint struct {
		Number       uint64     `json:"checkpoint"`
		Kind         string     `json:"kind"`
		State        string     `json:"state" doc:"IN_PROGRESS, COMPLETED or FAILED"`
		Triggered    *time.Time `json:"triggered,omitempty"`
		Ended        *time.Time `json:"ended,omitempty"`
		Seconds      float64    `json:"seconds" doc:"from its trigger to its end"`
		Path         string     `json:"path,omitempty" doc:"of its manifest; of a savepoint its directory"`
		Kept         bool       `json:"kept" doc:"its files are still there"`
		Cause        *Cause     `json:"cause,omitempty"`
		Subtasks     uint32     `json:"subtasks"`
		Acknowledged uint32     `json:"acknowledged"`
		Bytes        uint64     `json:"bytes" doc:"that a restore reads"`
		Wrote        uint64     `json:"wrote_bytes" doc:"of state, anew"`
		InFlight     uint64     `json:"in_flight_bytes"`
		Overtaken    uint32     `json:"overtaken" doc:"subtasks that did not wait for all barriers"`
		AlignedNanos int64      `json:"aligned_nanos" doc:"the longest of all subtasks, as the following"`
		PausedNanos  int64      `json:"paused_nanos"`
		WroteNanos   int64      `json:"wrote_nanos"`
	}
	// Savepoint is one that is there.
	Savepoint struct {
		Path       string `json:"path"`
		Checkpoint uint64 `json:"checkpoint"`
	}
	// SavepointAsked names a request.
	SavepointAsked struct {
		Request string `json:"request"`
	}
	// SavepointStatus is how far one is that was asked for.
	SavepointStatus struct {
		State string `json:"state" doc:"IN_PROGRESS, COMPLETED or FAILED"`
		Path  string `json:"path,omitempty"`
		Cause *Cause `json:"cause,omitempty"`
	}

	checkpointsQuery struct {
		Job   string `path:"job" doc:"id of the job"`
		Limit uint32 `query:"limit" default:"100" maximum:"100" doc:"most checkpoints, the newest"`
	}
	savepointBody struct {
		Job  string `path:"job" doc:"id of the job"`
		Body struct {
			Directory string `json:"directory,omitempty" doc:"in which it gets one of its own; none: state.savepoints.dir"`
			Stop      bool   `json:"stop,omitempty" doc:"the job ends with it"`
			Drain     bool   `json:"drain,omitempty" doc:"with stop: event time comes to its end before"`
		}
	}
	savepointPath struct {
		Job     string `path:"job" doc:"id of the job"`
		Request string `path:"request" doc:"as it was answered"`
	}
)

// CheckpointsOf shows what a master remembers.
func CheckpointsOf(r *rpc.CheckpointsReply) Checkpoints {
	out := Checkpoints{Completed: r.GetCompleted(), Failed: r.GetFailed(), RestoredFrom: r.GetRestoredFrom(), Checkpoints: []Checkpoint{}}
	for _, c := range r.GetCheckpoints() {
		one := Checkpoint{
			Number: c.GetCheckpoint(), Kind: c.GetKind(), State: c.GetState(), Triggered: moment(c.GetTriggeredAt()), Ended: moment(c.GetEndedAt()),
			Path: c.GetPath(), Kept: c.GetKept(), Cause: causeOf(c.GetFailure()), Subtasks: c.GetSubtasks(), Acknowledged: c.GetAcknowledged(),
			Bytes: c.GetBytes(), Wrote: c.GetWroteBytes(), InFlight: c.GetInFlightBytes(), Overtaken: c.GetOvertaken(),
			AlignedNanos: c.GetAlignedNanos(), PausedNanos: c.GetPausedNanos(), WroteNanos: c.GetWroteNanos(),
		}
		if c.GetEndedAt() > 0 {
			one.Seconds = float64(c.GetEndedAt()-c.GetTriggeredAt()) / 1000
		}
		out.Checkpoints = append(out.Checkpoints, one)
	}
	return out
}

func causeOf(f *rpc.Failure) *Cause {
	if f == nil {
		return nil
	}
	return &Cause{Class: classOf(f), Text: f.GetText()}
}

// checkpoints adds the operations on checkpoints and savepoints.
func (s *server) checkpoints(api huma.API) {
	huma.Register(api, operation("list-checkpoints", http.MethodGet, "/jobs/{job}/checkpoints", "What is remembered of a job's checkpoints"),
		func(ctx context.Context, q *checkpointsQuery) (*body[Checkpoints], error) {
			r, err := s.listCheckpoints(ctx, q.Job, q.Limit)
			if err != nil {
				return nil, problem(err)
			}
			return &body[Checkpoints]{CheckpointsOf(r)}, nil
		})
	take := operation("take-savepoint", http.MethodPost, "/jobs/{job}/savepoints", "Take a savepoint, and stop the job with it if asked to")
	take.DefaultStatus = http.StatusAccepted
	huma.Register(api, take, func(ctx context.Context, q *savepointBody) (*body[SavepointAsked], error) {
		request, err := s.askSavepoint(ctx, q.Job, &rpc.SavepointRequest{Directory: q.Body.Directory, Stop: q.Body.Stop, Drain: q.Body.Drain})
		if err != nil {
			return nil, problem(err)
		}
		return &body[SavepointAsked]{SavepointAsked{request}}, nil
	})
	huma.Register(api, operation("get-savepoint", http.MethodGet, "/jobs/{job}/savepoints/{request}", "How far a savepoint is that was asked for"),
		func(ctx context.Context, q *savepointPath) (*body[SavepointStatus], error) {
			status, err := s.savepoint(ctx, q.Job, q.Request)
			if err != nil {
				return nil, problem(err)
			}
			return &body[SavepointStatus]{status}, nil
		})
}

func (s *server) listCheckpoints(ctx context.Context, text string, most uint32) (*rpc.CheckpointsReply, error) {
	job, err := parse(text)
	if err != nil {
		return nil, err
	}
	return s.opts.Cluster.Checkpoints(ctx, &rpc.CheckpointsRequest{Job: job[:], Most: most})
}

// askSavepoint begins a savepoint and returns the name of the request.
func (s *server) askSavepoint(ctx context.Context, text string, q *rpc.SavepointRequest) (string, error) {
	job, err := parse(text)
	if err != nil {
		return "", err
	}
	request := id.NewJob()
	q.Job, q.Request, q.AtOnce = job[:], request[:], true
	_, err = s.opts.Cluster.Savepoint(ctx, q)
	return request.String(), err
}

// savepoint tells how far a request is. What is no failure of the savepoint is an error.
func (s *server) savepoint(ctx context.Context, text, name string) (SavepointStatus, error) {
	job, err := parse(text)
	if err != nil {
		return SavepointStatus{}, err
	}
	request, err := parse(name)
	if err != nil {
		return SavepointStatus{}, err
	}
	r, err := s.opts.Cluster.Savepoint(ctx, &rpc.SavepointRequest{Job: job[:], Request: request[:], Known: true, AtOnce: true})
	switch class := failure.Of(err); {
	case err == nil && r.GetPath() == "":
		return SavepointStatus{State: "IN_PROGRESS"}, nil
	case err == nil:
		return SavepointStatus{State: "COMPLETED", Path: r.GetPath()}, nil
	case class == failure.NotFound, rpc.LeaderOf(err) != "", ctx.Err() != nil:
		return SavepointStatus{}, err
	default:
		return SavepointStatus{State: "FAILED", Cause: &Cause{Class: class.String(), Text: err.Error()}}, nil
	}
}
