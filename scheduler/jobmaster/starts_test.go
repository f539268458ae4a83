package jobmaster

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// A job begins again, and once more while the start of its coordinator task is tried again:
// the earlier start does not go on. Enumerators that began a second time would hand out
// again what sources have been given meanwhile.
func TestStartIsSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t)
		var fails atomic.Bool
		var started atomic.Int32
		s.when(func(_ context.Context, call string) error {
			switch {
			case !strings.HasSuffix(call, " StartCoordinator"):
			case fails.Load():
				return failure.Errorf(failure.Transient, "it does not answer")
			default:
				started.Add(1)
			}
			return nil
		})
		g := relayed()
		delete(g.Options, "exchange.streaming-retention")
		g.Options["restart-strategy.fixed-delay.delay"] = "1 ms"
		s.run(Options{Graph: g, Checkpoints: s.store}, func(*stage) {}, func(*stage) {
			first := s.deployed()
			s.expect(first, "0.0#0", "1.0#0")
			for _, r := range first {
				s.report(r, rpc.TaskState_TASK_STATE_RUNNING, nil)
			}
			broken := func(r *rpc.DeployRequest) {
				s.report(r, rpc.TaskState_TASK_STATE_FAILED, func(t *rpc.TaskReport) {
					t.Failure = rpc.ToFailure(failure.Errorf(failure.Transient, "it fails"))
				})
				time.Sleep(20 * time.Millisecond)
				synctest.Wait()
			}
			fails.Store(true)
			started.Store(0)
			broken(first["1.0#0"])
			again := s.deployed()
			s.expect(again, "1.0#1") // the source waits
			broken(again["1.0#1"])
			fails.Store(false)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := started.Load(); n != 1 {
				t.Errorf("the coordinator task was started %d times", n)
			}
		})
	})
}
