package scheduler_test

// Masters come and go while jobs run: what was accepted is run, what was published is
// not published again, and how jobs ended is remembered.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler"
)

func TestJobsOfABurstAreRunOnceThoughTheLeaderDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs, clients = 1000, 20
		c := newCluster(t, scheduler.Options{}, "m1", "m2", "m3")
		for i := range 4 {
			c.join(fmt.Sprintf("w%d", i), 8)
		}
		c.set(func(*rpc.DeployRequest) error { time.Sleep(200 * time.Millisecond); return nil }, nil)
		var mu sync.Mutex
		var accepted []id.Job
		var submitting sync.WaitGroup
		for client := range clients {
			submitting.Go(func() {
				for i := range jobs / clients {
					j := c.submit(insert(fmt.Sprintf("job-%d-%d", client, i), 200<<10))
					mu.Lock()
					accepted = append(accepted, j)
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		time.Sleep(1200 * time.Millisecond)
		over := map[id.Job]bool{} // by the old leader
		old, err := c.find()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range old.Dispatcher().Briefs(jobs, false) {
			if s.GetOver() {
				over[id.Job(s.GetJob())] = true
			}
		}
		mu.Lock()
		t.Logf("the leader dies with %d jobs accepted, %d over", len(accepted), len(over))
		mu.Unlock()
		c.die("m1")
		time.Sleep(time.Second)
		c.store.elect("m2")
		submitting.Wait()
		again := 0
		for _, j := range accepted {
			s := c.wait(j)
			if s.GetState() != "FINISHED" || s.GetRowsWritten() != 7 {
				t.Fatalf("job %v: %v", j, s)
			}
			runs, published := c.runs(j), c.published(j)
			terms := map[uint64]int{}
			for _, r := range runs {
				terms[r.term]++
			}
			if len(published) == 0 || over[j] && len(runs) != 1 || terms[1] > 1 || terms[3] > 1 {
				t.Fatalf("job %v, over before: %v, ran %v, published %v", j, over[j], runs, published)
			}
			for _, p := range published {
				if p != published[0] {
					t.Fatalf("job %v published %v", j, published)
				}
			}
			if len(runs) > 1 {
				again++
			}
		}
		m, err := c.find()
		if err != nil {
			t.Fatal(err)
		}
		if listed := m.Dispatcher().Briefs(10*jobs, false); len(listed) != jobs {
			t.Fatalf("%d jobs are listed", len(listed))
		}
		if again > 100 {
			t.Errorf("%d jobs ran again: at most those that ran when the leader died may", again)
		}
		t.Logf("%d jobs ran again", again)
	})
}

func TestNobodyLeadsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		synctest.Wait()
		if _, err := c.masters["m2"].Master(); !errors.Is(err, rpc.ErrNotLeader) || rpc.LeaderOf(err) != "addr-of-m1" || failure.Of(err) != failure.Transient {
			t.Fatalf("m2 says %v, leader %q", err, rpc.LeaderOf(err))
		}
		if _, err := c.masters["m1"].Cluster(); err != nil {
			t.Fatal(err)
		}
		c.store.elect("")
		synctest.Wait()
		for name, m := range c.masters {
			if _, err := m.Cluster(); !errors.Is(err, rpc.ErrNotLeader) || rpc.LeaderOf(err) != "" {
				t.Fatalf("%s says %v", name, err)
			}
		}
	})
}

func TestALeaderThatCannotBeginTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		c.store.setFault(func(raftmeta.Txn) error { return failure.Errorf(failure.Transient, "no majority answers") })
		c.store.elect("m1")
		synctest.Wait()
		time.Sleep(2 * time.Second)
		c.store.setFault(nil)
		time.Sleep(time.Second)
		if _, err := c.find(); err != nil {
			t.Fatal(err)
		}
	})
}

// failing is a store that fails for good at its first transaction.
type failing struct {
	raftmeta.Cluster
	failed *atomic.Bool
}

var errBroken = failure.Errorf(failure.Conflict, "others know another life of this store")

func (f failing) Apply(context.Context, raftmeta.Txn) (raftmeta.Revision, error) {
	f.failed.Store(true)
	return 0, errBroken
}

func (f failing) Leadership(ctx context.Context, known raftmeta.Leadership) (raftmeta.Leadership, error) {
	if f.failed.Load() {
		return raftmeta.Leadership{}, errBroken
	}
	return f.Cluster.Leadership(ctx, known)
}

// A store that fails while a leadership begins ends the candidate, which says why. Once
// it was taken for the pause between two tries, which went on for ever without any.
func TestAStoreThatFailsAtTheBeginningIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newReplicas()
		all.elect("m1")
		m := scheduler.NewCandidate(scheduler.CandidateOptions{Master: scheduler.Options{
			Store: failing{replica{all, "m1"}, &atomic.Bool{}}, Blobs: blobs{all}, Dialer: rpc.NewLocal(rpc.LocalOptions{}), Name: "m1",
		}})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := m.Run(ctx); !errors.Is(err, errBroken) || failure.Of(err) != failure.Conflict {
			t.Errorf("it ends with %v", err)
		}
	})
}

// A batch job whose output was decided is published by the next leader, and does not run
// again.
func TestAPublicationIsFinishedByTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 2)
		publishing, dead := make(chan struct{}), make(chan struct{})
		var once sync.Once
		c.set(nil, func(*rpc.CommitRequest) error {
			first := false
			once.Do(func() { first = true })
			if first {
				close(publishing)
				<-dead
				return failure.Errorf(failure.Transient, "the connection broke")
			}
			return nil
		})
		j := c.submit(insert("etl", 100))
		<-publishing
		c.die("m1")
		close(dead)
		time.Sleep(time.Second)
		if got := c.published(j); len(got) != 0 {
			t.Fatalf("the dead leader published %v", got)
		}
		c.store.elect("m2")
		if s := c.wait(j); s.GetState() != "FINISHED" || s.GetRowsWritten() != 7 {
			t.Fatal(s)
		}
		if runs, published := c.runs(j), c.published(j); len(runs) != 1 || len(published) != 1 || !c.sweptOf(j) {
			t.Fatalf("ran %v, published %v", runs, published)
		}
	})
}

// The worker with the coordinator task dies while it publishes: another one goes on.
func TestAPublicationGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		w1 := c.join("w1", 1)
		var once sync.Once
		c.set(nil, func(*rpc.CommitRequest) (err error) {
			once.Do(func() {
				w1.die()
				err = failure.Wrap(failure.Transient, rpc.ErrUnreachable)
			})
			return err
		})
		j := c.submit(insert("etl", 100))
		time.Sleep(2 * time.Second)
		c.join("w2", 1)
		s := c.wait(j)
		if s.GetState() != "FINISHED" || len(c.published(j)) != 1 || len(c.runs(j)) != 1 {
			t.Fatalf("%v, ran %v, published %v", s, c.runs(j), c.published(j))
		}
	})
}

// Nothing is published before the decision is stored: a deposed master publishes nothing.
func TestADeposedMasterPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 2)
		ran := make(chan struct{})
		release := make(chan struct{})
		var once sync.Once
		c.set(func(*rpc.DeployRequest) error {
			once.Do(func() { close(ran) })
			<-release
			return nil
		}, nil)
		j := c.submit(insert("etl", 100))
		<-ran
		c.store.elect("m2") // m1 finds out by itself
		close(release)
		if s := c.wait(j); s.GetState() != "FINISHED" {
			t.Fatal(s)
		}
		runs, published := c.runs(j), c.published(j)
		if !c.sweptOf(j) {
			t.Fatal("what the first leader's attempts had staged is left")
		}
		if len(runs) != 2 || runs[1].term != 2 || runs[1].attempt != 1<<16 || len(published) != 1 {
			t.Fatalf("ran %v, published %v", runs, published)
		}
	})
}

func TestHistorySurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{History: 3}, "m1", "m2")
		c.join("w1", 2)
		c.set(func(r *rpc.DeployRequest) error {
			if len(r.GetVertex().GetChain()[1].GetSink().GetOptions()["text"]) == 13 {
				return failure.Errorf(failure.BadData, "row 7: not a number")
			}
			return nil
		}, nil)
		var all []id.Job
		for i := range 5 {
			size := 100
			if i == 4 {
				size = 13
			}
			j := c.submit(insert(fmt.Sprintf("job-%d", i), size))
			c.wait(j)
			all = append(all, j)
			time.Sleep(time.Second)
		}
		last := c.get(all[4])
		if last.GetState() != "FAILED" || failure.Of(last.GetCause().Err()) != failure.BadData {
			t.Fatal(last)
		}
		c.store.elect("m2")
		time.Sleep(time.Second)
		listed, err := ask(c, func(m *scheduler.Master) (*rpc.ListJobsReply, error) {
			return m.ListJobs(c.root, &rpc.ListJobsRequest{})
		})
		if err != nil || len(listed.GetJobs()) != 3 || id.Job(listed.GetJobs()[0].GetJob()) != all[4] {
			t.Fatalf("%v, %v", listed, err)
		}
		now := c.get(all[4])
		if now.GetState() != "FAILED" || now.GetCause().GetText() != last.GetCause().GetText() || len(now.GetVertices()) != 1 || now.GetEnded() != last.GetEnded() {
			t.Fatalf("%v\nwas\n%v", now, last)
		}
		if _, err := ask(c, func(m *scheduler.Master) (*rpc.JobStatus, error) {
			return m.GetJob(c.root, &rpc.GetJobRequest{Job: all[0][:]})
		}); failure.Of(err) != failure.NotFound {
			t.Fatal(err)
		}
	})
}

func TestARepeatedCallFindsItsJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 2)
		call := []byte("a client's call")
		submit := func() id.Job {
			r, err := ask(c, func(m *scheduler.Master) (*rpc.SubmitReply, error) {
				return m.Submit(c.root, &rpc.SubmitRequest{Graph: insert("etl", 100), Request: call})
			})
			if err != nil {
				t.Fatal(err)
			}
			return id.Job(r.GetJob())
		}
		first := submit()
		c.wait(first)
		if again := submit(); again != first {
			t.Fatalf("%v, then %v", first, again)
		}
		c.store.elect("m2")
		time.Sleep(time.Second)
		if again := submit(); again != first {
			t.Fatalf("%v, then %v of the new leader", first, again)
		}
		if runs := c.runs(first); len(runs) != 1 {
			t.Fatalf("ran %v", runs)
		}
		// The store took it, and the master could not say so.
		call = []byte("another one")
		m, err := c.find()
		if err != nil {
			t.Fatal(err)
		}
		c.store.setAfter(func(raftmeta.Txn) error {
			c.store.setAfter(nil)
			return failure.Errorf(failure.Transient, "the answer was lost")
		})
		if _, err := m.Submit(c.root, &rpc.SubmitRequest{Graph: insert("etl", 100), Request: call}); err == nil {
			t.Fatal("the answer was not lost")
		}
		j := submit()
		if s := c.wait(j); s.GetState() != "FINISHED" || len(c.runs(j)) != 1 {
			t.Fatalf("%v, ran %v", s, c.runs(j))
		}
	})
}

// Rows that a client may have read cannot be taken back.
func TestAResultIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 2)
		forever := make(chan struct{})
		defer close(forever)
		ran := make(chan struct{}, 9)
		c.set(func(*rpc.DeployRequest) error { ran <- struct{}{}; <-forever; return nil }, nil)
		j := c.submit(query("select"))
		<-ran
		if s := c.get(j); s.GetResult() == nil || s.GetTerm() != 1 {
			t.Fatal(s)
		}
		c.store.elect("m2")
		s := c.wait(j)
		if s.GetState() != "FAILED" || failure.Of(s.GetCause().Err()) != failure.Transient {
			t.Fatal(s)
		}
		if runs := c.runs(j); len(runs) != 1 {
			t.Fatalf("ran %v", runs)
		}
	})
}

// A stored result is read once it is whole, so it can be made again before that.
func TestAStoredResultIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 1)
		forever := make(chan struct{})
		defer close(forever)
		ran := make(chan struct{}, 9)
		c.set(func(r *rpc.DeployRequest) error {
			if ran <- struct{}{}; r.GetJob().GetTerm() == 1 {
				<-forever
			}
			return nil
		}, nil)
		g := query("select")
		g.Exchanges[0].Retention = jobgraph.Retention_RETENTION_JOB
		j := c.submit(g)
		<-ran
		if s := c.get(j); s.GetResult() != nil {
			t.Fatal("it can be read before it is whole")
		}
		c.store.elect("m2")
		if s := c.wait(j); s.GetState() != "FINISHED" || s.GetResult() == nil || s.GetTerm() != 2 {
			t.Fatal(s)
		}
		if runs := c.runs(j); len(runs) != 2 {
			t.Fatalf("ran %v", runs)
		}
	})
}

func TestACancelIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		c.join("w1", 1)
		forever, ran := make(chan struct{}), make(chan struct{}, 9)
		defer close(forever)
		c.set(func(*rpc.DeployRequest) error { ran <- struct{}{}; <-forever; return nil }, nil)
		j := c.submit(insert("etl", 100))
		<-ran
		m, err := c.find()
		if err != nil {
			t.Fatal(err)
		}
		// The leader stores the wish and dies before anything comes of it.
		c.store.setFault(func(x raftmeta.Txn) error {
			c.running.Go(func() { c.die("m1") })
			return nil
		})
		if _, err := m.CancelJob(c.root, &rpc.CancelJobRequest{Job: j[:]}); err != nil {
			t.Fatal(err)
		}
		c.store.setFault(nil)
		time.Sleep(time.Second)
		c.store.elect("m2")
		if s := c.wait(j); s.GetState() != "CANCELED" {
			t.Fatal(s)
		}
		if runs := c.runs(j); len(runs) != 1 {
			t.Fatalf("ran %v", runs)
		}
	})
}
