package minicluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/shuffle"
)

// The control plane alone: tasks are scripts that the test writes, exchanges do
// not exist. So it is seen what the cluster does with every way in which a task
// can behave, over a transport that encodes everything.

// scripted is a task that does what a function says.
type scripted struct {
	d      task.Descriptor
	env    task.Env
	script func(ctx context.Context, t *scripted) error
	cancel context.CancelFunc
	ctx    context.Context
}

func (s *scripted) Run(context.Context) error {
	s.env.Reporter.State(s.d.Job, s.d.Attempt, task.Running, nil, nil)
	switch err := s.script(s.ctx, s); {
	case s.ctx.Err() != nil:
		s.env.Reporter.State(s.d.Job, s.d.Attempt, task.Cancelled, nil, nil)
	case err != nil:
		s.env.Reporter.State(s.d.Job, s.d.Attempt, task.Failed, nil, err)
	default:
		s.env.Reporter.State(s.d.Job, s.d.Attempt, task.Finished, &task.Done{RowsIn: 1, RowsOut: 2}, nil)
	}
	return nil
}
func (s *scripted) Trigger(stream.Barrier)  {}
func (s *scripted) Overtake(stream.Barrier) {}
func (s *scripted) Completed(id.Checkpoint) {}
func (s *scripted) GivenUp(id.Checkpoint)   {}
func (s *scripted) Cancel()                 { s.cancel() }

// dropped counts what is dropped of a service without exchanges.
type dropped struct {
	shuffle.Service
	mu sync.Mutex
	n  map[id.Exchange]int
}

func (d *dropped) Drop(_ context.Context, _ id.Job, ex id.Exchange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n[ex]++
	return nil
}

type fixture struct {
	*Cluster
	dropped *dropped
	mu      sync.Mutex
	ran     map[id.Attempt]int
	fault   func(method string) error
}

func start(t *testing.T, slots string, script func(ctx context.Context, s *scripted) error) *fixture {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	f := &fixture{ran: map[id.Attempt]int{}, dropped: &dropped{n: map[id.Exchange]int{}}}
	c, err := config.Config{}.With(config.Slots.Key(), slots, "test")
	if err != nil {
		t.Fatal(err)
	}
	f.Cluster, err = New(t.Context(), Options{
		Config: c, Shuffle: f.dropped,
		Connectors: func(string) (connector.Connector, error) { return nil, errors.New("no connectors here") },
		Wire: rpc.LocalOptions{Serialize: true, Fault: func(m string) error {
			if f.fault == nil {
				return nil
			}
			return f.fault(m)
		}},
		NewTask: func(d task.Descriptor, env task.Env) (worker.Task, error) {
			s := &scripted{d: d, env: env}
			s.ctx, s.cancel = context.WithCancel(context.Background())
			s.script = func(ctx context.Context, s *scripted) error {
				f.mu.Lock()
				f.ran[d.Attempt]++
				f.mu.Unlock()
				return script(ctx, s)
			}
			return s, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) submit(t *testing.T, g *jobgraph.Graph) id.Job {
	t.Helper()
	job, err := f.Dispatcher().Submit(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (f *fixture) outcome(t *testing.T, job id.Job) (execgraph.JobState, error) {
	t.Helper()
	s, err := f.Dispatcher().Wait(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return s.State, s.Cause
}

// twoVertices is a producer and a consumer over one exchange.
func twoVertices(retention jobgraph.Retention, options map[string]string) *jobgraph.Graph {
	values := &jobgraph.Operator{Uid: "values", Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
	return &jobgraph.Graph{
		Name: "two", Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128, Options: options,
		Vertices: []*jobgraph.Vertex{
			{Id: 0, Name: "producer", Chain: []*jobgraph.Operator{values}, Outputs: []uint32{0}},
			{Id: 1, Name: "consumer", Chain: []*jobgraph.Operator{values}, Inputs: []uint32{0}},
		},
		Exchanges: []*jobgraph.Exchange{{
			Id: 0, Producer: 0, Consumer: 1, Retention: retention, Distribution: jobgraph.Distribution_DISTRIBUTION_HASH,
		}},
	}
}

func TestJobFinishes(t *testing.T) {
	f := start(t, "3", func(context.Context, *scripted) error { return nil })
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	if state, cause := f.outcome(t, job); state != execgraph.JobFinished || cause != nil {
		t.Fatalf("%v: %v", state, cause)
	}
	if len(f.ran) != 6 || f.dropped.n[0] != 1 {
		t.Fatalf("ran %v, dropped %v", f.ran, f.dropped.n)
	}
	s, err := f.Dispatcher().Get(job)
	if err != nil || s.Vertices[1].RowsOut != 6 || s.Vertices[0].Parallelism != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestBlockingEdgeRunsRegionsInTurn(t *testing.T) {
	var mu sync.Mutex
	var order []id.Vertex
	f := start(t, "2", func(_ context.Context, s *scripted) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, s.d.Attempt.Subtask.Vertex)
		return nil
	})
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_JOB, nil))
	if state, cause := f.outcome(t, job); state != execgraph.JobFinished {
		t.Fatalf("%v: %v", state, cause)
	}
	if len(order) != 4 || order[1] != 0 || order[2] != 1 {
		t.Fatalf("order %v", order)
	}
}

func TestFatalFailureEndsTheJob(t *testing.T) {
	f := start(t, "2", func(ctx context.Context, s *scripted) error {
		if s.d.Attempt.Subtask.Vertex == 1 {
			return failure.Errorf(failure.BadData, "row 7: not a number")
		}
		<-ctx.Done()
		return nil
	})
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	state, cause := f.outcome(t, job)
	if state != execgraph.JobFailed || failure.Of(cause) != failure.BadData {
		t.Fatalf("%v: %v (%v)", state, cause, failure.Of(cause))
	}
}

func TestTransientFailureRestartsTheRegion(t *testing.T) {
	f := start(t, "2", func(ctx context.Context, s *scripted) error {
		if s.d.Attempt.N > 0 {
			return nil
		}
		if s.d.Attempt.Subtask == (id.Subtask{Vertex: 1, Index: 1}) {
			return failure.Errorf(failure.Transient, "flaky")
		}
		<-ctx.Done()
		return nil
	})
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, map[string]string{
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.delay": "1 ms",
	}))
	if state, cause := f.outcome(t, job); state != execgraph.JobFinished {
		t.Fatalf("%v: %v", state, cause)
	}
	if len(f.ran) != 8 || f.dropped.n[0] != 2 {
		t.Fatalf("ran %v, dropped %v", f.ran, f.dropped.n)
	}
}

func TestCancel(t *testing.T) {
	running := make(chan struct{}, 16)
	f := start(t, "2", func(ctx context.Context, _ *scripted) error {
		running <- struct{}{}
		<-ctx.Done()
		return nil
	})
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	for range 4 {
		<-running
	}
	// A second job waits for slots; cancelling it takes nothing from the first.
	waiting := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	for _, j := range []id.Job{waiting, job} {
		if err := f.Dispatcher().Cancel(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if state, cause := f.outcome(t, j); state != execgraph.JobCanceled {
			t.Fatalf("%v: %v", state, cause)
		}
	}
	if total, free := f.master.Resources().Slots(); total != 2 || free != 2 {
		t.Fatalf("%d of %d slots are free", free, total)
	}
	if err := f.Dispatcher().Cancel(t.Context(), id.NewJob()); failure.Of(err) != failure.NotFound {
		t.Fatal(err)
	}
}

func TestCloseCancelsWhatRuns(t *testing.T) {
	running := make(chan struct{}, 16)
	f := start(t, "1", func(ctx context.Context, _ *scripted) error {
		running <- struct{}{}
		<-ctx.Done()
		return nil
	})
	f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	<-running
}

func TestTooManySlotsAreRefused(t *testing.T) {
	f := start(t, "2", func(context.Context, *scripted) error { return nil })
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, map[string]string{"parallelism.default": "3"}))
	if state, cause := f.outcome(t, job); state != execgraph.JobFailed || failure.Of(cause) != failure.Usage {
		t.Fatalf("%v: %v", state, cause)
	}
}

// Each call of the control plane fails once, or for good; the job then fails with
// that error, or does not notice, and nothing stays behind.
func TestEveryCallMayFail(t *testing.T) {
	broken := errors.New("wire cut")
	for _, c := range []struct {
		method string
		class  failure.Class
		want   execgraph.JobState
	}{
		{"worker.Deploy", failure.Fatal, execgraph.JobFailed},
		{"worker.Drop", failure.Fatal, execgraph.JobFinished},
		{"master.Report", failure.Transient, execgraph.JobFinished},
	} {
		t.Run(c.method, func(t *testing.T) {
			f := start(t, "1", func(context.Context, *scripted) error { return nil })
			var once sync.Once
			f.fault = func(m string) (err error) {
				if m == c.method {
					once.Do(func() { err = failure.Wrap(c.class, broken) })
				}
				return err
			}
			job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
			state, cause := f.outcome(t, job)
			if state != c.want || c.want == execgraph.JobFailed && !errors.Is(cause, broken) {
				t.Fatalf("%v: %v", state, cause)
			}
			f.fault = nil
		})
	}
}

func TestProgressComesWithHeartbeats(t *testing.T) {
	release := make(chan struct{})
	f := start(t, "1", func(ctx context.Context, s *scripted) error {
		s.env.Metrics.Counter("tidemill_task_rows_in_total", "Rows that the task has read.").Add(42)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	job := f.submit(t, twoVertices(jobgraph.Retention_RETENTION_NONE, nil))
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		s, err := f.Dispatcher().Get(job)
		if err != nil {
			t.Fatal(err)
		}
		if s.Vertices[0].RowsIn == 42 {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no progress: %+v", s)
		}
	}
	close(release)
	f.outcome(t, job)
}
