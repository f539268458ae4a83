package jobmaster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// notified is a worker that keeps the filters it is brought.
type notified struct {
	workerActor
	got *[]string
	err error
}

func (n notified) Notify(_ context.Context, r *rpc.NotifyRequest) (*rpc.NotifyReply, error) {
	if n.err != nil {
		return nil, n.err
	}
	n.stage.mu.Lock()
	defer n.stage.mu.Unlock()
	*n.got = append(*n.got, n.name+" "+string(r.GetFilter().GetKeys()))
	return &rpc.NotifyReply{}, nil
}

// A part of a runtime filter goes to the other workers, once. Nobody knows where an
// attempt ran that was never deployed, and the job does not mind a worker that cannot
// be reached.
func TestFiltersArePassedOn(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.deployed()
		s.expect(first, "0.0#0", "0.1#0")
		var got []string
		for _, w := range []string{"w1", "w2"} {
			s.net.ServeWorker(id.Worker(w), notified{workerActor: workerActor{actor{stage: s, name: w}}, got: &got}, nil)
		}
		maker := s.m.placed[first["0.1#0"].GetAttempt().ID()].Worker
		part := func(r *rpc.TaskReport) { r.Filter = &rpc.FilterPart{Keys: []byte("keys")} }
		s.report(first["0.1#0"], rpc.TaskState_TASK_STATE_INVALID, part)
		unknown := &rpc.DeployRequest{Job: s.m.ref(), Attempt: &rpc.Attempt{Number: 9}}
		s.report(unknown, rpc.TaskState_TASK_STATE_INVALID, part)
		synctest.Wait()
		other := map[id.Worker]string{"w1": "w2", "w2": "w1"}[maker]
		if len(got) != 1 || got[0] != other+" keys" {
			t.Fatalf("made at %s, brought to %v", maker, got)
		}
		s.net.ServeWorker(id.Worker(other), notified{workerActor: workerActor{actor{stage: s, name: other}}, err: errors.New("away")}, nil)
		s.report(first["0.1#0"], rpc.TaskState_TASK_STATE_INVALID, part)
		s.finishOf(first)
	})
}

// finishOf ends the first stage, and wants the second one to begin.
func (s *stage) finishOf(first map[string]*rpc.DeployRequest) {
	s.t.Helper()
	for i, a := range []string{"0.0#0", "0.1#0"} {
		s.report(first[a], rpc.TaskState_TASK_STATE_FINISHED, written(uint32(i)))
	}
	s.expect(s.deployed(), "1.0#0", "1.1#0")
}
