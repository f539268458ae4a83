package process

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/raftmeta"
)

// Several masters: one cluster, whoever of them is started first, again, or without its
// disk.

// said is what roles have logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

func (s *said) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

// until waits for something that others do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// freePorts are addresses where nobody listens, of ports that the system gives to nobody
// who asks for any: until they are listened at they would be somebody else's.
func freePorts(t *testing.T, n int) (out []string) {
	t.Helper()
	for tries := 0; len(out) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err != nil && tries < 1000 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

// trio is three masters that know each other.
type trio struct {
	*place
	at      []string
	logs    []*said
	masters []*Master
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	return &trio{place: newPlace(t), at: freePorts(t, 3), logs: []*said{{}, {}, {}}, masters: make([]*Master, 3)}
}

func (c *trio) dir(i int) string { return "master-" + string(rune('1'+i)) }

// start starts a master that is named all three, as in a configuration that all share.
func (c *trio) start(i int, bootstrap bool) {
	c.t.Helper()
	o := c.options(security.Master, c.dir(i), c.at...)
	o.Listen, o.Log = c.at[i], c.logs[i].logger()
	m, err := StartMaster(c.t.Context(), MasterOptions{Options: o, Bootstrap: bootstrap})
	if err != nil {
		c.t.Fatal(err)
	}
	c.masters[i] = m
}

func (c *trio) end() {
	c.t.Helper()
	for _, m := range c.masters {
		if m != nil {
			end(c.t, m)
		}
	}
}

// whole says whether a master knows a cluster of three that count.
func whole(m *Master) bool {
	members, err := m.store.Members(context.Background())
	for _, k := range members {
		if !k.Voter {
			return false
		}
	}
	return err == nil && len(members) == 3
}

// key is the ticket key, which a cluster makes once.
func (c *trio) key(ctx context.Context) string {
	for _, m := range c.masters {
		if m == nil {
			continue
		}
		if e, err := m.store.Get(ctx, "cluster", "ticket-key"); err == nil {
			return string(e.Value)
		}
	}
	return ""
}

// All are told to begin a cluster, and one does.
func TestMastersBeginOneCluster(t *testing.T) {
	c := newTrio(t)
	defer c.end()
	c.start(2, true)
	until(t, "the first one waits for the others", func() bool { return c.logs[2].has("masters that do not answer: " + c.at[0]) })
	if members, err := c.masters[2].store.Members(t.Context()); err != nil || len(members) > 0 {
		t.Fatalf("it has begun a cluster by itself: %v, %v", members, err)
	}
	c.start(1, true)
	c.start(0, true)
	for i, m := range c.masters {
		until(t, "one cluster of "+c.dir(i), func() bool { return whole(m) })
	}
	begun := 0
	for _, l := range c.logs {
		if l.has("this master begins a cluster") {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("%d clusters were begun", begun)
	}
}

// The one that began the cluster loses its disk and is started as the first time: it joins
// the others.
func TestFirstMasterWithoutItsDisk(t *testing.T) {
	c := newTrio(t)
	defer c.end()
	for i := range c.masters {
		c.start(i, i == 0)
	}
	for i, m := range c.masters {
		until(t, "one cluster of "+c.dir(i), func() bool { return whole(m) })
	}
	key := ""
	until(t, "a leader", func() bool { key = c.key(t.Context()); return key != "" })
	end(t, c.masters[0])
	c.masters[0] = nil
	if err := os.RemoveAll(filepath.Join(c.place.dir, c.dir(0))); err != nil {
		t.Fatal(err)
	}
	c.start(0, true)
	until(t, "it is one of three again", func() bool { return whole(c.masters[0]) })
	if !c.logs[0].has("this master joins it and begins none") {
		t.Error("it did not ask the others")
	}
	until(t, "a leader", func() bool { return c.key(t.Context()) != "" })
	if again := c.key(t.Context()); again != "" && again != key {
		t.Error("there is a second cluster")
	}
	// It counts: with one of the others gone there is a majority still.
	end(t, c.masters[1])
	c.masters[1] = nil
	until(t, "a leader of two", func() bool { return c.key(t.Context()) == key })
}

// Who listens everywhere is found where it says.
func TestAdvertise(t *testing.T) {
	p := newPlace(t)
	wide := func(kind security.Role, name string, masters ...string) Options {
		o := p.options(kind, name, masters...)
		o.Listen, o.Advertise = "0.0.0.0:0", "127.0.0.1:0"
		return o
	}
	first, err := StartMaster(t.Context(), MasterOptions{Options: wide(security.Master, "first")})
	if err != nil {
		t.Fatal(err)
	}
	second, err := StartMaster(t.Context(), MasterOptions{Options: wide(security.Master, "second", first.Address().Address)})
	if err != nil {
		t.Fatal(err)
	}
	w, err := StartWorker(t.Context(), wide(security.Worker, "worker", first.Address().Address))
	if err != nil {
		t.Fatal(err)
	}
	var members []raftmeta.Member
	until(t, "two masters", func() bool {
		members, err = second.store.Members(t.Context())
		return err == nil && len(members) == 2 && members[0].Voter && members[1].Voter
	})
	for _, k := range members {
		if !strings.HasPrefix(k.Address, "127.0.0.1:") || !strings.HasPrefix(k.ID, "127.0.0.1:") {
			t.Errorf("member %+v", k)
		}
	}
	r, err := second.Client().Nodes(t.Context(), &rpc.NodesRequest{})
	if err != nil || len(r.GetNodes()) != 3 {
		t.Fatalf("nodes: %v, %v", r, err)
	}
	for _, n := range r.GetNodes() {
		if !strings.HasPrefix(n.GetAddress(), "127.0.0.1:") || strings.HasSuffix(n.GetAddress(), ":0") {
			t.Errorf("node %v", n)
		}
	}
	end(t, w, second, first)
	for address, advertise := range map[string]string{"0.0.0.0:0": "", "[::]:0": "", ":0": "", "127.0.0.1:0": "0.0.0.0:7", "127.0.0.2:0": "host"} {
		o := p.options(security.Worker, "refused", "127.0.0.1:1")
		o.Listen, o.Advertise = address, advertise
		if _, err := StartWorker(t.Context(), o); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), "--advertise") {
			t.Errorf("%s as %q: %v", address, advertise, err)
		}
	}
}

// A role that cannot go on says so once: whoever has started it ends it then. That a store
// fails when others call an earlier life of it is shown in raftstore.
func TestFailedRole(t *testing.T) {
	m := newPlace(t).master()
	m.broken(failure.Errorf(failure.Conflict, "the first"))
	m.broken(failure.Errorf(failure.Conflict, "the second"))
	if err := <-m.Failed(); failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), "the first") {
		t.Error(err)
	}
	end(t, m)
}

// A master that has lost its disk and is told of nobody begins a second cluster; it hears
// of that from the others and ends, whether its log is where they call it or elsewhere.
func TestSecondCluster(t *testing.T) {
	for name, keepAddress := range map[string]bool{"log where it was": true, "log elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			c := newTrio(t)
			defer c.end()
			for i := range c.masters {
				c.start(i, i == 0)
			}
			for i, m := range c.masters {
				until(t, "one cluster of "+c.dir(i), func() bool { return whole(m) })
			}
			end(t, c.masters[0])
			c.masters[0] = nil
			kept := filepath.Join(c.place.dir, c.dir(0), masterDir)
			at, err := os.ReadFile(filepath.Join(kept, logAddress))
			if err == nil {
				err = os.RemoveAll(kept)
			}
			if err == nil && keepAddress {
				if err = os.Mkdir(kept, 0o700); err == nil {
					err = os.WriteFile(filepath.Join(kept, logAddress), at, 0o600)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			o := c.options(security.Master, c.dir(0))
			o.Listen = c.at[0]
			m, err := StartMaster(t.Context(), MasterOptions{Options: o})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-m.Failed(); failure.Of(err) != failure.Conflict {
				t.Errorf("%v (%v)", err, failure.Of(err))
			}
			end(t, m)
			until(t, "the others lead on", func() bool { return c.key(t.Context()) != "" })
		})
	}
}
