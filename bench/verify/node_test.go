package verify

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
)

// The test's own binary plays the program: as a role it says so and waits for its end,
// as a client it answers by its environment.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "master", "worker", "shuffle":
			play()
		case "sql":
			answerAsClient()
		}
	}
	os.Exit(m.Run())
}

// deaf ends the name of the data directory of a role that takes no notice of SIGTERM.
const deaf = "-deaf"

func play() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	fmt.Println(strings.Join(os.Args[1:], " "))
	if err := os.MkdirAll(os.Args[5], 0o700); err != nil {
		os.Exit(2)
	}
	if err := os.WriteFile(filepath.Join(os.Args[5], "ready"), nil, 0o600); err != nil {
		os.Exit(2)
	}
	for strings.HasSuffix(os.Args[5], deaf) {
		<-ended
	}
	<-ended
	os.Exit(0)
}

func answerAsClient() {
	fmt.Println("a\n1")
	os.Exit(0)
}

func testCluster(t *testing.T, shape Shape) *cluster {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := Options{Binary: self, Scratch: t.TempDir(), Patience: time.Minute}.complete()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(o, shape, filepath.Join(o.Scratch, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.killAll(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// awaitFile waits until every node has written a file that it writes once it plays.
func awaitFile(t *testing.T, c *cluster) {
	t.Helper()
	for _, n := range c.nodes {
		for {
			if _, err := os.Stat(filepath.Join(n.dir, "ready")); err == nil {
				break
			}
			if err := pause(t.Context(), time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A cluster's processes start with what they need to find each other, live again
// after a kill, are stopped in order, and none is left.
func TestLivesOfNodes(t *testing.T) {
	c := testCluster(t, Shape{Masters: 2, Workers: 1, Shuffles: 1})
	if err := c.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, c)
	master, worker := c.nodes[0], c.nodes[3]
	if first := worker.lastWords(); !strings.HasPrefix(first, "worker --listen "+worker.address) || !strings.Contains(first, "--join "+master.address+","+c.nodes[1].address) {
		t.Error(first)
	}
	if words := master.lastWords(); !strings.Contains(words, "--join "+c.nodes[1].address) || strings.Contains(words, "--join "+master.address) {
		t.Error(words)
	}
	pid := worker.pid()
	if c.find(pid) != worker || c.find(-1) != nil {
		t.Error("a process is not found")
	}
	if err := worker.kill(); err != nil || worker.alive() || !strings.Contains(worker.ending().Error(), "killed") {
		t.Errorf("%v, %v", err, worker.ending())
	}
	if err := os.Remove(filepath.Join(worker.dir, "ready")); err != nil {
		t.Fatal(err)
	}
	if err := worker.start(); err != nil || worker.pid() == pid {
		t.Errorf("%v", err)
	}
	awaitFile(t, c)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	for _, n := range c.nodes {
		if n.alive() {
			t.Errorf("%s lives", n.name)
		}
	}
}

// A process that does not end when it is asked to is a defect, whose goroutines are kept.
func TestNodeThatDoesNotEnd(t *testing.T) {
	c := testCluster(t, Shape{Workers: 1})
	n := c.nodes[0]
	n.dir += deaf
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, c)
	err := n.stop(time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "does not end") || n.alive() {
		t.Errorf("%v, alive: %t", err, n.alive())
	}
	if text, err := os.ReadFile(n.logFile()); err != nil || !strings.Contains(string(text), "goroutine") {
		t.Errorf("%v: %s", err, text)
	}
}

// Only what a job has written counts as left.
func TestLeftovers(t *testing.T) {
	c := testCluster(t, Shape{Masters: 1})
	for name, job := range map[string]bool{
		"master-1/master/raft.db": false, "worker-1/spill/x/lock": false, "worker-1/spill/x/run-1": true,
		"shuffle-1/shuffle/pack-1": true, "shuffle-1/shuffle/a/segment": true, "worker-1/token": false,
	} {
		whole := filepath.Join(c.dir, "data", name)
		if err := os.MkdirAll(filepath.Dir(whole), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(whole, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := jobFiles(filepath.Join(c.dir, "data"))
		if err != nil || (len(files) == 1) != job {
			t.Errorf("%s: %v, %v", name, files, err)
		}
		if err := os.Remove(whole); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := c.leftovers(t.Context()); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

// The process that a failpoint has ended is counted by its role and starts again.
func TestReviveWhatAFailpointEnded(t *testing.T) {
	c := testCluster(t, Shape{Masters: 1, Shuffles: 1})
	if err := c.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, c)
	n := c.nodes[1]
	pid := n.pid()
	r := &run{Options: c.options, count: newCounters(c.options), c: c}
	undo, err := r.inflict(t.Context(), fault{kind: KillAtPoint, point: failpoint.LaneCommit, hit: 2})
	if err != nil {
		t.Fatal(err)
	}
	fired := filepath.Join(c.dir, "failpoints", fmt.Sprintf("%s.fired-%d", failpoint.LaneCommit, pid))
	if err := os.Rename(filepath.Join(c.dir, "failpoints", failpoint.LaneCommit), fired); err != nil {
		t.Fatal(err)
	}
	if err := n.kill(); err != nil {
		t.Fatal(err)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if r.count.Kills["shuffle"] != 1 || r.count.AtPoint[failpoint.LaneCommit] != 1 || len(r.count.Crashes) != 0 || !n.alive() || n.pid() == pid {
		t.Errorf("%+v", r.count)
	}
	if err := c.nodes[0].kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.crashed(fault{}); err != nil || len(r.count.Crashes) != 1 || !c.nodes[0].alive() {
		t.Errorf("%v: %+v", err, r.count)
	}
}
