package minicluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
)

// drain drains a shuffle server.
func (n *nodes) drain(t *testing.T, server string) error {
	_, err := n.Client().DrainNode(t.Context(), &rpc.DrainNodeRequest{Id: server})
	return err
}

// drained waits until a server that drains says that nobody needs it, or only a client.
func (n *nodes) drained(t *testing.T, server string, result bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		r, err := n.Client().Nodes(t.Context(), &rpc.NodesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(r.GetNodes(), func(k *rpc.Node) bool { return k.GetId() == server })
		k := r.GetNodes()[at]
		if k.GetDrained() || result && k.GetKeptExchanges() == 1 && strings.Contains(k.GetWaits(), "results that their clients read") {
			return
		}
		if !k.GetDraining() {
			t.Fatalf("it does not drain: %s", k)
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("not drained: %s", k)
		}
	}
}

// A server drains before the attempts of a vertex of a job are made: nothing is computed
// twice, whatever there is written, read or handed over at that time; the answer is the
// same, nothing is left at the server but what a client was to read, and the next job does
// not know it.
func TestDrain(t *testing.T) {
	for vertex := range id.Vertex(4) {
		t.Run(fmt.Sprint("vertex ", vertex), func(t *testing.T) {
			n := startNodes(t, nil)
			began, failed := false, error(nil)
			n.when(vertex, func() {
				began = true
				failed = n.drain(t, "server-1")
			})
			query := func(text string) {
				t.Helper()
				rows, s := n.query(t, text)
				if failed != nil || !began || rows != stagesAnswer || s.GetRestarts() != 0 {
					t.Errorf("%s, %d restarts, %v, %v", rows, s.GetRestarts(), failed, s.GetFailures())
				}
				for i := range s.GetVertices() {
					if slices.Max(attempts(s, i)) > 0 {
						t.Errorf("vertex %d was computed again: attempts %v", i, attempts(s, i))
					}
				}
			}
			query(tables + stages)
			last := vertex == 3 // whose result is there
			n.drained(t, "server-1", last)
			query(stages)
			n.drained(t, "server-1", last)
			st, err := n.Dialer().Shuffle("server-1").Stats(t.Context(), &rpc.ShuffleStatsRequest{})
			if err != nil || !last && (st.GetExchanges() != 0 || st.GetMemoryBytes()+st.GetDiskBytes() != 0) {
				t.Errorf("left: %v, %v", st, err)
			}
		})
	}
}

// stages is a job of several regions.
const stages = `
	SELECT SUM(n), SUM(s), COUNT(*) FROM (
		SELECT MOD(g, 10) AS h, SUM(n) AS n, SUM(s) AS s FROM (
			SELECT MOD(k, 1000) AS g, COUNT(*) AS n, SUM(v) AS s FROM src GROUP BY MOD(k, 1000)) AS t GROUP BY MOD(g, 10)) AS u`

const stagesAnswer = "20000 199990000 10"

// All servers drain: what is there stays, and workers keep what they write; the job goes on.
func TestDrainOfAllServers(t *testing.T) {
	n := startNodes(t, nil)
	var failed error
	n.when(1, func() { failed = errors.Join(n.drain(t, "server-1"), n.drain(t, "server-2")) })
	rows, s := n.query(t, tables+stages)
	if failed != nil || rows != stagesAnswer || s.GetRestarts() != 0 {
		t.Errorf("%s, %d restarts, %v, %v", rows, s.GetRestarts(), failed, s.GetFailures())
	}
	n.drained(t, "server-1", true)
	n.drained(t, "server-2", true)
}

// Seeds choose when a server drains, and who dies when after that; the answers stay.
func TestRandomDrains(t *testing.T) {
	for seed := range uint64(20) {
		script := scripts[seed%uint64(len(scripts))]
		t.Run(fmt.Sprintf("%s-%d", script.name, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			n := startNodes(t, nil)
			victim := []id.Worker{"server-1", "server-2", "worker-1", "worker-2"}[r.IntN(4)]
			began, drains := 0, r.IntN(9)
			dies := drains + r.IntN(5)
			var acting sync.Mutex // an attempt that is lost with its worker may be at it still when the job is over
			var failed error
			act := func(do func() error) {
				acting.Lock()
				defer acting.Unlock()
				failed = errors.Join(failed, do())
			}
			n.mu.Lock()
			n.begin = func(task.Descriptor) {
				n.mu.Lock()
				now := began
				began++
				n.mu.Unlock()
				if now == drains {
					act(func() error { return n.drain(t, "server-1") })
				}
				if now == dies {
					act(func() error { return n.Kill(victim) })
				}
			}
			n.mu.Unlock()
			rows, s := n.query(t, strings.ReplaceAll(script.text, "${dir}", t.TempDir()))
			acting.Lock()
			defer acting.Unlock()
			if failed != nil || rows != script.answer {
				t.Errorf("%s\nwanted %s; %d restarts, %v, %v", rows, script.answer, s.GetRestarts(), failed, s.GetFailures())
			}
		})
	}
}
