package scheduler_test

// What the leading master tells its members and clients.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/joblog"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/shuffle"
)

// leader waits until a master leads.
func (c *cluster) leader() *scheduler.Master {
	c.Helper()
	m, err := ask(c, func(m *scheduler.Master) (*scheduler.Master, error) { return m, nil })
	if err != nil {
		c.Fatal(err)
	}
	return m
}

func TestRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1", "m2")
		m := c.leader()
		r, err := m.Register(c.root, &rpc.RegisterRequest{Worker: "w", Slots: 2, Version: "1.7"})
		if err != nil || r.GetTerm() != 1 || r.GetHeartbeatMillis() != 500 || len(r.GetTicketKey()) != security.KeyBytes {
			t.Fatalf("%v, %v", r, err)
		}
		for _, bad := range []*rpc.RegisterRequest{
			{Worker: "w", Slots: 2, Version: "2.0"}, {Slots: 2}, {Worker: "w"},
		} {
			if _, err := m.Register(c.root, bad); failure.Of(err) != failure.Usage {
				t.Errorf("%v: %v", bad, err)
			}
		}
		c.store.elect("m2")
		time.Sleep(time.Second)
		again, err := c.leader().Register(c.root, &rpc.RegisterRequest{Worker: "w", Slots: 2})
		if err != nil || string(again.GetTicketKey()) != string(r.GetTicketKey()) || again.GetTerm() != 2 {
			t.Fatalf("%v, %v: another key", again, err)
		}
		if _, err := m.Register(c.root, &rpc.RegisterRequest{Worker: "w", Slots: 2}); !errors.Is(err, rpc.ErrNotLeader) {
			t.Fatalf("the deposed master says %v", err)
		}
	})
}

// A worker that is silent for two seconds is lost, and its job goes on elsewhere.
func TestAWorkerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		forever := make(chan struct{})
		defer close(forever)
		ran := make(chan struct{}, 9)
		c.set(func(r *rpc.DeployRequest) error {
			if ran <- struct{}{}; r.GetAttempt().GetNumber() == 0 {
				<-forever
			}
			return nil
		}, nil)
		w1 := c.join("w1", 1)
		time.Sleep(600 * time.Millisecond)
		g := insert("etl", 100)
		g.Options = map[string]string{"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.delay": "1 ms"}
		j := c.submit(g)
		<-ran
		c.join("w2", 1)
		died := time.Now()
		w1.die()
		s := c.wait(j)
		took := time.Since(died)
		if s.GetState() != "FINISHED" || took > 5*time.Second || len(c.published(j)) != 1 {
			t.Fatalf("%v after %v, published %v", s, took, c.published(j))
		}
	})
}

// Shuffle servers are told which of the jobs that they keep are over.
func TestOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{ResultGrace: time.Minute}, "m1", "m2")
		c.join("w1", 2)
		m := c.leader()
		if _, err := m.Register(c.root, &rpc.RegisterRequest{Worker: "s1", Shuffle: rpc.FromServer(shuffle.Server{ID: "s1", Address: "h:1"})}); err != nil {
			t.Fatal(err)
		}
		plain, result, unknown := c.submit(insert("etl", 9)), c.submit(query("select")), id.NewJob()
		forever := make(chan struct{})
		defer close(forever)
		c.wait(plain)
		c.wait(result)
		c.set(func(*rpc.DeployRequest) error { <-forever; return nil }, nil)
		runs := c.submit(insert("runs", 9))
		beat := func() (out []id.Job) {
			r, err := m.Heartbeat(c.root, &rpc.HeartbeatRequest{Worker: "s1", Jobs: [][]byte{plain[:], result[:], runs[:], unknown[:], {1, 2}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range r.GetOver() {
				out = append(out, id.Job(j))
			}
			return out
		}
		if got := beat(); !slices.Equal(got, []id.Job{plain, unknown}) {
			t.Fatalf("over: %v", got)
		}
		for range 60 {
			time.Sleep(time.Second)
			beat()
		}
		time.Sleep(time.Second)
		if got := beat(); !slices.Equal(got, []id.Job{plain, result, unknown}) {
			t.Fatalf("over: %v", got)
		}
		// One that was deposed does not judge.
		c.store.mu.Lock()
		c.store.leader = "m2" // nobody is told yet
		c.store.mu.Unlock()
		if got := beat(); got != nil {
			t.Fatalf("a deposed master says that %v are over", got)
		}
	})
}

// A master does not count while it catches up, nor before others have heard that it does.
func TestMasterJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{Address: "h1:7070"}, "m1")
		m := c.leader()
		if _, err := m.Join(c.root, &rpc.JoinRequest{Id: "m1", Address: "m1:1"}); err != nil {
			t.Fatal(err)
		}
		c.store.mu.Lock()
		c.store.members = append(c.store.members, raftmeta.Member{ID: "m2", Address: "m2:1"})
		c.store.agree = make(chan struct{})
		c.store.mu.Unlock()
		expect := func(want string) {
			t.Helper()
			r, err := m.Nodes(c.root, &rpc.NodesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, n := range r.GetNodes() {
				got += fmt.Sprintf("%s joins %v ", n.GetId(), n.GetJoining())
			}
			if strings.TrimSpace(got) != want {
				t.Errorf("nodes: %s", got)
			}
		}
		joined := make(chan error, 1)
		go func() {
			_, err := m.Join(c.root, &rpc.JoinRequest{Id: "m3", Address: "m3:1"})
			joined <- err
		}()
		synctest.Wait()
		expect("m1 joins false m2 joins true m3 joins true")
		close(c.store.agree)
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		expect("m1 joins false m2 joins true m3 joins false")
	})
}

func TestNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{Address: "h1:7070"}, "m1")
		m := c.leader()
		for _, id := range []string{"m1", "h3:7070"} {
			if _, err := m.Join(c.root, &rpc.JoinRequest{Id: id, Address: id + ":1"}); err != nil {
				t.Fatal(err)
			}
		}
		c.join("h2:7071-aa", 3)
		server := shuffle.Server{ID: "h2:7072-bb", Host: "h2", Address: "h2:7072"}
		if _, err := m.Register(c.root, &rpc.RegisterRequest{Worker: server.ID, Shuffle: rpc.FromServer(server)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		nodes := func() string {
			r, err := m.Nodes(c.root, &rpc.NodesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, n := range r.GetNodes() {
				out = append(out, fmt.Sprintf("%s %s at %s, %d of %d slots, leads %v, drains %v", n.GetRole(), n.GetId(), n.GetAddress(), n.GetFreeSlots(), n.GetSlots(), n.GetLeader(), n.GetDraining()))
			}
			slices.Sort(out)
			return strings.Join(out, "\n")
		}
		if got := nodes(); got != `master h3:7070 at h3:7070, 0 of 0 slots, leads false, drains false
master m1 at h1:7070, 0 of 0 slots, leads true, drains false
shuffle h2:7072-bb at h2:7072, 0 of 0 slots, leads false, drains false
worker h2:7071-aa at h2:7071, 3 of 3 slots, leads false, drains false` {
			t.Fatal(got)
		}
		for name, why := range map[string]string{"m1": "it leads", "h3:7070": "it is alive", server.ID: "it is alive", "nobody": "no such node"} {
			if _, err := m.Remove(c.root, &rpc.RemoveRequest{Id: name}); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("remove %s: %v", name, err)
			}
		}
		c.store.lose("h3:7070", 9*time.Second) // a heartbeat or two were missed
		if _, err := m.Remove(c.root, &rpc.RemoveRequest{Id: "h3:7070"}); failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), "it was heard of 9s ago") {
			t.Errorf("remove one that may be alive: %v", err)
		}
		c.store.lose("h3:7070", time.Minute)
		if r, err := m.Nodes(c.root, &rpc.NodesRequest{}); err != nil || !r.GetNodes()[1].GetLost() || r.GetNodes()[1].GetHeardMillis() != 60_000 {
			t.Errorf("nodes: %v, %v", r, err)
		}
		if _, err := m.Remove(c.root, &rpc.RemoveRequest{Id: "h3:7070"}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Remove(c.root, &rpc.RemoveRequest{Id: "m1"}); failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), "the last one") {
			t.Errorf("remove the last master: %v", err)
		}
		drained := &drains{left: 2}
		c.ServeShuffle(server.ID, drained)
		if _, err := m.DrainNode(c.root, &rpc.DrainNodeRequest{Id: server.ID}); err != nil || drained.calls != 1 {
			t.Fatal(err, drained.calls)
		}
		if got := nodes(); strings.Contains(got, "h3:7070") || !strings.Contains(got, "h2:7072-bb at h2:7072, 0 of 0 slots, leads false, drains true") {
			t.Fatal(got)
		}
		// What is left there is told, and when there is nothing; then it is told that it may end.
		left := func() *rpc.Node {
			r, err := m.Nodes(c.root, &rpc.NodesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return r.GetNodes()[slices.IndexFunc(r.GetNodes(), func(n *rpc.Node) bool { return n.GetRole() == "shuffle" })]
		}
		beat := func(jobs ...[]byte) bool {
			r, err := m.Heartbeat(c.root, &rpc.HeartbeatRequest{Worker: server.ID, Draining: true, Jobs: jobs})
			if err != nil {
				t.Fatal(err)
			}
			return r.GetDrained()
		}
		if n := left(); n.GetDrained() || n.GetKeptExchanges() != 2 || n.GetKeptBytes() != 20 || !strings.Contains(n.GetWaits(), "of jobs that are over") {
			t.Fatal(n)
		}
		if job := id.NewJob(); beat(job[:]) {
			t.Fatal("it may end with what it keeps")
		}
		c.ServeShuffle(server.ID, nil)
		if n := left(); n.GetDrained() || !strings.Contains(n.GetWaits(), "does not answer") {
			t.Fatal(n)
		}
		c.ServeShuffle(server.ID, drained)
		if drained.left = 0; !beat() || !left().GetDrained() {
			t.Fatal("it may not end")
		}
		if _, ok := m.Resources().Writes("h2:7071-aa"); ok {
			t.Fatal("a server that drains is given new lanes")
		}
		for _, bad := range []struct {
			id    string
			class failure.Class
		}{{"nobody", failure.NotFound}, {"h2:7071-aa", failure.Usage}} {
			if _, err := m.DrainNode(c.root, &rpc.DrainNodeRequest{Id: bad.id}); failure.Of(err) != bad.class {
				t.Errorf("%s: %v", bad.id, err)
			}
		}
		c.ServeShuffle(server.ID, nil)
		if _, err := m.DrainNode(c.root, &rpc.DrainNodeRequest{Id: server.ID}); failure.Of(err) != failure.Transient {
			t.Error(err)
		}
		if _, err := m.Join(c.root, &rpc.JoinRequest{Id: "m3"}); failure.Of(err) != failure.Usage {
			t.Error(err)
		}
	})
}

type drains struct {
	rpc.ShuffleClient
	calls int
	left  int
}

func (d *drains) Stats(context.Context, *rpc.ShuffleStatsRequest) (*rpc.ShuffleStats, error) {
	return &rpc.ShuffleStats{Exchanges: uint32(d.left), MemoryBytes: int64(d.left), DiskBytes: 9 * int64(d.left)}, nil
}

func (d *drains) Drain(context.Context, *rpc.DrainRequest) (*rpc.DrainReply, error) {
	d.calls++
	return &rpc.DrainReply{}, nil
}

func TestLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := joblog.New(joblog.Options{Node: "m1"})
		log := slog.New(ring.Handler(slog.DiscardHandler))
		c := newCluster(t, scheduler.Options{Logs: ring, Log: log}, "m1")
		w1, w2 := c.join("w1", 1), c.join("w2", 1)
		time.Sleep(time.Second)
		j := c.submit(insert("etl", 9))
		c.wait(j)
		at := time.Now().UnixMilli()
		w1.lines = []*rpc.LogLine{{At: at - 1000, Level: "INFO", Node: "w1", Text: "early"}, {At: at + 5, Node: "w1", Text: "late"}}
		w2.lines = []*rpc.LogLine{{At: at + 1, Node: "w2", Text: "between"}}
		time.Sleep(2 * time.Millisecond)
		log.Warn("from the master", "job", j)
		logs := func(most uint32) (out []string) {
			r, err := c.leader().Logs(c.root, &rpc.LogsRequest{Job: j[:], Most: most})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range r.GetLines() {
				out = append(out, l.GetNode()+": "+l.GetText())
			}
			return out
		}
		if got := logs(3); fmt.Sprint(got) != "[w2: between m1: from the master w1: late]" {
			t.Fatal(got)
		}
		c.ServeWorker("w2", nil, nil)
		if got := fmt.Sprint(logs(0)); !strings.Contains(got, "w1: early") || !strings.Contains(got, "m1: lines of worker w2 are missing") {
			t.Fatal(got)
		}
		if _, err := c.leader().Logs(c.root, &rpc.LogsRequest{Job: []byte("x")}); failure.Of(err) != failure.Usage {
			t.Error(err)
		}
	})
}

// A job that does not run says what it waits for, and of whom.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{Running: 1, Grace: 10 * time.Second}, "m1", "m2")
		forever := make(chan struct{})
		defer close(forever)
		c.set(func(*rpc.DeployRequest) error { <-forever; return nil }, nil)
		why := func(j id.Job) string {
			s := c.get(j)
			if len(s.GetWaits()) != 1 || s.GetState() != "CREATED" {
				t.Fatalf("%v", s)
			}
			return s.GetWaits()[0].GetReason()
		}
		first := c.submit(insert("first", 9))
		second, third := c.submit(insert("second", 9)), c.submit(insert("third", 9))
		if got := why(first); got != "a worker with slots" {
			t.Fatal(got)
		}
		w := c.join("w1", 1)
		time.Sleep(time.Second)
		if got := why(second); got != "its turn: 1 jobs run, and no more may" {
			t.Fatal(got)
		}
		if got := why(third); got != "its turn: 1 jobs run, and no more may; 1 wait before it" {
			t.Fatal(got)
		}
		// One that waits is cancelled at once.
		if _, err := c.leader().CancelJob(c.root, &rpc.CancelJobRequest{Job: second[:]}); err != nil {
			t.Fatal(err)
		}
		if s := c.wait(second); s.GetState() != "CANCELED" {
			t.Fatal(s)
		}
		w.die()
		c.store.elect("m2")
		time.Sleep(time.Second)
		if got := why(third); got != "workers to come back after a change of the leading master" {
			t.Fatal(got)
		}
		began := time.Now()
		c.set(nil, nil)
		c.join("w2", 1) // as many slots as there were
		if s := c.wait(third); s.GetState() != "FINISHED" || time.Since(began) > 2*time.Second {
			t.Fatal(s, time.Since(began))
		}
	})
}

func TestCallsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		c.join("w1", 1)
		m := c.leader()
		nobody := id.NewJob()
		if _, err := m.GetJob(c.root, &rpc.GetJobRequest{Job: nobody[:]}); failure.Of(err) != failure.NotFound {
			t.Error(err)
		}
		if _, err := m.GetJob(c.root, &rpc.GetJobRequest{Job: nobody[:3]}); failure.Of(err) != failure.Usage {
			t.Error(err)
		}
		if _, err := m.CancelJob(c.root, &rpc.CancelJobRequest{Job: nobody[:]}); failure.Of(err) != failure.NotFound {
			t.Error(err)
		}
		if _, err := m.Submit(c.root, &rpc.SubmitRequest{}); failure.Of(err) != failure.Usage {
			t.Error(err)
		}
		g := insert("wrong", 9)
		g.Options = map[string]string{"parallelism.default": "many"}
		if _, err := m.Submit(c.root, &rpc.SubmitRequest{Graph: g}); failure.Of(err) != failure.Usage {
			t.Error(err)
		}
		c.store.setFault(func(raftmeta.Txn) error { return failure.Errorf(failure.Transient, "no majority answers") })
		if _, err := m.Submit(c.root, &rpc.SubmitRequest{Graph: insert("etl", 9)}); failure.Of(err) != failure.Transient {
			t.Error(err)
		}
		c.store.setFault(nil)
		if r, err := m.ListJobs(c.root, &rpc.ListJobsRequest{}); err != nil || len(r.GetJobs()) != 0 {
			t.Errorf("%v, %v", r, err)
		}
		ref := rpc.Ref(nobody, 1)
		if _, err := m.Report(c.root, &rpc.TaskReport{Job: ref}); !errors.Is(err, rpc.ErrGone) {
			t.Error(err)
		}
		if _, err := m.Acknowledge(c.root, &rpc.AckRequest{Job: rpc.Ref(nobody, 0)}); !errors.Is(err, rpc.ErrFenced) {
			t.Error(err)
		}
		if _, err := m.Decline(c.root, &rpc.DeclineRequest{Job: rpc.Ref(nobody, 9)}); !errors.Is(err, rpc.ErrNotLeader) {
			t.Error(err)
		}
	})
}

// The store is away when a job ends: its end is stored once it is back, and not told
// before.
func TestAnEndIsToldOnceItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		c.join("w1", 1)
		release := make(chan struct{})
		c.set(func(*rpc.DeployRequest) error { <-release; return nil }, nil)
		j := c.submit(insert("etl", 9))
		time.Sleep(time.Second)
		c.store.setFault(func(raftmeta.Txn) error { return failure.Errorf(failure.Transient, "no majority answers") })
		close(release)
		time.Sleep(5 * time.Second)
		if s := c.get(j); s.GetOver() || len(c.published(j)) != 0 {
			t.Fatalf("%v, published %v", s, c.published(j))
		}
		c.store.setFault(nil)
		if s := c.wait(j); s.GetState() != "FINISHED" || len(c.published(j)) != 1 {
			t.Fatalf("%v, published %v", s, c.published(j))
		}
	})
}

// Graphs that no job needs any more are not kept.
func TestBlobsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, scheduler.Options{}, "m1")
		w := c.join("w1", 1)
		c.wait(c.submit(insert("etl", 100<<10)))
		w.die()
		time.Sleep(4 * time.Second)
		waits := c.submit(insert("waits", 100<<10))
		time.Sleep(10 * time.Minute)
		c.store.mu.Lock()
		n := len(c.store.blobs)
		c.store.mu.Unlock()
		if n != 1 {
			t.Fatalf("%d blobs", n)
		}
		c.join("w2", 1)
		if s := c.wait(waits); s.GetState() != "FINISHED" {
			t.Fatal(s)
		}
	})
}

// A record that cannot be read stops a master: going on without it would lose the job.
func TestARecordOfANewerProgram(t *testing.T) {
	for name, value := range map[string]string{"newer": `{"Version":99}`, "damaged": `{`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newReplicas()
				s := replica{store, "m1"}
				store.elect("m1")
				if _, err := raftmeta.Put(t.Context(), s, "jobs", id.NewJob().String(), []byte(value), raftmeta.Absent); err != nil {
					t.Fatal(err)
				}
				_, err := scheduler.New(t.Context(), scheduler.Options{Store: s, Dialer: rpc.NewLocal(rpc.LocalOptions{})})
				if failure.Of(err) != failure.Fatal {
					t.Fatal(err)
				}
			})
		})
	}
}
