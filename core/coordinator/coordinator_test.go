package coordinator

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// A job of one source and one sink, whose connector hands out numbered splits and
// remembers what is asked of it. Shown is that no split is lost or given twice,
// whatever happens to the attempts, and that a wait inside an enumerator holds
// nobody up.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fake struct {
	connector.Connector
	splits    []string // handed out from the front
	endless   bool     // an empty list waits instead of ending
	fail      error    // of everything
	committed []string
	aborted   []string
	closed    int
	swept     int
}

func (f *fake) Enumerator(_ context.Context, _ connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	if restored != nil {
		f.splits = strings.Fields(string(restored))
	}
	return f, f.fail
}

func (f *fake) Committer(context.Context, connector.SinkSpec) (connector.Committer, error) {
	return sinkHalf{f}, f.fail
}

func (f *fake) Next(ctx context.Context, _ int) (connector.Split, bool, error) {
	if f.fail != nil {
		return connector.Split{}, false, f.fail
	}
	if len(f.splits) == 0 && f.endless {
		<-ctx.Done()
		return connector.Split{}, false, ctx.Err()
	}
	if len(f.splits) == 0 {
		return connector.Split{}, false, nil
	}
	s := f.splits[0]
	f.splits = f.splits[1:]
	return connector.Split{ID: s, Bytes: 10}, true, nil
}

func (f *fake) Return(splits []connector.Split) {
	for _, s := range splits {
		f.splits = append(f.splits, s.ID)
	}
}
func (f *fake) Snapshot() ([]byte, error) { return []byte(strings.Join(f.splits, " ")), f.fail }
func (f *fake) Close() error              { f.closed++; return nil }
func (f *fake) Total() (uint64, int64)    { return 4, 40 }

type sinkHalf struct{ f *fake }

func (s sinkHalf) Commit(_ context.Context, c id.Checkpoint, all []connector.Committable, final bool) error {
	for _, one := range all {
		s.f.committed = append(s.f.committed, strconv.Itoa(int(c))+string(one.Data))
	}
	if final {
		s.f.committed = append(s.f.committed, "final")
	}
	return s.f.fail
}

func (s sinkHalf) Abort(_ context.Context, all []connector.Committable) error {
	for _, one := range all {
		s.f.aborted = append(s.f.aborted, string(one.Data))
	}
	return s.f.fail
}
func (s sinkHalf) Sweep(context.Context) error { s.f.swept++; return s.f.fail }
func (s sinkHalf) Close() error                { s.f.closed++; return nil }

var job = id.Job{7}

func request(restored []byte) *rpc.CoordinatorRequest {
	return &rpc.CoordinatorRequest{Job: rpc.Ref(job, 1), Vertices: []*rpc.CoordinatedVertex{{
		Parallelism: 2, Restored: restored,
		Vertex: &jobgraph.Vertex{Id: 0, Chain: []*jobgraph.Operator{
			{Uid: "src", Spec: &jobgraph.Operator_Source{Source: &jobgraph.Source{Connector: "fake"}}},
			{Uid: "dst", Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{Connector: "fake"}}},
		}},
	}}}
}

func start(t *testing.T, f *fake, restored []byte) *Host {
	t.Helper()
	h := New(func(string) (connector.Connector, error) { return f, nil }, nil)
	if err := h.Start(t.Context(), request(restored)); err != nil {
		t.Fatal(err)
	}
	return h
}

func attempt(subtask, n uint32) *rpc.Attempt { return &rpc.Attempt{Subtask: subtask, Number: n} }

func next(t *testing.T, h *Host, subtask, n uint32) string {
	t.Helper()
	r, err := h.NextSplit(t.Context(), &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(subtask, n)})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetSplit().GetId()
}

func TestResetGivesSplitsAgain(t *testing.T) {
	f := &fake{splits: strings.Fields("a b c d")}
	h := start(t, f, nil)
	got := []string{next(t, h, 0, 0), next(t, h, 1, 0), next(t, h, 0, 0)}
	if _, err := h.Reset(t.Context(), &rpc.ResetRequest{Job: rpc.Ref(job, 1), Attempts: []*rpc.Attempt{attempt(0, 0)}}); err != nil {
		t.Fatal(err)
	}
	_, err := h.NextSplit(t.Context(), &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(0, 0)})
	if !errors.Is(err, rpc.ErrGone) {
		t.Fatalf("a reset attempt got a split: %v", err)
	}
	for s := next(t, h, 0, 1); s != ""; s = next(t, h, 0, 1) {
		got = append(got, s)
	}
	if !slices.Equal(got, strings.Fields("a b c d a c")) {
		t.Fatalf("handed out %v", got)
	}
	p, err := h.Progress(t.Context(), &rpc.ProgressRequest{Job: rpc.Ref(job, 1)})
	if err != nil || p.GetSplitsAssigned() != 4 || p.GetSplitsTotal() != 4 || p.GetBytesAssigned() != 40 {
		t.Fatalf("%v, %v", p, err)
	}
}

// An answer is lost: the request that comes again gets the same one, and nothing is handed
// out to nobody. The next request gets the next split, an older one none.
func TestLostAnswer(t *testing.T) {
	h := start(t, &fake{splits: []string{"a", "b"}}, nil)
	ask := func(subtask, n uint32, sequence uint64) (string, error) {
		r, err := h.NextSplit(t.Context(), &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(subtask, n), Sequence: sequence})
		return r.GetSplit().GetId(), err
	}
	for _, step := range []struct {
		n        uint32
		sequence uint64
		want     string
	}{{0, 1, "a"}, {0, 1, "a"}, {0, 2, "b"}, {0, 2, "b"}, {0, 3, ""}, {0, 3, ""}} {
		if got, err := ask(0, step.n, step.sequence); err != nil || got != step.want {
			t.Errorf("request %d: %q, %v, want %q", step.sequence, got, err, step.want)
		}
	}
	if _, err := ask(0, 0, 1); failure.Of(err) != failure.Conflict {
		t.Errorf("an old request: %v", err)
	}
	p, err := h.Progress(t.Context(), &rpc.ProgressRequest{Job: rpc.Ref(job, 1)})
	if err != nil || p.GetSplitsAssigned() != 2 {
		t.Errorf("%v, %v", p, err)
	}
	// The next attempt counts from one again, and is given the same splits.
	if _, err := h.Reset(t.Context(), &rpc.ResetRequest{Job: rpc.Ref(job, 1), Attempts: []*rpc.Attempt{attempt(0, 0)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(0, 0, 3); !errors.Is(err, rpc.ErrGone) {
		t.Errorf("the former attempt: %v", err)
	}
	if got, err := ask(0, 1, 1); err != nil || got == "" {
		t.Errorf("the next attempt: %q, %v", got, err)
	}
}

func TestSnapshotCountsWhatNobodyReceived(t *testing.T) {
	f := &fake{splits: strings.Fields("a b c d e")}
	h := start(t, f, nil)
	for range 2 {
		next(t, h, 0, 0)
		next(t, h, 1, 0)
	}
	// Subtask 1 has finished what it was given; subtask 0 says nothing.
	r, err := h.Snapshot(t.Context(), &rpc.SnapshotRequest{Job: rpc.Ref(job, 1), Sources: []*rpc.SourcePart{{Attempt: attempt(1, 0), Finished: true}}})
	if err != nil {
		t.Fatal(err)
	}
	state := &rpc.EnumeratorState{}
	if err := proto.Unmarshal(r.GetVertices()[0].GetState(), state); err != nil {
		t.Fatal(err)
	}
	var unreceived []string
	for _, s := range state.GetUnreceived() {
		unreceived = append(unreceived, s.GetId())
	}
	if string(state.GetEnumerator()) != "e" || !slices.Equal(unreceived, []string{"a", "c"}) {
		t.Fatalf("enumerator %q, unreceived %v", state.GetEnumerator(), unreceived)
	}
	again := &fake{}
	h = start(t, again, r.GetVertices()[0].GetState())
	if got := []string{next(t, h, 0, 0), next(t, h, 0, 0), next(t, h, 1, 0), next(t, h, 1, 0)}; !slices.Equal(got, []string{"e", "a", "c", ""}) {
		t.Fatalf("restored %v", got)
	}
	if _, err := h.Snapshot(t.Context(), &rpc.SnapshotRequest{Job: rpc.Ref(job, 1), Sources: []*rpc.SourcePart{{Attempt: attempt(0, 0), State: []byte("?")}}}); err == nil {
		t.Fatal("a damaged part was accepted")
	}
}

func TestWaitIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, &fake{endless: true}, nil)
		waiting := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := h.NextSplit(ctx, &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(0, 0)})
			waiting <- err
		}()
		synctest.Wait()
		if _, err := h.Snapshot(t.Context(), &rpc.SnapshotRequest{Job: rpc.Ref(job, 1)}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it waits again, and did not notice
		select {
		case err := <-waiting:
			t.Fatalf("the wait ended: %v", err)
		default:
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestCommitAndAbort(t *testing.T) {
	f := &fake{}
	h := start(t, f, nil)
	staged := []*rpc.Committable{{Operator: "dst", Data: []byte("x")}}
	for _, r := range []*rpc.CommitRequest{
		{Job: rpc.Ref(job, 1), Checkpoint: 3, Committables: staged}, {Job: rpc.Ref(job, 1), Checkpoint: 4}, {Job: rpc.Ref(job, 1), Checkpoint: 5, Final: true},
	} {
		if _, err := h.Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Abort(t.Context(), &rpc.AbortRequest{Job: rpc.Ref(job, 1), Committables: staged}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.committed, []string{"3x", "final"}) || !slices.Equal(f.aborted, []string{"x"}) {
		t.Fatalf("committed %v, aborted %v", f.committed, f.aborted)
	}
	if f.swept != 0 {
		t.Fatal("swept before the end")
	}
	if _, err := h.Abort(t.Context(), &rpc.AbortRequest{Job: rpc.Ref(job, 1), Sweep: true}); err != nil || f.swept != 1 {
		t.Fatal(err, f.swept)
	}
	f.fail = failure.Errorf(failure.Transient, "busy")
	_, sweep := h.Abort(t.Context(), &rpc.AbortRequest{Job: rpc.Ref(job, 1), Sweep: true})
	_, commit := h.Commit(t.Context(), &rpc.CommitRequest{Job: rpc.Ref(job, 1), Final: true})
	_, abort := h.Abort(t.Context(), &rpc.AbortRequest{Job: rpc.Ref(job, 1), Committables: staged})
	_, split := h.NextSplit(t.Context(), &rpc.SplitRequest{Job: rpc.Ref(job, 1), Attempt: attempt(0, 0)})
	_, snapshot := h.Snapshot(t.Context(), &rpc.SnapshotRequest{Job: rpc.Ref(job, 1)})
	for _, err := range []error{sweep, commit, abort, split, snapshot} {
		if !errors.Is(err, f.fail) || failure.Of(err) != failure.Transient {
			t.Fatal(err)
		}
	}
	if _, err := h.Commit(t.Context(), &rpc.CommitRequest{Job: rpc.Ref(job, 1), Committables: []*rpc.Committable{{Operator: "who"}}}); failure.Of(err) != failure.Internal {
		t.Fatal(err)
	}
}

func TestLifeOfATask(t *testing.T) {
	f := &fake{}
	h := start(t, f, nil)
	if err := h.Start(t.Context(), request(nil)); err != nil || f.closed != 2 {
		t.Fatalf("the task before has %d halves closed, %v", f.closed, err)
	}
	old := request(nil)
	old.Job = rpc.Ref(job, 0)
	if err := h.Start(t.Context(), old); !errors.Is(err, rpc.ErrFenced) {
		t.Fatal(err)
	}
	f.fail = errors.New("no such directory")
	if err := h.Start(t.Context(), request(nil)); !errors.Is(err, f.fail) {
		t.Fatal(err)
	}
	if err := h.Stop(t.Context(), job); err != nil || f.closed != 4 {
		t.Fatalf("%d halves closed, %v", f.closed, err)
	}
	if _, err := h.Progress(t.Context(), &rpc.ProgressRequest{Job: rpc.Ref(job, 1)}); !errors.Is(err, rpc.ErrGone) {
		t.Fatal(err)
	}
}

// A request may have found a task just before another one takes its place, and come to its
// sources and sinks only then: it is told that the task is gone, and waits for nothing.
func TestRequestsOfATaskThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, &fake{splits: strings.Fields("a b")}, nil)
		found, err := h.find(rpc.Ref(job, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context(), request(nil)); err != nil {
			t.Fatal(err)
		}
		ctx, src, dst := t.Context(), found.sources[0], found.sinks["dst"]
		a := attempt(0, 0).ID()
		for what, call := range map[string]func() error{
			"commit":   func() error { return dst.commit(ctx, 1, nil, true) },
			"abort":    func() error { return dst.abort(ctx, nil) },
			"sweep":    func() error { return dst.sweep(ctx) },
			"split":    func() error { _, _, err := src.next(ctx, a, 1); return err },
			"reset":    func() error { return src.reset(ctx, a) },
			"snapshot": func() error { _, err := src.snapshot(ctx, nil); return err },
		} {
			if err := call(); !errors.Is(err, rpc.ErrGone) || failure.Of(err) != failure.Conflict {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
