package dispatcher

// What a dispatcher does within one leadership, over a store in memory and without
// workers: limits, refusals, and what it leaves behind. Package scheduler's tests show
// jobs that run, and masters that come and go.

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/tidemill/tidemill/scheduler/execgraph"
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

// A burst of jobs has few of them stored at a time, and tells those beyond some more to
// come again.
func TestABurstIsAcceptedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowBlobs{}
		d, store := start(t, Options{Blobs: slow})
		var accepting sync.WaitGroup
		var busy, accepted atomic.Int32
		for range mostInEntry + 10 {
			accepting.Go(func() {
				switch _, err := d.Submit(t.Context(), graph("etl", strings.Repeat("x", 70<<10))); {
				case err == nil:
					accepted.Add(1)
				case errors.Is(err, rpc.ErrBusy) && failure.Of(err) == failure.Transient:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		accepting.Wait()
		if busy.Load() != 10 || accepted.Load() != mostInEntry || slow.most.Load() != storedAtOnce {
			t.Errorf("%d busy, %d accepted, %d at once", busy.Load(), accepted.Load(), slow.most.Load())
		}
		ctx, stop := context.WithTimeout(t.Context(), 0)
		defer stop()
		for range storedAtOnce {
			d.entry.turns <- struct{}{}
		}
		if _, err := d.Submit(ctx, graph("late", "")); !errors.Is(err, context.DeadlineExceeded) || len(d.entry.places) != 0 {
			t.Error(err, len(d.entry.places))
		}
		d.Suspend()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// slowBlobs take a second each.
type slowBlobs struct {
	lossy
	now, most atomic.Int32
}

func (s *slowBlobs) Put(ctx context.Context, data []byte) (raftmeta.BlobName, error) {
	s.now.Add(1)
	defer s.now.Add(-1)
	time.Sleep(time.Second)
	s.most.Store(s.now.Load()) // before anybody leaves
	time.Sleep(time.Second)
	return s.lossy.Put(ctx, data)
}

// deposing is a store that is not the leader's any more, and does not say so at once.
type deposing struct {
	raftmeta.Store
	with error
}

func (s *deposing) Apply(ctx context.Context, txn raftmeta.Txn) (raftmeta.Revision, error) {
	if s.with != nil {
		return 0, s.with
	}
	return s.Store.Apply(ctx, txn)
}

// A client whose master is deposed meanwhile asks the next one, under the same id: in a
// burst of a thousand jobs thirteen clients were told of the store's error instead.
func TestClientsOfADeposedMasterAskTheNext(t *testing.T) {
	_, store := start(t, Options{})
	deposed := &deposing{Store: store}
	d := next(t, deposed, Options{})
	waits := submit(t, d, "waits")
	for _, with := range []error{raftmeta.ErrNotLeader, raftmeta.ErrUnknown, raftmeta.ErrFenced} {
		deposed.with = with
		if _, err := d.Submit(t.Context(), graph("etl", "")); !errors.Is(err, rpc.ErrNotLeader) || !errors.Is(err, with) || failure.Of(err) != failure.Transient {
			t.Errorf("submit: %v", err)
		}
		if err := d.Cancel(t.Context(), waits); !errors.Is(err, rpc.ErrNotLeader) || !errors.Is(err, with) {
			t.Errorf("cancel: %v", err)
		}
	}
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

// A job of which it was recorded how it ends is not run by the next leader: its checkpoints
// may be forgotten, and from its beginning it would write everything again.
func TestAJobThatEndsIsNotRunAgain(t *testing.T) {
	d, store := start(t, Options{})
	finished, failed, stopped := submit(t, d, "finished"), submit(t, d, "failed"), submit(t, d, "stopped")
	if err := errors.Join(
		d.ends(t.Context(), finished, execgraph.JobFinished, nil), d.stopped(t.Context(), stopped, "/s"),
		d.ends(t.Context(), failed, execgraph.JobFailed, failure.Errorf(failure.BadData, "row 7")),
	); err != nil {
		t.Fatal(err)
	}
	d.Suspend()
	d = next(t, store, Options{})
	for j, want := range map[id.Job]string{finished: "FINISHED", failed: "FAILED", stopped: "FINISHED"} {
		s, err := d.Wait(t.Context(), j)
		if err != nil || s.State.String() != want || (s.Cause != nil) != (j == failed) {
			t.Errorf("%v, %v, %v, want %s", s.State, s.Cause, err, want)
		}
		if s.Cause != nil && (failure.Of(s.Cause) != failure.BadData || s.Cause.Error() != "row 7") {
			t.Errorf("cause %v", s.Cause)
		}
	}
}

func TestPollGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Resources: resource.New(resource.Options{})})
		defer d.Suspend()
		j := newJob(id.NewJob())
		d.mu.Lock() // the starter looks at the queue already
		d.jobs[j.id], d.queue = j, []*job{j}
		d.mu.Unlock()
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
