package worker_test

import (
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
)

// reports is a master that keeps what is reported to it.
type reports struct {
	rpc.MasterClient
	all chan *rpc.TaskReport
}

func (r reports) Report(_ context.Context, q *rpc.TaskReport) (*rpc.TaskReply, error) {
	r.all <- q
	return &rpc.TaskReply{}, nil
}

func integers(values ...int64) *keyfilter.Keys {
	b := array.NewInt64Builder(arrowmemory.DefaultAllocator)
	b.AppendValues(values, nil)
	return keyfilter.Of([][]arrow.Array{{b.NewArray()}}, true)
}

// Of a job that runs in several processes, a part of a runtime filter goes to the
// master, and one that comes from there completes the filter. A job of this process
// alone tells nobody.
func TestFiltersOfSeveralWorkers(t *testing.T) {
	defer goleak.VerifyNone(t)
	net, master := rpc.NewLocal(rpc.LocalOptions{Serialize: true}), reports{all: make(chan *rpc.TaskReport, 4)}
	net.ServeMaster(master)
	var envs []task.Env
	w, _, dir := newWorker(t, worker.Options{
		Dialer: net,
		NewTask: func(_ task.Descriptor, env task.Env) (worker.Task, error) {
			envs = append(envs, env)
			return newIdle(), nil
		},
	})
	here, everywhere := id.NewJob(), id.NewJob()
	place := &rpc.Placement{Version: 1, Servers: []*rpc.ShuffleServer{{Id: "s"}}, At: []uint32{0}}
	for _, d := range []struct {
		job id.Job
		at  *rpc.Placement
	}{{here, nil}, {everywhere, place}} {
		r := &rpc.DeployRequest{
			Job: rpc.Ref(d.job, 1), Attempt: &rpc.Attempt{Vertex: 5}, Vertex: &jobgraph.Vertex{},
			In: []*rpc.Edge{{Exchange: &jobgraph.Exchange{Id: 3}, Peers: 1, Placement: d.at}},
		}
		if _, err := w.Deploy(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	envs[0].Filters.Put(2, 0, 2, integers(1))
	envs[1].Filters.Put(2, 1, 2, integers(2))
	got := <-master.all
	if f := got.GetFilter(); f.GetId() != 2 || f.GetIndex() != 1 || f.GetOf() != 2 || got.GetAttempt().GetVertex() != 5 || got.GetState() != 0 {
		t.Fatalf("reported %v", got)
	}
	other := got.GetFilter()
	other.Index = 0 // stands in for another worker's
	for _, job := range []id.Job{everywhere, id.NewJob()} {
		if _, err := w.Notify(t.Context(), &rpc.NotifyRequest{Job: rpc.Ref(job, 1), Filter: other}); err != nil {
			t.Error(err)
		}
	}
	if k, _ := envs[1].Filters.Get(2); k == nil || !k.Has(int64(2)) || k.Has(int64(1)) {
		t.Errorf("the filter is %v", k)
	}
	if _, err := w.Notify(t.Context(), &rpc.NotifyRequest{Job: rpc.Ref(everywhere, 1), Filter: &rpc.FilterPart{Of: 2}}); err == nil {
		t.Error("a damaged part is taken")
	}
	if _, err := w.Notify(t.Context(), &rpc.NotifyRequest{Job: rpc.Ref(everywhere, 0), Filter: other}); err == nil {
		t.Error("a lower term is admitted")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
}
