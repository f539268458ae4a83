package raftstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// Options configures a store; the zero value is right for embedded runs.
type Options struct {
	// ID names this master in the cluster, for ever; empty means "master-0".
	ID string
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
	// LogOutput gets Raft's log lines; nil means that they are dropped.
	LogOutput io.Writer
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
	o.Limits = o.Limits.Complete()
	return o
}

// Store is a raftmeta.Store of one master.
type Store struct {
	opts    Options
	raft    *raft.Raft
	log     LogStore
	machine *machine
	closing chan struct{}  // closed by Close
	running sync.WaitGroup // follow and the calls that wait for Raft

	mu      sync.Mutex
	closed  bool
	lead    raftmeta.Leadership
	failed  error         // why the store cannot lead again
	changed chan struct{} // closed and replaced when lead changes
}

var _ raftmeta.Store = (*Store)(nil)

// New starts the store on storage, which it owns from then on, and returns when
// this master leads; ctx bounds the start.
func New(ctx context.Context, storage Storage, opts Options) (*Store, error) {
	opts = opts.complete()
	s := &Store{
		opts:    opts,
		log:     storage.Log,
		machine: newMachine(opts.History),
		closing: make(chan struct{}),
		changed: make(chan struct{}),
	}
	if err := s.start(ctx, storage); err != nil {
		return nil, fmt.Errorf("start metadata store %s: %w", opts.ID, err)
	}
	return s, nil
}

// Timeouts of Raft. They matter between masters; a single one is elected by
// nudge and never waits for them.
const (
	heartbeat = time.Second
	lease     = 500 * time.Millisecond
)

func (s *Store) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(s.opts.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, lease
	c.SnapshotThreshold = uint64(s.opts.SnapshotEntries)
	c.TrailingLogs = uint64(s.opts.SnapshotEntries) / 4
	c.SnapshotInterval = 10 * time.Second
	c.NoLegacyTelemetry = true
	c.Logger = hclog.NewNullLogger()
	if s.opts.LogOutput != nil {
		c.Logger = hclog.New(&hclog.LoggerOptions{Name: "raft", Level: hclog.Info, Output: s.opts.LogOutput})
	}
	return c
}

func (s *Store) start(ctx context.Context, storage Storage) error {
	c := s.config()
	addr, transport := raft.NewInmemTransport(raft.ServerAddress(s.opts.ID))
	err := bootstrap(c, storage, transport, addr)
	if err == nil {
		s.raft, err = raft.NewRaft(c, fsm{s.machine}, storage.Log, storage.Log, storage.Snapshots, transport)
	}
	if err != nil {
		return errors.Join(failure.Wrap(failure.Fatal, err), transport.Close(), s.log.Close())
	}
	s.running.Go(s.follow)
	if err := s.nudge(); err != nil {
		return errors.Join(err, s.Close())
	}
	if _, err := s.Leadership(ctx, raftmeta.Leadership{}); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// bootstrap makes a fresh storage a cluster of one.
func bootstrap(c *raft.Config, storage Storage, transport raft.Transport, addr raft.ServerAddress) error {
	used, err := raft.HasExistingState(storage.Log, storage.Log, storage.Snapshots)
	if err != nil || used {
		return err
	}
	self := raft.Server{ID: c.LocalID, Address: addr}
	return raft.BootstrapCluster(c, storage.Log, storage.Log, storage.Snapshots, transport,
		raft.Configuration{Servers: []raft.Server{self}})
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
	for {
		select {
		case leading := <-s.raft.LeaderCh():
			l := raftmeta.Leadership{}
			if leading {
				l = s.settle()
			}
			s.publish(l, nil)
		case <-s.machine.dead:
			s.publish(raftmeta.Leadership{}, s.machine.fail(nil))
			return
		case <-s.closing:
			return
		}
	}
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
	return raftmeta.Leadership{Leading: true, Term: o.term, Leader: s.opts.ID}
}

func (s *Store) publish(l raftmeta.Leadership, failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l != s.lead || failed != nil {
		s.lead, s.failed = l, failed
		close(s.changed)
		s.changed = make(chan struct{})
	}
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
		case <-s.closing:
		}
	}
}

// alive says why the store cannot serve a call with ctx.
func (s *Store) alive(ctx context.Context) error {
	select {
	case <-s.closing:
		return errClosed()
	default:
		return ctx.Err()
	}
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
// before the call. settle did that for the term; a quorum confirms that no other
// leader existed by now; and the term, which only grows, is the same after it.
func (s *Store) verify(ctx context.Context) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	lead, failed := s.lead, s.failed
	s.mu.Unlock()
	if failed != nil {
		return failed
	}
	if !lead.Leading {
		return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	}
	if err := s.await(ctx, s.raft.VerifyLeader); err != nil {
		return classify(err)
	}
	if id.Term(s.raft.CurrentTerm()) != lead.Term {
		return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	}
	return nil
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
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed()
	}
	done := make(chan error, 1)
	s.running.Go(func() { done <- start().Error() })
	s.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
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
	return failure.Wrap(failure.Fatal, err) // the log store failed
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

// Close implements raftmeta.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.machine.close()
	s.running.Wait()
	err := s.raft.Shutdown().Error()
	if err := errors.Join(err, s.log.Close()); err != nil {
		return fmt.Errorf("close metadata store %s: %w", s.opts.ID, err)
	}
	return nil
}
