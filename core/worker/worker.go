package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/task"
)

// Worker runs tasks.
type Worker struct {
	opts    Options
	terms   rpc.Terms
	reports *outbox
	root    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup // tasks, outbox, heartbeat
	state   *pebblestate.Home

	mu      sync.Mutex
	closed  bool
	leaving bool // the master is told, or is being told
	jobs    map[id.Job]*job
}

// job is what a worker has of one job.
type job struct {
	ref       *rpc.JobRef
	tasks     map[id.Attempt]*execution
	exchanges map[id.Exchange]bool // true: a client reads it
	filters   *keyfilter.Set
	builds    *join.Builds
	home      *pebblestate.Home // of its tiered state; nil: none yet
	standby   *task.Standby     // nil: none
}

// execution is one attempt that runs.
type execution struct {
	task  Task
	ended chan struct{} // closed when Run has returned
	// counts is what the task has done so far.
	counts func() (rowsIn, rowsOut, bytesIn, spilled uint64)
	pace   pace
}

var _ rpc.WorkerClient = (*Worker)(nil)

// New returns a worker that nobody knows yet.
func New(o Options) (*Worker, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	w := &Worker{opts: o, jobs: map[id.Job]*job{}}
	home := w.sized()
	home.Dir, home.Account = filepath.Join(o.StateDisk.Path(), "state"), o.Memory.Child("state on disk", 0)
	w.state, err = pebblestate.Open(home)
	if err != nil {
		return nil, err
	}
	w.root, w.stop = context.WithCancel(context.Background())
	w.reports = newOutbox(o.Log, o.ReportLimit)
	w.running.Go(func() { w.reports.run(w.root) })
	return w, nil
}

// sized are the options of a home.
func (w *Worker) sized() pebblestate.Options {
	home := pebblestate.Sized(w.opts.Memory.Limit() / statePart)
	home.Disk, home.Log = w.opts.StateDisk, w.opts.Log
	return home
}

// Start registers with the master and begins to send heartbeats. The worker must
// be reachable by then.
func (w *Worker) Start(ctx context.Context) error {
	every, err := w.register(ctx)
	if err != nil {
		return err
	}
	if every > 0 {
		w.running.Go(func() { w.beat(every) })
	}
	return nil
}

func (w *Worker) register(ctx context.Context) (time.Duration, error) {
	r := &rpc.RegisterRequest{
		Worker: string(w.opts.ID), Slots: uint32(w.opts.Slots), MemoryBytes: w.opts.Memory.Limit(), Daemon: w.opts.Daemon,
		Version: rpc.WireVersion, Running: w.runs(),
	}
	if w.opts.Server.ID != "" {
		r.Shuffle = rpc.FromServer(w.opts.Server)
	}
	reply, err := w.opts.Dialer.Master().Register(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("register worker %s: %w", w.opts.ID, err)
	}
	w.dismiss(reply.GetUnwanted())
	return time.Duration(reply.GetHeartbeatMillis()) * time.Millisecond, nil
}

// beat sends heartbeats. A master that does not know the worker has counted its
// tasks as lost: they are ended before the worker registers again.
func (w *Worker) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-w.root.Done():
			return
		case <-tick.C:
		}
		if w.isLeaving() {
			return
		}
		reply, err := w.opts.Dialer.Master().Heartbeat(w.root, w.heartbeat())
		if err != nil {
			w.opts.Log.Debug("heartbeat", "worker", w.opts.ID, "error", err)
			continue
		}
		if reply.GetUnknown() && !w.isLeaving() {
			w.endAll()
			if _, err := w.register(w.root); err != nil {
				w.opts.Log.Warn("worker is not registered", "worker", w.opts.ID, "error", err)
			}
		}
	}
}

func (w *Worker) heartbeat() *rpc.HeartbeatRequest {
	r := &rpc.HeartbeatRequest{Worker: string(w.opts.ID), MemoryUsed: w.opts.Memory.Used()}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range w.jobs {
		for a, x := range j.tasks {
			rowsIn, rowsOut, bytesIn, spilled := x.counts()
			p := &rpc.TaskProgress{
				Job: j.ref, Attempt: rpc.FromAttempt(a), RowsIn: rowsIn, RowsOut: rowsOut, BytesIn: bytesIn, SpilledBytes: spilled,
			}
			if s, ok := x.task.(stander); ok {
				tell(p, s.Standing(), &x.pace, time.Now())
			}
			r.Tasks = append(r.Tasks, p)
		}
	}
	return r
}

// endAll ends everything of every job.
func (w *Worker) endAll() {
	w.mu.Lock()
	jobs := make([]id.Job, 0, len(w.jobs))
	for j := range w.jobs {
		jobs = append(jobs, j)
	}
	w.mu.Unlock()
	for _, j := range jobs {
		if err := w.endJob(context.WithoutCancel(w.root), j, true); err != nil {
			w.opts.Log.Warn("job was not dropped", "worker", w.opts.ID, "job", j, "error", err)
		}
	}
}

// Close ends everything that runs here and waits for it. The second call does
// nothing.
func (w *Worker) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	w.endAll()
	err := w.opts.Coordinators.Close(context.WithoutCancel(w.root))
	w.stop()
	w.running.Wait()
	return errors.Join(err, w.state.Close())
}
