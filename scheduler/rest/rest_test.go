package rest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// cluster is one job and one worker; with down every call fails.
type cluster struct {
	rpc.ClusterClient
	job       id.Job
	down      error
	cancelled bool
	drained   string
	rescaled  []*rpc.VertexBounds
	submitted *rpc.SubmitRequest
	taken     *rpc.CheckpointsReply
}

func (c *cluster) Submit(_ context.Context, r *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	c.submitted = r
	return &rpc.SubmitReply{Job: c.job[:]}, c.down
}

func (c *cluster) Checkpoints(context.Context, *rpc.CheckpointsRequest) (*rpc.CheckpointsReply, error) {
	return c.taken, c.down
}

func (c *cluster) Savepoint(context.Context, *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	return &rpc.SavepointReply{Path: "s", Checkpoint: 1}, c.down
}

func (c *cluster) status() *rpc.JobStatus {
	return &rpc.JobStatus{
		Job: c.job[:], Name: "etl", State: "FAILED", Over: true, Submitted: 1000, Started: 2000, Ended: 4500, RowsWritten: 7,
		Cause: rpc.ToFailure(failure.Errorf(failure.BadData, "line 3: no number")),
		Vertices: []*rpc.VertexStatus{{
			Vertex: 1, Name: "Scan", Source: true, Parallelism: 2, Subtasks: map[string]uint32{"FINISHED": 1, "FAILED": 1}, Attempts: []uint32{1, 2},
			RejectedRecords: 6, RejectedOf: "c.d.t",
		}, {
			Vertex: 2, Name: "Window", Parallelism: 2, Subtasks: map[string]uint32{"RUNNING": 2}, RowsIn: 30, RowsOut: 3, LateRows: 5, FutureRows: 1, RejectedRecords: 3, RejectedOf: "c.d.t",
			Attempts: []uint32{1, 1}, Progress: []*rpc.TaskProgress{
				{Attempt: &rpc.Attempt{Vertex: 2, Number: 1}, RowsIn: 20, RowsOut: 2, LateRows: 4, RejectedRecords: 3, Standing: &rpc.TaskStanding{
					InputWatermark: 60_000, OutputWatermark: 50_000, IdlePermille: 200, BlockedPermille: 700, IdleNanos: 2e9, BlockedNanos: 7e9,
					StateBytes: 1 << 20, StateAsked: 100, StateHits: 75,
				}},
				{Attempt: &rpc.Attempt{Vertex: 2, Subtask: 1, Number: 1}, RowsIn: 10, RowsOut: 1, LateRows: 1, FutureRows: 1, Standing: &rpc.TaskStanding{
					InputWatermark: math.MinInt64, OutputWatermark: math.MinInt64, EventIdle: true, IdlePermille: 1000, IdleNanos: 9e9,
				}},
			},
		}},
		Decisions: []*rpc.Decision{{At: 5, Rule: "slots", Subject: "region 0", Inputs: "4 free", Effect: "parallelism 4"}},
		Waits:     []*rpc.Wait{{Part: "region 1", Reason: "slots", Owner: "workers", Since: 9}},
		Failures:  []*rpc.JobFailure{{At: 10, Cause: "worker w is lost", Regions: []uint32{0}}},
	}
}

func (c *cluster) GetJob(_ context.Context, r *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	if id.Job(r.GetJob()) != c.job {
		return nil, failure.Errorf(failure.NotFound, "job does not exist")
	}
	return c.status(), c.down
}

func (c *cluster) ListJobs(context.Context, *rpc.ListJobsRequest) (*rpc.ListJobsReply, error) {
	return &rpc.ListJobsReply{Jobs: []*rpc.JobStatus{c.status()}}, c.down
}

func (c *cluster) CancelJob(_ context.Context, r *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	c.cancelled = id.Job(r.GetJob()) == c.job
	return &rpc.CancelJobReply{}, c.down
}

func (c *cluster) Nodes(context.Context, *rpc.NodesRequest) (*rpc.NodesReply, error) {
	return &rpc.NodesReply{Nodes: []*rpc.Node{
		{Id: "w", Role: "worker", Slots: 4, FreeSlots: 1}, {Id: "m", Role: "master", Leader: true},
	}}, c.down
}

func (c *cluster) Logs(context.Context, *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return &rpc.LogsReply{Lines: []*rpc.LogLine{{At: 1, Level: "INFO", Node: "w", Text: "hello"}}}, c.down
}

func (c *cluster) DrainNode(_ context.Context, r *rpc.DrainNodeRequest) (*rpc.DrainNodeReply, error) {
	c.drained = r.GetId()
	return &rpc.DrainNodeReply{}, c.down
}

type site struct {
	t       *testing.T
	cluster *cluster
	token   security.Token
	pages   http.Handler
}

func newSite(t *testing.T) *site {
	s := &site{t: t, cluster: &cluster{job: id.NewJob()}, token: security.NewToken()}
	metrics := metric.NewRegistry(metric.Options{})
	metrics.Scope().Counter("tidemill_test_total", "Tests.").Inc()
	s.pages = rest.New(rest.Options{Cluster: s.cluster, Metrics: metrics, Token: s.token, Hosts: []string{"mill.example"}, Version: "v1"})
	return s
}

func (s *site) ask(method, path string, body []byte, change ...func(*http.Request)) (int, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Host = "127.0.0.1:8081"
	r.Header.Set("Authorization", s.token.Header())
	if body != nil {
		r.Header.Set("Content-Type", "application/x-protobuf")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.pages.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Every page answers what it should, and all of it is JSON.
func TestPages(t *testing.T) {
	s := newSite(t)
	job := s.cluster.job.String()
	for _, c := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/api/v1/health", 200, `"status":"ok"`},
		{"GET", "/api/v1/jobs", 200, `"name":"etl"`},
		{"GET", "/api/v1/jobs/" + job, 200, `"cause":{"class":"bad data","text":"line 3: no number"}`},
		{"GET", "/api/v1/jobs/" + job, 200, `"rule":"slots"`},
		{"GET", "/api/v1/jobs/" + job, 200, `"part":"region 1"`},
		{"GET", "/api/v1/jobs/" + job, 200, `"attempts":[1,2]`},
		{"GET", "/api/v1/jobs/" + job, 200, `"seconds":2.5`},
		{"GET", "/api/v1/jobs/" + job, 200, `"late_rows":5,"future_rows":1,"rejected_records":3,"watermark_millis":50000,`},
		{"GET", "/api/v1/jobs/" + job, 200, `"rejected":[{"table":"c.d.t","records":9}]`},
		{"GET", "/api/v1/jobs/" + job, 200, `{"subtask":0,"rows_in":20,"rows_out":2,"late_rows":4,"future_rows":0,"rejected_records":3,"input_watermark_millis":60000,"output_watermark_millis":50000,"event_idle":false,"busy":0.1,"idle":0.2,"blocked":0.7,"state_memory_bytes":1048576,"state_keys_asked":100,"state_keys_hit":75}`},
		{"GET", "/api/v1/jobs/" + job + "/watermarks", 200, `{"subtask":1,"idle":true}`},
		{"GET", "/jobs/" + job + "/vertices/2/subtasks/metrics?get=numRecordsIn&agg=median", 422, "want min, max, sum or avg"},
		{"GET", "/jobs/" + job + "/vertices/9/metrics", 404, "no vertex 9"},
		{"GET", "/jobs/" + job + "/vertices/2/watermarks", 200, `[{"id":"0.currentInputWatermark","value":"60000"},{"id":"1.currentInputWatermark","value":"-9223372036854775808"}]`},
		{"GET", "/api/v1/jobs/" + job + "/logs", 200, `"text":"hello"`},
		{"GET", "/api/v1/nodes", 200, `"free_slots":1`},
		{"GET", "/api/v1/openapi.json", 200, `"/api/v1/jobs/{job}"`},
		{"GET", "/api/v1/jobs/" + id.NewJob().String(), 404, `"status":404`},
		{"GET", "/api/v1/jobs/x", 404, "want 32 hex digits"},
		{"GET", "/api/v1/jobs?limit=x", 422, "limit"},
		{"GET", "/config", 200, `"flink-version":"tidemill-v1"`},
		{"GET", "/overview", 200, `"slots-available":1`},
		{"GET", "/jobs", 200, `"status":"FAILED"`},
		{"GET", "/jobs/overview", 200, `"failed":1`},
		{"GET", "/jobs/" + job, 200, `"status":"FAILED"`},
		{"GET", "/jobs/" + job + "/exceptions", 200, `"root-exception":"line 3: no number"`},
		{"GET", "/jobs/x", 404, `"errors":["job id`},
		{"PATCH", "/jobs/" + job + "?mode=stop", 422, `"errors"`},
		{"GET", "/taskmanagers", 200, `"slotsNumber":4`},
	} {
		code, text := s.ask(c.method, c.path, nil)
		if code != c.code || !strings.Contains(text, c.want) || !json.Valid([]byte(text)) {
			t.Errorf("%s %s: %d, want %d with %s\n%s", c.method, c.path, code, c.code, c.want, text)
		}
	}
	if code, text := s.ask("GET", "/metrics", nil); code != 200 || !strings.Contains(text, "\ntidemill_test_total 1\n") {
		t.Errorf("metrics: %d\n%s", code, text)
	}
}

// What changes something reaches the cluster.
func TestOrders(t *testing.T) {
	s := newSite(t)
	job := s.cluster.job.String()
	if code, text := s.ask("POST", "/api/v1/jobs/"+job+"/cancel", nil); code != 202 || !s.cluster.cancelled {
		t.Errorf("cancel: %d %s", code, text)
	}
	s.cluster.cancelled = false
	if code, text := s.ask("PATCH", "/jobs/"+job+"?mode=cancel", nil); code != 202 || !s.cluster.cancelled {
		t.Errorf("Flink's cancel: %d %s", code, text)
	}
	if code, text := s.ask("POST", "/api/v1/nodes/s1/drain", nil); code != 202 || s.cluster.drained != "s1" {
		t.Errorf("drain: %d %s", code, text)
	}
	graph, err := proto.Marshal(&jobgraph.Graph{Name: "sent"})
	if err != nil {
		t.Fatal(err)
	}
	key := id.NewJob()
	code, text := s.ask("POST", "/api/v1/jobs", graph, func(r *http.Request) { r.Header.Set("Idempotency-Key", key.String()) })
	if code != 202 || !strings.Contains(text, job) || s.cluster.submitted.GetGraph().GetName() != "sent" || hex.EncodeToString(s.cluster.submitted.GetRequest()) != key.String() {
		t.Errorf("submit: %d %s", code, text)
	}
	if code, text = s.ask("POST", "/api/v1/jobs", []byte{0xff}); code != 422 || !strings.Contains(text, "no job graph") {
		t.Errorf("submit of nonsense: %d %s", code, text)
	}
	if code, text = s.ask("POST", "/api/v1/jobs", graph, func(r *http.Request) { r.Header.Set("Idempotency-Key", "1") }); code != 422 {
		t.Errorf("submit with a wrong key: %d %s", code, text)
	}
}

// Strangers, pages of other sites and names that resolve to us by somebody's trick.
func TestRefused(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   int
	}{
		"no token":       {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"a wrong token":  {func(r *http.Request) { r.Header.Set("Authorization", security.NewToken().Header()) }, 401},
		"a foreign host": {func(r *http.Request) { r.Host = "evil.example:8081" }, 403},
		"our own host":   {func(r *http.Request) { r.Host = "mill.example" }, 200},
		"localhost":      {func(r *http.Request) { r.Host = "localhost:8081" }, 200},
		"another origin": {func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		"our own origin": {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8081") }, 200},
		"no origin":      {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
	} {
		for _, path := range []string{"/api/v1/jobs", "/overview", "/metrics"} {
			code, text := s.ask("GET", path, nil, c.change)
			if code != c.code || code != 200 && !json.Valid([]byte(text)) {
				t.Errorf("%s, %s: %d, want %d\n%s", path, name, code, c.code, text)
			}
		}
	}
}

// Failures of the cluster keep their meaning.
func TestFailures(t *testing.T) {
	for class, want := range map[failure.Class]int{
		failure.Transient: 503, failure.Conflict: 409, failure.Unauthorized: 403, failure.Usage: 422, failure.Internal: 500, failure.NotFound: 404,
	} {
		s := newSite(t)
		s.cluster.down = failure.Errorf(class, "no luck")
		job := s.cluster.job.String()
		for _, path := range []string{
			"/api/v1/jobs", "/api/v1/jobs/" + job, "/api/v1/jobs/" + job + "/logs", "/api/v1/nodes", "/overview", "/jobs", "/jobs/overview",
			"/jobs/" + job, "/jobs/" + job + "/exceptions", "/taskmanagers",
		} {
			if code, text := s.ask("GET", path, nil); code != want || !strings.Contains(text, "no luck") {
				t.Errorf("%v, %s: %d, want %d\n%s", class, path, code, want, text)
			}
		}
	}
	s := newSite(t)
	s.cluster.down = errors.Join(context.DeadlineExceeded)
	for _, path := range []string{"/api/v1/nodes/x/drain", "/api/v1/jobs/" + s.cluster.job.String() + "/cancel"} {
		if code, _ := s.ask("POST", path, nil); code != 504 {
			t.Errorf("%s: %d, want 504", path, code)
		}
	}
}

// A process without a cluster shows its metrics.
func TestMetricsAlone(t *testing.T) {
	token := security.NewToken()
	s := &site{t: t, token: token, pages: rest.New(rest.Options{Metrics: metric.NewRegistry(metric.Options{}), Token: token})}
	if code, _ := s.ask("GET", "/metrics", nil); code != 200 {
		t.Errorf("metrics: %d", code)
	}
	if code, _ := s.ask("GET", "/api/v1/jobs", nil); code != 404 {
		t.Errorf("jobs: %d", code)
	}
}
