package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
)

// shelf has nothing to restore.
type shelf struct {
	task.Snapshots
	restored  int
	err       error
	meanwhile func(ctx context.Context)
}

func (s *shelf) Restore(ctx context.Context, _ checkpoint.Chain, _ int, _ state.Backend) error {
	if s.restored++; s.meanwhile != nil {
		s.meanwhile(ctx)
	}
	return errors.Join(s.err, ctx.Err())
}

// standbyRequest asks for the state of one subtask.
func standbyRequest(job id.Job, term id.Term) *rpc.StandByRequest {
	keyed := &jobgraph.Operator{Uid: "p", Name: "p", Spec: &jobgraph.Operator_Process{Process: &jobgraph.Process{Keys: []uint32{0}}}}
	return &rpc.StandByRequest{Job: rpc.Ref(job, term), Tasks: []*rpc.DeployRequest{{
		Attempt: &rpc.Attempt{}, Vertex: &jobgraph.Vertex{Chain: []*jobgraph.Operator{keyed}}, Parallelism: 1, KeyGroups: 8, Streaming: true,
		Restore: &checkpoint.Restore{Operators: []*checkpoint.OperatorRestore{{Uid: "p", Handles: []*checkpoint.Handle{{Path: "a", LastGroup: 8}}}}},
	}}}
}

// What is restored ahead is there for the tasks of its term, until another request replaces it;
// what fails, or is given up, leaves nothing, and a worker that is closed takes none.
func TestStandBy(t *testing.T) {
	defer goleak.VerifyNone(t)
	var last task.Env
	kept := &shelf{}
	w, ledger, dir := newWorker(t, worker.Options{
		Dialer:    rpc.NewLocal(rpc.LocalOptions{}),
		Snapshots: func(id.Job, config.Config) (task.Snapshots, error) { return kept, nil },
		NewTask: func(_ task.Descriptor, env task.Env) (worker.Task, error) {
			last = env
			return newIdle(), nil
		},
	})
	job, n := id.NewJob(), uint32(0)
	deployed := func(term id.Term) *task.Standby {
		t.Helper()
		n++
		if _, err := w.Deploy(t.Context(), &rpc.DeployRequest{Job: rpc.Ref(job, term), Attempt: &rpc.Attempt{Number: n}, Vertex: &jobgraph.Vertex{}}); err != nil {
			t.Fatal(err)
		}
		return last.Standby
	}
	ask := func(r *rpc.StandByRequest, want string) {
		t.Helper()
		if _, err := w.StandBy(t.Context(), r); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %q", err, want)
		}
	}
	ask(standbyRequest(job, 1), "")
	first := deployed(1)
	if first == nil || kept.restored != 1 {
		t.Errorf("%d subtasks are restored, the task has %v", kept.restored, first)
	}
	if ask(standbyRequest(job, 1), ""); deployed(1) == first {
		t.Error("another request replaces nothing")
	}
	if ask(&rpc.StandByRequest{Job: rpc.Ref(job, 1)}, ""); deployed(1) != nil {
		t.Error("it is not forgotten")
	}
	ask(standbyRequest(job, 2), "")
	ask(standbyRequest(job, 1), "fenced")
	if ask(&rpc.StandByRequest{Job: rpc.Ref(job, 3)}, ""); deployed(3) != nil {
		t.Error("it is there under a higher term")
	}
	kept.err = errors.New("no such file")
	ask(standbyRequest(job, 3), "no such file")
	kept.err, kept.meanwhile = nil, func(ctx context.Context) { // the job ends before it is restored
		if _, err := w.Drop(context.Background(), &rpc.DropRequest{Job: rpc.Ref(job, 3), EndJob: true}); err != nil {
			t.Error(err)
		}
	}
	ask(standbyRequest(job, 3), "not wanted any more")
	kept.meanwhile = nil
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	ask(standbyRequest(job, 3), "unreachable")
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
	if used := ledger.Used(); used != 0 {
		t.Errorf("%d bytes are still charged", used)
	}
}
