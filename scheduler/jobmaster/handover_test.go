package jobmaster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/resource"
	"github.com/tidemill/tidemill/shuffle"
)

// drain has s1 drain, and waits until all is quiet.
func (s *stage) drain() {
	s.members.Drain("s1")
	s.m.Evacuate()
	synctest.Wait()
}

// kept is what the job has at s1, and why.
func (s *stage) kept() (int, string) {
	synctest.Wait()
	return s.m.Kept("s1")
}

func (s *stage) expectHanded(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.handed, want) {
		s.t.Errorf("handed over: %q, want %q", s.handed, want)
	}
	s.handed = nil
}

func (s *stage) expectDropped(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.dropped, want) {
		s.t.Errorf("dropped at %q, want %q", s.dropped, want)
	}
	s.dropped = nil
}

// placedAt are the servers that a request tells of.
func (s *stage) placedAt(r *rpc.DeployRequest, e *rpc.Edge) (out []string) {
	s.t.Helper()
	p, err := e.GetPlacement().Shuffle()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, at := range p.At {
		out = append(out, p.Servers[at].ID)
	}
	return out
}

// A server drains while a stage writes: lanes that are placed there are written there, and
// go when they are committed; readers are told of the new place, and no attempt is made
// twice. Then nothing is left.
func TestDrainWhileLanesAreWritten(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		s.expect(first, "0.0#0", "0.1#0")
		s.drain()
		if n, why := s.kept(); n != 1 || !strings.Contains(why, "lane 0 of exchange 0") || !strings.Contains(why, "is being written") {
			t.Errorf("kept: %d, %q", n, why)
		}
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FINISHED, written(0))
		s.expectHanded("lane 0 from s1 to s2")
		s.expectDropped("s1")
		if n, why := s.kept(); n != 0 {
			t.Errorf("kept: %d, %q", n, why)
		}
		s.report(first["0.1#0"], rpc.TaskState_TASK_STATE_FINISHED, written(1))
		second := s.deployed()
		s.expect(second, "1.0#0", "1.1#0")
		if at := s.placedAt(second["1.0#0"], second["1.0#0"].GetIn()[0]); !slices.Equal(at, []string{"s2", "s2"}) {
			t.Errorf("readers are told of %v", at)
		}
	})
}

// Who reads already finishes at the old server, which keeps the lanes so long.
func TestDrainWhileLanesAreRead(t *testing.T) {
	onStage(t, func(s *stage) {
		second := s.finishFirst()
		s.drain()
		s.expectHanded("lane 0 from s1 to s2")
		s.expectDropped()
		if n, why := s.kept(); n != 1 || !strings.HasPrefix(why, "2 attempts of job ") {
			t.Errorf("kept: %d, %q", n, why)
		}
		s.report(second["1.0#0"], rpc.TaskState_TASK_STATE_FINISHED, nil)
		s.expectDropped()
		// One reader fails of something else: its next attempt reads at the new place.
		s.report(second["1.1#0"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) {
			r.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "boom"))
		})
		s.expectDropped("s1")
		time.Sleep(time.Second)
		again := s.deployed()
		s.expect(again, "1.1#1")
		if at := s.placedAt(again["1.1#1"], again["1.1#1"].GetIn()[0]); !slices.Equal(at, []string{"s2", "s2"}) {
			t.Errorf("it is told of %v", at)
		}
	})
}

// Without another server everything stays, and it is said why; as soon as there is one, it
// goes there.
func TestDrainToNobody(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		for _, server := range []id.Worker{"s1", "s2"} {
			s.members.Drain(server)
		}
		for i, a := range []string{"0.0#0", "0.1#0"} {
			s.report(first[a], rpc.TaskState_TASK_STATE_FINISHED, written(uint32(i)))
		}
		second := s.deployed()
		s.expect(second, "1.0#0", "1.1#0")
		s.expectHanded()
		if n, why := s.kept(); n != 1 || why != "there is no other shuffle server to hand over to" {
			t.Errorf("kept: %d, %q", n, why)
		}
		s.net.ServeShuffle("s3", keeperActor{actor{stage: s, name: "s3"}})
		if err := s.members.Register(resource.Member{ID: "s3", Server: shuffle.Server{ID: "s3", Address: "s3"}}); err != nil {
			t.Fatal(err)
		}
		s.m.Evacuate()
		s.expectHanded("lane 0 from s1 to s3", "lane 1 from s2 to s3")
	})
}

// A hand-over fails: what may have arrived is dropped, the lane stays, and it is tried again.
func TestHandOverIsTriedAgain(t *testing.T) {
	onStage(t, func(s *stage) {
		failures := 3
		s.handing = func(context.Context, string, *rpc.HandOverRequest) error {
			if failures--; failures >= 0 {
				return failure.Errorf(failure.Transient, "disk full")
			}
			return nil
		}
		s.finishFirst()
		s.drain()
		if n, why := s.kept(); n != 1 || !strings.Contains(why, "tried again: ") || !strings.Contains(why, "disk full") {
			t.Errorf("kept: %d, %q", n, why)
		}
		time.Sleep(10 * time.Second)
		s.expectHanded("lane 0 from s1 to s2")
		s.expectDropped("s2 lanes [0]", "s2 lanes [0]", "s2 lanes [0]")
		s.expect(s.deployed())
	})
}

// The other server holds something else than was written: that is as a failure.
func TestHandOverOfOtherRows(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FINISHED, func(r *rpc.TaskReport) {
			written(0)(r)
			r.Manifests[0].Partitions[3].Digest = 5
		})
		s.drain()
		if n, why := s.kept(); n != 1 || !strings.Contains(why, "was written as") {
			t.Errorf("kept: %d, %q", n, why)
		}
		s.expectDropped("s2 lanes [0]")
	})
}

// The target dies in the midst of it: nothing was moved, and nothing is written again.
func TestTargetDiesInHandOver(t *testing.T) {
	onStage(t, func(s *stage) {
		s.handing = func(ctx context.Context, _ string, r *rpc.HandOverRequest) error {
			if r.GetTo().GetServers()[0].GetId() == "s2" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		first := s.deployed()
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FINISHED, written(0))
		s.drain()
		s.expectHanded()
		s.net.ServeShuffle("s3", keeperActor{actor{stage: s, name: "s3"}})
		if err := s.members.Register(resource.Member{ID: "s3", Server: shuffle.Server{ID: "s3", Address: "s3"}}); err != nil {
			t.Fatal(err)
		}
		s.net.ServeShuffle("s2", nil)
		s.members.Lose("s2", errors.New("silent"))
		s.m.ServerLost("s2", errors.New("silent"))
		s.expectHanded("lane 0 from s1 to s3")
		time.Sleep(time.Second)
		s.expect(s.deployed(), "0.1#1") // which was writing to it
		s.expectDropped("s1")
	})
}

// The source dies in the midst of it: its lanes are written again and no others, where
// nothing of the first attempt is left.
func TestSourceDiesInHandOver(t *testing.T) {
	onStage(t, func(s *stage) {
		s.handing = func(ctx context.Context, _ string, _ *rpc.HandOverRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		s.finishFirst()
		s.drain()
		s.net.ServeShuffle("s1", nil)
		s.members.Lose("s1", errors.New("silent"))
		s.m.ServerLost("s1", errors.New("silent"))
		synctest.Wait()
		s.mu.Lock()
		dropped := s.dropped
		s.mu.Unlock()
		if len(dropped) == 0 || dropped[0] != "s2 lanes [0]" {
			t.Errorf("dropped at %q", dropped)
		}
		time.Sleep(time.Second)
		again := s.deployed()
		s.expect(again, "0.0#1")
		if at := s.placedAt(again["0.0#1"], again["0.0#1"].GetOut()[0]); !slices.Equal(at, []string{"s2", "s2"}) {
			t.Errorf("written to %v", at)
		}
	})
}

// The source finds a lane damaged: its producer runs again, and nothing else.
func TestHandOverOfADamagedLane(t *testing.T) {
	onStage(t, func(s *stage) {
		s.lanes = map[string][]*rpc.LaneManifest{"s2": {laneOf(1)}}
		s.handing = func(context.Context, string, *rpc.HandOverRequest) error { return errUnread }
		first := s.deployed()
		s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FINISHED, written(0))
		s.report(first["0.1#0"], rpc.TaskState_TASK_STATE_FINISHED, written(1))
		s.expect(s.deployed(), "1.0#0", "1.1#0")
		s.drain()
		time.Sleep(time.Second)
		s.expect(s.deployed(), "0.0#1")
	})
}

// The job ends in the midst of it: nobody waits for a lane that nobody needs.
func TestJobEndsInHandOver(t *testing.T) {
	onStage(t, func(s *stage) {
		s.handing = func(ctx context.Context, _ string, _ *rpc.HandOverRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		second := s.finishFirst()
		s.drain()
		for _, r := range second {
			s.report(r, rpc.TaskState_TASK_STATE_FINISHED, nil)
		}
		synctest.Wait()
		if s := s.m.Status(); !s.State.Terminal() {
			t.Errorf("the job is %v", s.State)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if all := strings.Join(s.dropped, ","); !strings.Contains(all, "s1") || !strings.HasSuffix(all, "s2") && !strings.HasSuffix(all, "s1") {
			t.Errorf("dropped at %s", all)
		}
	})
}

// What nobody can need any more is dropped while the job goes on: its readers have finished,
// and nobody reads what they have written.
func TestExchangeIsReleasedEarly(t *testing.T) {
	g := twoStages()
	g.Vertices = append(g.Vertices, &jobgraph.Vertex{Id: 2, Name: "other", Parallelism: 1, Chain: g.GetVertices()[0].GetChain()})
	onStageOf(t, g, func(s *stage) {
		others := 0
		for range 6 {
			for _, r := range s.deployed() {
				switch a := r.GetAttempt(); a.GetVertex() {
				case 0:
					s.report(r, rpc.TaskState_TASK_STATE_FINISHED, written(a.GetSubtask()))
				case 1:
					s.expectDropped()
					s.report(r, rpc.TaskState_TASK_STATE_FINISHED, nil)
				default:
					others++
				}
			}
		}
		if others == 0 || s.m.Status().State.Terminal() {
			t.Fatalf("%d subtasks run of the vertex that goes on, the job is %v", others, s.m.Status().State)
		}
		s.mu.Lock()
		slices.Sort(s.dropped)
		s.mu.Unlock()
		s.expectDropped("s1", "s2")
		if n, why := s.kept(); n != 0 {
			t.Errorf("kept: %d, %q", n, why)
		}
	})
}
