package jobmaster

// Each call to a worker fails, in each way in which nobody answers: the worker is set aside
// for all, what was to run there runs elsewhere, and the one restart that the job has for
// its own failures is left.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// once is a graph with a single restart for failures of its own.
func once(g *jobgraph.Graph) *jobgraph.Graph {
	g.Options = map[string]string{
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1", "restart-strategy.fixed-delay.delay": "200 ms",
	}
	return g
}

// ways are how a call fails that nobody answers.
var ways = map[string]error{
	"refused":  failure.Wrap(failure.Transient, fmt.Errorf("Worker.Call at w2: %w: connection refused", rpc.ErrUnreachable)),
	"reset":    failure.Wrap(failure.Transient, fmt.Errorf("Worker.Call at w2: %w: connection reset by peer", rpc.ErrUnreachable)),
	"deadline": fmt.Errorf("Worker.Call at w2: %w", context.DeadlineExceeded),
}

// direct is a transport that hands errors on as they are: a deadline is the caller's own.
var direct = rpc.LocalOptions{}

// failAt has one method of w2 fail from now on.
func (s *stage) failAt(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = func(w, m string) error {
		if w == "w2" && m == method {
			return err
		}
		return nil
	}
}

func (s *stage) decided(rule string) (out []string) {
	status := &rpc.JobStatus{}
	s.m.Describe(status)
	for _, d := range status.GetDecisions() {
		if d.GetRule() == rule {
			out = append(out, d.GetSubject())
		}
	}
	return out
}

// spare fails if the job's own restart is used up, or w2 was not set aside.
func (s *stage) spare(way string) {
	s.t.Helper()
	if got := s.decided("set aside"); !slices.Equal(got, []string{"worker w2"}) {
		s.t.Errorf("%s: set aside: %v", way, got)
	}
	if total, _ := s.members.Slots(); total != 1 {
		s.t.Errorf("%s: %d slots are usable", way, total)
	}
	if st := s.m.Status(); st.State != execgraph.JobRunning {
		s.t.Errorf("%s: %v: %v", way, st.State, st.Cause)
	}
}

func TestDeployThatNobodyTakes(t *testing.T) {
	for way, err := range ways {
		onStageWith(t, once(twoStages()), direct, func(s *stage) {
			s.failAt("Deploy", err)
			s.m.post(func() { s.m.handle(execgraph.Start{}) })
		}, func(s *stage) {
			s.expect(s.deployed(), "0.0#0")
			status := &rpc.JobStatus{}
			s.m.Describe(status)
			if w := status.GetWaits(); len(w) == 0 || w[0].GetOwner() != "worker w2" || !strings.Contains(w[0].GetReason(), "the delay before it is deployed anew: task 0.1#0") {
				t.Errorf("%s: %v", way, w)
			}
			time.Sleep(100 * time.Millisecond)
			again := s.deployed()
			s.expect(again, "0.0#1", "0.1#1")
			s.spare(way)
			// Its own restart is still there.
			s.report(again["0.0#1"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) {
				r.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "boom"))
			})
			time.Sleep(200 * time.Millisecond)
			again = s.deployed()
			s.expect(again, "0.0#2", "0.1#2")
			// The worker is heard of: the next stage uses it.
			s.failAt("", nil)
			s.members.Heartbeat("w2", 0, false)
			for i, a := range []string{"0.0#2", "0.1#2"} {
				s.report(again[a], rpc.TaskState_TASK_STATE_FINISHED, written(uint32(i)))
			}
			s.expect(s.deployed(), "1.0#0", "1.1#0")
			if got := s.workersOf(1); !slices.Equal(got, []string{"w1", "w2"}) {
				t.Errorf("%s: %v", way, got)
			}
		})
	}
}

func (s *stage) workersOf(vertex int) []string {
	status := &rpc.JobStatus{Vertices: []*rpc.VertexStatus{{Vertex: 0}, {Vertex: 1}}}
	s.m.Describe(status)
	return slices.Sorted(slices.Values(status.GetVertices()[vertex].GetWorkers()))
}

func TestOrdersThatNobodyHears(t *testing.T) {
	for way, err := range ways {
		for _, method := range []string{"Cancel", "Drop"} {
			onStageWith(t, once(twoStages()), direct, func(s *stage) {
				s.m.post(func() { s.m.handle(execgraph.Start{}) })
			}, func(s *stage) {
				first := s.deployed()
				s.expect(first, "0.0#0", "0.1#0")
				s.failAt(method, err)
				s.report(first["0.0#0"], rpc.TaskState_TASK_STATE_FAILED, func(r *rpc.TaskReport) {
					r.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "boom"))
				})
				time.Sleep(time.Second) // the failure's own delay, and that of what nobody was told to forget
				if len(s.deployed()) == 0 {
					t.Errorf("%s, %s: nothing runs", way, method)
				}
				if got := s.workersOf(0); !slices.Equal(got, []string{"w1", "w1"}) {
					t.Errorf("%s, %s: they run on %v", way, method, got)
				}
				s.spare(way + ", " + method)
			})
		}
	}
}

// sinks is a job whose sink needs a coordinator task.
func sinks() *jobgraph.Graph {
	g := twoStages()
	g.GetVertices()[1].Chain = append(g.GetVertices()[1].Chain, &jobgraph.Operator{Uid: "sink", Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{}}})
	return g
}

// The coordinator task, which a job of this number gives to the second of two workers, is
// started elsewhere, when its worker does not answer, and when one
// that was stopped is lost.
func TestCoordinatorThatNobodyStarts(t *testing.T) {
	all := map[string]error{"stopped": errStopped}
	for way, err := range ways {
		all[way] = err
	}
	for way, err := range all {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, direct)
			s.failAt("StartCoordinator", err)
			s.run(Options{Graph: once(sinks())}, func(*stage) {}, func(s *stage) {
				synctest.Wait()
				if way == "stopped" {
					s.expect(s.deployed())
					s.members.Lose("w2", fmt.Errorf("no heartbeat"))
					s.m.WorkerLost("w2", fmt.Errorf("no heartbeat"))
				}
				time.Sleep(time.Second)
				s.expect(s.deployed(), "0.0#0")
				if way != "stopped" {
					s.spare(way)
				}
			})
		})
	}
}

// A worker that refuses says something of the job: it is not set aside.
func TestRefusalIsNoSilence(t *testing.T) {
	onStageWith(t, once(twoStages()), direct, func(s *stage) {
		s.failAt("Deploy", failure.Errorf(failure.Transient, "no room"))
		s.m.post(func() { s.m.handle(execgraph.Start{}) })
	}, func(s *stage) {
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := s.m.Status(); st.Restarts != 1 || st.Cause == nil || len(s.decided("set aside")) > 0 {
			t.Errorf("%d restarts, %v", st.Restarts, st.Cause)
		}
	})
}
