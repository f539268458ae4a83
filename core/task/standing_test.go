package task_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
)

// end cancels the tasks and waits for them.
func (f *flow) end() {
	f.t.Helper()
	for _, one := range f.run {
		one.Cancel()
	}
	for _, err := range f.wait() {
		if err != nil && failure.Of(err) != failure.Cancelled {
			f.t.Error(err)
		}
	}
}

// A task whose consumer takes a minute for each batch says that it waits for that, and for
// how long: the time is counted while it lasts. The consumer itself waits for nobody.
func TestStandingOfABlockedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return time.Minute })
		f.give(20_000, 1)
		f.start(1, nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		group, sink := f.run[2].Standing(), f.run[3].Standing()
		if len(group.Waits) != 1 || group.Waits[0].Kind != task.WaitForCredit || group.Waits[0].Edge != 0 || group.Waits[0].For < 9*time.Second {
			t.Errorf("group: %+v", group)
		}
		if group.Blocked < 9*time.Second || group.Idle > time.Second {
			t.Errorf("group: blocked %v, idle %v", group.Blocked, group.Idle)
		}
		if len(sink.Waits) != 0 || sink.Blocked != 0 {
			t.Errorf("sink: %+v", sink)
		}
		if group.Output != stream.MinWatermark || group.Input != stream.MinWatermark {
			t.Errorf("group: watermarks %v and %v", group.Input, group.Output)
		}
		f.end()
	})
}

// While a barrier has come on one input of two, the task says which one it misses; when it
// has come, no more. State of keys takes memory, idle tasks are idle, and at the end of
// their input all are at the end of event time.
func TestStandingOfAnAligningTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(t, jobgraph.Distribution_DISTRIBUTION_HASH, func() time.Duration { return 0 })
		f.gate = &gate{at: 5_000}
		f.give(20_000, 1)
		f.start(1, nil)
		time.Sleep(10 * time.Second)
		f.run[1].Trigger(barrier(1))
		synctest.Wait()
		time.Sleep(3 * time.Second)
		want := []task.Wait{{Kind: task.WaitForBarrier, Edge: 0, Checkpoint: 1, For: 3 * time.Second}}
		if s := f.run[2].Standing(); !slices.Equal(s.Waits, want) || s.StateBytes == 0 {
			t.Errorf("%+v, want %+v", s, want)
		}
		f.run[0].Trigger(barrier(1))
		synctest.Wait()
		if s := f.run[2].Standing(); len(s.Waits) != 0 || s.Idle < 12*time.Second {
			t.Errorf("%+v", s)
		}
		f.gate.release()
		if err := errors.Join(f.wait()...); err != nil {
			t.Fatal(err)
		}
		if s := f.run[3].Standing(); s.Input != stream.MaxWatermark || s.Output != stream.MaxWatermark {
			t.Errorf("at the end: %+v", s)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if ack := f.acks[1][f.spec[2].Attempt.Subtask]; ack.WroteBytes == 0 {
			t.Errorf("a checkpoint of keyed state: %+v", ack)
		}
	})
}
