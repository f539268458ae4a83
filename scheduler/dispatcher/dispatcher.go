package dispatcher

import (
	"cmp"
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
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Options are what a Dispatcher works with.
type Options struct {
	Store raftmeta.Store
	// Blobs keep what is too large for the store; nil: such jobs are refused.
	Blobs     raftmeta.Blobs
	Term      id.Term // of the leadership under which it acts
	Dialer    rpc.Dialer
	Resources *resource.Manager
	// TicketKey signs tickets for shuffle servers; empty: they look at none.
	TicketKey []byte
	// Checkpoints opens where a job with these settings keeps its checkpoints.
	Checkpoints func(c config.Config) (*checkpointing.Store, error)
	Metrics     *metric.Registry // of streaming jobs; nil: nobody looks
	Log         *slog.Logger     // nil: discarded
	// History is how many jobs that are over are remembered; zero means 2,000, or 100 if
	// Embedded.
	History int
	// Jobs is how many may run or wait at a time; zero means 10,000.
	Jobs int
	// Running is how many of them may run; zero means 100.
	Running int
	// Embedded says that jobs end with this process: they are not taken over by another
	// master, and begin at once.
	Embedded bool
}

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Embedded {
		o.History = cmp.Or(o.History, 100)
	}
	o.History = cmp.Or(o.History, 2000)
	o.Jobs = cmp.Or(o.Jobs, 10_000)
	o.Running = cmp.Or(o.Running, 100)
	if o.Embedded {
		o.Running = o.Jobs
	}
	return o
}

// Dispatcher runs jobs. All methods may be called concurrently.
type Dispatcher struct {
	opts    Options
	root    context.Context // ends with Close and Suspend
	stop    context.CancelFunc
	running sync.WaitGroup // jobs, the starter, the sweeper and who watches clients
	wake    chan struct{}  // a job may begin
	entry   entry          // of new jobs, unless embedded

	mu     sync.Mutex
	closed bool
	held   string // why no job begins yet; empty: they do
	since  time.Time
	jobs   map[id.Job]*job
	queue  []*job   // waiting, the next one first
	active int      // jobs that run
	over   []id.Job // oldest first
}

// job is one job.
type job struct {
	id      id.Job
	ended   chan struct{} // closed when the store knows the end
	writing turn          // of who writes its record; taken before Dispatcher.mu

	// Guarded by Dispatcher.mu.
	rec     record
	master  *jobmaster.Master // nil: it has not begun under this leadership
	graph   *jobgraph.Graph   // of a job that waits and is not in the store alone
	counted bool              // its record says already that this leadership has begun it
	phase   phase
	changed chan struct{}  // closed and replaced with the phase
	final   *rpc.JobStatus // of an embedded job that is over; others' is in the record
	read    bool           // by its client, who needs its result no longer
	askers  int            // who wait for news of it
	asked   time.Time      // when one of them had some last, or it was made known here
}

// phase is how far a job has come with the dispatcher.
type phase uint8

const (
	invalid phase = iota
	waiting       // in the queue
	begun         // a job master runs it, or is being made
	over          // the store knows the end
)

func newJob(jobID id.Job) *job {
	return &job{id: jobID, ended: make(chan struct{}), writing: make(turn, 1), changed: make(chan struct{}), phase: waiting, asked: time.Now()}
}

// turn is a lock that gives up with a context.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }

// New returns a dispatcher without jobs; Recover brings those of the store. Unless
// embedded it holds them until Begin.
func New(o Options) *Dispatcher {
	d := &Dispatcher{opts: o.complete(), jobs: map[id.Job]*job{}, wake: make(chan struct{}, 1), entry: newEntry(), since: time.Now()}
	d.root, d.stop = context.WithCancel(context.Background())
	if !o.Embedded {
		d.held = "workers to come back after a change of the leading master"
		if o.Blobs != nil {
			d.running.Go(d.sweep)
		}
		d.running.Go(d.watchClients)
	}
	d.running.Go(d.starter)
	return d
}

// Begin lets jobs begin that were held.
func (d *Dispatcher) Begin() {
	d.mu.Lock()
	d.held = ""
	d.mu.Unlock()
	d.poke()
}

// poke has the starter look.
func (d *Dispatcher) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Submit stores a job and starts it once there is a worker. The graph is the caller's
// again when it returns.
func (d *Dispatcher) Submit(ctx context.Context, g *jobgraph.Graph) (id.Job, error) {
	return d.Accept(ctx, id.NewJob(), g)
}

// Accept is Submit with the job's id. With the id of a job that is known it does
// nothing.
func (d *Dispatcher) Accept(ctx context.Context, jobID id.Job, g *jobgraph.Graph) (id.Job, error) {
	if d.opts.Embedded {
		if _, err := d.opts.Resources.Await(ctx); err != nil {
			return id.Job{}, err
		}
		g = proto.CloneOf(g) // it is kept
	} else {
		leave, err := d.entry.pass(ctx)
		if err != nil {
			return id.Job{}, fmt.Errorf("accept job %v: %w", jobID, err)
		}
		defer leave()
	}
	j := newJob(jobID)
	j.rec = record{Version: recordVersion, Name: g.GetName(), Submitted: time.Now(), Result: hasResult(g)}
	if !d.opts.Embedded && d.idle() {
		g = proto.CloneOf(g) // it is kept
		j.counted, j.rec.Runs, j.rec.Started = true, 1, j.rec.Submitted
	}
	m, err := d.newMaster(j.id, g, j.before(), nil) // it says what is wrong with the job
	if err != nil {
		return id.Job{}, err
	}
	if known, err := d.enter(j); known || err != nil {
		return jobID, err
	}
	if err := d.store(ctx, j, g); err != nil {
		d.leave(j)
		if errors.Is(err, raftmeta.ErrConflict) {
			return jobID, elsewhere(d.adopt(ctx, jobID))
		}
		return id.Job{}, elsewhere(err)
	}
	d.mu.Lock()
	if d.opts.Embedded || j.counted {
		j.master, j.graph = m, g
	}
	d.queue = append(d.queue, j)
	d.mu.Unlock()
	d.poke()
	return jobID, nil
}

// idle says that a job would begin at once. Its record says so from the start then, which
// is one entry less; should it not begin after all, the next leader takes it for one that
// has, and is the more careful.
func (d *Dispatcher) idle() bool {
	slots, _ := d.opts.Resources.Slots()
	d.mu.Lock()
	defer d.mu.Unlock()
	return slots > 0 && len(d.queue) == 0 && d.active < d.opts.Running && d.held == ""
}

// before is the record without the run of this leadership; the caller has the job for
// itself, or holds the lock.
func (j *job) before() record {
	r := j.rec
	if j.counted {
		r.Runs--
	}
	return r
}

// enter makes a job known, unless it is.
func (d *Dispatcher) enter(j *job) (known bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.jobs[j.id]; known {
		return true, nil
	}
	switch active := len(d.jobs) - len(d.over); {
	case d.closed:
		return false, closedError()
	case active >= d.opts.Jobs:
		return false, failure.Errorf(failure.Transient, "%d jobs run or wait: the limit is reached", active)
	}
	d.jobs[j.id] = j
	return false, nil
}

func closedError() error {
	return failure.Wrap(failure.Transient, fmt.Errorf("the dispatcher is closed: %w", rpc.ErrNotLeader))
}

func (d *Dispatcher) leave(j *job) {
	d.mu.Lock()
	delete(d.jobs, j.id)
	d.mu.Unlock()
}

// newMaster makes the job master of a job, which does not run yet.
func (d *Dispatcher) newMaster(jobID id.Job, g *jobgraph.Graph, r record, decided *jobmaster.Publication) (*jobmaster.Master, error) {
	slots, _ := d.opts.Resources.Slots()
	o := jobmaster.Options{
		Job: jobID, Term: d.opts.Term, Graph: g, Slots: max(slots, 1), Runs: r.Runs, Decided: decided, Requirements: r.Requirements,
		TicketKey: d.opts.TicketKey, Dialer: d.opts.Dialer, Resources: d.opts.Resources, Checkpoints: d.opts.Checkpoints,
		Metrics: d.opts.Metrics, Log: d.opts.Log,
	}
	if !d.opts.Embedded {
		o.Decide = func(ctx context.Context, p jobmaster.Publication) error { return d.decide(ctx, jobID, p) }
	}
	o.Stopped = func(ctx context.Context, directory string) error { return d.stopped(ctx, jobID, directory) }
	o.Ends = func(ctx context.Context, state execgraph.JobState, cause error) error {
		return d.ends(ctx, jobID, state, cause)
	}
	return jobmaster.New(o)
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

// Get describes a job. Of one that is over since an earlier leadership, and of one that
// waits, it knows the state alone.
func (d *Dispatcher) Get(jobID id.Job) (jobmaster.Status, error) {
	j, err := d.find(jobID)
	if err != nil {
		return jobmaster.Status{}, err
	}
	return d.statusOf(j), nil
}

func (d *Dispatcher) statusOf(j *job) jobmaster.Status {
	d.mu.Lock()
	m, rec := j.master, j.rec
	d.mu.Unlock()
	if m != nil {
		return m.Status()
	}
	s := jobmaster.Status{Job: j.id, Name: rec.Name, State: execgraph.JobCreated}
	if rec.State != "" {
		s.State, s.Cause = parseState(rec.State), rec.cause()
	}
	return s
}

// Master is the job master of a job, for reports about it; one that has not begun, or
// was over before this leadership, has none.
func (d *Dispatcher) Master(jobID id.Job) (*jobmaster.Master, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.master == nil {
		return nil, failure.Wrap(failure.Conflict, fmt.Errorf("job %v: %w", jobID, rpc.ErrGone))
	}
	return j.master, nil
}

// List describes all jobs that are known, those that are over included, in no
// order.
func (d *Dispatcher) List() []jobmaster.Status {
	d.mu.Lock()
	jobs := make([]*job, 0, len(d.jobs))
	for _, j := range d.jobs {
		jobs = append(jobs, j)
	}
	d.mu.Unlock()
	out := make([]jobmaster.Status, len(jobs))
	for i, j := range jobs {
		out[i] = d.statusOf(j)
	}
	return out
}

// Cancel asks a job to end; Wait tells when it has. A job that is over, or whose output
// is being published, stays as it is.
func (d *Dispatcher) Cancel(ctx context.Context, jobID id.Job) error {
	j, err := d.find(jobID)
	if err != nil {
		return err
	}
	d.mu.Lock()
	done := j.phase == over || j.rec.Decided != nil
	j.read = true
	d.mu.Unlock()
	if done {
		return nil
	}
	if err := d.remember(ctx, j, func(r *record) { r.Cancelled = true }); err != nil {
		return fmt.Errorf("cancel job %v: %w", jobID, elsewhere(err))
	}
	d.mu.Lock()
	m := j.master
	if i := slices.Index(d.queue, j); i >= 0 {
		d.queue = slices.Insert(slices.Delete(d.queue, i, i+1), 0, j) // it ends at once
	}
	d.mu.Unlock()
	if m != nil {
		m.Cancel()
	}
	d.poke()
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
		return d.statusOf(j), nil
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

// WorkerLost tells every job that runs.
func (d *Dispatcher) WorkerLost(w id.Worker, cause error) {
	for _, m := range d.masters() {
		m.WorkerLost(w, cause)
	}
}

// ServerLost tells every job that runs of a shuffle server that is gone.
func (d *Dispatcher) ServerLost(server string, cause error) {
	for _, m := range d.masters() {
		m.ServerLost(server, cause)
	}
}

func (d *Dispatcher) masters() []*jobmaster.Master {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*jobmaster.Master
	for _, j := range d.jobs {
		if j.master != nil && j.phase != over {
			out = append(out, j.master)
		}
	}
	return out
}

// Close cancels every job and waits until all are over, or until ctx ends: then
// they are left as they are.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	var alive []*job
	for _, j := range d.jobs {
		if j.phase != over {
			alive = append(alive, j)
			j.rec.Cancelled = true
		}
	}
	d.held = ""
	d.mu.Unlock()
	d.poke()
	for _, m := range d.masters() {
		m.Cancel()
	}
	var err error
	for _, j := range alive {
		select {
		case <-j.ended:
		case <-ctx.Done():
			err = fmt.Errorf("cancel jobs: %w", ctx.Err())
		}
	}
	d.Suspend()
	return err
}

// Suspend ends the dispatcher and leaves its jobs to the next leader. It returns when
// nothing of the dispatcher runs any more; what tasks do on workers goes on.
func (d *Dispatcher) Suspend() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.running.Wait()
}
