package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/resource"
	"github.com/tidemill/tidemill/shuffle"
)

// stage is a job master with workers and shuffle servers that do what a test says, in
// fake time.
type stage struct {
	t       *testing.T
	m       *Master
	net     *rpc.Local
	members *resource.Manager

	mu      sync.Mutex
	deploys []*rpc.DeployRequest // that nobody has looked at
	dropped []string             // by servers
	// lanes are what servers say that they have; nil: nothing.
	lanes map[string][]*rpc.LaneManifest
	// handing does what a server does with a lane that it is to hand over; nil: it succeeds.
	handing func(ctx context.Context, from string, r *rpc.HandOverRequest) error
	handed  []string
	// fault is asked before each call to a worker; nil: none fails.
	fault func(w, method string) error
}

// failing is what fault says.
func (a actor) failing(method string) error {
	a.stage.mu.Lock()
	defer a.stage.mu.Unlock()
	if a.stage.fault == nil {
		return nil
	}
	return a.stage.fault(a.name, method)
}

// actor is a worker, or a shuffle server.
type actor struct {
	rpc.WorkerClient
	rpc.ShuffleClient
	stage *stage
	name  string
}

func (a actor) Deploy(_ context.Context, r *rpc.DeployRequest) (*rpc.DeployReply, error) {
	if err := a.failing("Deploy"); err != nil {
		return nil, err
	}
	a.stage.mu.Lock()
	defer a.stage.mu.Unlock()
	a.stage.deploys = append(a.stage.deploys, r)
	return &rpc.DeployReply{}, nil
}

func (a actor) Cancel(_ context.Context, r *rpc.CancelRequest) (*rpc.CancelReply, error) {
	if err := a.failing("Cancel"); err != nil {
		return nil, err
	}
	for _, one := range r.GetAttempts() {
		a.stage.m.Report(&rpc.TaskReport{Job: r.GetJob(), Attempt: one, State: rpc.TaskState_TASK_STATE_CANCELLED})
	}
	return &rpc.CancelReply{}, nil
}

type keeperActor struct{ actor }

func (k keeperActor) Drop(_ context.Context, r *rpc.ShuffleDropRequest) (*rpc.ShuffleDropReply, error) {
	k.stage.mu.Lock()
	defer k.stage.mu.Unlock()
	what := k.name
	if lanes := r.GetLanes(); len(lanes) > 0 {
		what += fmt.Sprint(" lanes ", lanes)
	}
	k.stage.dropped = append(k.stage.dropped, what)
	return &rpc.ShuffleDropReply{}, nil
}

func (k keeperActor) Lanes(context.Context, *rpc.LanesRequest) (*rpc.LanesReply, error) {
	k.stage.mu.Lock()
	defer k.stage.mu.Unlock()
	return &rpc.LanesReply{Lanes: k.stage.lanes[k.name]}, nil
}

func (k keeperActor) HandOver(ctx context.Context, r *rpc.HandOverRequest) (*rpc.HandOverReply, error) {
	k.stage.mu.Lock()
	handing := k.stage.handing
	k.stage.mu.Unlock()
	if handing != nil {
		if err := handing(ctx, k.name, r); err != nil {
			return nil, err
		}
	}
	k.stage.mu.Lock()
	defer k.stage.mu.Unlock()
	to := r.GetTo().GetServers()[0].GetId()
	k.stage.handed = append(k.stage.handed, fmt.Sprintf("lane %d from %s to %s", r.GetLane(), k.name, to))
	m := laneOf(r.GetLane())
	m.Attempt = r.GetAttempt()
	return &rpc.HandOverReply{Manifest: m}, nil
}

func (k keeperActor) Stats(context.Context, *rpc.ShuffleStatsRequest) (*rpc.ShuffleStats, error) {
	return &rpc.ShuffleStats{}, nil
}

type workerActor struct{ actor }

func (w workerActor) StandBy(context.Context, *rpc.StandByRequest) (*rpc.StandByReply, error) {
	return &rpc.StandByReply{}, w.failing("StandBy")
}

func (w workerActor) Rewind(context.Context, *rpc.RewindRequest) (*rpc.RewindReply, error) {
	return &rpc.RewindReply{}, w.failing("Rewind")
}

func (w workerActor) Drop(context.Context, *rpc.DropRequest) (*rpc.DropReply, error) {
	return &rpc.DropReply{}, w.failing("Drop")
}

func (w workerActor) StartCoordinator(ctx context.Context, _ *rpc.CoordinatorRequest) (*rpc.CoordinatorReply, error) {
	err := w.failing("StartCoordinator")
	if errors.Is(err, errStopped) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &rpc.CoordinatorReply{}, err
}

// errStopped says that a call is taken and not answered.
var errStopped = errors.New("stopped")

var testKey = []byte("0123456789abcdef0123456789abcdef")

// twoStages is a producer of two subtasks and a consumer over a stored exchange.
func twoStages() *jobgraph.Graph {
	op := func() *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
	}
	return &jobgraph.Graph{
		Name: "two", Mode: jobgraph.Mode_MODE_BATCH, KeyGroups: 128,
		Vertices: []*jobgraph.Vertex{
			{Id: 0, Name: "producer", Chain: []*jobgraph.Operator{op()}, Outputs: []uint32{0}},
			{Id: 1, Name: "consumer", Chain: []*jobgraph.Operator{op()}, Inputs: []uint32{0}},
		},
		Exchanges: []*jobgraph.Exchange{{
			Id: 0, Producer: 0, Consumer: 1, Retention: jobgraph.Retention_RETENTION_JOB, Distribution: jobgraph.Distribution_DISTRIBUTION_HASH,
		}},
	}
}

// onStage runs a test with workers w1 and w2, of a slot each, which write to s1 and s2.
func onStage(t *testing.T, test func(s *stage)) { onStageOf(t, twoStages(), test) }

// onStageOf is onStage of another job.
func onStageOf(t *testing.T, g *jobgraph.Graph, test func(s *stage)) {
	onStageWith(t, g, rpc.LocalOptions{Serialize: true}, func(s *stage) { s.m.post(func() { s.m.handle(execgraph.Start{}) }) }, test)
}

// onStageWith is onStageOf where start is called before the job begins, when all else is there.
func onStageWith(t *testing.T, g *jobgraph.Graph, o rpc.LocalOptions, start, test func(s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, o)
		s.run(Options{Graph: g}, start, test)
	})
}

// newStage has workers and servers, and no job.
func newStage(t *testing.T, o rpc.LocalOptions) *stage {
	s := &stage{t: t, net: rpc.NewLocal(o), members: resource.New(resource.Options{})}
	for i, w := range []string{"w1", "w2"} {
		server := []string{"s1", "s2"}[i]
		s.net.ServeShuffle(server, keeperActor{actor{stage: s, name: server}})
		s.net.ServeWorker(id.Worker(w), workerActor{actor{stage: s, name: w}}, nil)
		for _, who := range []resource.Member{
			{ID: id.Worker(server), Server: shuffle.Server{ID: server, Address: server}},
			{ID: id.Worker(w), Slots: 1, Server: shuffle.Server{ID: w, Address: w}, Daemon: server},
		} {
			if err := s.members.Register(who); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// run runs a job of number 1, and suspends it when the test is over.
func (s *stage) run(o Options, start, test func(s *stage)) {
	s.t.Helper()
	o.Job, o.Term, o.Slots, o.Dialer, o.Resources, o.TicketKey = id.Job{1}, 7, 2, s.net, s.members, testKey
	var err error
	if s.m, err = New(o); err != nil {
		s.t.Fatal(err)
	}
	start(s)
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.m.Run(ctx)
	}()
	test(s)
	stop()
	<-ended
}

// deployed waits until all is quiet and returns what was deployed since, by subtask.
func (s *stage) deployed() map[string]*rpc.DeployRequest {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*rpc.DeployRequest{}
	for _, r := range s.deploys {
		out[r.GetAttempt().ID().String()] = r
	}
	s.deploys = nil
	return out
}

func (s *stage) report(r *rpc.DeployRequest, state rpc.TaskState, change func(*rpc.TaskReport)) {
	report := &rpc.TaskReport{Job: r.GetJob(), Attempt: r.GetAttempt(), State: state}
	if change != nil {
		change(report)
	}
	s.m.Report(report)
}

// written is the manifest of a lane with 5 MiB in partition 3 and 40 and nothing else.
func written(lane uint32) func(*rpc.TaskReport) {
	return func(r *rpc.TaskReport) {
		m := laneOf(lane)
		m.Attempt = r.GetAttempt().GetNumber()
		r.Manifests = []*rpc.LaneManifest{m}
	}
}

func laneOf(lane uint32) *rpc.LaneManifest {
	m := &rpc.LaneManifest{Lane: lane}
	for p := range 64 {
		t := &rpc.PartitionTotals{}
		if p == 3 || p == 40 {
			t.Rows, t.Bytes = 10, 5<<20
		}
		m.Partitions = append(m.Partitions, t)
	}
	return m
}

func (s *stage) expect(got map[string]*rpc.DeployRequest, want ...string) {
	s.t.Helper()
	var have []string
	for a := range got {
		have = append(have, a)
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		s.t.Fatalf("deployed: %v, want %v", have, want)
	}
}

// finishFirst brings the job to where its second stage runs.
func (s *stage) finishFirst() map[string]*rpc.DeployRequest {
	s.t.Helper()
	first := s.deployed()
	s.expect(first, "0.0#0", "0.1#0")
	for i, a := range []string{"0.0#0", "0.1#0"} {
		s.report(first[a], rpc.TaskState_TASK_STATE_FINISHED, written(uint32(i)))
	}
	second := s.deployed()
	s.expect(second, "1.0#0", "1.1#0")
	return second
}

// Every task is told where its exchanges are, which partitions it reads, and how that
// was decided, with a ticket of its job and term.
func TestPlaces(t *testing.T) {
	onStage(t, func(s *stage) {
		second := s.finishFirst()
		in := second["1.1#0"].GetIn()[0]
		p, err := in.GetPlacement().Shuffle()
		if err != nil || len(p.At) != 2 || p.Servers[p.At[0]].ID != "s1" || p.Servers[p.At[1]].ID != "s2" || p.Version == 0 {
			t.Errorf("placement %+v, %v", p, err)
		}
		if in.GetPartitions() != 64 || len(in.GetEmpty()) != 62 || !slices.Equal(in.GetRanges(), []uint32{0, 40, 64}) {
			t.Errorf("%d partitions, %d empty, ranges %v", in.GetPartitions(), len(in.GetEmpty()), in.GetRanges())
		}
		ticket, err := security.Verify(testKey, p.Ticket, time.Now())
		if err == nil {
			err = ticket.Permit(security.Read|security.Write, id.Job(second["1.1#0"].GetJob().GetJob()), 0, 7)
		}
		if err != nil {
			t.Error(err)
		}
		status := &rpc.JobStatus{Vertices: []*rpc.VertexStatus{{Vertex: 0}, {Vertex: 1}}}
		s.m.Describe(status)
		if len(status.GetDecisions()) != 3 || len(status.GetVertices()[1].GetWorkers()) != 2 {
			t.Errorf("status: %v", status)
		}
	})
}

var errUnread = failure.Errorf(failure.LostPartition, "read partition: %w", shuffle.ErrDataLoss)

// A reader fails: of the servers that it read from one does not answer, known to be gone
// or not. Only the lanes that this one kept are written again, elsewhere.
func TestReaderMissesAServer(t *testing.T) {
	t.Run("known", func(t *testing.T) { readerMisses(t, true) })
	t.Run("unknown", func(t *testing.T) { readerMisses(t, false) })
}

func readerMisses(t *testing.T, known bool) {
	onStage(t, func(s *stage) {
		second := s.finishFirst()
		s.lanes = map[string][]*rpc.LaneManifest{"s1": {laneOf(0)}}
		s.net.ServeShuffle("s2", nil)
		if known {
			s.members.Lose("s2", errors.New("silent"))
		}
		s.report(second["1.0#0"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) { r.Failure = rpc.ToFailure(errUnread) })
		synctest.Wait()
		time.Sleep(time.Second)
		again := s.deployed()
		s.expect(again, "0.1#1")
		p, err := again["0.1#1"].GetOut()[0].GetPlacement().Shuffle()
		if err != nil || p.Servers[p.At[1]].ID != "s1" || p.Version != 2 {
			t.Errorf("placement %+v, %v", p, err)
		}
		s.report(again["0.1#1"], rpc.TaskState_TASK_STATE_FINISHED, written(1))
		s.expect(s.deployed(), "1.0#1", "1.1#1")
	})
}

// A reader fails, and a server does not have a lane whole any more: only that one is written
// again.
func TestReaderMissesALane(t *testing.T) {
	onStage(t, func(s *stage) {
		second := s.finishFirst()
		other := laneOf(1)
		other.Partitions[3].Digest++
		s.lanes = map[string][]*rpc.LaneManifest{"s1": {laneOf(0)}, "s2": {other}}
		s.report(second["1.0#0"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) { r.Failure = rpc.ToFailure(errUnread) })
		synctest.Wait()
		time.Sleep(time.Second)
		again := s.deployed()
		s.expect(again, "0.1#1")
		s.report(again["0.1#1"], rpc.TaskState_TASK_STATE_FINISHED, written(1))
		s.expect(s.deployed(), "1.0#1", "1.1#1")
		if len(s.dropped) > 0 {
			t.Errorf("dropped at %v", s.dropped)
		}
	})
}

// A reader fails although all servers have all lanes: it tries again, and then what it cannot
// read is dropped and written again as a whole.
func TestReaderIsNotBelievedAtOnce(t *testing.T) {
	onStage(t, func(s *stage) {
		second := s.finishFirst()
		s.lanes = map[string][]*rpc.LaneManifest{"s1": {laneOf(0)}, "s2": {laneOf(1)}}
		fail := func(r *rpc.DeployRequest) {
			s.report(r, rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) { r.Failure = rpc.ToFailure(errUnread) })
			synctest.Wait()
			time.Sleep(time.Second)
		}
		fail(second["1.0#0"])
		second = s.deployed()
		s.expect(second, "1.0#1", "1.1#1")
		fail(second["1.0#1"])
		s.expect(s.deployed(), "0.0#1", "0.1#1")
		slices.Sort(s.dropped)
		if !slices.Equal(s.dropped, []string{"s1", "s2"}) {
			t.Errorf("dropped at %v", s.dropped)
		}
	})
}

// An attempt finds that another one, of which nobody has heard, has written its lane:
// what is there is not known, so all lanes are written again.
func TestLaneOfAnUnknownAttempt(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FINISHED, written(0))
		s.report(first["0.1#0"], rpc.TaskState_TASK_STATE_FINISHED, func(r *rpc.TaskReport) {
			r.Manifests = []*rpc.LaneManifest{{Lane: 1, Discarded: true}}
		})
		synctest.Wait()
		time.Sleep(time.Second)
		s.expect(s.deployed(), "0.0#1", "0.1#1")
	})
}

// What waits, for what, of whom.
func TestWaits(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		waits := func() (out []string) {
			status := &rpc.JobStatus{}
			s.m.Describe(status)
			for _, w := range status.GetWaits() {
				out = append(out, w.GetPart()+": "+w.GetReason()+" of "+w.GetOwner())
			}
			return out
		}
		want := []string{
			"subtask 0.0#0: its operators and exchanges to open of worker w1",
			"subtask 0.1#0: its operators and exchanges to open of worker w2",
			"region 1: consumer: input of region 0, which has not finished of region 0: producer",
		}
		if got := waits(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) {
			r.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "boom"))
		})
		synctest.Wait()
		if got := waits(); len(got) == 0 || got[0] != "region 0: producer: the delay before its restart of restart strategy" {
			t.Errorf("%q", got)
		}
	})
}
