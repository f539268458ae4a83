package rest

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

type (
	// Watermarks is how far event time is in a job.
	Watermarks struct {
		Vertices []VertexWatermarks `json:"vertices"`
	}
	// VertexWatermarks is how far it is in a vertex.
	VertexWatermarks struct {
		ID        uint32              `json:"id"`
		Name      string              `json:"name"`
		Watermark *int64              `json:"watermark_millis,omitempty" doc:"the least that subtasks have told their consumers, in Unix time; none: one has not yet"`
		Lag       *int64              `json:"lag_millis,omitempty" doc:"by which that is behind the clock"`
		Subtasks  []SubtaskWatermarks `json:"subtasks"`
	}
	// SubtaskWatermarks is how far it is in a subtask.
	SubtaskWatermarks struct {
		Subtask uint32 `json:"subtask"`
		Input   *int64 `json:"input_millis,omitempty" doc:"the least of its inputs"`
		Output  *int64 `json:"output_millis,omitempty" doc:"that its consumers were told"`
		Idle    bool   `json:"idle" doc:"event time of its consumers does not wait for it"`
	}
)

// watermark is event time for people: none before there is one.
func watermark(w int64) *int64 {
	if stream.Watermark(w) == stream.MinWatermark {
		return nil
	}
	return &w
}

// WatermarkOf is the least watermark that the subtasks of a vertex have told, of those that
// are not idle if there are any; none before all have told one.
func WatermarkOf(v *rpc.VertexStatus) *int64 {
	if len(v.GetProgress()) == 0 {
		return nil
	}
	least, most, active := int64(math.MaxInt64), int64(math.MinInt64), false
	for _, p := range v.GetProgress() {
		w := p.GetStanding().GetOutputWatermark()
		most = max(most, w)
		if !p.GetStanding().GetEventIdle() {
			least, active = min(least, w), true
		}
	}
	if !active {
		least = most
	}
	return watermark(least)
}

// lag is how far a watermark is behind the clock; the end of event time is not.
func lag(w *int64) *int64 {
	if w == nil || stream.Watermark(*w) == stream.MaxWatermark {
		return nil
	}
	behind := now() - *w
	return &behind
}

func watermarksOf(j *rpc.JobStatus) Watermarks {
	out := Watermarks{Vertices: []VertexWatermarks{}}
	for _, v := range j.GetVertices() {
		w := WatermarkOf(v)
		one := VertexWatermarks{ID: v.GetVertex(), Name: v.GetName(), Watermark: w, Lag: lag(w), Subtasks: []SubtaskWatermarks{}}
		for _, p := range v.GetProgress() {
			s := p.GetStanding()
			one.Subtasks = append(one.Subtasks, SubtaskWatermarks{
				Subtask: p.GetAttempt().GetSubtask(), Input: watermark(s.GetInputWatermark()), Output: watermark(s.GetOutputWatermark()), Idle: s.GetEventIdle(),
			})
		}
		out.Vertices = append(out.Vertices, one)
	}
	return out
}

// watermarks adds the operation that tells of event time.
func (s *server) watermarks(api huma.API) {
	huma.Register(api, operation("get-watermarks", http.MethodGet, "/jobs/{job}/watermarks", "How far event time is in a job"),
		func(ctx context.Context, q *jobPath) (*body[Watermarks], error) {
			j, err := s.find(ctx, q.Job)
			if err != nil {
				return nil, problem(err)
			}
			return &body[Watermarks]{watermarksOf(j)}, nil
		})
}

// figure is a metric with the name that Flink has for it.
type figure struct {
	name  string
	value string
}

func whole[T int64 | uint64 | uint32](name string, v T) figure {
	return figure{name, strconv.FormatFloat(float64(v), 'f', -1, 64)}
}

// jobFigures are the metrics of a job.
func jobFigures(j *rpc.JobStatus, c *rpc.CheckpointsReply) []figure {
	running, taken := uint64(0), (*rpc.CheckpointStatus)(nil)
	for _, one := range c.GetCheckpoints() {
		switch one.GetState() {
		case "IN_PROGRESS":
			running++
		case "COMPLETED":
			if taken == nil {
				taken = one
			}
		}
	}
	out := []figure{
		whole("numRestarts", j.GetRestarts()), whole("runningTime", int64(seconds(j)*1000)),
		whole("numberOfCompletedCheckpoints", c.GetCompleted()), whole("numberOfFailedCheckpoints", c.GetFailed()),
		whole("numberOfInProgressCheckpoints", running), whole("totalNumberOfCheckpoints", c.GetCompleted()+c.GetFailed()+running),
	}
	if taken == nil {
		return out
	}
	return append(out,
		whole("lastCompletedCheckpointId", taken.GetCheckpoint()), whole("lastCheckpointDuration", max(0, taken.GetEndedAt()-taken.GetTriggeredAt())),
		whole("lastCheckpointSize", taken.GetWroteBytes()), whole("lastCheckpointFullSize", taken.GetBytes()),
		whole("lastCheckpointPersistedData", taken.GetInFlightBytes()), figure{"lastCheckpointExternalPath", taken.GetPath()},
		whole("lastCheckpointAlignmentTime", taken.GetAlignedNanos()),
	)
}

// taskFigures are the metrics of a subtask.
func taskFigures(p *rpc.TaskProgress, source bool) []figure {
	s := p.GetStanding()
	out := []figure{
		whole("numRecordsIn", p.GetRowsIn()), whole("numRecordsOut", p.GetRowsOut()), whole("numBytesIn", p.GetBytesIn()),
		whole("numLateRecordsDropped", p.GetLateRows()), whole("numFutureRecords", p.GetFutureRows()), whole("numRejectedRecords", p.GetRejectedRecords()),
		whole("idleTimeMsPerSecond", s.GetIdlePermille()), whole("backPressuredTimeMsPerSecond", s.GetBlockedPermille()), whole("busyTimeMsPerSecond", busy(s)),
		whole("accumulateIdleTimeMs", s.GetIdleNanos()/1e6), whole("accumulateBackPressuredTimeMs", s.GetBlockedNanos()/1e6),
		whole("stateMemoryBytes", s.GetStateBytes()),
		{"currentOutputWatermark", strconv.FormatInt(s.GetOutputWatermark(), 10)},
	}
	if asked := s.GetStateAsked(); asked > 0 {
		out = append(out, figure{"stateCacheHitRate", strconv.FormatFloat(float64(s.GetStateHits())/float64(asked), 'f', 4, 64)})
	}
	if !source {
		return append(out, inputWatermark(p))
	}
	if behind := lag(watermark(s.GetOutputWatermark())); behind != nil {
		out = append(out, whole("watermarkLag", *behind))
	}
	return out
}

func inputWatermark(p *rpc.TaskProgress) figure {
	return figure{"currentInputWatermark", strconv.FormatInt(p.GetStanding().GetInputWatermark(), 10)}
}

// busy is what is left of a second, in milliseconds.
func busy(s *rpc.TaskStanding) uint32 {
	return 1000 - min(1000, s.GetIdlePermille()+s.GetBlockedPermille())
}

// asked is what a request wants of metrics: the values of those that it names, or the names
// of all.
func asked(r *http.Request, all []figure) []object {
	get := r.URL.Query().Get("get")
	out := []object{}
	for _, f := range all {
		switch {
		case get == "":
			out = append(out, object{"id": f.name})
		case slices.Contains(strings.Split(get, ","), f.name):
			out = append(out, object{"id": f.name, "value": f.value})
		}
	}
	return out
}

// flinkJobMetrics are those of a job.
func (s *server) flinkJobMetrics(ctx context.Context, r *http.Request) ([]object, error) {
	j, err := s.find(ctx, r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	c, err := s.listCheckpoints(ctx, r.PathValue("job"), 0)
	if err != nil {
		return nil, err
	}
	return asked(r, jobFigures(j, c)), nil
}

// prefixed are the metrics of the subtasks of a vertex, each with the number of its subtask.
func prefixed(v *rpc.VertexStatus, of func(p *rpc.TaskProgress) []figure) (out []figure) {
	for _, p := range v.GetProgress() {
		for _, f := range of(p) {
			out = append(out, figure{strconv.FormatUint(uint64(p.GetAttempt().GetSubtask()), 10) + "." + f.name, f.value})
		}
	}
	return out
}

// flinkVertexMetrics are those of the subtasks of a vertex.
func flinkVertexMetrics(r *http.Request, v *rpc.VertexStatus) ([]object, error) {
	return asked(r, prefixed(v, func(p *rpc.TaskProgress) []figure { return taskFigures(p, v.GetSource()) })), nil
}

// flinkWatermarks are those of the subtasks of a vertex, of which a source has none, as in
// Flink.
func flinkWatermarks(_ *http.Request, v *rpc.VertexStatus) ([]object, error) {
	out := []object{}
	if v.GetSource() {
		return out, nil
	}
	for _, f := range prefixed(v, func(p *rpc.TaskProgress) []figure { return []figure{inputWatermark(p)} }) {
		out = append(out, object{"id": f.name, "value": f.value})
	}
	return out, nil
}

// flinkAggregated are the metrics of a vertex over its subtasks: the least, the most, the
// sum and the mean of each that is asked for, or, where none is, their names.
func flinkAggregated(r *http.Request, v *rpc.VertexStatus) ([]object, error) {
	values := map[string][]float64{}
	var names []figure
	for _, p := range v.GetProgress() {
		for _, f := range taskFigures(p, v.GetSource()) {
			x, err := strconv.ParseFloat(f.value, 64)
			if err != nil {
				continue
			}
			if values[f.name] = append(values[f.name], x); len(values[f.name]) == 1 {
				names = append(names, f)
			}
		}
	}
	want := strings.FieldsFunc(r.URL.Query().Get("agg"), func(c rune) bool { return c == ',' })
	for _, a := range want {
		if !slices.Contains([]string{"min", "max", "sum", "avg"}, a) {
			return nil, failure.Errorf(failure.Usage, "agg %q: want min, max, sum or avg", a)
		}
	}
	out := asked(r, names)
	for _, o := range out {
		if _, ok := o["value"]; !ok {
			continue
		}
		delete(o, "value")
		all, sum := values[o["id"].(string)], 0.0
		for _, x := range all {
			sum += x
		}
		for name, x := range map[string]float64{"min": slices.Min(all), "max": slices.Max(all), "sum": sum, "avg": sum / float64(len(all))} {
			if len(want) == 0 || slices.Contains(want, name) {
				o[name] = x
			}
		}
	}
	return out, nil
}

// level is Flink's word for a part of a second in which a subtask waits for its consumers.
func level(permille uint32) string {
	switch {
	case permille <= 100:
		return "ok"
	case permille <= 500:
		return "low"
	default:
		return "high"
	}
}

// flinkBackpressure says how much the subtasks of a vertex wait for their consumers.
func flinkBackpressure(_ *rpc.JobStatus, v *rpc.VertexStatus) object {
	subtasks, most := []object{}, uint32(0)
	for _, p := range v.GetProgress() {
		s := p.GetStanding()
		most = max(most, s.GetBlockedPermille())
		subtasks = append(subtasks, object{
			"subtask": p.GetAttempt().GetSubtask(), "backpressure-level": level(s.GetBlockedPermille()), "backpressureLevel": level(s.GetBlockedPermille()),
			"ratio": float64(s.GetBlockedPermille()) / 1000, "idleRatio": float64(s.GetIdlePermille()) / 1000, "busyRatio": float64(busy(s)) / 1000,
		})
	}
	status := "ok"
	if len(subtasks) == 0 {
		status = "deprecated" // nothing was sampled
	}
	return object{"status": status, "backpressureLevel": level(most), "backpressure-level": level(most), "end-timestamp": now(), "subtasks": subtasks}
}
