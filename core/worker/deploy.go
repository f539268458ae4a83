package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/task"
)

// Deploy implements rpc.WorkerClient.
func (w *Worker) Deploy(ctx context.Context, r *rpc.DeployRequest) (*rpc.DeployReply, error) {
	jobID, err := w.admit(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	a := r.GetAttempt().ID()
	doing := func(err error) error { return fmt.Errorf("deploy %s: %w", rpc.Describe(jobID, a), err) }
	if int(r.GetSlot()) >= w.opts.Slots {
		return nil, doing(failure.Errorf(failure.Internal, "slot %d of %d", r.GetSlot(), w.opts.Slots))
	}
	if w.has(jobID, a) {
		return &rpc.DeployReply{}, nil
	}
	if err := failpoint.Hit(failpoint.Deploy); err != nil {
		return nil, doing(err)
	}
	x, scope, err := w.prepare(jobID, r)
	if err != nil {
		return nil, doing(err)
	}
	if err := w.launch(jobID, r, x, scope); err != nil {
		scope.Close()
		return nil, doing(err)
	}
	return &rpc.DeployReply{}, nil
}

// admit decodes a message's job and fences it: what ran under an older term ends.
func (w *Worker) admit(ctx context.Context, r *rpc.JobRef) (id.Job, error) {
	job, newer, err := w.terms.Admit(r)
	if err == nil && newer {
		if err = w.endTasks(ctx, job); err == nil {
			w.renew(job)
		}
	}
	return job, err
}

// renew forgets what the tasks of a job shared under an older term: the new master may
// have decided for another parallelism, and parts of filters do not fit together then.
func (w *Worker) renew(jobID id.Job) {
	w.mu.Lock()
	j := w.jobs[jobID]
	var old *keyfilter.Set
	if j != nil {
		old = j.filters
		j.filters, j.builds = w.shared(jobID)
	}
	w.mu.Unlock()
	old.Close()
	w.standBy(jobID, nil)
}

// shared is what tasks of a job share here.
func (w *Worker) shared(jobID id.Job) (*keyfilter.Set, *join.Builds) {
	return keyfilter.NewSet(w.opts.Memory.Child("runtime filters of job "+jobID.String(), 0)), join.NewBuilds()
}

func (w *Worker) has(j id.Job, a id.Attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, ok := w.jobs[j]
	return ok && known.tasks[a] != nil
}

// prepare makes the task of a request.
func (w *Worker) prepare(jobID id.Job, r *rpc.DeployRequest) (*execution, *metric.Scope, error) {
	c, err := config.FromMap(r.GetOptions(), "job")
	if err != nil {
		return nil, nil, err
	}
	d, err := descriptor(jobID, r, c)
	if err != nil {
		return nil, nil, err
	}
	scope := w.scope(jobID, d)
	reports := reporter{w.opts.Dialer.Master(), r.GetJob(), w.reports}
	env := task.Env{
		Shuffle: w.opts.Shuffle, Connectors: w.opts.Connectors, Functions: w.opts.Functions,
		Splits:     &splits{coordinator: w.opts.Dialer.Coordinator(id.Worker(r.GetCoordinator())), ref: r.GetJob()},
		SlowSplits: w.opts.Apart, Reporter: reports,
		Memory: w.opts.Memory.Child("job "+jobID.String(), 0), Spill: w.opts.Spill,
		State: w.state, StateBudget: w.opts.Memory.Limit() / int64(w.opts.Slots) / statePart, Metrics: scope, Log: w.opts.Log,
	}
	if w.opts.Snapshots != nil && (d.Streaming || len(d.Restore.GetOperators()) > 0) {
		if env.Snapshots, err = w.opts.Snapshots(jobID, c); err != nil {
			scope.Close()
			return nil, nil, err
		}
	}
	if d.Streaming && config.StateBackend.Get(c) == "tiered" {
		if env.State, err = w.tiered(jobID, c, env.Snapshots); err != nil {
			scope.Close()
			return nil, nil, err
		}
	}
	w.mu.Lock()
	j := w.jobOf(jobID)
	env.Filters, env.Builds, env.Standby = j.filters, j.builds, j.standby
	w.mu.Unlock()
	if elsewhere(r.GetIn()) {
		env.Filters.Share(func(p keyfilter.Part) { reports.filter(r.GetAttempt(), p) })
	}
	t, err := w.opts.NewTask(d, env)
	if err != nil {
		scope.Close()
		return nil, nil, err
	}
	return &execution{task: t, ended: make(chan struct{}), counts: counters(scope)}, scope, nil
}

// tiered is the home of a job's state that lies elsewhere.
func (w *Worker) tiered(jobID id.Job, c config.Config, snapshots task.Snapshots) (*pebblestate.Home, error) {
	if snapshots == nil {
		return nil, failure.Errorf(failure.Internal, "a worker without a place for tiered state")
	}
	fsys, dir, err := snapshots.Homes(jobID)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobOf(jobID)
	if j.home == nil {
		home := w.sized()
		home.Dir, home.Account = filepath.Join(w.opts.StateDisk.Path(), "tiered-"+jobID.String()), w.opts.Memory.Child("tiered state of job "+jobID.String(), 0)
		home.Remote, home.RemoteDir, home.LocalBytes = fsys, dir, config.TieredLocal.Get(c)
		j.home, err = pebblestate.Open(home)
	}
	return j.home, err
}

// elsewhere says that other processes may run subtasks of the same job: only then do
// exchanges have places.
func elsewhere(in []*rpc.Edge) bool {
	return slices.ContainsFunc(in, func(e *rpc.Edge) bool { return e.GetPlacement() != nil })
}

// jobOf is what the worker has of a job, from now on if it had nothing; it holds
// the lock.
func (w *Worker) jobOf(jobID id.Job) *job {
	j := w.jobs[jobID]
	if j == nil {
		j = &job{tasks: map[id.Attempt]*execution{}, exchanges: map[id.Exchange]bool{}}
		j.filters, j.builds = w.shared(jobID)
		w.jobs[jobID] = j
	}
	return j
}

func descriptor(jobID id.Job, r *rpc.DeployRequest, c config.Config) (task.Descriptor, error) {
	in, err := edges(r.GetIn())
	if err != nil {
		return task.Descriptor{}, err
	}
	out, err := edges(r.GetOut())
	return task.Descriptor{
		Job: jobID, Term: id.Term(r.GetJob().GetTerm()), Attempt: r.GetAttempt().ID(), Vertex: r.GetVertex(), In: in, Out: out,
		Parallelism: int(r.GetParallelism()), KeyGroups: int(r.GetKeyGroups()), Streaming: r.GetStreaming(), Restore: r.GetRestore(),
		Options: task.Options{
			BatchRows: config.BatchRows.Get(c), Flush: config.ExchangeFlush.Get(c), ExchangeBudget: config.ExchangeBudget.Get(c),
			Zone: config.LocalTimeZone.Get(c), Timed: config.OperatorTime.Get(c),
			StateOnDisk: config.StateBackend.Get(c) != "hashmap", StateBudget: config.StateBudget.Get(c),
		},
	}, err
}

func edges(all []*rpc.Edge) ([]task.Edge, error) {
	out := make([]task.Edge, len(all))
	for i, e := range all {
		at, err := e.GetPlacement().Shuffle()
		if err != nil {
			return nil, fmt.Errorf("exchange %d: %w", e.GetExchange().GetId(), err)
		}
		out[i] = task.Edge{
			Exchange: e.GetExchange(), Peers: int(e.GetPeers()), Placement: at,
			Partitions: int(e.GetPartitions()), Ranges: e.GetRanges(), Empty: e.GetEmpty(),
		}
	}
	return out, nil
}

func (w *Worker) scope(jobID id.Job, d task.Descriptor) *metric.Scope {
	return w.opts.Metrics.Scope(metric.L("job", jobID.String()), metric.L("attempt", d.Attempt.String()))
}

// counters reads what core/task counts.
func counters(scope *metric.Scope) func() (rowsIn, rowsOut, bytesIn, spilled uint64) {
	in := scope.Counter("tidemill_task_rows_in_total", "Rows that the task has read.")
	out := scope.Counter("tidemill_task_rows_out_total", "Rows that the task has emitted.")
	bytes := scope.Counter("tidemill_task_bytes_in_total", "Bytes that the task has read.")
	spilled := scope.Counter("tidemill_task_spilled_bytes_total", "Bytes that operators wrote to disk because they did not fit memory.")
	return func() (uint64, uint64, uint64, uint64) {
		return in.Value(), out.Value(), bytes.Value(), spilled.Value()
	}
}

// launch runs a task on its own goroutine, which the worker's Close waits for.
// Lower attempts of the same subtask are cancelled.
func (w *Worker) launch(jobID id.Job, r *rpc.DeployRequest, x *execution, scope *metric.Scope) error {
	a := r.GetAttempt().ID()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.leaving {
		return failure.Wrap(failure.Transient, rpc.ErrUnreachable)
	}
	j := w.jobOf(jobID)
	j.ref = r.GetJob()
	for other, old := range j.tasks {
		if other.Subtask == a.Subtask && other.N < a.N {
			old.task.Cancel()
		}
	}
	for _, e := range r.GetIn() {
		j.exchanges[id.Exchange(e.GetExchange().GetId())] = false
	}
	for _, e := range r.GetOut() {
		j.exchanges[id.Exchange(e.GetExchange().GetId())] = e.GetExchange().GetResult()
	}
	j.tasks[a] = x
	w.running.Go(func() {
		defer scope.Close()
		defer close(x.ended)
		if err := x.task.Run(w.root); err != nil {
			w.opts.Log.Debug("task has ended", "job", jobID, "attempt", a, "error", err)
		}
		w.mu.Lock()
		delete(j.tasks, a)
		w.mu.Unlock()
	})
	return nil
}
