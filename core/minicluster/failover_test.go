package minicluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/minicluster"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/scheduler/gateway"
)

// What the death of a process costs: each test kills one at a known moment of a job whose
// exchanges are stored, and looks at the result and at how often each subtask ran.

// nodes is a cluster of two workers and two shuffle servers, each of which one of the
// workers writes to.
type nodes struct {
	*minicluster.Cluster
	session client.Session

	mu    sync.Mutex
	begin func(d task.Descriptor)   // called before each attempt is made
	tasks map[id.Subtask]*task.Task // the latest

	overtaken atomic.Int64 // orders to overtake what is in flight
	fault     atomic.Pointer[func(method string) error]
	log       messages
}

// messages counts what is logged, by message.
type messages struct{ sync.Map }

func (m *messages) count(message string) int64 {
	n, _ := m.LoadOrStore(message, &atomic.Int64{})
	return n.(*atomic.Int64).Load()
}

// Enabled implements slog.Handler.
func (*messages) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements slog.Handler.
func (m *messages) Handle(_ context.Context, r slog.Record) error {
	n, _ := m.LoadOrStore(r.Message, &atomic.Int64{})
	n.(*atomic.Int64).Add(1)
	return nil
}

// WithAttrs implements slog.Handler.
func (m *messages) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup implements slog.Handler.
func (m *messages) WithGroup(string) slog.Handler { return m }

func startNodes(t *testing.T, settings map[string]string) *nodes {
	t.Helper()
	return startNodesWith(t, settings, map[string]string{"io.tmp.dir": t.TempDir()})
}

// startNodesWith also has settings of the processes, and connectors besides those that are
// built in.
func startNodesWith(t *testing.T, settings, process map[string]string, more ...connector.Connector) *nodes {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	process["worker.slots"] = "2"
	c, err := config.FromMap(process, "test")
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tidemill.Builtins(process)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range more {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	n := &nodes{tasks: map[id.Subtask]*task.Task{}}
	n.Cluster, err = minicluster.New(t.Context(), minicluster.Options{
		Config: c, Connectors: registry.Connector, FileSystems: registry.FileSystems, Workers: 2, Servers: 2,
		Log: slog.New(&n.log),
		Wire: rpc.LocalOptions{Serialize: true, Fault: func(method string) error {
			if fault := n.fault.Load(); fault != nil {
				return (*fault)(method)
			}
			return nil
		}},
		NewTask: func(d task.Descriptor, env task.Env) (worker.Task, error) {
			n.mu.Lock()
			begin := n.begin
			n.mu.Unlock()
			if begin != nil {
				begin(d)
			}
			one, err := task.New(d, env)
			n.mu.Lock()
			n.tasks[d.Attempt.Subtask] = one
			n.mu.Unlock()
			return noticing{one, func() { n.overtaken.Add(1) }}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := gateway.New(gateway.Options{Cluster: n.Client(), Shuffle: n.Shuffle(), Connectors: registry, Functions: function.Builtins()})
	session := map[string]string{"exchange.batch-retention": "job", "restart-strategy.exponential-delay.initial-backoff": "1 ms"}
	for k, v := range settings {
		session[k] = v
	}
	if n.session, err = g.Open(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(n.session.Close(), n.Close())
		g.Close()
		if err := errors.Join(err, registry.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// when calls do once, before the first attempt of a vertex is made.
func (n *nodes) when(vertex id.Vertex, do func()) {
	var once sync.Once
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begin = func(d task.Descriptor) {
		if d.Attempt.Subtask.Vertex == vertex {
			once.Do(do)
		}
	}
}

// query returns the rows of a statement, and how the job went.
func (n *nodes) query(t *testing.T, text string) (string, *rpc.JobStatus) {
	t.Helper()
	statements, err := parser.ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	var job id.Job
	for _, s := range statements {
		r, err := n.session.Execute(t.Context(), text, s)
		if err != nil {
			t.Fatal(err)
		}
		rows, err = read(t.Context(), r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if j, ok := r.(interface{ Job() (id.Job, bool) }); ok {
			job, _ = j.Job()
		}
	}
	status, err := n.Client().GetJob(t.Context(), &rpc.GetJobRequest{Job: job[:]})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(rows, "\n"), status
}

func read(ctx context.Context, r client.Result) (rows []string, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for row := range b.Len() {
			at := row
			if b.Sel != nil {
				at = int(b.Sel[row])
			}
			var line []string
			for _, c := range b.Record.Columns() {
				line = append(line, c.ValueStr(at))
			}
			rows = append(rows, strings.Join(line, " "))
		}
		b.Release()
	}
}

const groups = tables + `
	SELECT SUM(n), SUM(s), COUNT(*) FROM (SELECT MOD(k, 1000) AS g, COUNT(*) AS n, SUM(v) AS s FROM src GROUP BY MOD(k, 1000)) AS t`

const groupsAnswer = "20000 199990000 1000"

// attempts lists the present attempts of a vertex's subtasks.
func attempts(s *rpc.JobStatus, vertex int) []uint32 { return s.GetVertices()[vertex].GetAttempts() }

// Without any death, for the others to be compared with.
func TestNobodyDies(t *testing.T) {
	n := startNodes(t, nil)
	rows, s := n.query(t, groups)
	if rows != groupsAnswer || s.GetRestarts() != 0 {
		t.Errorf("%s, %d restarts", rows, s.GetRestarts())
	}
	for i := range s.GetVertices() {
		if slices.Max(attempts(s, i)) > 0 {
			t.Errorf("vertex %d: attempts %v", i, attempts(s, i))
		}
	}
	if len(s.GetDecisions()) == 0 {
		t.Error("no decision is told")
	}
}

// A worker dies when its stage is done: its lanes are at a shuffle server, so the stage
// is not computed again.
func TestWorkerDiesAfterItsStage(t *testing.T) {
	n := startNodes(t, nil)
	var killed error
	n.when(1, func() { killed = n.Kill("worker-1") })
	rows, s := n.query(t, groups)
	if killed != nil || rows != groupsAnswer || s.GetRestarts() == 0 {
		t.Errorf("%s, %d restarts, %v", rows, s.GetRestarts(), killed)
	}
	if slices.Max(attempts(s, 0)) > 0 {
		t.Errorf("the finished stage ran again: %v", attempts(s, 0))
	}
}

// A shuffle server dies: the lanes that it kept are written again, and no others.
func TestServerDies(t *testing.T) {
	n := startNodes(t, nil)
	var killed error
	n.when(1, func() { killed = n.Kill("server-1") })
	rows, s := n.query(t, groups)
	if killed != nil || rows != groupsAnswer || s.GetRestarts() == 0 {
		t.Errorf("%s, %d restarts, %v", rows, s.GetRestarts(), killed)
	}
	again := 0
	for _, a := range attempts(s, 0) {
		if a > 0 {
			again++
		}
	}
	if all := len(attempts(s, 0)); again == 0 || again == all {
		t.Errorf("%d of %d lanes were written again: %v", again, all, attempts(s, 0))
	}
}

// A worker dies while its stage runs, with the coordinator task or not.
func TestWorkerDiesAtWork(t *testing.T) {
	for _, name := range []id.Worker{"worker-1", "worker-2"} {
		t.Run(fmt.Sprint(name), func(t *testing.T) {
			n := startNodes(t, nil)
			var killed error
			n.when(0, func() { killed = n.Kill(name) })
			rows, s := n.query(t, groups)
			if killed != nil || rows != groupsAnswer || s.GetRestarts() == 0 {
				t.Errorf("%s, %d restarts, %v", rows, s.GetRestarts(), killed)
			}
		})
	}
}

// A worker that joins is used by the next region: the job wished for more slots than
// there were, and ran with those.
func TestWorkerJoins(t *testing.T) {
	n := startNodes(t, map[string]string{"parallelism.default": "6"})
	var joined error
	n.when(0, func() { joined = n.AddWorker(context.Background()) })
	rows, s := n.query(t, groups)
	if joined != nil || rows != groupsAnswer || s.GetRestarts() != 0 {
		t.Errorf("%s, %d restarts, %v, %v", rows, s.GetRestarts(), joined, s.GetFailures())
	}
	var parallelism []uint32
	for _, v := range s.GetVertices() {
		parallelism = append(parallelism, v.GetParallelism())
	}
	if parallelism[0] != 4 || parallelism[1] != 6 {
		t.Errorf("parallelism of the vertices: %v", parallelism)
	}
	for i, v := range s.GetVertices()[:2] {
		if slices.Max(v.GetAttempts()) > 0 || slices.Contains(v.GetWorkers(), "worker-3") != (i > 0) {
			t.Errorf("vertex %d: attempts %v on %v", i, v.GetAttempts(), v.GetWorkers())
		}
	}
}

// scripts are jobs of several shapes, and what their last statements return.
var scripts = []struct{ name, text, answer string }{
	{"groups", groups, groupsAnswer},
	{
		"join", tables + `
		SELECT COUNT(*), SUM(a.v), SUM(b.v), MAX(a.g) FROM (SELECT k, v, MOD(v, 7) AS g FROM src) AS a JOIN other AS b ON a.k = b.k WHERE b.v >= 1000`,
		"4000 11998000 11998000 6",
	},
	{
		"union", tables + `
		SELECT COUNT(*), SUM(n) FROM (SELECT MOD(v, 10) AS g, COUNT(*) AS n FROM (SELECT v FROM src UNION ALL SELECT v FROM other) AS u GROUP BY MOD(v, 10)) AS t`,
		"10 25000",
	},
	{"order", tables + `SELECT v FROM src ORDER BY v DESC LIMIT 3`, "19999\n19998\n19997"},
	{"insert", tables + `
		CREATE TABLE dst (k BIGINT, v BIGINT) WITH ('connector' = 'filesystem', 'path' = '${dir}/dst', 'format' = 'parquet');
		INSERT INTO dst SELECT MOD(k, 50), SUM(v) FROM src GROUP BY MOD(k, 50);
		SELECT COUNT(*), SUM(v) FROM dst`, "50 199990000"},
}

const tables = `
	CREATE TABLE src (k BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '20000', 'rows-per-second' = '0',
		'fields.k.kind' = 'sequence', 'fields.k.start' = '0', 'fields.k.end' = '19999', 'fields.v.kind' = 'sequence', 'fields.v.start' = '0', 'fields.v.end' = '19999');
	CREATE TABLE other (k BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5000', 'rows-per-second' = '0',
		'fields.k.kind' = 'sequence', 'fields.k.start' = '0', 'fields.k.end' = '4999', 'fields.v.kind' = 'sequence', 'fields.v.start' = '0', 'fields.v.end' = '4999');`

// Seeds choose who dies and when; the answers stay.
func TestRandomDeaths(t *testing.T) {
	for seed := range uint64(20) {
		script := scripts[seed%uint64(len(scripts))]
		t.Run(fmt.Sprintf("%s-%d", script.name, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			n := startNodes(t, nil)
			victims := [][]id.Worker{{"worker-1"}, {"worker-2"}, {"server-1"}, {"server-2"}, {"worker-1", "server-2"}, {"worker-2", "server-1"}}[r.IntN(6)]
			began, next := 0, r.IntN(9)
			var killing sync.Mutex // an attempt that dies with its worker may be at it still when the job is over
			var killed error
			n.mu.Lock()
			n.begin = func(task.Descriptor) {
				n.mu.Lock()
				var victim id.Worker
				if began == next && len(victims) > 0 {
					victim, victims = victims[0], victims[1:]
					next += 1 + r.IntN(6)
				}
				began++
				n.mu.Unlock()
				if victim != "" {
					killing.Lock()
					defer killing.Unlock()
					killed = errors.Join(killed, n.Kill(victim))
				}
			}
			n.mu.Unlock()
			rows, s := n.query(t, strings.ReplaceAll(script.text, "${dir}", t.TempDir()))
			killing.Lock()
			defer killing.Unlock()
			if killed != nil || rows != script.answer {
				t.Errorf("%s\nwanted %s; %d restarts, %v, %v", rows, script.answer, s.GetRestarts(), killed, s.GetFailures())
			}
		})
	}
}
