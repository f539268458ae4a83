package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Options are what a Dispatcher works with.
type Options struct {
	Store     raftmeta.Store
	Term      id.Term // of the leadership under which it acts
	Dialer    rpc.Dialer
	Resources *resource.Manager
	// Checkpoints opens where a job with these settings keeps its checkpoints.
	Checkpoints func(c config.Config) (*checkpointing.Store, error)
	Log         *slog.Logger // nil: discarded
	// History is how many jobs that are over are remembered; zero means 100.
	History int
	// Jobs is how many may run or wait at a time; zero means 1,000.
	Jobs int
}

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.History == 0 {
		o.History = 100
	}
	if o.Jobs == 0 {
		o.Jobs = 1000
	}
	return o
}

// Dispatcher runs jobs. All methods may be called concurrently.
type Dispatcher struct {
	opts    Options
	root    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup // job masters

	mu     sync.Mutex
	closed bool
	jobs   map[id.Job]*job
	over   []id.Job // oldest first
}

type job struct {
	master *jobmaster.Master
	ended  chan struct{} // closed when the store knows
}

// New returns a dispatcher without jobs.
func New(o Options) *Dispatcher {
	d := &Dispatcher{opts: o.complete(), jobs: map[id.Job]*job{}}
	d.root, d.stop = context.WithCancel(context.Background())
	return d
}

// Submit stores a job and starts it. The graph is the caller's again when it
// returns.
func (d *Dispatcher) Submit(ctx context.Context, g *jobgraph.Graph) (id.Job, error) {
	slots, err := d.opts.Resources.Await(ctx)
	if err != nil {
		return id.Job{}, err
	}
	jobID := id.NewJob()
	g = proto.CloneOf(g)
	m, err := jobmaster.New(jobmaster.Options{
		Job: jobID, Term: d.opts.Term, Graph: g, Slots: slots,
		Dialer: d.opts.Dialer, Resources: d.opts.Resources, Checkpoints: d.opts.Checkpoints, Log: d.opts.Log,
	})
	if err != nil {
		return id.Job{}, err
	}
	j := &job{master: m, ended: make(chan struct{})}
	if err := d.enter(jobID, j); err != nil {
		return id.Job{}, err
	}
	r := record{Version: recordVersion, Name: g.GetName(), State: m.Status().State.String(), Submitted: time.Now()}
	if err := d.store(ctx, jobID, g, r); err != nil {
		d.leave(jobID)
		return id.Job{}, err
	}
	go d.run(jobID, j, r)
	return jobID, nil
}

// enter makes a job known and counts its goroutine.
func (d *Dispatcher) enter(jobID id.Job, j *job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch active := len(d.jobs) - len(d.over); {
	case d.closed:
		return failure.Wrap(failure.Transient, errors.New("the dispatcher is closed"))
	case active >= d.opts.Jobs:
		return failure.Errorf(failure.Transient, "%d jobs run or wait: the limit is reached", active)
	}
	d.jobs[jobID] = j
	d.running.Add(1)
	return nil
}

func (d *Dispatcher) leave(jobID id.Job) {
	d.mu.Lock()
	delete(d.jobs, jobID)
	d.mu.Unlock()
	d.running.Done()
}

// run runs a job and records its end.
func (d *Dispatcher) run(jobID id.Job, j *job, r record) {
	defer d.running.Done()
	defer close(j.ended)
	j.master.Run(d.root)
	s := j.master.Status()
	r.State, r.Ended = s.State.String(), time.Now()
	if s.Cause != nil {
		r.Cause, r.Class = s.Cause.Error(), uint8(failure.Of(s.Cause))
	}
	ctx := context.WithoutCancel(d.root)
	if err := d.close(ctx, jobID, r, (proto.Size(j.master.Graph())+chunkBytes-1)/chunkBytes); err != nil {
		d.opts.Log.Warn("the end of a job was not stored", "job", jobID, "error", err)
	}
	d.mu.Lock()
	d.over = append(d.over, jobID)
	var old []id.Job
	if n := len(d.over) - d.opts.History; n > 0 {
		old = slices.Clone(d.over[:n])
		d.over = slices.Delete(d.over, 0, n)
		for _, o := range old {
			delete(d.jobs, o)
		}
	}
	d.mu.Unlock()
	for _, o := range old {
		if err := d.forget(ctx, o); err != nil {
			d.opts.Log.Warn("a job was not forgotten", "job", o, "error", err)
		}
	}
}

func (d *Dispatcher) find(jobID id.Job) (*job, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j, ok := d.jobs[jobID]
	if !ok {
		return nil, failure.Errorf(failure.NotFound, "job %v does not exist", jobID)
	}
	return j, nil
}

// Get describes a job.
func (d *Dispatcher) Get(jobID id.Job) (jobmaster.Status, error) {
	j, err := d.find(jobID)
	if err != nil {
		return jobmaster.Status{}, err
	}
	return j.master.Status(), nil
}

// Master is the job master of a job, for reports about it.
func (d *Dispatcher) Master(jobID id.Job) (*jobmaster.Master, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	return j.master, nil
}

// List describes all jobs that are known, those that are over included, in no
// order.
func (d *Dispatcher) List() []jobmaster.Status {
	d.mu.Lock()
	masters := make([]*jobmaster.Master, 0, len(d.jobs))
	for _, j := range d.jobs {
		masters = append(masters, j.master)
	}
	d.mu.Unlock()
	out := make([]jobmaster.Status, len(masters))
	for i, m := range masters {
		out[i] = m.Status()
	}
	return out
}

// Cancel asks a job to end; Wait tells when it has. A job that is over stays as it
// is.
func (d *Dispatcher) Cancel(jobID id.Job) error {
	j, err := d.find(jobID)
	if err != nil {
		return err
	}
	j.master.Cancel()
	return nil
}

// Wait waits until a job is over and describes it.
func (d *Dispatcher) Wait(ctx context.Context, jobID id.Job) (jobmaster.Status, error) {
	j, err := d.find(jobID)
	if err != nil {
		return jobmaster.Status{}, err
	}
	select {
	case <-j.ended:
		return j.master.Status(), nil
	case <-ctx.Done():
		return jobmaster.Status{}, fmt.Errorf("wait for job %v: %w", jobID, ctx.Err())
	}
}

// Done is closed when a job is over.
func (d *Dispatcher) Done(jobID id.Job) (<-chan struct{}, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	return j.ended, nil
}

// Slots is the number of slots of the cluster.
func (d *Dispatcher) Slots() int {
	total, _ := d.opts.Resources.Slots()
	return total
}

// WorkerLost tells every job of it.
func (d *Dispatcher) WorkerLost(w id.Worker, cause error) {
	d.mu.Lock()
	masters := make([]*jobmaster.Master, 0, len(d.jobs))
	for _, j := range d.jobs {
		masters = append(masters, j.master)
	}
	d.mu.Unlock()
	for _, m := range masters {
		m.WorkerLost(w, cause)
	}
}

// Close cancels every job and waits until all are over, or until ctx ends: then
// they are left as they are.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	for _, j := range d.jobs {
		j.master.Cancel()
	}
	d.mu.Unlock()
	over := make(chan struct{})
	go func() { d.running.Wait(); close(over) }()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = fmt.Errorf("cancel jobs: %w", ctx.Err())
	}
	d.stop()
	<-over
	return err
}
