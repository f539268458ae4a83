package raftstore_test

// Clients read and write while masters crash, lose their disks, are cut off from each other,
// and come and go. All of it runs in fake time; what the clients saw must be explained by
// one store, and what watchers were told must be what it did.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

var (
	seed  = flag.Uint64("seed", 0, "simulate this seed alone")
	seeds = flag.Uint64("seeds", 12, "how many seeds to simulate")
)

// What one simulation is made of.
const (
	simulated  = 60 * time.Second
	clients    = 4
	checkLimit = 2 * time.Minute // of real time for one history
)

func TestSimulation(t *testing.T) {
	first, last := uint64(1), *seeds
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprint("seed", s), func(t *testing.T) {
			w := simulate(t, s, false)
			t.Logf("%d operations, faults: %s", len(w.history.ops), strings.Join(w.faults, ", "))
			result, info := porcupine.CheckOperationsVerbose(model(), w.history.ops, checkLimit)
			if result != porcupine.Ok {
				path := filepath.Join(t.ArtifactDir(), "history.html")
				t.Errorf("seed %d is %v: run with -seed=%d -artifacts; %s: %v", s, result, s, path, porcupine.VisualizePath(model(), info, path))
			}
		})
	}
}

// A store that answers from its own memory is found out.
func TestSimulationFindsStaleReads(t *testing.T) {
	const tries = 20
	for s := uint64(1); s <= tries; s++ {
		w := simulate(t, s, true)
		if porcupine.CheckOperationsTimeout(model(), w.history.ops, checkLimit) == porcupine.Illegal {
			return
		}
	}
	t.Errorf("none of %d histories with stale reads was found illegal", tries)
}

// world is one simulation.
type world struct {
	*testing.T
	seed    uint64
	stale   bool
	net     *fabric
	history history
	ctx     context.Context // ends with the faults and the clients
	clients sync.WaitGroup
	closing sync.WaitGroup // stores of earlier lives

	mu     sync.Mutex
	random *rand.Rand
	nodes  []*node
	faults []string
}

// node is one master.
type node struct {
	id      int
	disk    *disk
	store   *raftstore.Store // nil while it is down
	network *raftstore.Network
	watched chan struct{} // closed when the watcher of this life ended
}

func simulate(t *testing.T, seed uint64, stale bool) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		w = &world{T: t, seed: seed, stale: stale, net: newFabric(), random: rand.New(rand.NewPCG(seed, 7))}
		w.net.delay(func() time.Duration { return w.upTo(4 * time.Millisecond) })
		n := 3
		if seed%3 == 0 {
			n = 5
		}
		for i := range n {
			w.nodes = append(w.nodes, &node{id: i, disk: w.newDisk()})
			w.start(i, i == 0)
			w.join(t.Context(), i)
		}
		ctx, cancel := context.WithTimeout(t.Context(), simulated)
		w.ctx = ctx
		for c := range clients {
			w.clients.Go(func() { w.client(c) })
		}
		w.clients.Go(w.disturb)
		w.clients.Wait()
		cancel()
		w.finish()
	})
	return w
}

func (w *world) upTo(d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.random.Int64N(int64(d)))
}

func (w *world) pick(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

func (w *world) newDisk() *disk {
	return newDisk(func() time.Duration { return w.upTo(3 * time.Millisecond) })
}

func (w *world) start(i int, bootstrap bool) {
	n := w.nodes[i]
	network := w.net.network(address(i))
	store, err := raftstore.New(context.Background(), n.disk.mount(), raftstore.Options{
		ID: name(i), Network: network, Bootstrap: bootstrap, SnapshotEntries: 40,
	})
	if err != nil {
		w.Errorf("seed %d: start %d: %v", w.seed, i, err)
		return
	}
	watched := make(chan struct{})
	w.mu.Lock()
	n.store, n.network, n.watched = store, network, watched
	w.mu.Unlock()
	go func() {
		defer close(watched)
		w.watch(i, store)
	}()
}

// crash ends a master as kill -9 does: it writes and says nothing any more.
func (w *world) crash(i int) {
	w.mu.Lock()
	n := w.nodes[i]
	store, network, watched := n.store, n.network, n.watched
	n.store = nil
	w.mu.Unlock()
	n.disk.crash()
	w.net.kill(network)
	w.closing.Go(func() {
		if err := store.Close(); err != nil {
			w.Errorf("seed %d: close %d: %v", w.seed, i, err)
		}
		<-watched
	})
}

func (w *world) up() (up []*raftstore.Store) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		if n.store != nil {
			up = append(up, n.store)
		}
	}
	return up
}

// leader is the master that leads by its own account, or nil.
func (w *world) leader() *raftstore.Store {
	for _, s := range w.up() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		l, err := s.Leadership(ctx, raftmeta.Leadership{})
		cancel()
		if err == nil && l.Leading {
			return s
		}
	}
	return nil
}

// join goes on until the master is in.
func (w *world) join(ctx context.Context, i int) {
	for ctx.Err() == nil {
		if l := w.leader(); l != nil {
			attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := l.Join(attempt, raftmeta.Member{ID: name(i), Address: address(i)})
			cancel()
			if err == nil {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// client does one operation after the other.
func (w *world) client(id int) {
	var known [simulatedKeys]raftmeta.Revision
	for n := 0; w.ctx.Err() == nil; n++ {
		time.Sleep(w.upTo(500 * time.Millisecond))
		c := call{verb: verbGet, key: w.pick(simulatedKeys), value: uint64(id*1000 + n), expect: raftmeta.Any}
		switch w.pick(8) {
		case 0:
			c.verb = verbDelete
		case 1:
			c.verb, c.key = verbList, 0
		case 2:
			c.verb = verbPut
		case 3, 4:
			c.verb, c.expect = verbPut, known[c.key]
		}
		up, store := w.up(), w.leader()
		if len(up) == 0 {
			continue
		}
		if store == nil || w.pick(4) == 0 { // somebody who leads no more, or not yet
			store = up[w.pick(len(up))]
		}
		w.perform(id, store, c, &known)
	}
}

// perform makes one call and notes it, unless it is known that nothing happened.
func (w *world) perform(client int, store *raftstore.Store, c call, known *[simulatedKeys]raftmeta.Revision) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	called := w.history.now()
	var a answer
	var err error
	switch key := fmt.Sprint(c.key); c.verb {
	case verbGet:
		a.seen, err = w.get(ctx, store, key)
		known[c.key] = a.seen.revision
	case verbList:
		a.contents, err = list(ctx, store)
	case verbPut:
		a.revision, err = raftmeta.Put(ctx, store, "b", key, fmt.Append(nil, c.value), c.expect)
	case verbDelete:
		a.revision, err = raftmeta.Delete(ctx, store, "b", key, c.expect)
	}
	var conflict *raftmeta.ConflictError
	switch {
	case errors.As(err, &conflict):
		a.refused, a.seen = true, cell{revision: conflict.Actual}
		known[c.key] = conflict.Actual
	case errors.Is(err, raftmeta.ErrNotLeader):
		return
	case err != nil:
		a.unknown = true
		if c.verb == verbGet || c.verb == verbList {
			return
		}
	}
	w.history.add(client, called, c, a)
}

func (w *world) get(ctx context.Context, s *raftstore.Store, key string) (cell, error) {
	e, err := s.Get(ctx, "b", key)
	if w.stale {
		e, err = s.StaleGet("b", key)
	}
	if errors.Is(err, raftmeta.ErrNotFound) {
		return cell{}, nil
	}
	return cellOf(e), err
}

func cellOf(e raftmeta.Entry) cell {
	c := cell{revision: e.Revision}
	_, _ = fmt.Sscan(string(e.Value), &c.value) // a value that is none would differ from all that were written
	return c
}

func list(ctx context.Context, s *raftstore.Store) (c contents, err error) {
	entries, revision, err := s.List(ctx, "b", "")
	c.revision = revision
	for _, e := range entries {
		c.cells[e.Key[0]-'0'] = cellOf(e)
	}
	return c, err
}

// watch follows one life of a master, and compares every state that it is told of with
// those that a list of the leader shows.
func (w *world) watch(i int, s *raftstore.Store) {
	ctx := context.Background()
	watcher, err := s.Watch(ctx, "b", "", 0)
	if err != nil {
		return // it failed at once
	}
	defer watcher.Close()
	var told contents
	for {
		e, err := watcher.Next(ctx)
		if err != nil {
			return
		}
		switch {
		case e.Kind == raftmeta.EventResync:
			if told, err = w.listAnywhere(e.Entry.Revision, s); err != nil {
				return
			}
			continue
		case e.Entry.Revision <= told.revision:
			continue // in the list already
		case e.Entry.Revision != told.revision+1:
			w.Errorf("seed %d: watcher of %d was told of %v after revision %d", w.seed, i, e, told.revision)
			return
		}
		told.revision = e.Entry.Revision
		told.cells[e.Entry.Key[0]-'0'] = cell{}
		if e.Kind == raftmeta.EventPut {
			told.cells[e.Entry.Key[0]-'0'] = cellOf(e.Entry)
		}
	}
}

// listAnywhere lists from whoever leads, until a store is closed.
func (w *world) listAnywhere(atLeast raftmeta.Revision, until *raftstore.Store) (contents, error) {
	for {
		if l := w.leader(); l != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			c, err := list(ctx, l)
			cancel()
			if err == nil && c.revision < atLeast {
				w.Errorf("seed %d: a list at %d after a resync at %d", w.seed, c.revision, atLeast)
			}
			if err == nil {
				return c, nil
			}
		}
		if _, err := until.Members(context.Background()); err != nil {
			return contents{}, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// finish heals everything, reads once more, and ends all.
func (w *world) finish() {
	w.heal()
	for i, n := range w.nodes {
		if n.store == nil {
			w.start(i, false)
		}
		w.join(context.Background(), i)
	}
	var known [simulatedKeys]raftmeta.Revision
	for before := len(w.history.ops); len(w.history.ops) == before; time.Sleep(time.Second) {
		if l := w.leader(); l != nil {
			w.perform(clients, l, call{verb: verbList}, &known)
		}
	}
	for _, n := range w.nodes {
		w.crash(n.id)
	}
	w.closing.Wait()
}

func (w *world) heal() {
	for a := range w.nodes {
		for b := range w.nodes {
			w.net.stall(address(a), address(b), false)
		}
	}
}

// note remembers a fault for the log.
func (w *world) note(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// disturb does one harm after the other, of which the cluster must recover each time.
func (w *world) disturb() {
	for w.ctx.Err() == nil {
		time.Sleep(500*time.Millisecond + w.upTo(2*time.Second))
		leader, victim := w.leader(), w.pick(len(w.nodes))
		if leading := slices.IndexFunc(w.nodes, func(n *node) bool { return n.store != nil && n.store == leader }); leading >= 0 && w.pick(2) == 0 {
			victim = leading
		}
		switch w.pick(6) {
		case 0:
			w.note("kill %d", victim)
			w.crash(victim)
			time.Sleep(w.upTo(4 * time.Second))
			w.start(victim, false)
		case 1:
			w.note("kill all")
			for i := range w.nodes {
				w.crash(i)
			}
			time.Sleep(w.upTo(time.Second))
			for i := range w.nodes {
				w.start(i, false)
			}
		case 2:
			w.isolate(victim, w.pick(3))
		case 3:
			w.note("lose the disk of %d", victim)
			w.crash(victim)
			w.nodes[victim].disk = w.newDisk()
			time.Sleep(w.upTo(2 * time.Second))
			w.start(victim, false)
			w.join(w.ctx, victim)
		case 4:
			w.remove(victim)
		case 5:
			w.note("reset %d", victim)
			for i := range w.nodes {
				w.net.reset(address(victim), address(i))
			}
		}
	}
}

// isolate cuts a master off: what it says, what it hears, or both.
func (w *world) isolate(victim, way int) {
	w.note("isolate %d, way %d", victim, way)
	for i := range w.nodes {
		if i != victim {
			w.net.stall(address(victim), address(i), way != 1)
			w.net.stall(address(i), address(victim), way != 2)
		}
	}
	time.Sleep(w.upTo(4 * time.Second))
	w.heal()
}

// remove takes a master out and in again.
func (w *world) remove(victim int) {
	w.note("remove %d", victim)
	if l := w.leader(); l != nil {
		ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
		_ = l.Remove(ctx, name(victim)) // it may happen later, too
		cancel()
	}
	time.Sleep(w.upTo(2 * time.Second))
	w.join(w.ctx, victim)
}
