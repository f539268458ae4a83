package rest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// Rescale of a job with two vertices, the second of which has one subtask.
func (c *cluster) Rescale(_ context.Context, r *rpc.RescaleRequest) (*rpc.RescaleReply, error) {
	if id.Job(r.GetJob()) != c.job {
		return nil, failure.Errorf(failure.NotFound, "job does not exist")
	}
	reply := &rpc.RescaleReply{Vertices: []*rpc.VertexBounds{{Vertex: 0, Least: 1, Most: 2}, {Vertex: 1, Least: 1, Most: 1}}}
	for _, v := range r.GetVertices() {
		if v.GetMost() < v.GetLeast() {
			return nil, failure.Errorf(failure.Usage, "bounds %d to %d", v.GetLeast(), v.GetMost())
		}
		c.rescaled = append(c.rescaled, v)
		reply.Vertices[v.GetVertex()] = v
	}
	return reply, c.down
}

// Requirements are read and written as Flink has them, and by /api/v1.
func TestResourceRequirements(t *testing.T) {
	s := newSite(t)
	job := s.cluster.job.String()
	asJSON := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	const before, after = `{"0":{"parallelism":{"lowerBound":1,"upperBound":2}},"1":{"parallelism":{"lowerBound":1,"upperBound":1}}}`,
		`{"0":{"parallelism":{"lowerBound":2,"upperBound":4}}}`
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/jobs/" + job + "/resource-requirements", "", 200, before},
		{"PUT", "/jobs/" + job + "/resource-requirements", after, 200, "{}"},
		{"GET", "/api/v1/jobs/" + job + "/resource-requirements", "", 200, before},
		{"PUT", "/api/v1/jobs/" + job + "/resource-requirements", after, 200, `"upperBound":4`},
		{"PUT", "/jobs/" + job + "/resource-requirements", "[]", 422, "no resource requirements"},
		{"PUT", "/jobs/" + job + "/resource-requirements", `{"x":{}}`, 422, "is no vertex"},
		{"PUT", "/jobs/" + job + "/resource-requirements", `{"0":{"parallelism":{"lowerBound":3,"upperBound":2}}}`, 422, "bounds 3 to 2"},
		{"GET", "/jobs/" + id.NewJob().String() + "/resource-requirements", "", 404, "does not exist"},
		{"GET", "/jobs/x/resource-requirements", "", 404, "32 hex digits"},
	} {
		code, text := s.ask(c.method, c.path, []byte(c.body), asJSON)
		if code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, code, text, c.code, c.want)
		}
	}
	if n := len(s.cluster.rescaled); n != 2 || s.cluster.rescaled[0].GetLeast() != 2 {
		t.Errorf("asked for %v", s.cluster.rescaled)
	}
	s.cluster.down = failure.Errorf(failure.Transient, "no leader")
	if code, text := s.ask("GET", "/jobs/"+job+"/resource-requirements", nil); code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", code, text)
	}
}
