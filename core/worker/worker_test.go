package worker_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/coordinator"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/shuffle/local"
)

// idle is a task that runs until it is cancelled.
type idle struct {
	ctx  context.Context
	stop context.CancelFunc
}

func (i *idle) Run(context.Context) error { <-i.ctx.Done(); return nil }
func (i *idle) Trigger(stream.Barrier)    {}
func (i *idle) Overtake(stream.Barrier)   {}
func (i *idle) Completed(id.Checkpoint)   {}
func (i *idle) GivenUp(id.Checkpoint)     {}
func (i *idle) Cancel()                   { i.stop() }

// newWorker has what every worker needs, and what o says besides.
func newWorker(t *testing.T, o worker.Options) (*worker.Worker, *memory.Ledger, *spill.Directory) {
	t.Helper()
	ledger, err := memory.New(memory.Options{Limit: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := spill.Open(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	o.ID, o.Slots, o.Memory, o.Spill = "w", 1, ledger, dir
	o.Metrics, o.Coordinators = metric.NewRegistry(metric.Options{}), coordinator.New(nil, nil)
	o.Shuffle = local.New(local.Options{Alloc: ledger.Child("shuffle", 0).Allocator()})
	w, err := worker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w, ledger, dir
}

// newIdle returns a task that runs until it is cancelled.
func newIdle() *idle {
	one := &idle{}
	one.ctx, one.stop = context.WithCancel(context.Background())
	return one
}

// Under a higher term a job begins anew: its tasks end, and what they have shared is
// forgotten. The bug that this keeps away: parts of a runtime filter of another
// parallelism made one together that lacked keys.
func TestNewTermSharesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	var envs []task.Env
	var tasks []task.Descriptor
	w, _, dir := newWorker(t, worker.Options{
		Dialer: rpc.NewLocal(rpc.LocalOptions{}),
		NewTask: func(d task.Descriptor, env task.Env) (worker.Task, error) {
			envs, tasks = append(envs, env), append(tasks, d)
			return newIdle(), nil
		},
	})
	job := id.NewJob()
	for term := range uint32(2) {
		for n := range uint32(2) {
			r := &rpc.DeployRequest{
				Job: rpc.Ref(job, id.Term(term+1)), Attempt: &rpc.Attempt{Subtask: n}, Vertex: &jobgraph.Vertex{},
				Out: []*rpc.Edge{{Exchange: &jobgraph.Exchange{Id: 3}, Peers: 2, Partitions: 64, Placement: &rpc.Placement{
					Version: 4, Servers: []*rpc.ShuffleServer{{Id: "s"}}, At: []uint32{0, 0},
				}}},
			}
			if _, err := w.Deploy(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if envs[0].Filters != envs[1].Filters || envs[1].Filters == envs[2].Filters || envs[2].Filters != envs[3].Filters || envs[1].Builds == envs[2].Builds {
		t.Error("what tasks share does not go by the term")
	}
	if out := tasks[2].Out[0]; tasks[2].Term != 2 || out.Partitions != 64 || out.Placement.Version != 4 || out.Placement.Servers[0].ID != "s" {
		t.Errorf("descriptor %+v", tasks[2])
	}
	if _, err := w.Deploy(t.Context(), &rpc.DeployRequest{Job: rpc.Ref(job, 1), Vertex: &jobgraph.Vertex{}}); err == nil {
		t.Error("a lower term is admitted")
	}
	bad := &rpc.DeployRequest{Job: rpc.Ref(job, 2), Attempt: &rpc.Attempt{Number: 9}, Vertex: &jobgraph.Vertex{}, In: []*rpc.Edge{{Placement: &rpc.Placement{At: []uint32{5}}}}}
	if _, err := w.Deploy(t.Context(), bad); err == nil {
		t.Error("a placement at a server that is not there is taken")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
}

// master is one that a worker registers with and signs off from.
type master struct {
	rpc.MasterClient
	registered []*rpc.RegisterRequest
	left       []*rpc.LeaveRequest
	err        error
}

func (m *master) Register(_ context.Context, r *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	m.registered = append(m.registered, r)
	return &rpc.RegisterReply{Unwanted: r.GetRunning()}, nil
}

func (m *master) Leave(_ context.Context, r *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	m.left = append(m.left, r)
	return &rpc.LeaveReply{}, m.err
}

// What a worker runs when it registers, and the master does not want, is cancelled; when it
// has signed off it takes nothing more.
func TestRegisterAgainAndLeave(t *testing.T) {
	defer goleak.VerifyNone(t)
	one := newIdle()
	known, transport := &master{}, rpc.NewLocal(rpc.LocalOptions{})
	transport.ServeMaster(known)
	w, _, dir := newWorker(t, worker.Options{
		Dialer:  transport,
		NewTask: func(task.Descriptor, task.Env) (worker.Task, error) { return one, nil },
	})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	deploy := &rpc.DeployRequest{Job: rpc.Ref(id.NewJob(), 1), Attempt: &rpc.Attempt{Number: 7}, Vertex: &jobgraph.Vertex{}}
	if _, err := w.Deploy(t.Context(), deploy); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil { // the first reply was lost
		t.Fatal(err)
	}
	if told := known.registered[1].GetRunning(); len(known.registered[0].GetRunning()) != 0 || len(told) != 1 || told[0].GetAttempt().GetNumber() != 7 {
		t.Errorf("told %v", known.registered)
	}
	<-one.ctx.Done()
	if err := w.Leave(t.Context(), "enough"); err != nil || len(known.left) != 1 || known.left[0].GetReason() != "enough" {
		t.Errorf("%v, %v", known.left, err)
	}
	deploy.Attempt = &rpc.Attempt{Subtask: 1}
	if _, err := w.Deploy(t.Context(), deploy); !errors.Is(err, rpc.ErrUnreachable) {
		t.Errorf("deployed on a worker that leaves: %v", err)
	}
	known.err = errors.New("cut")
	if err := w.Leave(t.Context(), ""); !errors.Is(err, known.err) {
		t.Errorf("the master did not hear it: %v", err)
	}
	if err := errors.Join(w.Close(), dir.Close()); err != nil {
		t.Error(err)
	}
}
