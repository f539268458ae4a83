package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Options are what a master works with.
type Options struct {
	// Store is where it must lead; it stays the caller's.
	Store  raftmeta.Store
	Dialer rpc.Dialer
	// Fixed says that the workers that register first are all there will be.
	Fixed bool
	// Heartbeat is how often workers report progress; zero means 500 ms.
	Heartbeat time.Duration
	// Timeout is how long a worker may be silent; zero: for ever.
	Timeout time.Duration
	// Files opens where a job with these settings keeps its checkpoints; nil: none
	// can take any.
	Files func(c config.Config) (checkpointing.Files, fs.FileSystem, error)
	Log   *slog.Logger // nil: discarded
	// History is how many jobs that are over are remembered; zero means 100.
	History int
}

// Master is a running master.
type Master struct {
	opts       Options
	term       id.Term
	resources  *resource.Manager
	dispatcher *dispatcher.Dispatcher
	stop       context.CancelFunc
	running    sync.WaitGroup // the watch over heartbeats
}

var _ rpc.MasterClient = (*Master)(nil)

// New waits until the store leads and starts a master for that leadership.
func New(ctx context.Context, o Options) (*Master, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 500 * time.Millisecond
	}
	term, err := lead(ctx, o.Store)
	if err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	m := &Master{opts: o, term: term}
	m.resources = resource.New(resource.Options{Fixed: o.Fixed, Timeout: o.Timeout, Lost: m.workerLost})
	m.dispatcher = dispatcher.New(dispatcher.Options{
		Store: o.Store, Term: term, Dialer: o.Dialer, Resources: m.resources, Log: o.Log, History: o.History,
		Checkpoints: m.checkpoints,
	})
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = stop
	m.running.Go(func() { m.resources.Run(watch) })
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

// Close cancels all jobs and ends the master.
func (m *Master) Close(ctx context.Context) error {
	err := m.dispatcher.Close(ctx)
	m.stop()
	m.running.Wait()
	return err
}

func (m *Master) workerLost(w id.Worker, cause error) {
	m.opts.Log.Warn("worker is lost", "worker", w, "cause", cause)
	m.dispatcher.WorkerLost(w, cause)
}

// Register implements rpc.MasterClient.
func (m *Master) Register(_ context.Context, r *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	who := resource.Member{
		ID: id.Worker(r.GetWorker()), Slots: int(r.GetSlots()), Memory: r.GetMemoryBytes(),
		Server: r.GetShuffle().Server(), Daemon: r.GetDaemon(),
	}
	if err := m.resources.Register(who); err != nil {
		return nil, err
	}
	return &rpc.RegisterReply{Term: uint64(m.term), HeartbeatMillis: m.opts.Heartbeat.Milliseconds()}, nil
}

// Heartbeat implements rpc.MasterClient.
func (m *Master) Heartbeat(_ context.Context, r *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	if !m.resources.Heartbeat(id.Worker(r.GetWorker()), r.GetMemoryUsed(), r.GetDraining()) {
		return &rpc.HeartbeatReply{Unknown: true}, nil
	}
	for _, p := range r.GetTasks() {
		if j, err := m.master(p.GetJob()); err == nil {
			j.Progress(p)
		}
	}
	return &rpc.HeartbeatReply{}, nil
}

// Report implements rpc.MasterClient.
func (m *Master) Report(_ context.Context, r *rpc.TaskReport) (*rpc.TaskReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Report(r)
	return &rpc.TaskReply{}, nil
}

// Acknowledge implements rpc.MasterClient.
func (m *Master) Acknowledge(_ context.Context, r *rpc.AckRequest) (*rpc.AckReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Acknowledge(r)
	return &rpc.AckReply{}, nil
}

// Decline implements rpc.MasterClient.
func (m *Master) Decline(_ context.Context, r *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	j, err := m.master(r.GetJob())
	if err != nil {
		return nil, err
	}
	j.Decline(r)
	return &rpc.DeclineReply{}, nil
}

// master finds the job master that a message is for; one of another term is
// refused, for its job belongs to another master.
func (m *Master) master(r *rpc.JobRef) (*jobmaster.Master, error) {
	jobID, err := r.ID()
	if err != nil {
		return nil, err
	}
	if id.Term(r.GetTerm()) != m.term {
		return nil, failure.Wrap(failure.Conflict, fmt.Errorf("job %v: term %d, here is %d: %w", jobID, r.GetTerm(), m.term, rpc.ErrFenced))
	}
	j, err := m.dispatcher.Master(jobID)
	if err != nil {
		return nil, errors.Join(failure.Wrap(failure.Conflict, rpc.ErrGone), err)
	}
	return j, nil
}
