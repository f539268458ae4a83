package jobmaster

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
)

// relayed is a source whose rows go by an exchange to a sink, which begins again alone.
func relayed() *jobgraph.Graph {
	g := bottomless()
	source := g.Vertices[0]
	source.Outputs = []uint32{0}
	g.Vertices = append(g.Vertices, &jobgraph.Vertex{Id: 1, Uid: "w", Name: "write", Chain: source.Chain[1:], Inputs: []uint32{0}})
	source.Chain = source.Chain[:1]
	g.Exchanges = []*jobgraph.Exchange{{
		Producer: 0, Consumer: 1, Retention: jobgraph.Retention_RETENTION_NONE, Distribution: jobgraph.Distribution_DISTRIBUTION_HASH,
	}}
	g.Options["exchange.streaming-retention"] = "checkpoint"
	g.Options["restart-strategy.fixed-delay.attempts"] = "9"
	return g
}

// A task that fails begins again alone: what it read is brought back, once what a checkpoint
// made ready is published. When all tasks begin again meanwhile, nothing is brought back: that
// would be for attempts that there are no more.
func TestRewindIsSuperseded(t *testing.T) {
	for _, superseded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStream(t)
			rewinds, publish := 0, make(chan struct{})
			s.fault = func(_, method string) error {
				if method == "Rewind" {
					rewinds++
				}
				return nil
			}
			s.when(func(ctx context.Context, call string) error {
				if strings.HasSuffix(call, " Commit") {
					select {
					case <-publish:
					case <-ctx.Done():
					}
				}
				return nil
			})
			s.run(Options{Graph: relayed(), Checkpoints: s.store}, func(*stage) {}, func(*stage) {
				all := s.deployed()
				s.expect(all, "0.0#0", "1.0#0")
				for _, r := range all {
					s.report(r, rpc.TaskState_TASK_STATE_RUNNING, nil)
				}
				s.checkpoint(all["0.0#0"])
				s.m.Acknowledge(&rpc.AckRequest{
					Job: all["1.0#0"].GetJob(), Attempt: all["1.0#0"].GetAttempt(), Barrier: &rpc.Barrier{Checkpoint: 1},
					State: &checkpoint.SubtaskState{}, Committables: committables("a"),
				})
				synctest.Wait()
				s.fail(all["1.0#0"])
				if superseded {
					s.fail(all["0.0#0"])
				}
				close(publish)
				again := s.deployed()
				if superseded {
					s.expect(again, "0.0#1", "1.0#2")
				} else {
					s.expect(again, "1.0#1")
				}
			})
			if want := map[bool]int{false: 1, true: 0}[superseded]; rewinds != want {
				t.Errorf("superseded %v: %d times something was brought back, not %d", superseded, rewinds, want)
			}
		})
	}
}

// fail ends an attempt with an error, and waits until what follows has begun.
func (s *streamStage) fail(r *rpc.DeployRequest) {
	s.report(r, rpc.TaskState_TASK_STATE_FAILED, func(t *rpc.TaskReport) {
		t.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "it fails"))
	})
	time.Sleep(time.Second)
	synctest.Wait()
}
