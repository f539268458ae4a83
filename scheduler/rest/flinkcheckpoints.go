package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// flinkCheckpoints is what Flink tells of checkpoints and savepoints.
func (s *server) flinkCheckpoints() map[string]page {
	return map[string]page{
		"GET /jobs/{job}/checkpoints":                      s.flinkHistory,
		"GET /jobs/{job}/checkpoints/details/{checkpoint}": s.flinkCheckpoint,
		"POST /jobs/{job}/savepoints":                      s.flinkSavepoint,
		"POST /jobs/{job}/stop":                            s.flinkStop,
		"GET /jobs/{job}/savepoints/{request}":             s.flinkSavepointStatus,
	}
}

func flinkCheckpointOf(c *rpc.CheckpointStatus) object {
	kind := "CHECKPOINT"
	savepoint := strings.HasPrefix(c.GetKind(), "savepoint")
	if savepoint {
		kind = "SAVEPOINT"
	}
	o := object{
		"id": c.GetCheckpoint(), "status": c.GetState(), "is_savepoint": savepoint, "checkpoint_type": kind,
		"trigger_timestamp": c.GetTriggeredAt(), "latest_ack_timestamp": c.GetEndedAt(), "end_to_end_duration": max(0, c.GetEndedAt()-c.GetTriggeredAt()),
		"checkpointed_size": c.GetWroteBytes(), "state_size": c.GetBytes(), "processed_data": 0, "persisted_data": c.GetInFlightBytes(),
		"alignment_buffered": 0, "num_subtasks": c.GetSubtasks(), "num_acknowledged_subtasks": c.GetAcknowledged(),
		"external_path": c.GetPath(), "discarded": c.GetState() == "COMPLETED" && !c.GetKept(), "tasks": object{},
	}
	if f := c.GetFailure(); f != nil {
		o["failure_message"], o["failure_timestamp"] = f.GetText(), c.GetEndedAt()
	}
	return o
}

// flinkSummary is what the checkpoints that are remembered and complete have in common.
func flinkSummary(all []object) object {
	out := object{}
	for _, of := range [...]string{"checkpointed_size", "state_size", "end_to_end_duration", "alignment_buffered", "processed_data", "persisted_data"} {
		var values []float64
		for _, o := range all {
			if o["status"] == "COMPLETED" {
				values = append(values, number(o[of]))
			}
		}
		slices.Sort(values)
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		at := func(share float64) float64 {
			if len(values) == 0 {
				return 0
			}
			return values[min(int(share*float64(len(values))), len(values)-1)]
		}
		out[of] = object{
			"min": at(0), "max": at(1), "avg": math.Round(sum / float64(max(len(values), 1))),
			"p50": at(0.5), "p90": at(0.9), "p95": at(0.95), "p99": at(0.99), "p999": at(0.999),
		}
	}
	return out
}

func number(v any) float64 {
	switch v := v.(type) {
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	default:
		return 0
	}
}

func (s *server) flinkHistory(ctx context.Context, r *http.Request) (object, error) {
	all, err := s.listCheckpoints(ctx, r.PathValue("job"), 0)
	if err != nil {
		return nil, err
	}
	history, latest, running := []object{}, object{"completed": nil, "savepoint": nil, "failed": nil, "restored": nil}, 0
	first := func(name string, o object) {
		if latest[name] == nil {
			latest[name] = o
		}
	}
	for _, c := range all.GetCheckpoints() {
		o := flinkCheckpointOf(c)
		history = append(history, o)
		switch {
		case c.GetState() == "IN_PROGRESS":
			running++
		case c.GetState() == "FAILED":
			first("failed", o)
		case o["is_savepoint"] == true:
			first("savepoint", o)
		default:
			first("completed", o)
		}
	}
	restored := 0
	if all.GetRestoredFrom() != "" {
		restored = 1
		latest["restored"] = object{"external_path": all.GetRestoredFrom()}
	}
	return object{
		"counts": object{
			"restored": restored, "total": all.GetCompleted() + all.GetFailed() + uint64(running), "in_progress": running,
			"completed": all.GetCompleted(), "failed": all.GetFailed(),
		},
		"summary": flinkSummary(history), "latest": latest, "history": history,
	}, nil
}

func (s *server) flinkCheckpoint(ctx context.Context, r *http.Request) (object, error) {
	n, err := strconv.ParseUint(r.PathValue("checkpoint"), 10, 64)
	if err != nil {
		return nil, failure.Wrap(failure.NotFound, err)
	}
	all, err := s.listCheckpoints(ctx, r.PathValue("job"), 0)
	if err != nil {
		return nil, err
	}
	for _, c := range all.GetCheckpoints() {
		if c.GetCheckpoint() == n {
			return flinkCheckpointOf(c), nil
		}
	}
	return nil, failure.Errorf(failure.NotFound, "checkpoint %d is not remembered", n)
}

// readObject reads the body of a request, which may be empty.
func readObject(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return failure.Errorf(failure.Usage, "the body is no request: %w", err)
	}
	return nil
}

func (s *server) flinkSavepoint(ctx context.Context, r *http.Request) (object, error) {
	var q struct {
		Directory string `json:"target-directory"`
		Cancel    bool   `json:"cancel-job"`
	}
	if err := readObject(r, &q); err != nil {
		return nil, err
	}
	request, err := s.askSavepoint(ctx, r.PathValue("job"), &rpc.SavepointRequest{Directory: q.Directory, Stop: q.Cancel})
	return object{"request-id": request}, err
}

func (s *server) flinkStop(ctx context.Context, r *http.Request) (object, error) {
	var q struct {
		Directory string `json:"targetDirectory"`
		Drain     bool   `json:"drain"`
	}
	if err := readObject(r, &q); err != nil {
		return nil, err
	}
	request, err := s.askSavepoint(ctx, r.PathValue("job"), &rpc.SavepointRequest{Directory: q.Directory, Stop: true, Drain: q.Drain})
	return object{"request-id": request}, err
}

func (s *server) flinkSavepointStatus(ctx context.Context, r *http.Request) (object, error) {
	status, err := s.savepoint(ctx, r.PathValue("job"), r.PathValue("request"))
	switch {
	case err != nil:
		return nil, err
	case status.State == "IN_PROGRESS":
		return object{"status": object{"id": "IN_PROGRESS"}, "operation": nil}, nil
	case status.Cause != nil:
		return object{"status": object{"id": "COMPLETED"}, "operation": object{
			"failure-cause": object{"class": status.Cause.Class, "stack-trace": status.Cause.Text},
		}}, nil
	default:
		return object{"status": object{"id": "COMPLETED"}, "operation": object{"location": status.Path}}, nil
	}
}
