package jobmaster

// A streaming job publishes what its checkpoints made ready: each row once, whoever dies
// between the end of the last task and the end of the job, and whoever dies while it waits.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// checkpointEvery is the interval of the job of these tests.
const checkpointEvery = 10 * time.Second

// bottomless is a source of one subtask with a sink behind it, in one vertex.
func bottomless() *jobgraph.Graph {
	return &jobgraph.Graph{
		Name: "stream", Mode: jobgraph.Mode_MODE_STREAMING, KeyGroups: 128,
		Vertices: []*jobgraph.Vertex{{Id: 0, Uid: "v", Name: "all", Chain: []*jobgraph.Operator{
			{Uid: "source", Spec: &jobgraph.Operator_Source{Source: &jobgraph.Source{}}},
			{Uid: "sink", Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{}}},
		}}},
		Options: map[string]string{
			"execution.checkpointing.interval": checkpointEvery.String(), "state.checkpoints.dir": "/c", "parallelism.default": "1",
			"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1", "restart-strategy.fixed-delay.delay": "200 ms",
		},
	}
}

// entries keep metadata in memory.
type entries struct {
	raftmeta.Store
	mu  sync.Mutex
	all map[string]raftmeta.Entry
}

func (e *entries) Apply(_ context.Context, t raftmeta.Txn) (raftmeta.Revision, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, op := range t.Ops {
		if delete(e.all, op.Key); op.Kind == raftmeta.OpPut {
			e.all[op.Key] = raftmeta.Entry{Key: op.Key, Value: op.Value}
		}
	}
	return 1, nil
}

func (e *entries) List(_ context.Context, _ raftmeta.Bucket, prefix string) (out []raftmeta.Entry, _ raftmeta.Revision, _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		if strings.HasPrefix(one.Key, prefix) {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b raftmeta.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out, 1, nil
}

// manifests are files in memory; what they do not implement is not asked for.
type manifests struct {
	checkpointing.Files
	mu  sync.Mutex
	all map[string]*checkpoint.Manifest
}

func (f *manifests) Save(_ context.Context, m *checkpoint.Manifest) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	place := fmt.Sprint(m.GetCheckpoint())
	f.all[place] = m
	return place, nil
}

func (f *manifests) Load(_ context.Context, place string) (*checkpoint.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[place] == nil {
		return nil, fmt.Errorf("manifest %s is gone", place)
	}
	return f.all[place], nil
}

func (f *manifests) Drop(_ context.Context, _ id.Job, c id.Checkpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, fmt.Sprint(uint64(c)))
	return nil
}

func (f *manifests) Verify(context.Context, *checkpoint.Manifest) error { return nil }

func (f *manifests) Sweep(context.Context, id.Job, []*checkpoint.Manifest) error { return nil }

func (f *manifests) DropJob(context.Context, id.Job) error { return nil }

func (f *manifests) Checkpoints(context.Context, id.Job) (all []id.Checkpoint, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.all {
		all = append(all, id.Checkpoint(m.GetCheckpoint()))
	}
	return all, nil
}

func (f *manifests) DropHomes(context.Context, id.Job) error { return nil }

func (f *manifests) Locate(m *checkpoint.Manifest) *checkpoint.Manifest { return m }

func (s *streamStage) store(config.Config) (*checkpointing.Store, error) { return s.kept, nil }

func (c coordinatorActor) name() string { return c.actor.name }

func (w triggered) Notify(context.Context, *rpc.NotifyRequest) (*rpc.NotifyReply, error) {
	return &rpc.NotifyReply{}, nil
}

// streamStage is a stage with a store of checkpoints and coordinator tasks.
type streamStage struct {
	*stage
	kept *checkpointing.Store

	// Under the stage's lock.
	triggers  []*rpc.TriggerRequest
	published []string // "w1 2 final a b"
	started   []string // the workers of coordinator tasks
	swept     []string // the workers that were to remove what nobody knows of
	restored  int      // of them with a position
	// on is asked before each call of a coordinator task, and with "after " before it answers.
	on func(ctx context.Context, method string) error
}

// triggered is a worker whose attempts are triggered.
type triggered struct {
	workerActor
	stream *streamStage
}

func (w triggered) Trigger(ctx context.Context, r *rpc.TriggerRequest) (*rpc.TriggerReply, error) {
	if err := w.stream.asked(ctx, w.name, "Trigger"); err != nil {
		return nil, err
	}
	w.stage.mu.Lock()
	defer w.stage.mu.Unlock()
	w.stream.triggers = append(w.stream.triggers, r)
	return &rpc.TriggerReply{}, nil
}

func (w triggered) StartCoordinator(ctx context.Context, r *rpc.CoordinatorRequest) (*rpc.CoordinatorReply, error) {
	if err := w.stream.asked(ctx, w.name, "StartCoordinator"); err != nil {
		return nil, err
	}
	w.stage.mu.Lock()
	defer w.stage.mu.Unlock()
	w.stream.started = append(w.stream.started, w.name)
	if r.GetVertices()[0].Restored != nil {
		w.stream.restored++
	}
	return &rpc.CoordinatorReply{}, nil
}

// coordinatorActor is the coordinator tasks of a worker.
type coordinatorActor struct {
	rpc.CoordinatorClient
	actor
	stream *streamStage
}

func (c coordinatorActor) Snapshot(ctx context.Context, _ *rpc.SnapshotRequest) (*rpc.SnapshotReply, error) {
	if err := c.stream.asked(ctx, c.name(), "Snapshot"); err != nil {
		return nil, err
	}
	return &rpc.SnapshotReply{Vertices: []*rpc.VertexPosition{{State: []byte{}}}}, c.stream.asked(ctx, c.name(), "after Snapshot")
}

func (c coordinatorActor) Commit(ctx context.Context, r *rpc.CommitRequest) (*rpc.CommitReply, error) {
	if err := c.stream.asked(ctx, c.name(), "Commit"); err != nil {
		return nil, err
	}
	what := fmt.Sprint(c.name(), " ", r.GetCheckpoint())
	if r.GetFinal() {
		what += " final"
	}
	for _, x := range r.GetCommittables() {
		what += " " + string(x.GetData())
	}
	c.stage.mu.Lock()
	c.stream.published = append(c.stream.published, what)
	c.stage.mu.Unlock()
	return &rpc.CommitReply{}, c.stream.asked(ctx, c.name(), "after Commit")
}

func (c coordinatorActor) Abort(_ context.Context, r *rpc.AbortRequest) (*rpc.AbortReply, error) {
	if r.GetSweep() {
		c.stage.mu.Lock()
		defer c.stage.mu.Unlock()
		c.stream.swept = append(c.stream.swept, c.name())
	}
	return &rpc.AbortReply{}, nil
}

// asked is what a test says to a call; errStopped: it is taken and not answered.
func (s *streamStage) asked(ctx context.Context, worker, method string) error {
	s.mu.Lock()
	on := s.on
	s.mu.Unlock()
	if on == nil {
		return nil
	}
	err := on(ctx, worker+" "+method)
	if errors.Is(err, errStopped) {
		<-ctx.Done()
		err = ctx.Err()
	}
	return err
}

func (s *streamStage) when(on func(ctx context.Context, call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
}

// die ends a worker, at once or, as one that was stopped, so that calls to it hang.
func (s *streamStage) die(w string, stopped bool) {
	if !stopped {
		s.net.ServeWorker(id.Worker(w), nil, nil)
	}
	s.members.Lose(id.Worker(w), errors.New("no heartbeat"))
	s.m.WorkerLost(id.Worker(w), errors.New("no heartbeat"))
}

var errNobody = failure.Wrap(failure.Transient, fmt.Errorf("call: %w", rpc.ErrUnreachable))

// onStream runs a test with a streaming job, whose coordinator task and only attempt are at w2.
func onStream(t *testing.T, test func(s *streamStage)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t)
		s.play(Options{}, func() { test(s) })
	})
}

func newStream(t *testing.T) *streamStage {
	s := &streamStage{stage: newStage(t, direct), kept: &checkpointing.Store{
		Files: &manifests{all: map[string]*checkpoint.Manifest{}}, Meta: &entries{all: map[string]raftmeta.Entry{}},
	}}
	for _, w := range []string{"w1", "w2"} {
		a := actor{stage: s.stage, name: w}
		s.net.ServeWorker(id.Worker(w), triggered{workerActor{a}, s}, coordinatorActor{actor: a, stream: s})
	}
	return s
}

// play is the job's life under one job master.
func (s *streamStage) play(o Options, test func()) {
	o.Graph, o.Checkpoints = bottomless(), s.store
	s.run(o, func(*stage) {}, func(*stage) { test() })
}

// begun waits for the attempt that is deployed next, and has it run.
func (s *streamStage) begun(want string) *rpc.DeployRequest {
	s.t.Helper()
	all := s.deployed()
	s.expect(all, want)
	s.report(all[want], rpc.TaskState_TASK_STATE_RUNNING, nil)
	synctest.Wait()
	return all[want]
}

// checkpoint takes the attempt's part of the checkpoint that is due, with something ready.
func (s *streamStage) checkpoint(r *rpc.DeployRequest, ready ...string) {
	s.t.Helper()
	time.Sleep(checkpointEvery)
	synctest.Wait()
	s.mu.Lock()
	triggers := s.triggers
	s.triggers = nil
	s.mu.Unlock()
	if len(triggers) == 0 {
		s.t.Fatal("no checkpoint was triggered")
	}
	s.m.Acknowledge(&rpc.AckRequest{
		Job: r.GetJob(), Attempt: r.GetAttempt(), Barrier: triggers[len(triggers)-1].GetBarrier(),
		State: &checkpoint.SubtaskState{}, Committables: committables(ready...),
	})
	synctest.Wait()
}

func (s *streamStage) finish(r *rpc.DeployRequest, ready ...string) {
	s.report(r, rpc.TaskState_TASK_STATE_FINISHED, func(t *rpc.TaskReport) { t.Committables = committables(ready...) })
	synctest.Wait()
}

func committables(data ...string) (out []*rpc.Committable) {
	for _, d := range data {
		out = append(out, &rpc.Committable{Operator: "sink", Data: []byte(d)})
	}
	return out
}

// ends waits for the end of the job.
func (s *streamStage) ends(want execgraph.JobState) {
	s.t.Helper()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	if st := s.m.Status(); st.State != want {
		s.t.Errorf("the job is %v: %v; want %v; published %q", st.State, st.Cause, want, s.published)
	}
}

func (s *streamStage) expectPublished(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.published, want) {
		s.t.Errorf("published %q, want %q", s.published, want)
	}
}

func TestLastRowsArePublished(t *testing.T) {
	onStream(t, func(s *streamStage) {
		r := s.begun("0.0#0")
		s.checkpoint(r, "a")
		s.finish(r, "b")
		s.ends(execgraph.JobFinished)
		s.expectPublished("w2 1 a", "w2 2 final b")
	})
}

// The worker with the coordinator task goes at each call that the end of a bounded job makes,
// before it is taken, after it was, or without an answer; and that is noticed at once or later.
func TestCoordinatorGoesAtTheEnd(t *testing.T) {
	for _, call := range []string{"Snapshot", "after Snapshot", "Commit", "after Commit"} {
		for _, stopped := range []bool{false, true} {
			for _, late := range []time.Duration{0, 3 * time.Second} {
				t.Run(fmt.Sprint(call, " stopped=", stopped, " late=", late), func(t *testing.T) {
					onStream(t, func(s *streamStage) {
						r := s.begun("0.0#0")
						s.checkpoint(r, "a")
						s.when(func(_ context.Context, at string) error {
							if at != "w2 "+call {
								return nil
							}
							s.when(func(_ context.Context, at string) error {
								if !strings.HasPrefix(at, "w2") {
									return nil
								}
								if stopped {
									return errStopped
								}
								return errNobody
							})
							time.AfterFunc(late, func() { s.die("w2", stopped) })
							if stopped {
								return errStopped
							}
							return errNobody
						})
						s.finish(r, "b")
						s.ends(execgraph.JobFinished)
						want := []string{"w2 1 a", "w1 2 final b"}
						if call == "after Commit" {
							want = []string{"w2 1 a", "w2 2 final b", "w1 2 final b"}
						}
						s.expectPublished(want...)
					})
				})
			}
		}
	}
}

// A checkpoint is complete and its coordinator task is gone: what it made ready is published by
// the one that the restart brings, and the job's own restart is not used up.
func TestPublicationWaitsForTheRestart(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		onStream(t, func(s *streamStage) {
			r := s.begun("0.0#0")
			s.when(func(_ context.Context, at string) error {
				if at != "w2 Commit" {
					return nil
				}
				time.AfterFunc(2*time.Second, func() { s.die("w2", stopped) })
				if stopped {
					return errStopped
				}
				return errNobody
			})
			s.checkpoint(r, "a")
			time.Sleep(5 * time.Second)
			r = s.begun("0.0#1")
			s.expectPublished("w1 1 a", "w1 1 a") // as the restart begins, and by who waited
			s.checkpoint(r, "b")
			s.finish(r, "c")
			s.ends(execgraph.JobFinished)
			s.expectPublished("w1 1 a", "w1 1 a", "w1 2 b", "w1 3 final c")
		})
	}
}

// A job that ends while a publication waits ends, and does not hang.
func TestPublicationWaitsAndTheJobEnds(t *testing.T) {
	for name, end := range map[string]func(s *streamStage){
		"cancel": func(s *streamStage) { s.m.Cancel() },
		"fail":   func(s *streamStage) { s.m.Fail(errors.New("from outside")) },
	} {
		onStream(t, func(s *streamStage) {
			r := s.begun("0.0#0")
			s.when(func(_ context.Context, at string) error {
				if at == "w2 Commit" || strings.HasSuffix(at, "StartCoordinator") {
					return errNobody
				}
				return nil
			})
			s.checkpoint(r, "a")
			s.die("w2", false)
			time.Sleep(time.Second)
			end(s)
			s.ends(map[string]execgraph.JobState{"cancel": execgraph.JobCanceled, "fail": execgraph.JobFailed}[name])
		})
	}
	onStream(t, func(s *streamStage) { // deposed: run waits for it
		r := s.begun("0.0#0")
		s.when(func(_ context.Context, at string) error {
			if strings.HasSuffix(at, "StartCoordinator") || at == "w2 Commit" {
				return errNobody
			}
			return nil
		})
		s.checkpoint(r, "a")
		s.die("w2", false)
		time.Sleep(time.Second)
	})
}

// All tasks finish while an earlier checkpoint is published, which then fails for good: the
// job has failed, for rows would be lost.
func TestAnEarlierPublicationFailsAtTheEnd(t *testing.T) {
	onStream(t, func(s *streamStage) {
		r := s.begun("0.0#0")
		finished := make(chan struct{})
		s.when(func(_ context.Context, at string) error {
			if at == "w2 Commit" {
				<-finished
				return failure.Errorf(failure.Fatal, "the table is gone")
			}
			return nil
		})
		s.checkpoint(r, "a")
		s.finish(r, "b")
		close(finished)
		s.ends(execgraph.JobFailed)
		s.expectPublished()
	})
}

// While one is published whose worker is gone, all tasks finish: then any worker publishes it.
func TestPublicationWaitsAndTheTasksFinish(t *testing.T) {
	onStream(t, func(s *streamStage) {
		r := s.begun("0.0#0")
		s.when(func(_ context.Context, at string) error {
			if at == "w2 Commit" {
				return errNobody
			}
			return nil
		})
		s.checkpoint(r, "a")
		s.finish(r, "b")
		s.die("w2", false)
		s.ends(execgraph.JobFinished)
		s.expectPublished("w1 1 a", "w1 2 final b")
	})
}

// The worker that has just begun the coordinator task is lost before its answer is heard.
func TestCoordinatorIsLostAsItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t)
		s.when(func(_ context.Context, at string) error {
			if at == "w2 StartCoordinator" {
				s.die("w2", true)
			}
			return nil
		})
		s.play(Options{}, func() {
			time.Sleep(time.Second)
			s.begun("0.0#0")
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.started, []string{"w2", "w1"}) {
				t.Errorf("coordinator tasks were begun at %v", s.started)
			}
		})
	})
}

// A worker that was stopped takes triggers and answers none: that it is lost ends the wait.
func TestATriggerDoesNotHoldTheRestartUp(t *testing.T) {
	onStream(t, func(s *streamStage) {
		s.begun("0.0#0")
		s.when(func(_ context.Context, at string) error {
			if at == "w2 Trigger" {
				return errStopped
			}
			return nil
		})
		time.Sleep(checkpointEvery)
		synctest.Wait()
		s.die("w2", true)
		time.Sleep(time.Second)
		s.begun("0.0#1")
	})
}

// Another master leads the job from where the last one was suspended: what a checkpoint made
// ready is published before anything runs, and of the last one everything.
func TestTheNextLeaderPublishes(t *testing.T) {
	refuse := func(_ context.Context, at string) error {
		if strings.HasSuffix(at, "Commit") {
			return errStopped
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t)
		s.when(refuse)
		s.play(Options{}, func() { s.checkpoint(s.begun("0.0#0"), "a") })
		s.expectPublished()
		s.when(nil)
		s.play(Options{Runs: 1}, func() {
			r := s.begun(fmt.Sprintf("0.0#%d", attemptsPerRun))
			s.expectPublished("w2 1 a")
			s.when(refuse)
			s.finish(r, "b")
		})
		s.when(nil)
		s.play(Options{Runs: 2}, func() {
			r := s.begun(fmt.Sprintf("0.0#%d", 2*attemptsPerRun))
			if !r.GetRestore().GetFinished() {
				t.Error("after the last checkpoint there is nothing to do")
			}
			s.finish(r)
			s.ends(execgraph.JobFinished)
		})
		s.expectPublished("w2 1 a", "w2 2 b", "w2 3 final")
	})
}

// Checkpoints that a master has completed before it died are subsumed by those of the next
// one: once they stayed until the job ended.
func TestTheNextLeaderSubsumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t)
		for run := range 3 {
			s.play(Options{Runs: run}, func() {
				s.checkpoint(s.begun(fmt.Sprintf("0.0#%d", run*attemptsPerRun)))
				all, _, err := s.kept.Meta.List(t.Context(), "checkpoints", "")
				if err != nil || len(all) != 1 || !strings.HasSuffix(all[0].Key, fmt.Sprintf("%020d", run+1)) {
					t.Errorf("after run %d there are %v, %v", run, all, err)
				}
			})
		}
	})
}

// Replies are lost: what is published twice is the same, and nothing is lost.
func TestRepliesOfPublicationsAreLost(t *testing.T) {
	onStream(t, func(s *streamStage) {
		r := s.begun("0.0#0")
		lost := map[string]int{}
		s.when(func(_ context.Context, at string) error {
			if lost[at]++; strings.Contains(at, "after Commit") && lost[at]%2 == 1 {
				return errNobody
			}
			return nil
		})
		s.checkpoint(r, "a")
		time.Sleep(time.Second)
		synctest.Wait()
		s.finish(r, "b")
		s.ends(execgraph.JobFinished)
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := slices.Compact(slices.Clone(s.published)); len(got) != 2 || !strings.HasSuffix(got[0], " a") || !strings.HasSuffix(got[1], "final b") {
			t.Errorf("published %q", s.published)
		}
	})
}
