package dispatcher

// What a dispatcher does within one leadership, over a store in memory and without
// workers: limits, refusals, and what it leaves behind. Package scheduler's tests show
// jobs that run, and masters that come and go.

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func graph(name, text string) *jobgraph.Graph {
	sink := &jobgraph.Sink{Connector: "fake", Options: map[string]string{"text": text}}
	return &jobgraph.Graph{
		Version: 1, Name: name, Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128,
		Vertices: []*jobgraph.Vertex{{Name: "all", Chain: []*jobgraph.Operator{{Uid: "sink", Spec: &jobgraph.Operator_Sink{Sink: sink}}}}},
	}
}

// start returns a dispatcher over a store of its own.
func start(t *testing.T, o Options) (*Dispatcher, *raftstore.Store) {
	t.Helper()
	store, err := raftstore.New(t.Context(), raftstore.MemoryStorage(), raftstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return next(t, store, o), store
}

// next returns the dispatcher of another leadership.
func next(t *testing.T, store raftmeta.Store, o Options) *Dispatcher {
	t.Helper()
	l, err := store.Leadership(t.Context(), raftmeta.Leadership{})
	if err != nil {
		t.Fatal(err)
	}
	o.Store, o.Term, o.Dialer, o.Resources = store, l.Term, rpc.NewLocal(rpc.LocalOptions{}), resource.New(resource.Options{})
	d := New(o)
	t.Cleanup(d.Suspend)
	if err := d.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func submit(t *testing.T, d *Dispatcher, name string) id.Job {
	t.Helper()
	j, err := d.Submit(t.Context(), graph(name, ""))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestLimitOfJobs(t *testing.T) {
	d, _ := start(t, Options{Jobs: 2})
	first := submit(t, d, "one")
	submit(t, d, "two")
	if _, err := d.Submit(t.Context(), graph("three", "")); failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "2 jobs run or wait") {
		t.Fatal(err)
	}
	if err := d.Cancel(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Wait(t.Context(), first); err != nil || s.State.String() != "CANCELED" {
		t.Fatal(s, err)
	}
	submit(t, d, "three")
}

func TestGraphsThatAreTooLarge(t *testing.T) {
	d, _ := start(t, Options{})
	if _, err := d.Submit(t.Context(), graph("large", strings.Repeat("x", maxGraphBytes))); failure.Of(err) != failure.InvalidSQL {
		t.Error(err)
	}
	if _, err := d.Submit(t.Context(), graph("medium", strings.Repeat("x", 70<<10))); !errors.Is(err, raftmeta.ErrTooLarge) {
		t.Error("without blobs:", err)
	}
	if len(d.List()) != 0 {
		t.Errorf("%v", d.List())
	}
}

// lossy blobs store and lose.
type lossy struct {
	put, get error
}

func (l lossy) Put(_ context.Context, data []byte) (raftmeta.BlobName, error) {
	return raftmeta.NameOf(data), l.put
}

func (l lossy) Get(context.Context, raftmeta.BlobName) ([]byte, error) { return []byte("other"), l.get }

func (l lossy) Collect(context.Context, func(raftmeta.BlobName) bool) error { return nil }

func TestBlobsThatFail(t *testing.T) {
	full := failure.Errorf(failure.Transient, "the disk is full")
	d, _ := start(t, Options{Blobs: lossy{put: full}})
	if _, err := d.Submit(t.Context(), graph("etl", strings.Repeat("x", 70<<10))); !errors.Is(err, full) {
		t.Error(err)
	}
	for name, blobs := range map[string]lossy{"lost": {get: failure.Wrap(failure.NotFound, raftmeta.ErrNotFound)}, "damaged": {}} {
		d, _ := start(t, Options{Blobs: blobs})
		j, err := d.Submit(t.Context(), graph("etl", strings.Repeat("x", 70<<10)))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.opts.Resources.Register(resource.Member{ID: "w", Slots: 1}); err != nil {
			t.Fatal(err)
		}
		d.Begin()
		s, err := d.Wait(t.Context(), j)
		if err != nil || s.State.String() != "FAILED" || s.Cause == nil || !strings.Contains(s.Cause.Error(), "read the graph") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestASuspendedDispatcherLeavesItsJobs(t *testing.T) {
	d, store := start(t, Options{})
	waits, cancelled := submit(t, d, "waits"), submit(t, d, "cancelled")
	if err := d.Cancel(t.Context(), cancelled); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Wait(t.Context(), cancelled); err != nil {
		t.Fatal(err)
	}
	d.Suspend()
	if _, err := d.Submit(t.Context(), graph("late", "")); !errors.Is(err, rpc.ErrNotLeader) {
		t.Fatal(err)
	}
	if _, err := d.Poll(t.Context(), waits, "CREATED", false); !errors.Is(err, rpc.ErrNotLeader) {
		t.Fatal(err)
	}
	d = next(t, store, Options{})
	for j, want := range map[id.Job]string{waits: "CREATED", cancelled: "CANCELED"} {
		s, err := d.Describe(t.Context(), j)
		if err != nil || s.GetState() != want || s.GetOver() != (want == "CANCELED") {
			t.Errorf("%v, %v, want %s", s, err, want)
		}
		if _, err := d.Master(j); !errors.Is(err, rpc.ErrGone) {
			t.Error(err)
		}
	}
	if got := d.Briefs(10, true); len(got) != 1 || id.Job(got[0].GetJob()) != waits {
		t.Error(got)
	}
	if got := d.Briefs(1, false); len(got) != 1 || got[0].GetName() != "cancelled" {
		t.Error("not the newest:", got)
	}
}

func TestPollGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Resources: resource.New(resource.Options{})})
		defer d.Suspend()
		j := newJob(id.NewJob())
		d.jobs[j.id], d.queue = j, []*job{j}
		begun := time.Now()
		if s, err := d.Poll(t.Context(), j.id, "CREATED", false); err != nil || s.GetState() != "CREATED" || time.Since(begun) != PollTimeout {
			t.Fatal(s, err, time.Since(begun))
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := d.Poll(ctx, j.id, "CREATED", true); failure.Of(err) != failure.Transient {
			t.Fatal(err)
		}
		if _, err := d.Wait(ctx, j.id); failure.Of(err) != failure.Transient {
			t.Fatal(err)
		}
		if _, err := d.Poll(t.Context(), id.NewJob(), "", false); failure.Of(err) != failure.NotFound {
			t.Fatal(err)
		}
	})
}
