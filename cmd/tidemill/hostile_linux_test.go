package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// What strangers, and clients with bad intentions, can do to a cluster of real processes:
// nothing that others notice. Every process lives, answers, and stays small.

func TestHostile(t *testing.T) {
	// With a path that is too long for sockets, what processes say to each other goes by TCP.
	m := &mill{t: t, dir: filepath.Join(t.TempDir(), strings.Repeat("d", 110), "data"), work: t.TempDir()}
	m.start()
	pids := m.pids()
	t.Run("crowds", m.crowds)
	t.Run("requests", m.badRequests)
	t.Run("graphs", m.badGraphs)
	t.Run("large value", m.largeValue)
	t.Run("secrets", m.secrets)
	for name, pid := range m.pids() {
		if pid != pids[name] {
			t.Errorf("the %s has died", name)
		}
	}
	if o := m.run("nodes"); o.code != 0 {
		t.Errorf("nodes: exit code %d\n%s", o.code, o.stderr)
	}
}

func (m *mill) pids() map[string]int {
	out := map[string]int{}
	for _, name := range []string{"master", "shuffle", "worker-1", "worker-2"} {
		out[name] = m.member(name).PID
	}
	return out
}

// 10,000 connections to each port that say nothing: the ones that belong here are served
// meanwhile, and no process takes much for it.
func (m *mill) crowds(t *testing.T) {
	const crowd, spareFiles, most = 10_000, 1_000, 64 << 20
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	many := min(crowd, int(files.Cur)-spareFiles)
	masterLog, err := os.ReadFile(filepath.Join(m.dir, "master", "master", "log-address"))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string][2]string{"masters' log": {"master", strings.TrimSpace(string(masterLog))}}
	for _, name := range []string{"master", "shuffle", "worker-1"} {
		ports["calls of "+name] = [2]string{name, m.member(name).Address}
		ports["pages of "+name] = [2]string{name, strings.TrimPrefix(m.member(name).HTTP, "http://")}
	}
	for what, port := range ports {
		before := resident(t, m.member(port[0]).PID)
		conns := make([]net.Conn, 0, many)
		for range many {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", port[1])
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			conns = append(conns, c)
		}
		if o := m.run("nodes"); o.code != 0 || strings.Count(o.stdout, "\n") < 4 {
			t.Errorf("%s: nodes: exit code %d\n%s%s", what, o.code, o.stdout, o.stderr)
		}
		if code, _ := m.ask(t, http.MethodGet, m.member("master").HTTP+"/overview", nil); code != http.StatusOK {
			t.Errorf("%s: REST: %d", what, code)
		}
		now := resident(t, m.member(port[0]).PID)
		t.Logf("%s: %d KiB before, %d with %d connections", what, before>>10, now>>10, many)
		if now > before+most {
			t.Errorf("%s: %d bytes before, %d with %d connections", what, before, now, many)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// resident is a process's memory in RAM.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func (m *mill) token(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// ask sends a request that shows the token.
func (m *mill) ask(t *testing.T, method, url string, body io.Reader, with ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Authorization", "Bearer "+m.token(t))
	for i := 0; i < len(with); i += 2 {
		r.Header.Set(with[i], with[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body) // it may hang up on who still sends what it has refused
	return answer.StatusCode, string(text)
}

// Requests that are none: each is answered by what is wrong with it.
func (m *mill) badRequests(t *testing.T) {
	at := m.member("master").HTTP
	for _, c := range []struct {
		method, path string
		body         io.Reader
		with         []string
		want         int
	}{
		{"GET", "/api/v1/jobs/..%2f..%2f..%2fetc%2fpasswd", nil, nil, 404},
		{"GET", "/api/v1/jobs/%2e%2e/logs", nil, nil, 404},
		{"GET", "/jobs/" + strings.Repeat("a", 32_000), nil, nil, 404},
		{"POST", "/api/v1/nodes/..%2fx/drain", nil, nil, 404},
		{"GET", "/api/v1/jobs?limit=-1", nil, nil, 422},
		{"GET", "/api/v1/jobs?limit=99999999999999999999", nil, nil, 422},
		{"GET", "/api/v1/jobs?running=maybe", nil, nil, 422},
		{"GET", "/overview", nil, []string{"Host", "evil.example"}, 403},
		{"GET", "/overview", nil, []string{"Origin", "http://evil.example"}, 403},
		{"GET", "/overview", nil, []string{"Authorization", "Bearer " + strings.Repeat("x", 1000)}, 401},
		{"GET", "/overview", nil, []string{"X-Large", strings.Repeat("x", 100_000)}, 431},
		{"POST", "/api/v1/jobs", strings.NewReader("no graph"), nil, 422},
		{"POST", "/api/v1/jobs", strings.NewReader("\xff\xff\xff\xff"), []string{"Idempotency-Key", "../../x"}, 422},
		{"POST", "/api/v1/jobs", io.LimitReader(zeros{}, 65<<20), nil, 413},
	} {
		code, text := m.ask(t, c.method, at+c.path, c.body, c.with...)
		// A server may hang up on who still sends what it has refused.
		if hungUp := code == 0 && c.want == 413; code != c.want && !hungUp || len(text) > 64<<10 {
			t.Errorf("%s %.60s: %d, want %d: %.300s", c.method, c.path, code, c.want, text)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Graphs that would take all of a master's memory or time: they are refused in a moment.
func (m *mill) badGraphs(t *testing.T) {
	deep := &exprpb.Expr{Type: "INT", Node: &exprpb.Expr_Column{}}
	for range 9_000 {
		deep = &exprpb.Expr{Type: "INT", Node: &exprpb.Expr_Call{Call: &exprpb.Call{Function: "abs", Args: []*exprpb.Expr{deep}}}}
	}
	field := func(text string) []*jobgraph.Field { return []*jobgraph.Field{{Name: "k", Type: text}} }
	graph := func(change func(*jobgraph.Graph)) *jobgraph.Graph {
		op := &jobgraph.Operator{Uid: "o", Output: field("INT"), Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
		g := &jobgraph.Graph{
			Version: jobgraph.Version, Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128, Name: "bad",
			Vertices:  []*jobgraph.Vertex{{Uid: "a", Chain: []*jobgraph.Operator{op}, Outputs: []uint32{0}}},
			Exchanges: []*jobgraph.Exchange{{Result: true, Schema: field("INT"), Retention: jobgraph.Retention_RETENTION_NONE, Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON}},
		}
		change(g)
		return g
	}
	for _, c := range []struct {
		want   string
		change func(*jobgraph.Graph)
	}{
		{"0 inputs, want 1", func(*jobgraph.Graph) {}},
		{"recursion depth", func(g *jobgraph.Graph) { g.Vertices[0].Chain[0].GetCalc().Filter = deep }},
		{"1000000 vertices", func(g *jobgraph.Graph) {
			g.Vertices = make([]*jobgraph.Vertex, 1_000_000)
			for i := range g.Vertices {
				g.Vertices[i] = &jobgraph.Vertex{Id: uint32(i)}
			}
		}},
		{"4294967296 tasks", func(g *jobgraph.Graph) {
			g.Vertices = []*jobgraph.Vertex{{Parallelism: 1 << 31}, {Id: 1, Parallelism: 1 << 31}}
		}},
		{"against the topological order", func(g *jobgraph.Graph) { g.Exchanges[0].Result = false }},
		{"10000000 outputs", func(g *jobgraph.Graph) { g.Vertices[0].Outputs = make([]uint32, 10_000_000) }},
		{"nested deeper than", func(g *jobgraph.Graph) { g.Exchanges[0].Schema = field(strings.Repeat("ARRAY<", 5_000_000)) }},
		{"a name of 10000000 bytes", func(g *jobgraph.Graph) { g.Name = strings.Repeat("n", 10_000_000) }},
	} {
		body, err := proto.Marshal(graph(c.change))
		if err != nil {
			t.Fatal(err)
		}
		code, text := m.ask(t, http.MethodPost, m.member("master").HTTP+"/api/v1/jobs", bytes.NewReader(body), "Content-Type", "application/x-protobuf")
		if code < 400 || code >= 500 && code != http.StatusInternalServerError || !strings.Contains(text, c.want) || len(text) > 64<<10 {
			t.Errorf("%s: %d %.300s", c.want, code, text)
		}
	}
}

// A value of 100 MiB goes from a worker to another one by TCP, and to the client.
func (m *mill) largeValue(t *testing.T) {
	if _, err := os.Stat(filepath.Join(m.dir, "worker-1", "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is a socket: %v", err)
	}
	put(t, m.work, "large.sql", generator+`SELECT s, COUNT(*) AS n FROM
		(SELECT REPEAT('x', 104857600) AS s, k FROM g WHERE id < 1) AS t GROUP BY s;`)
	if o := m.run("sql", "-o", "csv", "-f", "large.sql"); o.code != 0 || len(o.stdout) < 100<<20 || !strings.HasSuffix(o.stdout, "x,1\n") {
		t.Errorf("exit code %d: %d bytes\n%s", o.code, len(o.stdout), o.stderr)
	}
}

// The token stands nowhere but in its file: not in arguments, logs, pages or messages.
func (m *mill) secrets(t *testing.T) {
	token := m.token(t)
	seen := map[string]string{"up": m.stderr.String()}
	for name, pid := range m.pids() {
		for _, file := range []string{fmt.Sprintf("/proc/%d/cmdline", pid), filepath.Join(m.dir, "log", name+".log"), filepath.Join(m.dir, name, "address.json")} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			seen[file] = string(text)
		}
	}
	for _, page := range []string{"/config", "/overview", "/metrics", "/api/v1/nodes", "/api/v1/jobs", "/api/v1/openapi.json", "/taskmanagers"} {
		_, seen[page] = m.ask(t, http.MethodGet, m.member("master").HTTP+page, nil)
	}
	seen["a refusal"] = m.run("get", token[:32]).stderr
	for where, text := range seen {
		if strings.Contains(text, token) {
			t.Errorf("the token stands in %s", where)
		}
	}
}
