package minicluster_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
)

// stuck is a connector whose writers stand in Write until they are let go, for so many
// batches each. What its committers have published is kept here.
type stuck struct {
	mu        sync.Mutex
	open      bool // nobody stands any more
	free      int  // batches that each writer may pass
	standing  int  // writers
	changed   chan struct{}
	published map[string]bool // by committable: its rows
}

func newStuck() *stuck { return &stuck{changed: make(chan struct{}), published: map[string]bool{}} }

func (s *stuck) Name() string { return "stuck" }
func (s *stuck) Describe(context.Context, connector.Table, *predicate.Predicate) (connector.Description, error) {
	return connector.Description{}, nil
}

func (s *stuck) Enumerator(context.Context, connector.SourceSpec, []byte) (connector.Enumerator, error) {
	return nil, failure.Errorf(failure.InvalidSQL, "stuck is a sink")
}

func (s *stuck) Reader(context.Context, connector.SourceSpec, connector.ReaderEnv) (connector.Reader, error) {
	return nil, failure.Errorf(failure.InvalidSQL, "stuck is a sink")
}

func (s *stuck) Writer(_ context.Context, spec connector.SinkSpec, env connector.WriterEnv) (connector.Writer, error) {
	return &stuckWriter{stuck: s, name: fmt.Sprint(spec.Job, env.Attempt)}, nil
}

func (s *stuck) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return s, nil
}

// Commit implements connector.Committer.
func (s *stuck) Commit(_ context.Context, _ id.Checkpoint, all []connector.Committable, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range all {
		s.published[string(c.Data)] = true
	}
	return nil
}

// Abort implements connector.Committer.
func (s *stuck) Abort(_ context.Context, all []connector.Committable) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range all {
		delete(s.published, string(c.Data))
	}
	return nil
}
func (s *stuck) Close() error { return nil }

// let changes something that writers wait for.
func (s *stuck) let(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stuck) pass(ctx context.Context, passed int) error {
	s.mu.Lock()
	s.standing++
	for !s.open && passed >= s.free {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			break
		}
	}
	s.standing--
	s.mu.Unlock()
	return ctx.Err()
}

// rows counts what was published.
func (s *stuck) rows() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for text := range s.published {
		for _, row := range strings.Split(text, "\n")[1:] {
			out[row]++
		}
	}
	return out
}

type stuckWriter struct {
	stuck  *stuck
	name   string
	n      int
	passed int
	rows   []string
}

func (w *stuckWriter) Write(ctx context.Context, b *stream.Batch) error {
	defer b.Release()
	for i := range b.Len() {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		w.rows = append(w.rows, fmt.Sprint(b.Column(0).(*array.Int64).Value(row)))
	}
	w.passed++
	return w.stuck.pass(ctx, w.passed-1)
}

func (w *stuckWriter) Prepare(context.Context) ([]connector.Committable, error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	w.n++
	c := connector.Committable{Data: []byte(fmt.Sprintf("%s %d\n%s", w.name, w.n, strings.Join(w.rows, "\n"))), Rows: int64(len(w.rows))}
	w.rows = nil
	return []connector.Committable{c}, nil
}
func (w *stuckWriter) Snapshot() ([]byte, error) { return nil, nil }
func (w *stuckWriter) Close() error              { return nil }

// noticing notes that a task was told to overtake.
type noticing struct {
	*task.Task
	notice func()
}

func (n noticing) Overtake(b stream.Barrier) {
	n.Task.Overtake(b)
	n.notice()
}

const joinedRows = 20_000

func joined(dir, more string) string {
	side := `CREATE TABLE %s (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'rows-per-second' = '0',
		'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '%d');`
	return fmt.Sprintf(`
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '50 ms';
		SET 'execution.checkpointing.aligned-checkpoint-timeout' = '10 ms';
		SET 'exchange.partition-budget' = '8 kb';
		SET 'execution.batch-rows' = '100';
		SET 'state.checkpoints.dir' = '%s';
		%s
		`+side+side+`
		CREATE TABLE dst (n BIGINT) WITH ('connector' = 'stuck');
		INSERT INTO dst SELECT l.n FROM l JOIN r ON l.n = r.n;`, dir, more, "l", joinedRows, joinedRows-1, "r", joinedRows, joinedRows-1)
}

// begin runs a script whose last statement is left running.
func (n *nodes) beginScript(t *testing.T, text string) client.Result {
	t.Helper()
	statements, err := parser.ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range statements {
		r, err := n.session.Execute(t.Context(), text, s)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(statements)-1 {
			return r
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// A checkpoint is complete although the sinks take no more than what they have in
// hand; a worker and a shuffle server die, or the job is cancelled and begun at another parallelism; and every
// row is published once.
func TestCheckpointUnderABlockedSink(t *testing.T) {
	for _, to := range []int{0, 3, 4} { // 0: killed
		t.Run(fmt.Sprint(to), func(t *testing.T) { blockedSink(t, to) })
	}
}

func blockedSink(t *testing.T, to int) {
	const parallelism = 2
	sink, dir := newStuck(), t.TempDir()
	n := startNodesWith(t, map[string]string{"parallelism.default": fmt.Sprint(parallelism)}, map[string]string{"io.tmp.dir": t.TempDir()}, sink)
	r := n.beginScript(t, joined(dir, ""))
	until(t, "all sinks stand", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.standing == parallelism
	})
	until(t, "the tasks are told to overtake", func() bool { return n.overtaken.Load() >= parallelism })
	sink.let(func() { sink.free = 4 }) // more than a join makes of one batch
	until(t, "a checkpoint is complete", func() bool { return r.Progress().Checkpoints > 0 })
	files, err := filepath.Glob(filepath.Join(dir, "*", "state", "*.inflight"))
	if err != nil || len(files) == 0 {
		t.Errorf("no rows in flight are in %s: %v", dir, err)
	}
	job, _ := r.Job()
	if to == 0 {
		s, err := n.Client().GetJob(t.Context(), &rpc.GetJobRequest{Job: job[:]})
		if err != nil {
			t.Fatal(err)
		}
		last := s.GetVertices()[len(s.GetVertices())-1]
		if err := errors.Join(n.Kill(id.Worker(last.GetWorkers()[0])), n.Kill("server-1")); err != nil {
			t.Fatal(err)
		}
		sink.let(func() { sink.open = true })
	} else {
		if _, err := n.Client().CancelJob(t.Context(), &rpc.CancelJobRequest{Job: job[:]}); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t.Context(), r); err == nil {
			t.Fatal("the job was cancelled")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		sink.let(func() { sink.open = true })
		again := fmt.Sprintf("SET 'execution.state-recovery.path' = '%s'; SET 'parallelism.default' = '%d';", dir, to)
		r = n.beginScript(t, strings.ReplaceAll(joined(dir, again), "CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
	}
	if _, err := read(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rows := sink.rows()
	for row, n := range rows {
		if n != 1 {
			t.Errorf("row %s is there %d times", row, n)
		}
	}
	if len(rows) != joinedRows {
		t.Errorf("%d rows", len(rows))
	}
}
