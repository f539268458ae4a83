package minicluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	arrow "github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/blobstore"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
)

const (
	// silence is how long a node may be silent where there are several masters, which are
	// told of no death, as in programs.
	silence = 2 * time.Second
	// askPause is between questions who leads, and askPatience how long they go on.
	askPause    = 50 * time.Millisecond
	askPatience = 20 * time.Second
)

// masters are several, of which one leads. Each has a disk in memory and connections in
// memory to the others.
type masters struct {
	cluster *Cluster
	opts    Options
	links   *fabric
	root    context.Context // ends joining
	stop    context.CancelFunc
	running sync.WaitGroup // joining, and the ends of lives

	all []*master // all of them before the first one starts

	mu   sync.Mutex // of their lives
	errs error
}

// master is one through all its lives.
type master struct {
	name    string
	blobs   string // the directory of its blobs
	storage raftstore.Storage
	life    *life // nil: it is down
}

// life is one life of a master.
type life struct {
	dead      *atomic.Bool
	store     *raftstore.Store
	blobs     *blobstore.Store
	candidate *scheduler.Candidate
	stop      context.CancelFunc
	over      chan struct{} // closed when the candidate has ended
	joined    chan struct{} // closed when the others know it
}

func (c *Cluster) startMasters(ctx context.Context, o Options) error {
	m := &masters{cluster: c, opts: o, links: newFabric()}
	m.root, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.masters = m
	for i := range o.Masters {
		name := fmt.Sprintf("master-%d", i+1)
		m.all = append(m.all, &master{name: name, storage: raftstore.MemoryStorage(), blobs: filepath.Join(o.Blobs, name)})
	}
	for i, n := range m.all {
		if err := m.start(i, i == 0); err != nil {
			return fmt.Errorf("start %s: %w", n.name, err)
		}
	}
	c.transport.ServeMaster(router{of: m})
	for _, l := range m.lives() {
		select {
		case <-l.joined:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// start begins a master's next life.
func (m *masters) start(i int, bootstrap bool) error {
	n := m.all[i]
	l := &life{dead: &atomic.Bool{}, over: make(chan struct{}), joined: make(chan struct{})}
	var err error
	l.store, err = raftstore.New(m.root, mortal(n.storage, l.dead), raftstore.Options{
		ID: n.name, Network: m.links.network(n.name), Bootstrap: bootstrap, Log: m.opts.Log,
	})
	if err != nil {
		return err
	}
	if l.blobs, err = blobstore.Open(n.blobs, blobstore.Options{Peers: func() []blobstore.Peer { return m.peers(i) }}); err != nil {
		return errors.Join(err, l.store.Close())
	}
	wire := m.opts.Wire
	wire.Fault, wire.Lost = l.silenced(wire.Fault), l.silenced(wire.Lost)
	l.candidate = scheduler.NewCandidate(scheduler.CandidateOptions{Master: scheduler.Options{
		Store: l.store, Blobs: l.blobs, Dialer: m.cluster.transport.With(wire), Name: n.name, Address: n.name,
		Heartbeat: m.opts.Heartbeat, Timeout: silence, Log: m.opts.Log,
		Files: func(job config.Config) (checkpointing.Files, fs.FileSystem, error) {
			return storage.Open(m.opts.FileSystems, job, arrow.DefaultAllocator)
		},
	}})
	root, stop := context.WithCancel(m.root)
	l.stop = stop
	m.mu.Lock()
	n.life = l
	m.mu.Unlock()
	m.running.Go(func() {
		defer close(l.over)
		_ = l.candidate.Run(root) // a life that is over ends with an error of its disk
	})
	m.running.Go(func() { m.join(root, n.name, l.joined) })
	return nil
}

// silenced has a dead master say and hear nothing.
func (l *life) silenced(fault func(string) error) func(string) error {
	return func(method string) error {
		if l.dead.Load() {
			return failure.Wrap(failure.Transient, rpc.ErrUnreachable)
		}
		if fault == nil {
			return nil
		}
		return fault(method)
	}
}

// join has the leading master add one, until it has.
func (m *masters) join(ctx context.Context, name string, joined chan<- struct{}) {
	for {
		if l, err := m.leading(ctx); err == nil {
			attempt, stop := context.WithTimeout(ctx, silence)
			err = l.store.Join(attempt, raftmeta.Member{ID: name, Address: name, Voter: true})
			stop()
			if err == nil {
				close(joined)
				return
			}
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return
		}
	}
}

func (m *masters) lives() (all []*life) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.all {
		if n.life != nil {
			all = append(all, n.life)
		}
	}
	return all
}

// leading waits for a life that leads.
func (m *masters) leading(ctx context.Context) (*life, error) {
	for {
		for _, l := range m.lives() {
			if _, err := l.candidate.Leading(); err == nil {
				return l, nil
			}
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// peers are the blobs of the other masters.
func (m *masters) peers(i int) (out []blobstore.Peer) {
	for k := range m.all {
		if k != i {
			out = append(out, blobsOf{m, k, i})
		}
	}
	return out
}

// blobsOf are those of a master for another one.
type blobsOf struct {
	m        *masters
	to, from int
}

func (b blobsOf) reach() (*blobstore.Files, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	to, from := b.m.all[b.to], b.m.all[b.from]
	b.m.links.mu.Lock()
	defer b.m.links.mu.Unlock()
	if to.life == nil || from.life == nil || b.m.links.cut[to.name] || b.m.links.cut[from.name] {
		return nil, failure.Wrap(failure.Transient, fmt.Errorf("blobs of %s: %w", to.name, rpc.ErrUnreachable))
	}
	return to.life.blobs.Local(), nil
}

// Put implements blobstore.Peer.
func (b blobsOf) Put(ctx context.Context, name raftmeta.BlobName, data []byte) error {
	files, err := b.reach()
	if err != nil {
		return err
	}
	return files.Put(ctx, name, data)
}

// Get implements blobstore.Peer.
func (b blobsOf) Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error) {
	files, err := b.reach()
	if err != nil {
		return nil, err
	}
	return files.Get(ctx, name)
}

// kill ends a master as kill -9 does: it writes and says nothing any more.
func (m *masters) kill(i int) {
	m.mu.Lock()
	n := m.all[i]
	l := n.life
	n.life = nil
	m.mu.Unlock()
	if l == nil {
		return
	}
	l.dead.Store(true)
	m.links.kill(n.name)
	m.running.Go(func() {
		if err := l.end(); err != nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.errs = errors.Join(m.errs, fmt.Errorf("end %s: %w", n.name, err))
		}
	})
}

func (l *life) end() error {
	l.stop()
	<-l.over
	return errors.Join(l.store.Close(), l.blobs.Close())
}

func (m *masters) close(ctx context.Context) error {
	var all error
	if l, err := m.leading(ctx); err == nil {
		if leader, err := l.candidate.Leading(); err == nil {
			all = leader.Close(ctx)
		}
	}
	m.stop()
	for _, l := range m.lives() {
		all = errors.Join(all, l.end())
	}
	m.running.Wait()
	return errors.Join(all, m.errs)
}

// beat sends the heartbeats of a shuffle server, as core/process does: a new leader learns
// of it by them, and it of jobs that are over.
func (m *masters) beat(n *node, register *rpc.RegisterRequest) {
	root, stop := context.WithCancel(m.root)
	over := make(chan struct{})
	n.quiet = func() {
		stop()
		<-over
	}
	to := keyed{m.cluster.transport, m.cluster, n}.Master()
	go func() {
		defer close(over)
		tick := time.NewTicker(m.opts.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-root.Done():
				return
			}
			q := &rpc.HeartbeatRequest{Worker: string(n.id)}
			for _, job := range n.door.server.Jobs() {
				q.Jobs = append(q.Jobs, job[:])
			}
			r, err := to.Heartbeat(root, q)
			if err == nil && r.GetUnknown() {
				_, err = to.Register(root, register)
			}
			for _, job := range r.GetOver() {
				err = errors.Join(err, n.door.server.DropJob(root, id.Job(job), nil, ^id.Term(0)))
			}
			if err != nil && m.opts.Log != nil {
				m.opts.Log.Debug("heartbeat of a shuffle server", "server", n.id, "error", err)
			}
		}
	}()
}

// mortal is storage that a dead master cannot write to any more.
func mortal(s raftstore.Storage, dead *atomic.Bool) raftstore.Storage {
	return raftstore.Storage{Log: mortalLog{s.Log, dead}, Snapshots: mortalSnapshots{s.Snapshots, dead}}
}

var errDead = errors.New("this master is dead")

type mortalLog struct {
	raftstore.LogStore
	dead *atomic.Bool
}

func (l mortalLog) alive(write func() error) error {
	if l.dead.Load() {
		return errDead
	}
	return write()
}

// StoreLog implements raft.LogStore.
func (l mortalLog) StoreLog(e *raft.Log) error {
	return l.alive(func() error { return l.LogStore.StoreLog(e) })
}

// StoreLogs implements raft.LogStore.
func (l mortalLog) StoreLogs(e []*raft.Log) error {
	return l.alive(func() error { return l.LogStore.StoreLogs(e) })
}

// DeleteRange implements raft.LogStore.
func (l mortalLog) DeleteRange(first, last uint64) error {
	return l.alive(func() error { return l.LogStore.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (l mortalLog) Set(key, value []byte) error {
	return l.alive(func() error { return l.LogStore.Set(key, value) })
}

// SetUint64 implements raft.StableStore.
func (l mortalLog) SetUint64(key []byte, value uint64) error {
	return l.alive(func() error { return l.LogStore.SetUint64(key, value) })
}

// Close implements io.Closer; the disk stays.
func (l mortalLog) Close() error { return nil }

type mortalSnapshots struct {
	raft.SnapshotStore
	dead *atomic.Bool
}

// Create implements raft.SnapshotStore.
func (s mortalSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if s.dead.Load() {
		return nil, errDead
	}
	return s.SnapshotStore.Create(v, index, term, c, at, t)
}
