package minicluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/datagen"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// gated is datagen whose sources do not end before they may.
type gated struct {
	connector.Connector
	open atomic.Bool

	mu   sync.Mutex
	done map[string]bool // by table and subtask: it has read all that it was given
}

// read is how many subtasks have read all.
func (g *gated) read() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.done)
}

func (g *gated) Name() string { return "gated" }

func (g *gated) Enumerator(ctx context.Context, s connector.SourceSpec, from []byte) (connector.Enumerator, error) {
	e, err := g.Connector.Enumerator(ctx, s, from)
	return gatedEnumerator{e, g, s.Table.Name}, err
}

type gatedEnumerator struct {
	connector.Enumerator
	gate  *gated
	table string
}

func (e gatedEnumerator) Next(ctx context.Context, subtask int) (connector.Split, bool, error) {
	s, ok, err := e.Enumerator.Next(ctx, subtask)
	if !ok && err == nil && !e.gate.open.Load() {
		err = &connector.LaterError{After: 5 * time.Millisecond}
		e.gate.mu.Lock()
		defer e.gate.mu.Unlock()
		e.gate.done[fmt.Sprint(e.table, subtask)] = true
	}
	return s, ok, err
}

// relayed joins three tables one after the other: the first join stands in the middle, the
// second one writes.
func relayed(dir string, rows int, more string) string {
	table := `CREATE TABLE %s (n BIGINT, m BIGINT) WITH ('connector' = 'gated', 'number-of-rows' = '%d', 'rows-per-second' = '%d',
		'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '%d',
		'fields.m.kind' = 'sequence', 'fields.m.start' = '0', 'fields.m.end' = '%[4]d');`
	var all strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		fmt.Fprintf(&all, table, name, rows, max(10_000, rows/2), rows-1)
	}
	return fmt.Sprintf(`
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '40 ms';
		SET 'execution.batch-rows' = '100';
		SET 'exchange.streaming-retention' = 'checkpoint';
		SET 'state.checkpoints.dir' = '%s';
		%s
		%s
		CREATE TABLE dst (n BIGINT) WITH ('connector' = 'stuck');
		INSERT INTO dst SELECT a.n FROM a JOIN b ON a.n = b.n JOIN c ON a.m = c.m;`, dir, more, all.String())
}

// relay is a job of relayed that runs.
type relay struct {
	*nodes
	t      *testing.T
	sink   *stuck
	gate   *gated
	result client.Result
	job    id.Job
}

func beginRelay(t *testing.T, rows int, process map[string]string, more string) *relay {
	t.Helper()
	sink := newStuck()
	sink.open = true
	if process == nil {
		process = map[string]string{}
	}
	process["io.tmp.dir"] = t.TempDir()
	gate := &gated{Connector: datagen.Connector{}, done: map[string]bool{}}
	n := startNodesWith(t, map[string]string{"parallelism.default": "2"}, process, sink, gate)
	r := &relay{nodes: n, t: t, sink: sink, gate: gate, result: n.beginScript(t, relayed(t.TempDir(), rows, more))}
	r.job, _ = r.result.Job()
	return r
}

func (r *relay) status() *rpc.JobStatus {
	r.t.Helper()
	s, err := r.Client().GetJob(r.t.Context(), &rpc.GetJobRequest{Job: r.job[:]})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// complete waits for more checkpoints.
func (r *relay) complete(more int64) {
	r.t.Helper()
	from := r.result.Progress().Checkpoints
	until(r.t, "checkpoints are complete", func() bool { return r.result.Progress().Checkpoints >= from+more })
}

// attempts are the present ones, by vertex; false: not all of them run.
func (r *relay) attempts() (have [][]uint32, run bool) {
	r.t.Helper()
	vertices := r.status().GetVertices() // none before the job has begun
	run = len(vertices) > 0
	for _, v := range vertices {
		have = append(have, v.GetAttempts())
		run = run && v.GetSubtasks()["RUNNING"] == 2
	}
	return have, run
}

// kill ends the attempt of a subtask and waits until another one runs, and all others do.
func (r *relay) kill(vertex id.Vertex, index uint32) {
	r.t.Helper()
	var before [][]uint32
	until(r.t, "all attempts run", func() (run bool) { before, run = r.attempts(); return run })
	r.mu.Lock()
	r.tasks[id.Subtask{Vertex: vertex, Index: index}].Cancel()
	r.mu.Unlock()
	until(r.t, "another attempt runs", func() bool {
		now, run := r.attempts()
		return run && now[vertex][index] > before[vertex][index]
	})
}

// have compares the numbers of attempts.
func (r *relay) have(want ...[]uint32) {
	r.t.Helper()
	if have, _ := r.attempts(); !slices.EqualFunc(have, want, slices.Equal[[]uint32]) {
		r.t.Fatalf("attempts are %v, want %v; failures: %v", have, want, r.status().GetFailures())
	}
}

// exact ends the job and compares what it has published.
func (r *relay) exact(rows int) {
	r.t.Helper()
	r.gate.open.Store(true)
	if _, err := read(r.t.Context(), r.result); err != nil {
		r.t.Fatal(err)
	}
	if err := r.result.Close(); err != nil {
		r.t.Fatal(err)
	}
	all := r.sink.rows()
	for row, n := range all {
		if n != 1 {
			r.t.Fatalf("row %s is there %d times", row, n)
		}
	}
	if len(all) != rows {
		r.t.Fatalf("%d rows", len(all))
	}
}

// The vertices of relayed that read from others.
const (
	relayMid  = id.Vertex(2)
	relaySink = id.Vertex(4)
)

// A task that fails begins again with all that is downstream of it, and nothing else does.
func TestOnlyWhatMustRestarts(t *testing.T) {
	const rows = 20_000
	r := beginRelay(t, rows, nil, "")
	sources := []uint32{0, 0}
	r.complete(2)
	r.kill(relaySink, 1)
	r.have(sources, sources, []uint32{0, 0}, sources, []uint32{0, 1})
	r.complete(1)
	r.kill(relayMid, 0)
	r.have(sources, sources, []uint32{1, 0}, sources, []uint32{1, 2})
	r.kill(relaySink, 0) // perhaps while it reads again what was kept
	r.have(sources, sources, []uint32{1, 0}, sources, []uint32{2, 2})
	r.complete(2)
	r.kill(relayMid, 1)
	r.have(sources, sources, []uint32{1, 1}, sources, []uint32{3, 3})
	decisions := 0
	for _, d := range r.status().GetDecisions() {
		if d.GetRule() == "restore alone" {
			decisions++
		}
	}
	if decisions != 4 {
		t.Errorf("%d decisions of %v", decisions, r.status().GetDecisions())
	}
	r.exact(rows)
}

// What came since the latest checkpoint is more than is kept: all tasks begin again.
func TestAllRestartWhereTooMuchCame(t *testing.T) {
	const rows = 20_000
	r := beginRelay(t, rows, map[string]string{"exchange.replay-memory": "200 kb"}, "SET 'execution.checkpointing.interval' = '10 min';")
	until(t, "all that there is has come", func() bool { return r.gate.read() == 3*2 })
	r.kill(relayMid, 0)
	all := []uint32{1, 1} // and another one where it was tried first
	r.have(all, all, []uint32{2, 1}, all, []uint32{2, 2})
	if !slices.ContainsFunc(r.status().GetDecisions(), func(d *rpc.Decision) bool {
		return d.GetRule() == "restore alone" && strings.Contains(d.GetInputs(), "given up 1 times")
	}) {
		t.Errorf("decisions: %v", r.status().GetDecisions())
	}
	r.exact(rows)
}

// The same by chance: whoever fails, at whatever moment, with or without barriers that
// overtake, each row is published once, and sources never begin again.
func TestTasksFailByChance(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			const rows = 20_000
			random := rand.New(rand.NewPCG(seed, 7))
			more := ""
			if seed%2 == 1 {
				more = "SET 'execution.checkpointing.aligned-checkpoint-timeout' = '0 ms'; SET 'exchange.partition-budget' = '8 kb';"
			}
			r := beginRelay(t, rows, nil, more)
			for range 6 { // and the rest is read without failures
				if random.IntN(2) == 0 {
					r.complete(1)
				}
				r.kill([]id.Vertex{relayMid, relaySink}[random.IntN(2)], random.Uint32N(2))
			}
			have, _ := r.attempts()
			for v, n := range have {
				if source := id.Vertex(v) != relayMid && id.Vertex(v) != relaySink; source && slices.Max(n) > 0 {
					t.Errorf("source %d has attempts %v", v, n)
				}
			}
			r.exact(rows)
		})
	}
}

// strike ends the present attempt of a subtask, if it is at work, and waits for nothing.
func (r *relay) strike(vertex id.Vertex, index uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.tasks[id.Subtask{Vertex: vertex, Index: index}]; one != nil {
		one.Cancel()
	}
}

// settled waits until all attempts run, however many there are of each vertex.
func (r *relay) settled() {
	r.t.Helper()
	until(r.t, "all attempts run", func() bool {
		vertices := r.status().GetVertices()
		return len(vertices) > 0 && !slices.ContainsFunc(vertices, func(v *rpc.VertexStatus) bool {
			return int(v.GetSubtasks()["RUNNING"]) != len(v.GetAttempts())
		})
	})
}

// What happens meets restarts that wait for their delay or for what is published: another
// failure, of a source too, a savepoint, another parallelism. Each row is published once.
func TestMuchHappensAtOnce(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			const rows = 20_000
			random := rand.New(rand.NewPCG(seed, 11))
			more := "SET 'restart-strategy.exponential-delay.initial-backoff' = '20 ms'; SET 'restart-strategy.exponential-delay.max-backoff' = '40 ms';"
			if seed%2 == 1 {
				more += "SET 'execution.checkpointing.aligned-checkpoint-timeout' = '0 ms'; SET 'exchange.partition-budget' = '8 kb';"
			}
			r := beginRelay(t, rows, nil, more)
			saved := t.TempDir()
			r.settled()
			for round := range 5 {
				if random.IntN(2) == 0 {
					r.complete(1)
				}
				r.strike(relayMid, random.Uint32N(2))
				switch what := (round + int(seed)) % 5; what {
				case 0:
					r.strike(id.Vertex(0), random.Uint32N(2))
				case 1:
					r.strike(relaySink, random.Uint32N(2))
				case 2: // given up or taken, but never in the way
					request := id.NewJob()
					if _, err := r.Client().Savepoint(t.Context(), &rpc.SavepointRequest{Job: r.job[:], Directory: saved, Request: request[:], AtOnce: true}); err != nil {
						t.Fatal(err)
					}
					r.strike(relaySink, random.Uint32N(2))
				default:
					if _, err := r.Client().Rescale(t.Context(), &rpc.RescaleRequest{Job: r.job[:], Parallelism: uint32(what - 2)}); err != nil {
						t.Fatal(err)
					}
				}
				r.settled()
			}
			r.complete(2)
			r.exact(rows)
		})
	}
}
