package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// moments are what differs from run to run.
var moments = regexp.MustCompile(`"(now|end-timestamp|timeSinceLastHeartbeat)": \d+`)

// The pages that Flink's web UI and tools read, whole: testdata/flink has the shapes that
// Flink documents.
func TestFlinkPages(t *testing.T) {
	s := newSite(t)
	s.cluster.job = id.Job{0xab, 1}
	s.cluster.taken = &rpc.CheckpointsReply{Completed: 2, Failed: 1, Checkpoints: []*rpc.CheckpointStatus{
		{Checkpoint: 4, Kind: "checkpoint", State: "IN_PROGRESS", TriggeredAt: 4000},
		{Checkpoint: 3, Kind: "checkpoint", State: "FAILED", TriggeredAt: 3000, EndedAt: 3500},
		{Checkpoint: 2, Kind: "checkpoint", State: "COMPLETED", TriggeredAt: 2000, EndedAt: 2250, Path: "c/chk-2", WroteBytes: 100, Bytes: 1000, InFlightBytes: 10, AlignedNanos: 5e6},
	}}
	datadriven.RunTest(t, "testdata/flink", func(t *testing.T, d *datadriven.TestData) string {
		path := strings.ReplaceAll(strings.TrimSpace(d.Input), "JOB", s.cluster.job.String())
		code, text := s.ask(http.MethodGet, path, nil)
		if code != http.StatusOK && d.Cmd == "get" || code != http.StatusNotFound && d.Cmd == "missing" {
			t.Fatalf("%s: %d\n%s", path, code, text)
		}
		var out bytes.Buffer
		if err := json.Indent(&out, []byte(text), "", " "); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, text)
		}
		return moments.ReplaceAllString(out.String(), `"$1": 0`)
	})
}

// The document of /api/v1 lists the operations that are served, and no others, and what
// is served is what it says: every field of an answer is in its schema, and every field
// that the schema demands is in the answer.
func TestOpenAPIIsTrue(t *testing.T) {
	s := newSite(t)
	var doc struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]schema }
	}
	_, text := s.ask(http.MethodGet, "/api/v1/openapi.json", nil)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var operations []string
	for path, methods := range doc.Paths {
		for method := range methods {
			operations = append(operations, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(operations)
	want := []string{
		"GET /api/v1/jobs", "GET /api/v1/jobs/{job}", "GET /api/v1/jobs/{job}/checkpoints", "GET /api/v1/jobs/{job}/logs",
		"GET /api/v1/jobs/{job}/resource-requirements", "GET /api/v1/jobs/{job}/savepoints/{request}", "GET /api/v1/jobs/{job}/watermarks", "GET /api/v1/nodes",
		"POST /api/v1/jobs", "POST /api/v1/jobs/{job}/cancel", "POST /api/v1/jobs/{job}/savepoints", "POST /api/v1/nodes/{node}/drain",
		"PUT /api/v1/jobs/{job}/resource-requirements",
	}
	if !slices.Equal(operations, want) {
		t.Errorf("documented: %q, want %q", operations, want)
	}
	for _, operation := range want {
		method, path, _ := strings.Cut(operation, " ")
		path = strings.NewReplacer("{job}", s.cluster.job.String(), "{node}", "s", "{request}", s.cluster.job.String()).Replace(path)
		if code, text := s.ask(method, path, nil); code == http.StatusNotFound || code == http.StatusMethodNotAllowed {
			t.Errorf("%s is not served: %d %s", operation, code, text)
		}
	}
	for path, name := range map[string]string{
		"/api/v1/jobs": "Jobs", "/api/v1/jobs/" + s.cluster.job.String(): "Job", "/api/v1/jobs/" + s.cluster.job.String() + "/logs": "Lines", "/api/v1/nodes": "Nodes",
		"/api/v1/jobs/" + s.cluster.job.String() + "/watermarks": "Watermarks",
	} {
		_, text := s.ask(http.MethodGet, path, nil)
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		for _, problem := range doc.Components.Schemas[name].problems(path, value, doc.Components.Schemas) {
			t.Error(problem)
		}
	}
}

// schema is the part of JSON Schema that the document uses of answers.
type schema struct {
	Ref        string `json:"$ref"`
	Type       any    // a name, or several
	Properties map[string]schema
	Required   []string
	Items      *schema
}

// problems are how a value differs from its schema.
func (s schema) problems(at string, value any, all map[string]schema) (out []string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = all[name]
	}
	switch value := value.(type) {
	case map[string]any:
		if s.Properties == nil {
			return nil // a map
		}
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				out = append(out, at+": "+name+" is missing")
			}
		}
		for name, field := range value {
			of, ok := s.Properties[name]
			if !ok {
				out = append(out, at+": "+name+" is not documented")
				continue
			}
			out = append(out, of.problems(at+"."+name, field, all)...)
		}
	case []any:
		if s.Items == nil {
			return []string{at + " is documented as no list"}
		}
		for _, item := range value {
			out = append(out, s.Items.problems(at+"[]", item, all)...)
		}
	}
	return out
}
