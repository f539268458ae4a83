package raftstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// Options configures a store; the zero value is right for embedded runs.
type Options struct {
	// ID names this master in the cluster, for ever; empty means "master-0".
	ID string
	// Network connects it to other masters. Nil means that it is alone: New makes a
	// cluster of one and returns when it leads.
	Network *Network
	// Bootstrap lets a fresh storage become a cluster of this master alone, which others
	// may join. Without it a master on a fresh storage waits until it is joined to a
	// cluster. It means nothing to a storage that is in use. Exactly one master of a
	// cluster is bootstrapped, once. One whose disk was lost must not be, or there are two
	// clusters: it stops with class Conflict when it hears from the others.
	Bootstrap bool
	// Limits bound transactions.
	Limits raftmeta.Limits
	// WatchBuffer is how many events a watcher may lag behind before it has
	// to list again; zero means 1024.
	WatchBuffer int
	// History is how many past events a new watcher can start from; zero
	// means 4096.
	History int
	// SnapshotEntries is how many log entries are kept before the log is cut
	// by a snapshot; zero means 4096.
	SnapshotEntries int
	// Log gets a line for each change of the leader and of the members and for each
	// snapshot, and Raft's own warnings at level debug; nil means none.
	Log *slog.Logger
}

func (o Options) complete() Options {
	if o.ID == "" {
		o.ID = "master-0"
	}
	if o.WatchBuffer == 0 {
		o.WatchBuffer = 1024
	}
	if o.History == 0 {
		o.History = 4096
	}
	if o.SnapshotEntries == 0 {
		o.SnapshotEntries = 4096
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("master", o.ID)
	o.Limits = o.Limits.Complete()
	return o
}

// Store is a raftmeta.Cluster as one master sees it.
type Store struct {
	opts       Options
	self       raft.ServerID
	raft       *raft.Raft
	log        LogStore
	machine    *machine
	links      *links // nil if it is alone
	transport  raft.Transport
	confirmer  confirmer
	absent     absent
	membership chan struct{}   // holds a token while a change of members is under way
	released   chan struct{}   // closed when the network is cut
	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	running    sync.WaitGroup // follow and the calls that wait for Raft

	mu      sync.Mutex
	closed  bool
	lead    raftmeta.Leadership
	failed  error         // why the store cannot lead again
	changed chan struct{} // closed and replaced when lead changes
}

var _ raftmeta.Cluster = (*Store)(nil)

// New starts the store on storage, which it owns from then on; ctx bounds the start. A
// master without a network leads when New returns; another one may lead later, or never.
func New(ctx context.Context, storage Storage, opts Options) (*Store, error) {
	opts = opts.complete()
	s := &Store{
		opts:       opts,
		log:        storage.Log,
		machine:    newMachine(opts.History),
		membership: make(chan struct{}, 1),
		released:   make(chan struct{}),
		changed:    make(chan struct{}),
	}
	s.confirmer.store = s
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.start(ctx, storage); err != nil {
		return nil, fmt.Errorf("start metadata store %s: %w", opts.ID, err)
	}
	return s, nil
}

// Timeouts of Raft. A single master is elected by nudge and never waits for them. With
// others, a new leader needs the votes of those that miss the last one, too, which takes
// them one heartbeat to two; simulated, the next read succeeds after 1.0 s in half and
// after 1.4 s in 99 of 100 kills. A leader that does not hear from a majority for a lease stops;
// reads do not rely on it.
const (
	heartbeat   = 500 * time.Millisecond
	lease       = 450 * time.Millisecond
	callTimeout = 5 * time.Second // of a call between masters
)

func (s *Store) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = s.self
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, lease
	c.SnapshotThreshold = uint64(s.opts.SnapshotEntries)
	c.TrailingLogs = uint64(s.opts.SnapshotEntries) / 4
	c.SnapshotInterval = 10 * time.Second
	c.ShutdownOnRemove = false // it may be added again
	c.NoLegacyTelemetry = true
	c.Logger = raftLogger(s.opts.Log)
	return c
}

func (s *Store) start(ctx context.Context, storage Storage) error {
	only, err := s.startRaft(storage)
	if err != nil {
		s.cancel()
		err = errors.Join(fatal(err), s.log.Close())
		if s.opts.Network != nil {
			err = errors.Join(err, s.opts.Network.Listener.Close())
		}
		return err
	}
	s.running.Go(s.follow)
	if only {
		if err := s.nudge(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if s.links != nil {
		return nil
	}
	if _, err := s.Leadership(ctx, raftmeta.Leadership{}); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// startRaft says whether this master is the only one, which nobody else can elect.
func (s *Store) startRaft(storage Storage) (only bool, err error) {
	used, err := raft.HasExistingState(storage.Log, storage.Log, storage.Snapshots)
	if err != nil {
		return false, err
	}
	if s.self, err = identify(storage, s.opts.ID, !used); err != nil {
		return false, err
	}
	c := s.config()
	if s.opts.Network == nil {
		_, s.transport = raft.NewInmemTransport(raftAddress("", s.self))
	} else {
		s.links = newLinks(s.self, s.opts.Network, s.machine.fail)
		s.transport = &electorate{
			Transport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
				Stream: s.links, MaxPool: 3, Timeout: callTimeout, Logger: c.Logger,
				MaxRPCsInFlight: 1, // no pipeline, which may stop for ever: TestEntriesAreNotPipelined
			}),
			voters: s.voters, rpcs: make(chan raft.RPC),
		}
	}
	if !used && (s.opts.Bootstrap || s.links == nil) {
		self := raft.Server{ID: s.self, Address: s.transport.LocalAddr()}
		err = raft.BootstrapCluster(c, storage.Log, storage.Log, storage.Snapshots, s.transport,
			raft.Configuration{Servers: []raft.Server{self}})
	}
	state := &fsm{m: s.machine, log: s.opts.Log}
	guarded := &guard{LogStore: storage.Log, fail: s.machine.fail, released: s.released}
	if err == nil {
		s.raft, err = guarded.start(func() (*raft.Raft, error) {
			return raft.NewRaft(c, state, guarded, guarded, storage.Snapshots, s.transport)
		})
	}
	if err != nil {
		return false, errors.Join(err, s.cut())
	}
	if s.links != nil {
		s.running.Go(func() { s.transport.(*electorate).run(s.released) })
		s.links.raft <- s.raft
	}
	return alone(s.raft, s.self), nil
}

// cut ends everything that goes over the network.
func (s *Store) cut() error {
	var err error
	if s.links != nil {
		err = s.links.Close()
	}
	return errors.Join(err, s.transport.(raft.WithClose).Close())
}

// nudge makes Raft look at its heartbeat timer now instead of after a timeout:
// it does so whenever a shorter one is loaded.
func (s *Store) nudge() error {
	rc := s.raft.ReloadableConfig()
	rc.HeartbeatTimeout -= time.Millisecond
	return s.raft.ReloadConfig(rc)
}

// follow publishes changes of leadership until Raft ends.
func (s *Store) follow() {
	leaders := make(chan raft.Observation, 1)
	observer := raft.NewObserver(leaders, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	beats := make(chan raft.Observation, 4*maxMembers)
	heard := raft.NewObserver(beats, false, heartbeats)
	for _, o := range []*raft.Observer{observer, heard} {
		s.raft.RegisterObserver(o)
		defer s.raft.DeregisterObserver(o)
	}
	var own raftmeta.Leadership
	for {
		s.publish(s.see(own), nil)
		select {
		case leading := <-s.raft.LeaderCh():
			own = raftmeta.Leadership{}
			s.absent.begin()
			if leading {
				own = s.settle()
				s.begin(s.readdress)
			}
		case <-leaders:
		case o := <-beats:
			s.absent.note(o)
		case <-s.machine.dead:
			err := s.machine.fail(nil)
			s.opts.Log.Error("metadata store stops", "error", err)
			s.publish(raftmeta.Leadership{}, err)
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// see is this master's own leadership, or else whom it follows.
func (s *Store) see(own raftmeta.Leadership) raftmeta.Leadership {
	if own.Leading {
		return own
	}
	address, server := s.raft.LeaderWithID()
	if server == s.self || server == "" {
		return raftmeta.Leadership{} // or not settled
	}
	l := raftmeta.Leadership{Leader: nameOf(server)}
	l.Address, _ = splitAddress(address)
	return l
}

// settle waits until this leader has applied everything that earlier leaders
// committed, by passing an empty transaction through the log. The log tells the
// exact term; if the lead is lost meanwhile, so is the transaction.
func (s *Store) settle() raftmeta.Leadership {
	f := s.raft.Apply(encodeTxn(raftmeta.Txn{}), 0)
	if f.Error() != nil {
		return raftmeta.Leadership{}
	}
	o := f.Response().(outcome)
	if o.err != nil {
		return raftmeta.Leadership{}
	}
	return raftmeta.Leadership{Leading: true, Term: o.term, Leader: s.opts.ID, Address: s.address()}
}

func (s *Store) address() string {
	if s.links == nil {
		return ""
	}
	return s.opts.Network.address()
}

func (s *Store) publish(l raftmeta.Leadership, failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || l == s.lead && failed == nil {
		return
	}
	s.opts.Log.Info("leadership", "leader", l.Leader, "address", l.Address, "leading", l.Leading, "term", uint64(l.Term))
	s.lead, s.failed = l, failed
	close(s.changed)
	s.changed = make(chan struct{})
}

// leading is the leadership published last.
func (s *Store) leading() raftmeta.Leadership {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lead
}

// Leadership implements raftmeta.Store.
func (s *Store) Leadership(ctx context.Context, known raftmeta.Leadership) (raftmeta.Leadership, error) {
	for {
		s.mu.Lock()
		lead, failed, changed := s.lead, s.failed, s.changed
		s.mu.Unlock()
		if err := s.alive(ctx); err != nil {
			return raftmeta.Leadership{}, err
		}
		if failed != nil {
			return raftmeta.Leadership{}, failed
		}
		if lead != known {
			return lead, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
}

// alive says why the store cannot serve a call with ctx.
func (s *Store) alive(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return errClosed()
	}
	return ctx.Err()
}

// Get implements raftmeta.Store.
func (s *Store) Get(ctx context.Context, b raftmeta.Bucket, key string) (raftmeta.Entry, error) {
	if err := s.verify(ctx); err != nil {
		return raftmeta.Entry{}, fmt.Errorf("get %s/%s: %w", b, key, err)
	}
	return s.machine.get(b, key)
}

// List implements raftmeta.Store.
func (s *Store) List(ctx context.Context, b raftmeta.Bucket, prefix string) ([]raftmeta.Entry, raftmeta.Revision, error) {
	if err := s.verify(ctx); err != nil {
		return nil, 0, fmt.Errorf("list %s/%s: %w", b, prefix, err)
	}
	return s.machine.list(b, prefix)
}

// verify returns nil when the machine holds everything that was acknowledged
// before the call. settle did that for the term; a majority confirms that no later
// leader existed by now.
func (s *Store) verify(ctx context.Context) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	lead, failed := s.lead, s.failed
	s.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case !lead.Leading:
		return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	case s.links == nil: // nobody else could be elected
		return nil
	}
	return s.confirmer.confirm(ctx)
}

// Apply implements raftmeta.Store.
func (s *Store) Apply(ctx context.Context, txn raftmeta.Txn) (raftmeta.Revision, error) {
	if err := s.opts.Limits.Check(txn); err != nil {
		return 0, err
	}
	if err := s.alive(ctx); err != nil {
		return 0, fmt.Errorf("apply metadata: %w", err)
	}
	var o outcome
	err := s.await(ctx, func() raft.Future {
		f := s.raft.Apply(encodeTxn(txn), 0)
		if f.Error() == nil {
			o = f.Response().(outcome)
		}
		return f
	})
	if err != nil {
		return 0, fmt.Errorf("apply metadata: %w", classify(err))
	}
	return o.revision, o.err
}

// await starts a request to Raft and returns its error, or the context's if
// that ends first. Close waits for the request, since Raft forgets some of
// those that are under way when it is shut down.
func (s *Store) await(ctx context.Context, start func() raft.Future) error {
	done := make(chan error, 1)
	if !s.begin(func() { done <- start().Error() }) {
		return errClosed()
	}
	select {
	case err := <-done:
		return err
	case <-s.machine.dead:
		return s.machine.fail(nil)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin starts f, for which Close waits, unless the store is closed.
func (s *Store) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Go(f)
	}
	return !s.closed
}

// classify turns Raft's errors into the contract's.
func classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	case errors.Is(err, raft.ErrLeadershipLost):
		return failure.Wrap(failure.Transient, raftmeta.ErrUnknown)
	case errors.Is(err, raft.ErrRaftShutdown):
		return errClosed()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, raftmeta.ErrClosed):
		return err
	}
	return fatal(err) // the log store or the machine failed
}

// fatal classifies an error that has no class.
func fatal(err error) error {
	if failure.Of(err) != failure.Fatal {
		return err
	}
	return failure.Wrap(failure.Fatal, err)
}

// Watch implements raftmeta.Store.
func (s *Store) Watch(ctx context.Context, b raftmeta.Bucket, prefix string, after raftmeta.Revision) (raftmeta.Watcher, error) {
	if err := s.alive(ctx); err != nil {
		return nil, fmt.Errorf("watch %s/%s: %w", b, prefix, err)
	}
	w, err := s.machine.watch(b, prefix, after, s.opts.WatchBuffer)
	if err != nil {
		return nil, fmt.Errorf("watch %s/%s: %w", b, prefix, err)
	}
	return w, nil
}

// Close implements raftmeta.Store. A leader hands the lead over first, if it can at once.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.handOver()
	s.cancel()
	s.machine.close()
	err := s.cut()
	close(s.released)
	s.running.Wait()
	err = errors.Join(err, s.raft.Shutdown().Error())
	if s.links != nil {
		s.links.serving.Wait()
	}
	if err := errors.Join(err, s.log.Close()); err != nil {
		return fmt.Errorf("close metadata store %s: %w", s.opts.ID, err)
	}
	return nil
}
