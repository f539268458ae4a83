package task_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
)

// joinGraph joins the numbers of vertex 0 with those of vertex 1, which every subtask
// is given, by v in vertex 2.
func joinGraph() ([]*jobgraph.Vertex, []*jobgraph.Exchange) {
	source := func(uid string) []*jobgraph.Operator {
		return []*jobgraph.Operator{{Uid: uid, Name: uid, Output: columns("k", "v"), Spec: &jobgraph.Operator_Source{
			Source: &jobgraph.Source{Connector: "numbers", Table: "numbers", Columns: columns("k", "v"), Bounded: true},
		}}}
	}
	joined := &jobgraph.Operator{Uid: "join", Name: "join", Output: columns("k", "v", "k2", "v2"), Spec: &jobgraph.Operator_Join{
		Join: &jobgraph.Join{Type: jobgraph.JoinType_JOIN_INNER, LeftKeys: []uint32{1}, RightKeys: []uint32{1}},
	}}
	none := jobgraph.Retention_RETENTION_NONE
	vertices := []*jobgraph.Vertex{
		{Id: 0, Uid: "probe", Name: "probe", Chain: source("probe"), Outputs: []uint32{0}},
		{Id: 1, Uid: "build", Name: "build", Chain: source("build"), Outputs: []uint32{1}},
		{Id: 2, Uid: "join", Name: "join", Chain: []*jobgraph.Operator{joined}, Inputs: []uint32{0, 1}, Outputs: []uint32{2}},
	}
	return vertices, []*jobgraph.Exchange{
		{Id: 0, Producer: 0, Consumer: 2, Distribution: jobgraph.Distribution_DISTRIBUTION_FORWARD, Retention: none, Schema: columns("k", "v")},
		{Id: 1, Producer: 1, Consumer: 2, Distribution: jobgraph.Distribution_DISTRIBUTION_BROADCAST, Retention: none, Schema: columns("k", "v")},
		{Id: 2, Producer: 2, Result: true, Distribution: jobgraph.Distribution_DISTRIBUTION_SINGLETON, Retention: none, Schema: columns("k", "v", "k2", "v2")},
	}
}

// startJoin runs joinGraph at a parallelism.
func (c *cluster) startJoin(parallelism int, builds *join.Builds) (tasks []*task.Task, wait func() []error) {
	c.t.Helper()
	vertices, exchanges := joinGraph()
	env := c.env()
	env.Builds = builds
	edges := func(ids []uint32, peers int) (out []task.Edge) {
		for _, ex := range ids {
			out = append(out, task.Edge{Exchange: exchanges[ex], Peers: peers})
		}
		return out
	}
	var all sync.WaitGroup
	errs := make([]error, len(vertices)*parallelism)
	for _, v := range vertices {
		peers := parallelism
		if v.Id == 2 {
			peers = 1
		}
		for i := range parallelism {
			one, err := task.New(task.Descriptor{
				Job: c.job, Attempt: id.Attempt{Subtask: id.Subtask{Vertex: id.Vertex(v.Id), Index: uint32(i)}}, Vertex: v,
				In: edges(v.Inputs, parallelism), Out: edges(v.Outputs, peers),
				Parallelism: parallelism, KeyGroups: 64, Options: task.Options{BatchRows: 256},
			}, env)
			if err != nil {
				c.t.Fatal(err)
			}
			at := len(tasks)
			tasks = append(tasks, one)
			all.Go(func() { errs[at] = one.Run(context.Background()) })
		}
	}
	return tasks, func() []error { all.Wait(); return errs }
}

// Subtasks of a join whose build side is broadcast have it in memory once.
func TestBroadcastBuildIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.splits[0] = []connector.Split{span(0, 5_000), span(5_000, 20_000)}
		c.splits[1] = []connector.Split{span(4_000, 4_500), span(4_500, 9_000)}
		begin := make(chan struct{})
		c.numbers.fail = func(int64) error { <-begin; return nil }
		_, wait := c.startJoin(4, join.NewBuilds())
		synctest.Wait() // until all are open: who comes after the last has gone builds anew
		close(begin)
		n := 0
		err := c.read(t.Context(), 2, func(b *stream.Batch) { n += b.Len() })
		if err := errors.Join(append(wait(), err)...); err != nil {
			t.Fatal(err)
		}
		if n != 5_000 {
			t.Errorf("%d pairs", n)
		}
		large := 0
		for a, done := range c.done {
			if a.Subtask.Vertex == 2 && done.Operators[0].PeakBytes > 16*5_000 {
				large++
			}
		}
		if large != 1 {
			t.Errorf("%d subtasks have had the build side charged", large)
		}
	})
}

// A source that fails ends the others, whatever they wait for, and nothing stays.
func TestBroadcastBuildIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.splits[0] = []connector.Split{span(0, 20_000)}
		c.splits[1] = []connector.Split{span(0, 4_500), span(4_500, 9_000)}
		broken := errors.New("broken")
		c.numbers.fail = func(next int64) error {
			if next > 8_000 {
				return broken
			}
			return nil
		}
		tasks, wait := c.startJoin(3, join.NewBuilds())
		failed := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, cause := range c.causes {
				if cause != nil {
					return true
				}
			}
			return false
		}
		for !failed() {
			time.Sleep(time.Millisecond) // the bubble's clock
		}
		for _, one := range tasks {
			one.Cancel()
		}
		if err := errors.Join(wait()...); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}
