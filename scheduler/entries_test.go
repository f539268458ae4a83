package scheduler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler"
)

// A job that begins at once costs two entries of the store: that it was accepted and begins,
// and how it ended. One that has to wait for its turn costs one more.
func TestEntriesOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{Running: 1}, "m1")
		c.join("w1", 2)
		c.wait(c.submit(query("first"))) // which waits for the worker
		entries := 0
		c.store.setFault(func(raftmeta.Txn) error { entries++; return nil })
		c.wait(c.submit(query("alone")))
		if entries != 2 {
			t.Errorf("%d entries", entries)
		}
		synctest.Wait() // until its turn is over
		entries = 0
		c.set(func(*rpc.DeployRequest) error { time.Sleep(time.Second); return nil }, nil)
		a, b := c.submit(query("one")), c.submit(query("two"))
		c.wait(a)
		c.wait(b)
		if entries != 5 {
			t.Errorf("%d entries of two jobs", entries)
		}
	})
}

// A leader dies when it has stored a job that begins at once, and before it does: nobody has
// read its result, but the next leader cannot know. A job without one runs.
func TestAJobThatWasAboutToBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 2)
		c.wait(c.submit(query("first")))
		c.store.setAfter(func(raftmeta.Txn) error { c.store.elect("m2"); c.store.setAfter(nil); return nil })
		j := c.submit(insert("second", 10))
		if s := c.wait(j); s.GetState() != "FINISHED" || len(c.published(j)) != 1 {
			t.Error(s, c.published(j))
		}
		if runs := c.runs(j); runs[len(runs)-1].term != 2 {
			t.Errorf("%v", runs)
		}
	})
}
