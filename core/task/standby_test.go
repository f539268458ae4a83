package task_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
)

// twoCheckpoints takes checkpoints 1 and 2 of a job of two subtasks, the second after more
// rows, and cancels it.
func (c *cluster) twoCheckpoints(total int64) {
	c.t.Helper()
	c.numbers.keys, c.numbers.gate = 3000, &gate{at: 6000}
	c.splits[0] = []connector.Split{span(0, total/2), span(total/2, total)}
	tasks, wait := c.start(2, true, nil)
	for n := range id.Checkpoint(2) {
		time.Sleep(time.Second) // of the bubble: until the readers stand at the gate
		for _, one := range tasks {
			one.Trigger(stream.Barrier{Checkpoint: n + 1, Kind: stream.CheckpointKind})
		}
		for range tasks {
			<-c.acked
		}
		for _, one := range tasks {
			one.Completed(n + 1)
		}
		c.numbers.gate.moveTo(7000)
	}
	for _, one := range tasks {
		one.Cancel()
	}
	for _, err := range wait() {
		if err != nil && failure.Of(err) != failure.Cancelled {
			c.t.Fatal(err)
		}
	}
}

// goOn starts the job from a checkpoint, to its end.
func (c *cluster) goOn(parallelism int, restore map[id.Vertex][]*checkpoint.Restore, total int64) {
	c.t.Helper()
	for ex := range id.Exchange(2) {
		if err := c.service.Drop(c.t.Context(), c.job, ex); err != nil {
			c.t.Fatal(err)
		}
	}
	c.forget()
	c.splits[0], c.numbers.gate = nil, nil
	_, wait := c.start(parallelism, true, restore)
	rows, err := c.result(c.t.Context())
	if err := errors.Join(append(wait(), err)...); err != nil {
		c.t.Fatal(err)
	}
	c.wantSums(rows, total)
}

// sums is what the sums of a job restore ahead.
func (c *cluster) sums(parallelism int, restore map[id.Vertex][]*checkpoint.Restore) (all []task.Descriptor) {
	vertices, _ := sumGraph(jobgraph.Retention_RETENTION_NONE)
	for i := range parallelism {
		all = append(all, task.Descriptor{
			Job: c.job, Attempt: id.Attempt{Subtask: id.Subtask{Vertex: 1, Index: uint32(i)}}, Vertex: vertices[1],
			Parallelism: parallelism, KeyGroups: 64, Streaming: true, Restore: restore[1][i],
		})
	}
	return all
}

// reading counts the pieces that are restored, and fails with err, or panics with it.
type reading struct {
	*storage.Store
	pieces atomic.Int64
	err    error
	panics any
}

func (r *reading) Restore(ctx context.Context, chain checkpoint.Chain, groups int, into state.Backend) error {
	r.pieces.Add(int64(len(chain.Handles)))
	if err := r.Store.Restore(ctx, chain, groups, into); err != nil {
		return err
	}
	if r.panics != nil {
		panic(r.panics)
	}
	return r.err
}

// What was restored ahead of one checkpoint is taken, and what came until another one is added,
// at any parallelism; what is not of the past of what is restored is not.
func TestStandby(t *testing.T) {
	const total = 20_000
	for _, c := range []struct {
		name        string
		ahead, from id.Checkpoint
		parallelism int
		taken       bool
	}{
		{"a checkpoint since", 1, 2, 2, true},
		{"fewer subtasks", 1, 2, 1, true},
		{"more subtasks", 1, 2, 3, true},
		{"nothing since", 2, 2, 3, true},
		{"not of its past", 2, 1, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCluster(t)
				x.twoCheckpoints(total)
				ahead, from := x.restores(c.ahead, 2, c.parallelism), x.restores(c.from, 2, c.parallelism)
				account := x.ledger.Child("ahead", 0)
				x.standby, x.reading = task.NewStandby(account), &reading{Store: x.snapshots}
				all := int64(0)
				for i, d := range x.sums(c.parallelism, ahead) {
					all += int64(len(from[1][i].Operators[0].Handles))
					if err := x.standby.Restore(t.Context(), d, x.snapshots); err != nil {
						t.Fatal(err)
					}
				}
				if account.Used() == 0 {
					t.Error("nothing is restored ahead")
				}
				x.goOn(c.parallelism, from, total)
				if read := x.reading.pieces.Load(); (read < all) != c.taken || c.ahead == c.from && read > 0 {
					t.Errorf("%d of %d pieces were restored after", read, all)
				}
				if n := account.Used(); n != 0 {
					t.Errorf("%d bytes are charged to what was taken", n)
				}
				if err := x.standby.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What cannot be restored ahead, and what nobody takes, leaves nothing.
func TestStandbyLeavesNothing(t *testing.T) {
	cut := errors.New("wire cut")
	for name, c := range map[string]struct {
		limit  int64
		fails  error
		panics any
		closed bool
		want   string
	}{
		"not taken": {},
		"fails":     {fails: cut, want: "wire cut"},
		"panics":    {panics: cut, want: "restore ahead"},
		"closed":    {closed: true, want: "not wanted any more"},
		"no memory": {limit: 100, want: "memory exhausted: ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCluster(t)
				x.twoCheckpoints(20_000)
				account := x.ledger.Child("ahead", c.limit)
				s := task.NewStandby(account)
				if c.closed {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				from := &reading{Store: x.snapshots, err: c.fails, panics: c.panics}
				err := s.Restore(t.Context(), x.sums(1, x.restores(1, 2, 1))[0], from)
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("have %v", err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if n := account.Used(); n != 0 {
					t.Errorf("%d bytes are still charged", n)
				}
			})
		})
	}
}
