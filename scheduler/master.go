package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/joblog"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Options are what a master works with.
type Options struct {
	// Store is where it must lead; it stays the caller's.
	Store raftmeta.Store
	// Blobs keep job graphs that are too large for the store; nil: such jobs are refused.
	Blobs  raftmeta.Blobs
	Dialer rpc.Dialer
	// Fixed says that this is an embedded run: the workers that register first are all
	// there will be, and jobs end with this process.
	Fixed bool
	// Name and Address are this master's, for people: Address is where clients reach it.
	Name, Address string
	// Heartbeat is how often workers report progress; zero means 500 ms.
	Heartbeat time.Duration
	// Timeout is how long a member may be silent; zero means 2 s, or for ever if Fixed.
	Timeout time.Duration
	// Refused, which may be nil, says that nobody listens at an address: a member that has
	// missed a heartbeat is lost then.
	Refused func(ctx context.Context, address string) bool
	// Grace is how long jobs that an earlier leader ran wait for its workers to come
	// back, unless all have before; zero means the Timeout.
	Grace time.Duration
	// ResultGrace is how long what is kept of a job with a result outlives its end, for
	// its client to read; zero means 10 minutes.
	ResultGrace time.Duration
	// Files opens where a job with these settings keeps its checkpoints; nil: none
	// can take any.
	Files func(c config.Config) (checkpointing.Files, fs.FileSystem, error)
	// Metrics shows what streaming jobs do; nil: nobody looks.
	Metrics *metric.Registry
	Log     *slog.Logger // nil: discarded
	// Logs has what this process logged about jobs; nil: nothing is kept.
	Logs *joblog.Ring
	// History is how many jobs that are over are remembered; zero means 2,000, or 100 if
	// Fixed.
	History int
	// Running is how many jobs may run at a time; zero means 100.
	Running int
}

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Heartbeat = cmp.Or(o.Heartbeat, 500*time.Millisecond)
	if !o.Fixed {
		o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	}
	o.Grace = cmp.Or(o.Grace, o.Timeout)
	o.ResultGrace = cmp.Or(o.ResultGrace, 10*time.Minute)
	return o
}

// Master is a running master.
type Master struct {
	opts       Options
	term       id.Term
	key        []byte // of tickets
	resources  *resource.Manager
	dispatcher *dispatcher.Dispatcher
	joining    joining
	root       context.Context // ends with Close and Suspend
	stop       context.CancelFunc
	running    sync.WaitGroup // the watch over heartbeats, and over returning workers
}

var (
	_ rpc.MasterClient  = (*Master)(nil)
	_ rpc.ClusterClient = (*Master)(nil)
)

// New waits until the store leads and starts a master for that leadership.
func New(ctx context.Context, o Options) (*Master, error) {
	term, err := lead(ctx, o.Store)
	if err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	return begin(ctx, o, term)
}

// begin starts a master for a leadership. Unless it is embedded it takes over the jobs
// in the store.
func begin(ctx context.Context, o Options, term id.Term) (*Master, error) {
	m := &Master{opts: o.complete(), term: term}
	known := memory{}
	if !o.Fixed {
		var err error
		if m.key, err = ticketKey(ctx, o.Store, term); err != nil {
			return nil, fmt.Errorf("start master: %w", err)
		}
		if known, err = recall(ctx, o.Store); err != nil {
			return nil, fmt.Errorf("start master: %w", err)
		}
	}
	o = m.opts
	m.resources = resource.New(resource.Options{Fixed: o.Fixed, Timeout: o.Timeout, Refused: o.Refused, Lost: m.lost, Aside: m.aside, Drains: m.evacuate})
	m.dispatcher = dispatcher.New(dispatcher.Options{
		Store: o.Store, Blobs: o.Blobs, Term: term, Dialer: o.Dialer, Resources: m.resources, Log: o.Log,
		TicketKey: m.key, History: o.History, Running: o.Running, Embedded: o.Fixed, Checkpoints: m.checkpoints,
		Metrics: o.Metrics,
	})
	m.root, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.running.Go(func() { m.resources.Run(m.root) })
	if o.Fixed {
		return m, nil
	}
	if err := m.dispatcher.Recover(ctx); err != nil {
		m.Suspend()
		return nil, fmt.Errorf("start master: %w", err)
	}
	m.running.Go(func() { m.welcome(known) })
	return m, nil
}

// checkpoints opens the checkpoints of a job under this leadership.
func (m *Master) checkpoints(c config.Config) (*checkpointing.Store, error) {
	if m.opts.Files == nil {
		return nil, failure.Errorf(failure.Usage, "this cluster keeps no checkpoints")
	}
	files, fsys, err := m.opts.Files(c)
	if err != nil {
		return nil, err
	}
	return &checkpointing.Store{Files: files, FileSystem: fsys, Meta: m.opts.Store, Term: m.term}, nil
}

// lead waits for the leadership of this store.
func lead(ctx context.Context, s raftmeta.Store) (id.Term, error) {
	var known raftmeta.Leadership
	for {
		l, err := s.Leadership(ctx, known)
		if err != nil {
			return 0, err
		}
		if l.Leading {
			return l.Term, nil
		}
		known = l
	}
}

// Dispatcher runs the master's jobs.
func (m *Master) Dispatcher() *dispatcher.Dispatcher { return m.dispatcher }

// Resources are the master's workers.
func (m *Master) Resources() *resource.Manager { return m.resources }

// Term is that of the leadership.
func (m *Master) Term() id.Term { return m.term }

// TicketKey is what tickets of this cluster are signed with; nil in embedded runs.
func (m *Master) TicketKey() []byte { return m.key }

// Close cancels all jobs and ends the master.
func (m *Master) Close(ctx context.Context) error {
	err := m.dispatcher.Close(ctx)
	m.stop()
	m.running.Wait()
	return err
}

// Suspend ends the master and leaves its jobs to the next leader.
func (m *Master) Suspend() {
	m.stop()
	m.dispatcher.Suspend()
	m.running.Wait()
}

// evacuate has jobs look after what they keep at servers that drain.
func (m *Master) evacuate() { m.dispatcher.Evacuate() }

// aside logs that a worker is given nothing more, or, with a nil cause, that it is again.
func (m *Master) aside(w id.Worker, cause error) {
	if cause == nil {
		m.opts.Log.Info("worker is heard of again", "worker", w)
		return
	}
	m.opts.Log.Warn("worker is set aside until it is heard of", "worker", w, "cause", cause)
}

// lost tells jobs of a member that is gone.
func (m *Master) lost(who resource.Member, cause error) {
	m.opts.Log.Warn("member is lost", "member", who.ID, "slots", who.Slots, "cause", cause)
	if who.Slots > 0 {
		m.dispatcher.WorkerLost(who.ID, cause)
		return
	}
	m.dispatcher.ServerLost(who.Server.ID, cause)
}
