package raftstore_test

// Several masters: they elect a leader in about a second, keep what was acknowledged when
// any of them is killed, and take in one whose disk was lost.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/metatest"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// masters is a cluster in memory.
type masters struct {
	testing.TB
	net      *fabric
	opts     raftstore.Options
	storages []raftstore.Storage
	stores   []*raftstore.Store // nil while down
}

func newMasters(t testing.TB, n int, opts raftstore.Options) *masters {
	c := &masters{TB: t, net: newFabric(), opts: opts}
	for i := range n {
		c.storages = append(c.storages, raftstore.MemoryStorage())
		c.stores = append(c.stores, nil)
		c.start(i)
		c.join(i)
	}
	return c
}

func name(i int) string    { return fmt.Sprintf("master-%d", i) }
func address(i int) string { return fmt.Sprintf("host-%d:1", i) }

func (c *masters) start(i int) {
	c.Helper()
	opts := c.opts
	opts.ID, opts.Bootstrap, opts.Network = name(i), i == 0, c.net.network(address(i))
	c.stores[i] = open(c, c.storages[i], opts)
}

func (c *masters) stop(i int) {
	c.Helper()
	if err := c.stores[i].Close(); err != nil {
		c.Fatal(err)
	}
	c.stores[i] = nil
}

func (c *masters) close() {
	c.Helper()
	for i, s := range c.stores {
		if s != nil {
			c.stop(i)
		}
	}
}

func (c *masters) join(i int) {
	c.Helper()
	if err := c.led(func(s *raftstore.Store) error {
		return s.Join(c.Context(), raftmeta.Member{ID: name(i), Address: address(i)})
	}); err != nil {
		c.Fatal(err)
	}
}

// leader waits until a running master leads.
func (c *masters) leader() *raftstore.Store {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	found := make(chan *raftstore.Store, len(c.stores))
	running := 0
	for _, s := range c.stores {
		if s == nil {
			continue
		}
		running++
		go func() {
			var l raftmeta.Leadership
			var err error
			for err == nil && !l.Leading {
				l, err = s.Leadership(ctx, l)
			}
			if err != nil {
				s = nil
			}
			found <- s
		}()
	}
	var first *raftstore.Store
	for range running {
		if s := <-found; s != nil && first == nil {
			first = s
		}
		cancel()
	}
	if first == nil {
		c.Fatal("nobody leads")
	}
	return first
}

func (c *masters) index(s *raftstore.Store) int {
	for i, other := range c.stores {
		if other == s {
			return i
		}
	}
	return -1
}

// led calls on whoever leads, again and again as long as it has just stopped leading, which
// one that has removed itself or was cut off may learn only when it is called.
func (c *masters) led(call func(*raftstore.Store) error) error {
	c.Helper()
	for {
		err := call(c.leader())
		if !errors.Is(err, raftmeta.ErrNotLeader) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *masters) put(key, value string) {
	c.Helper()
	if err := c.led(func(s *raftstore.Store) error {
		_, err := raftmeta.Put(c.Context(), s, "b", key, []byte(value), raftmeta.Any)
		return err
	}); err != nil {
		c.Fatal(err)
	}
}

func (c *masters) get(key, want string) {
	c.Helper()
	if err := c.led(func(s *raftstore.Store) error {
		e, err := s.Get(c.Context(), "b", key)
		if err == nil && string(e.Value) != want {
			err = fmt.Errorf("got %q, want %q", e.Value, want)
		}
		return err
	}); err != nil {
		c.Fatal(err)
	}
}

// whole is a cluster as one store: the one that leads.
type whole struct {
	*raftstore.Store
	of *masters
}

func (w whole) Close() error {
	if i := w.of.index(w.Store); i >= 0 {
		w.of.stop(i)
	}
	w.of.close()
	return nil
}

func TestConformanceCluster(t *testing.T) {
	for _, n := range []int{1, 3} {
		for _, entries := range []int{0, 1} { // of a log before it is cut
			t.Run(fmt.Sprintf("%d masters, %d entries", n, entries), func(t *testing.T) {
				metatest.RunIn(t, synctest.Test, func(t *testing.T) func() raftmeta.Store {
					var c *masters
					return func() raftmeta.Store {
						if c == nil {
							c = newMasters(t, n, raftstore.Options{SnapshotEntries: entries})
						} else {
							for i := range c.stores {
								c.start(i)
							}
						}
						return whole{Store: c.leader(), of: c}
					}
				})
			})
		}
	}
}

func TestFollowersKnowTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		time.Sleep(time.Second) // until they have heard of the last one
		for i, s := range c.stores {
			l, err := s.Leadership(t.Context(), raftmeta.Leadership{})
			if err != nil || l.Leader != name(0) || l.Address != address(0) || l.Leading != (i == 0) {
				t.Errorf("master %d: %+v, %v", i, l, err)
			}
			_, err = s.Get(t.Context(), "b", "k")
			if want := map[bool]error{true: raftmeta.ErrNotFound, false: raftmeta.ErrNotLeader}[i == 0]; !errors.Is(err, want) {
				t.Errorf("master %d: %v, want %v", i, err, want)
			}
			members, err := s.Members(t.Context())
			if err != nil || len(members) != 3 || members[2] != (raftmeta.Member{ID: name(2), Address: address(2), Voter: true}) {
				t.Errorf("master %d: members %+v, %v", i, members, err)
			}
		}
	})
}

// A killed leader is followed by another one, and comes back.
func TestLeaderKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		for round := range 5 {
			c.put("k", fmt.Sprint(round))
			old := c.index(c.leader())
			for i := range c.stores {
				if i != old {
					c.cut(old, i, true)
				}
			}
			begin := time.Now()
			killed := c.stores[old]
			c.stores[old] = nil
			c.get("k", fmt.Sprint(round))
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("the next leader took %v", took)
			}
			for i := range c.stores {
				if i != old {
					c.cut(old, i, false)
				}
			}
			if err := killed.Close(); err != nil {
				t.Fatal(err)
			}
			c.start(old)
		}
	})
}

// cut separates two masters, or joins them again.
func (c *masters) cut(a, b int, on bool) {
	c.net.stall(address(a), address(b), on)
	c.net.stall(address(b), address(a), on)
}

// A leader that closes hands over: nobody waits for a timeout.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		c.put("k", "v")
		begin := time.Now()
		c.stop(c.index(c.leader()))
		c.get("k", "v")
		if took := time.Since(begin); took > 300*time.Millisecond {
			t.Errorf("the hand-over took %v", took)
		}
	})
}

// A master whose disk was lost comes back as a new one and catches up by a snapshot.
func TestLostDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{SnapshotEntries: 16})
		defer c.close()
		lost := c.index(c.leader())
		c.stop(lost)
		for i := range 100 {
			c.put(fmt.Sprint(i), "v")
			time.Sleep(time.Second)
		}
		c.storages[lost] = raftstore.MemoryStorage()
		opts := c.opts
		opts.ID, opts.Network = name(lost), c.net.network(address(lost))
		c.stores[lost] = open(c, c.storages[lost], opts)
		c.join(lost)
		members, err := c.stores[lost].Members(t.Context())
		if err != nil || len(members) != 3 {
			t.Fatalf("members %+v, %v", members, err)
		}
		w, err := c.stores[lost].Watch(t.Context(), "b", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := w.Next(t.Context()); err != nil || ev.Kind != raftmeta.EventResync {
			t.Errorf("got %v, %v: it did not catch up by a snapshot", ev, err)
		}
		w.Close()
		first, err := c.storages[lost].Log.FirstIndex()
		if err != nil || first < 50 {
			t.Errorf("its log begins at %d, %v", first, err)
		}
		c.stop((lost + 1) % 3) // the new disk counts
		c.get("99", "v")
	})
}

// One that is bootstrapped again after its disk was lost stops when the others call.
func TestBootstrappedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		c.put("k", "v")
		c.stop(0)
		storage := c.storages[0]
		c.storages[0] = raftstore.MemoryStorage()
		c.start(0)
		begin := time.Now()
		var l raftmeta.Leadership
		var err error
		for err == nil {
			l, err = c.stores[0].Leadership(t.Context(), l)
		}
		if took := time.Since(begin); failure.Of(err) != failure.Conflict || took > time.Second {
			t.Errorf("after %v: %v of class %v", took, err, failure.Of(err))
		}
		if _, err := raftmeta.Put(t.Context(), c.stores[0], "b", "k", nil, raftmeta.Any); failure.Of(err) != failure.Conflict {
			t.Errorf("put: %v", err)
		}
		c.stop(0)
		c.storages[0] = storage // with its old disk it is one of them
		c.start(0)
		c.stop(1)
		c.get("k", "v")
	})
}

// A master may be told to begin a cluster after it has started: once, and not when it is
// in one.
func TestBootstrapLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &masters{TB: t, net: newFabric()}
		defer c.close()
		for i := range 2 {
			c.storages = append(c.storages, raftstore.MemoryStorage())
			c.stores = append(c.stores, open(t, c.storages[i], raftstore.Options{ID: name(i), Network: c.net.network(address(i))}))
		}
		if members, err := c.stores[0].Members(t.Context()); err != nil || len(members) > 0 {
			t.Fatalf("members of none: %v, %v", members, err)
		}
		for range 2 {
			if err := c.stores[0].Bootstrap(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.put("k", "v")
		c.join(1)
		if err := c.stores[1].Bootstrap(t.Context()); err != nil {
			t.Errorf("of one that is in a cluster: %v", err)
		}
		for i, s := range c.stores {
			if members, err := s.Members(t.Context()); err != nil || len(members) != 2 {
				t.Errorf("master %d: %v, %v", i, members, err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		alone := open(t, raftstore.MemoryStorage(), raftstore.Options{ID: "alone", Network: c.net.network("alone:1")})
		if err := alone.Bootstrap(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
		if err := alone.Close(); err != nil {
			t.Fatal(err)
		}
		if err := alone.Bootstrap(t.Context()); !errors.Is(err, raftmeta.ErrClosed) {
			t.Errorf("when it is closed: %v", err)
		}
	})
}

// A master of another cluster is not let in: its log and its state are others.
func TestForeignMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		foreign := open(t, raftstore.MemoryStorage(), raftstore.Options{ID: "foreign", Bootstrap: true, Network: c.net.network("abroad:1")})
		if _, err := foreign.Leadership(t.Context(), raftmeta.Leadership{}); err != nil {
			t.Fatal(err)
		}
		if err := c.leader().Join(t.Context(), raftmeta.Member{ID: "foreign", Address: "abroad:1"}); failure.Of(err) != failure.Conflict {
			t.Errorf("join of a foreign master: %v", err)
		}
		if err := foreign.Join(t.Context(), raftmeta.Member{ID: name(1), Address: address(1)}); failure.Of(err) != failure.Conflict {
			t.Errorf("join by a foreign master: %v", err)
		}
		c.stop(0) // and one that is bootstrapped again is foreign, too
		c.storages[0] = raftstore.MemoryStorage()
		c.start(0)
		if _, err := c.stores[0].Leadership(t.Context(), raftmeta.Leadership{}); err != nil {
			t.Fatal(err)
		}
		others := &masters{TB: t, net: c.net, stores: c.stores[1:]}
		if err := others.leader().Join(t.Context(), raftmeta.Member{ID: name(0), Address: address(0)}); failure.Of(err) != failure.Conflict {
			t.Errorf("join of one bootstrapped again: %v", err)
		}
		if err := foreign.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, c := t.Context(), newMasters(t, 3, raftstore.Options{})
		defer c.close()
		l := c.leader()
		for _, m := range []raftmeta.Member{{ID: name(1), Address: address(1)}, {ID: name(0), Address: address(0)}} {
			if err := l.Join(ctx, m); err != nil {
				t.Errorf("a second join of %v: %v", m, err)
			}
		}
		if err := l.Join(ctx, raftmeta.Member{ID: "other", Address: address(1)}); failure.Of(err) != failure.Conflict {
			t.Errorf("join of another id: %v", err)
		}
		if err := l.Join(ctx, raftmeta.Member{ID: "other", Address: "nowhere:1"}); failure.Of(err) != failure.Transient || !errors.Is(err, errRefused) {
			t.Errorf("join of nobody: %v", err)
		}
		if err := c.stores[1].Join(ctx, raftmeta.Member{ID: name(2), Address: address(2)}); !errors.Is(err, raftmeta.ErrNotLeader) {
			t.Errorf("join through a follower: %v", err)
		}
		for _, id := range []string{name(2), name(2), name(1)} {
			if err := l.Remove(ctx, id); err != nil {
				t.Errorf("remove %s: %v", id, err)
			}
		}
		if err := l.Remove(ctx, name(0)); failure.Of(err) != failure.Conflict {
			t.Errorf("remove of the last one: %v", err)
		}
		c.put("k", "v")
		c.stop(2)
		c.start(2) // at another address it would be the same
		c.join(2)
		c.get("k", "v")
		if err := l.Remove(ctx, name(0)); err != nil { // itself
			t.Error(err)
		}
		c.get("k", "v")
	})
}

// The leader knows which masters it does not hear of, and since when; one that comes back
// is there again.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 3, raftstore.Options{})
		defer c.close()
		l := c.leader()
		lost := func() (out []string) {
			members, err := l.Members(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range members {
				if !m.Lost.IsZero() {
					out = append(out, fmt.Sprintf("%s since %v", m.ID, time.Since(m.Lost).Round(time.Second)))
				}
			}
			return out
		}
		time.Sleep(10 * time.Second)
		if got := lost(); len(got) > 0 {
			t.Errorf("lost: %v", got)
		}
		gone := (c.index(l) + 1) % 3
		c.stop(gone)
		time.Sleep(10 * time.Second)
		if got := lost(); len(got) != 1 || got[0] != name(gone)+" since 10s" {
			t.Errorf("lost: %v", got)
		}
		c.start(gone)
		time.Sleep(10 * time.Second)
		if got := lost(); len(got) > 0 {
			t.Errorf("lost: %v", got)
		}
	})
}

// A master that is alone moves, and the next one finds it there; a follower that moves is
// joined again.
func TestNewAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMasters(t, 1, raftstore.Options{})
		defer c.close()
		c.put("k", "v")
		move := func(i int, to string) {
			c.stop(i)
			c.stores[i] = open(c, c.storages[i], raftstore.Options{ID: name(i), Network: c.net.network(to)})
		}
		move(0, "elsewhere:1")
		for i := 1; i < 3; i++ {
			c.storages, c.stores = append(c.storages, raftstore.MemoryStorage()), append(c.stores, nil)
			c.start(i)
			c.join(i)
		}
		move(2, "elsewhere:3")
		if err := c.leader().Join(t.Context(), raftmeta.Member{ID: name(2), Address: "elsewhere:3"}); err != nil {
			t.Fatal(err)
		}
		c.stop(1)
		c.get("k", "v")
		members, err := c.leader().Members(t.Context())
		if err != nil || members[0].Address != "elsewhere:1" || members[2].Address != "elsewhere:3" {
			t.Errorf("members %+v, %v", members, err)
		}
		c.start(1)
		c.stop(0) // the others reach each other
		c.get("k", "v")
	})
}

// What an operator reads: who leads, who is there, what was kept.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines syncBuffer
		c := newMasters(t, 3, raftstore.Options{SnapshotEntries: 4, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		for i := range 20 {
			c.put("k", fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		c.close()
		for _, want := range []string{
			"msg=leadership master=master-1 leader=master-0 address=host-0:1 leading=false",
			"msg=leadership master=master-0 leader=master-0 address=host-0:1 leading=true",
			"msg=\"metadata members\" master=master-2", "host-1:1#master-1#",
			"msg=\"metadata snapshot\" master=master-0 bytes=",
		} {
			if !strings.Contains(lines.String(), want) {
				t.Errorf("no line with %s", want)
			}
		}
		if t.Failed() {
			t.Log(lines.String())
		}
	})
}

// syncBuffer is written by several masters.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
