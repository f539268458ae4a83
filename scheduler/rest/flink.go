package rest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// object is a JSON object whose shape is Flink's.
type object = map[string]any

// flink adds the part of Flink's REST interface that tools read.
func (s *server) flink(mux *http.ServeMux) {
	pages := map[string]page{
		"GET /config":                s.flinkConfig,
		"GET /overview":              s.flinkOverview,
		"GET /jobs":                  s.flinkIDs,
		"GET /jobs/overview":         s.flinkJobs,
		"GET /jobs/{job}":            s.flinkJob,
		"GET /jobs/{job}/exceptions": s.flinkExceptions,
		"PATCH /jobs/{job}":          s.flinkCancel,
		"GET /taskmanagers":          s.flinkWorkers,

		"GET /jobs/{job}/resource-requirements": s.flinkRequirements,
		"PUT /jobs/{job}/resource-requirements": s.flinkRequirements,

		"GET /taskmanagers/{node}": s.flinkWorker,
	}
	maps.Copy(pages, s.flinkDetails())
	maps.Copy(pages, s.flinkCheckpoints())
	for pattern, page := range pages {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			o, err := page(r.Context(), r)
			answer(w, r, o, err)
		})
	}
	for pattern, list := range s.flinkLists() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			all, err := list(r.Context(), r)
			answer(w, r, all, err)
		})
	}
}

// answer writes a page, or an error as Flink tells it.
func answer(w http.ResponseWriter, r *http.Request, value any, err error) {
	status := http.StatusOK
	switch {
	case err != nil:
		status, value = statusOf(err), object{"errors": []string{err.Error()}}
	case r.Method == http.MethodPatch || r.Method == http.MethodPost:
		status = http.StatusAccepted
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (s *server) flinkConfig(context.Context, *http.Request) (object, error) {
	return object{
		"refresh-interval": 3000, "timezone-name": "UTC", "timezone-offset": 0, "flink-version": "tidemill-" + s.opts.Version,
		"flink-revision": s.opts.Version, "features": object{"web-submit": false, "web-cancel": true},
	}, nil
}

// taskStates are Flink's, of which its pages count the subtasks.
func taskStates() []string {
	return []string{"CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED", "RECONCILING"}
}

func (s *server) flinkOverview(ctx context.Context, _ *http.Request) (object, error) {
	jobs, err := s.opts.Cluster.ListJobs(ctx, &rpc.ListJobsRequest{})
	if err != nil {
		return nil, err
	}
	nodes, err := s.opts.Cluster.Nodes(ctx, &rpc.NodesRequest{})
	if err != nil {
		return nil, err
	}
	workers, slots, free := 0, 0, 0
	for _, n := range nodes.GetNodes() {
		if n.GetRole() == "worker" {
			workers++
			slots, free = slots+int(n.GetSlots()), free+int(n.GetFreeSlots())
		}
	}
	running, finished, cancelled, failed := 0, 0, 0, 0
	for _, j := range jobs.GetJobs() {
		switch j.GetState() {
		case "FINISHED":
			finished++
		case "CANCELED":
			cancelled++
		case "FAILED":
			failed++
		default:
			running++
		}
	}
	return object{
		"taskmanagers": workers, "slots-total": slots, "slots-available": free,
		"jobs-running": running, "jobs-finished": finished, "jobs-cancelled": cancelled, "jobs-failed": failed,
		"flink-version": "tidemill-" + s.opts.Version, "flink-commit": s.opts.Version,
	}, nil
}

func (s *server) flinkIDs(ctx context.Context, _ *http.Request) (object, error) {
	r, err := s.opts.Cluster.ListJobs(ctx, &rpc.ListJobsRequest{})
	if err != nil {
		return nil, err
	}
	jobs := []object{}
	for _, j := range r.GetJobs() {
		jobs = append(jobs, object{"id": hex.EncodeToString(j.GetJob()), "status": j.GetState()})
	}
	return object{"jobs": jobs}, nil
}

func (s *server) flinkJobs(ctx context.Context, _ *http.Request) (object, error) {
	r, err := s.opts.Cluster.ListJobs(ctx, &rpc.ListJobsRequest{})
	if err != nil {
		return nil, err
	}
	jobs := []object{}
	for _, j := range r.GetJobs() {
		o := flinkHead(j)
		o["last-modification"], o["tasks"] = max(j.GetSubmitted(), j.GetStarted(), j.GetEnded()), flinkTasks(j)
		jobs = append(jobs, o)
	}
	return object{"jobs": jobs}, nil
}

func now() int64 { return time.Now().UnixMilli() }

// flinkHead is what every page says of a job.
func flinkHead(j *rpc.JobStatus) object {
	end := j.GetEnded()
	if end == 0 {
		end = -1
	}
	return object{
		"jid": hex.EncodeToString(j.GetJob()), "name": j.GetName(), "state": j.GetState(),
		"start-time": j.GetSubmitted(), "end-time": end, "duration": int64(seconds(j) * 1000),
	}
}

// flinkTasks counts the subtasks of a job by state.
func flinkTasks(j *rpc.JobStatus) object {
	counts := map[string]uint32{}
	total := uint32(0)
	for _, v := range j.GetVertices() {
		total += v.GetParallelism()
		for state, n := range v.GetSubtasks() {
			counts[state] += n
		}
	}
	out := object{"total": total}
	for _, state := range taskStates() {
		out[strings.ToLower(state)] = counts[state]
	}
	return out
}

func (s *server) flinkJob(ctx context.Context, r *http.Request) (object, error) {
	j, err := s.find(ctx, r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	o := flinkHead(j)
	o["isStoppable"], o["now"] = false, now()
	o["timestamps"] = object{"CREATED": j.GetSubmitted(), "RUNNING": j.GetStarted(), j.GetState(): max(j.GetEnded(), j.GetStarted(), j.GetSubmitted())}
	vertices := []object{}
	for _, v := range j.GetVertices() {
		tasks := object{}
		for _, state := range taskStates() {
			tasks[state] = v.GetSubtasks()[state]
		}
		o := flinkVertexHead(v)
		o["tasks"], o["metrics"] = tasks, flinkIO(v)
		for key, value := range flinkTimes(j) {
			o[key] = value
		}
		vertices = append(vertices, o)
	}
	o["vertices"], o["status-counts"], o["plan"] = vertices, flinkTasks(j), flinkPlan(j)
	o["job-type"], o["maxParallelism"] = flinkType(j), -1
	return o, nil
}

// flinkState is the state of a vertex: the one that says most about its subtasks.
func flinkState(v *rpc.VertexStatus) string {
	for _, state := range [...]string{"FAILED", "CANCELING", "CANCELED", "RUNNING", "INITIALIZING", "DEPLOYING", "SCHEDULED", "CREATED", "FINISHED"} {
		if v.GetSubtasks()[state] > 0 {
			return state
		}
	}
	return "CREATED"
}

func (s *server) flinkExceptions(ctx context.Context, r *http.Request) (object, error) {
	j, err := s.find(ctx, r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	entries := []object{}
	for _, f := range j.GetFailures() {
		entries = append(entries, object{"exceptionName": "failure", "stacktrace": f.GetCause(), "timestamp": j.GetStarted() + f.GetAt()})
	}
	o := object{"exceptionHistory": object{"entries": entries, "truncated": false}}
	if c := j.GetCause(); c != nil {
		o["root-exception"], o["timestamp"] = c.GetText(), j.GetEnded()
	}
	return o, nil
}

func (s *server) flinkCancel(ctx context.Context, r *http.Request) (object, error) {
	if mode := r.URL.Query().Get("mode"); mode != "" && mode != "cancel" {
		return nil, failure.Errorf(failure.Usage, "mode %q: want cancel", mode)
	}
	return object{}, s.cancel(ctx, r.PathValue("job"))
}

func (s *server) flinkWorkers(ctx context.Context, _ *http.Request) (object, error) {
	r, err := s.opts.Cluster.Nodes(ctx, &rpc.NodesRequest{})
	if err != nil {
		return nil, err
	}
	workers := []object{}
	for _, n := range r.GetNodes() {
		if n.GetRole() != "worker" {
			continue
		}
		workers = append(workers, flinkNode(n))
	}
	return object{"taskmanagers": workers}, nil
}

func flinkNode(n *rpc.Node) object {
	return object{
		"id": n.GetId(), "path": n.GetAddress(), "dataPort": 0, "jmxPort": -1, "slotsNumber": n.GetSlots(), "freeSlots": n.GetFreeSlots(),
		"timeSinceLastHeartbeat": now() - n.GetHeardMillis(),
		"hardware":               object{"cpuCores": 0, "physicalMemory": n.GetMemoryBytes(), "freeMemory": 0, "managedMemory": n.GetMemoryBytes()},
		"memoryConfiguration":    object{"managedMemory": n.GetMemoryBytes(), "totalProcessMemory": n.GetMemoryBytes()},
		"totalResource":          object{}, "freeResource": object{}, "blocked": n.GetDraining(),
	}
}

func (s *server) flinkWorker(ctx context.Context, r *http.Request) (object, error) {
	nodes, err := s.opts.Cluster.Nodes(ctx, &rpc.NodesRequest{})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.GetNodes() {
		if n.GetRole() == "worker" && n.GetId() == r.PathValue("node") {
			o := flinkNode(n)
			o["allocatedSlots"] = []object{}
			o["metrics"] = object{"managedMemoryUsed": n.GetMemoryUsed(), "managedMemoryTotal": n.GetMemoryBytes(), "garbageCollectors": []object{}}
			return o, nil
		}
	}
	return nil, failure.Errorf(failure.NotFound, "no worker %s", r.PathValue("node"))
}
