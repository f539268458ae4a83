package flink

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// served is a server that gives each path its answers in turn, the last one for ever.
func served(t *testing.T, answers map[string][]string) rest {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		left := answers[q.Method+" "+q.URL.Path]
		if len(left) == 0 {
			http.NotFound(w, q)
			return
		}
		answer := left[0]
		if len(left) > 1 {
			answers[q.Method+" "+q.URL.Path] = left[1:]
		}
		if rest, ok := strings.CutPrefix(answer, "500 "); ok {
			w.WriteHeader(http.StatusInternalServerError)
			answer = rest
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return rest{base: s.URL, client: s.Client()}
}

func cluster(t *testing.T, more map[string][]string) *Cluster {
	answers := map[string][]string{
		"POST /v1/sessions":                        {`{"sessionHandle":"s"}`},
		"POST /v1/sessions/s/statements":           {`{"operationHandle":"o"}`},
		"GET /v1/sessions/s/operations/o/result/0": {`{"resultType":"NOT_READY"}`, `{"resultType":"PAYLOAD","jobID":"j"}`},
	}
	for path, a := range more {
		answers[path] = a
	}
	r := served(t, answers)
	c := &Cluster{jobs: r, gateway: r}
	if err := c.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRun(t *testing.T) {
	c := cluster(t, map[string][]string{"GET /jobs/j": {`{"state":"RUNNING","duration":5}`, `{"state":"FINISHED","duration":1234}`}})
	if took, err := c.Run(t.Context(), "INSERT"); err != nil || took != 1234*time.Millisecond {
		t.Error(took, err)
	}
	c = cluster(t, map[string][]string{"GET /v1/sessions/s/operations/o/result/0": {`{"resultType":"EOS"}`}})
	if took, err := c.Run(t.Context(), "CREATE"); err != nil || took != 0 {
		t.Error(took, err)
	}
}

func TestRunFails(t *testing.T) {
	stack, err := json.Marshal("org.x.Outer: it failed\n\tat org.x.Y(Z.java:1)\nCaused by: org.x.Inner: no such column\n\tat org.x.Z")
	if err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]map[string][]string{
		"org.x.Inner: no such column": {"GET /v1/sessions/s/operations/o/result/0": {`500 {"errors":["Internal server error.",` + string(stack) + `]}`}},
		"job is FAILED: org.x.Inner": {
			"GET /jobs/j":            {`{"state":"FAILED"}`},
			"GET /jobs/j/exceptions": {`{"exceptionHistory":{"entries":[{"stacktrace":` + string(stack) + `}]}}`},
		},
		"job is CANCELED":      {"GET /jobs/j": {`{"state":"CANCELED"}`}, "GET /jobs/j/exceptions": {`{}`}},
		"HTTP status 404":      {},
		"unexpected end":       {"GET /jobs/j": {`{"sta`}},
		"POST /v1/sessions/s/": {"POST /v1/sessions/s/statements": {`nonsense`}},
	} {
		if _, err := cluster(t, more).Run(t.Context(), "INSERT"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := cluster(t, map[string][]string{"GET /jobs/j": {`{"state":"RUNNING"}`}})
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.Run(ctx, "INSERT"); err == nil {
		t.Error("no error")
	}
}

// A job that runs for too long is cancelled, and awaited before the next one.
func TestLimit(t *testing.T) {
	c := cluster(t, map[string][]string{
		"GET /jobs/j":   {`{"state":"RUNNING","duration":999}`, `{"state":"RUNNING","duration":1001}`, `{"state":"CANCELLING"}`, `{"state":"CANCELED"}`},
		"PATCH /jobs/j": {`{}`},
	})
	c.o.Limit = time.Second
	if _, err := c.Run(t.Context(), "INSERT"); err == nil || err.Error() != "not done after 1s" {
		t.Error(err)
	}
	c = cluster(t, map[string][]string{ // it ends before it is cancelled
		"GET /jobs/j": {`{"state":"RUNNING","duration":1001}`, `{"state":"FINISHED"}`}, "PATCH /jobs/j": {`{}`},
	})
	c.o.Limit = time.Second
	if _, err := c.Run(t.Context(), "INSERT"); err == nil || err.Error() != "not done after 1s" {
		t.Error(err)
	}
	c = cluster(t, map[string][]string{"GET /jobs/j": {`{"state":"RUNNING","duration":1001}`}})
	c.o.Limit = time.Second
	if _, err := c.Run(t.Context(), "INSERT"); err == nil || !strings.Contains(err.Error(), "cancel it: HTTP status 404") {
		t.Error(err)
	}
}

func TestConfigure(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "conf", "config.yaml"), []byte("env:\n  all: --add-exports=java.base/x=ALL\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{o: Options{Home: home, Dir: dir, Slots: 2, Memory: "4g", Checkpoint: "10s", Settings: map[string]string{"state.backend.type": "hashmap"}}}
	if err := c.configure([]int{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "conf", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"env.java.opts.all: --add-exports=java.base/x=ALL\n", "\nexecution.checkpointing.interval: 10s\n",
		"\nrest.port: 2\n", "\nstate.backend.type: hashmap\n", "\ntaskmanager.numberOfTaskSlots: 2\n",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestStartWithout(t *testing.T) {
	if _, err := Start(t.Context(), Options{Home: t.TempDir(), Dir: t.TempDir(), Slots: 1}); err == nil || !strings.Contains(err.Error(), "make bench-flink") {
		t.Error(err)
	}
}
