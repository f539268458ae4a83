package rest

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// page makes one answer.
type page = func(ctx context.Context, r *http.Request) (object, error)

// flinkDetails are the pages of one job and of its vertices. What this engine does not
// count is there, empty or zero, as Flink has it of a job that has none.
func (s *server) flinkDetails() map[string]page {
	pages := map[string]page{}
	for name, of := range map[string]func(*rpc.JobStatus) object{
		"plan":   func(j *rpc.JobStatus) object { return object{"plan": flinkPlan(j)} },
		"config": flinkJobConfig, "checkpoints/config": flinkCheckpointConfig,
		"accumulators": func(*rpc.JobStatus) object {
			return object{"job-accumulators": []object{}, "user-task-accumulators": []object{}, "serialized-user-task-accumulators": object{}}
		},
	} {
		pages["GET /jobs/{job}/"+name] = func(ctx context.Context, r *http.Request) (object, error) {
			j, err := s.find(ctx, r.PathValue("job"))
			if err != nil {
				return nil, err
			}
			return of(j), nil
		}
	}
	for name, of := range map[string]func(*rpc.JobStatus, *rpc.VertexStatus) object{
		"": flinkVertex, "/subtasktimes": flinkSubtaskTimes, "/taskmanagers": flinkVertexWorkers, "/backpressure": flinkBackpressure,
		"/accumulators": func(_ *rpc.JobStatus, v *rpc.VertexStatus) object {
			return object{"id": vertexID(v), "user-accumulators": []object{}}
		},
		"/subtasks/accumulators": func(_ *rpc.JobStatus, v *rpc.VertexStatus) object {
			return object{"id": vertexID(v), "parallelism": v.GetParallelism(), "subtasks": []object{}}
		},
	} {
		pages["GET /jobs/{job}/vertices/{vertex}"+name] = func(ctx context.Context, r *http.Request) (object, error) {
			j, v, err := s.findVertex(ctx, r)
			if err != nil {
				return nil, err
			}
			return of(j, v), nil
		}
	}
	pages["GET /jobs/{job}/vertices/{vertex}/subtasks/{subtask}"] = s.flinkSubtask
	return pages
}

// list makes an answer that is one.
type list = func(ctx context.Context, r *http.Request) ([]object, error)

// flinkLists are the pages whose answer is a list: the master's settings, watermarks and
// metrics. Those of processes are at /metrics alone.
func (s *server) flinkLists() map[string]list {
	pages := map[string]list{
		"GET /jobmanager/config": func(context.Context, *http.Request) ([]object, error) {
			return []object{{"key": "tidemill.version", "value": s.opts.Version}}, nil
		},
		"GET /jobs/{job}/metrics": s.flinkJobMetrics,
	}
	for _, path := range [...]string{"/jobmanager/metrics", "/taskmanagers/metrics", "/taskmanagers/{node}/metrics", "/jobs/metrics"} {
		pages["GET "+path] = func(context.Context, *http.Request) ([]object, error) { return []object{}, nil }
	}
	for name, of := range map[string]func(*http.Request, *rpc.VertexStatus) ([]object, error){
		"metrics": flinkVertexMetrics, "watermarks": flinkWatermarks, "subtasks/metrics": flinkAggregated,
	} {
		pages["GET /jobs/{job}/vertices/{vertex}/"+name] = func(ctx context.Context, r *http.Request) ([]object, error) {
			_, v, err := s.findVertex(ctx, r)
			if err != nil {
				return nil, err
			}
			return of(r, v)
		}
	}
	return pages
}

func (s *server) findVertex(ctx context.Context, r *http.Request) (*rpc.JobStatus, *rpc.VertexStatus, error) {
	j, err := s.find(ctx, r.PathValue("job"))
	if err != nil {
		return nil, nil, err
	}
	for _, v := range j.GetVertices() {
		if vertexID(v) == r.PathValue("vertex") {
			return j, v, nil
		}
	}
	return nil, nil, failure.Errorf(failure.NotFound, "job %s has no vertex %s", r.PathValue("job"), r.PathValue("vertex"))
}

func vertexID(v *rpc.VertexStatus) string { return strconv.FormatUint(uint64(v.GetVertex()), 10) }

// flinkVertexHead is what every page says of a vertex.
func flinkVertexHead(v *rpc.VertexStatus) object {
	return object{
		"id": vertexID(v), "name": v.GetName(), "parallelism": v.GetParallelism(), "maxParallelism": -1, "status": flinkState(v),
		"slotSharingGroupId": strconv.FormatUint(uint64(v.GetRegion()), 10),
	}
}

// flinkTimes are those of a job, which its vertices have, too: theirs are not kept.
func flinkTimes(j *rpc.JobStatus) object {
	head := flinkHead(j)
	return object{"start-time": head["start-time"], "end-time": head["end-time"], "duration": head["duration"]}
}

// flinkIO is what a vertex has read and written. A figure that is not counted is said
// to be incomplete.
func flinkIO(v *rpc.VertexStatus) object {
	idle, blocked := uint64(0), uint64(0)
	for _, p := range v.GetProgress() {
		idle, blocked = idle+p.GetStanding().GetIdleNanos(), blocked+p.GetStanding().GetBlockedNanos()
	}
	return object{
		"read-bytes": v.GetBytesIn(), "read-bytes-complete": true, "write-bytes": 0, "write-bytes-complete": false,
		"read-records": v.GetRowsIn(), "read-records-complete": true, "write-records": v.GetRowsOut(), "write-records-complete": true,
		"accumulated-backpressured-time": blocked / 1e6, "accumulated-idle-time": idle / 1e6, "accumulated-busy-time": 0,
	}
}

func flinkVertex(j *rpc.JobStatus, v *rpc.VertexStatus) object {
	o := flinkVertexHead(v)
	subtasks := []object{}
	for i := range int(v.GetParallelism()) {
		subtasks = append(subtasks, flinkAttempt(j, v, i))
	}
	o["subtasks"], o["aggregated"], o["now"] = subtasks, object{"metrics": object{}, "status-duration": object{}}, now()
	return o
}

// flinkAttempt is the present attempt of a subtask. Which subtask is in which state is
// not told while they differ: then each has the state that says most of the vertex.
func flinkAttempt(j *rpc.JobStatus, v *rpc.VertexStatus, subtask int) object {
	o := flinkTimes(j)
	o["subtask"], o["status"], o["attempt"], o["other-concurrent-attempts"] = subtask, flinkState(v), uint32(0), []object{}
	o["start_time"] = o["start-time"]
	if all := v.GetAttempts(); subtask < len(all) {
		o["attempt"] = all[subtask]
	}
	worker := workerOf(v, subtask)
	o["taskmanager-id"], o["endpoint"] = worker, worker
	of := &rpc.VertexStatus{}
	for _, p := range v.GetProgress() {
		if int(p.GetAttempt().GetSubtask()) == subtask {
			of = &rpc.VertexStatus{RowsIn: p.GetRowsIn(), RowsOut: p.GetRowsOut(), BytesIn: p.GetBytesIn(), Progress: []*rpc.TaskProgress{p}}
		}
	}
	o["metrics"], o["status-duration"] = flinkIO(of), object{}
	return o
}

// unassigned is what Flink calls the place of a subtask that has none.
const unassigned = "(unassigned)"

func workerOf(v *rpc.VertexStatus, subtask int) string {
	if all := v.GetWorkers(); subtask < len(all) && all[subtask] != "" {
		return all[subtask]
	}
	return unassigned
}

func (s *server) flinkSubtask(ctx context.Context, r *http.Request) (object, error) {
	j, v, err := s.findVertex(ctx, r)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(r.PathValue("subtask"))
	if err != nil || n < 0 || n >= int(v.GetParallelism()) {
		return nil, failure.Errorf(failure.NotFound, "vertex %s has no subtask %s", vertexID(v), r.PathValue("subtask"))
	}
	return flinkAttempt(j, v, n), nil
}

func flinkSubtaskTimes(j *rpc.JobStatus, v *rpc.VertexStatus) object {
	subtasks := []object{}
	for i := range int(v.GetParallelism()) {
		head := flinkHead(j)
		subtasks = append(subtasks, object{
			"subtask": i, "endpoint": workerOf(v, i), "duration": head["duration"],
			"timestamps": object{"CREATED": j.GetSubmitted(), "RUNNING": j.GetStarted(), flinkState(v): max(j.GetEnded(), j.GetStarted(), j.GetSubmitted())},
		})
	}
	return object{"id": vertexID(v), "name": v.GetName(), "now": now(), "subtasks": subtasks}
}

// flinkVertexWorkers shows a vertex by the workers where its subtasks run.
func flinkVertexWorkers(j *rpc.JobStatus, v *rpc.VertexStatus) object {
	counts := map[string]uint32{}
	var names []string
	for i := range int(v.GetParallelism()) {
		w := workerOf(v, i)
		if counts[w]++; counts[w] == 1 {
			names = append(names, w)
		}
	}
	slices.Sort(names)
	workers := []object{}
	for _, w := range names {
		o := flinkTimes(j)
		o["taskmanager-id"], o["endpoint"], o["status"] = w, w, flinkState(v)
		o["status-counts"], o["metrics"] = object{flinkState(v): counts[w]}, flinkIO(&rpc.VertexStatus{})
		o["aggregated"] = object{"metrics": object{}, "status-duration": object{}}
		workers = append(workers, o)
	}
	return object{"id": vertexID(v), "name": v.GetName(), "now": now(), "taskmanagers": workers}
}

// flinkPlan is the vertices of a job. Their edges are not told.
func flinkPlan(j *rpc.JobStatus) object {
	nodes := []object{}
	for _, v := range j.GetVertices() {
		nodes = append(nodes, object{
			"id": vertexID(v), "parallelism": v.GetParallelism(), "operator": "", "operator_strategy": "", "description": v.GetName(),
			"optimizer_properties": object{},
		})
	}
	return object{"jid": flinkHead(j)["jid"], "name": j.GetName(), "type": flinkType(j), "nodes": nodes}
}

// flinkType takes a job that has taken checkpoints for a stream: the mode is not told.
func flinkType(j *rpc.JobStatus) string {
	if j.GetCheckpoints() > 0 {
		return "STREAMING"
	}
	return "BATCH"
}

func flinkJobConfig(j *rpc.JobStatus) object {
	return object{"jid": flinkHead(j)["jid"], "name": j.GetName(), "execution-config": object{
		"execution-mode": "PIPELINED", "restart-strategy": "", "job-parallelism": -1, "object-reuse-mode": false, "user-config": object{},
	}}
}

func flinkCheckpointConfig(*rpc.JobStatus) object {
	return object{
		"mode": "exactly_once", "interval": 0, "timeout": 0, "min_pause": 0, "max_concurrent": 1,
		"externalization": object{"enabled": false, "delete_on_cancellation": true},
		"state_backend":   "", "checkpoint_storage": "", "unaligned_checkpoints": false, "tolerable_failed_checkpoints": 0,
		"aligned_checkpoint_timeout": 0, "checkpoints_after_tasks_finish": true, "state_changelog_enabled": false,
	}
}
