package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
)

// Pauses between tries to reach the store.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
	// sweepPause is how often blobs that nobody names are looked for.
	sweepPause = 5 * time.Minute
	// dropTimeout bounds a call to a worker about a job that is not to run again.
	dropTimeout = 10 * time.Second
)

// starter begins jobs in turn.
func (d *Dispatcher) starter() {
	for {
		arrived := d.opts.Resources.Arrived()
		for d.startNext() {
		}
		select {
		case <-d.wake:
		case <-arrived:
		case <-d.root.Done():
			return
		}
	}
}

// startNext begins the first job of the queue, if it may.
func (d *Dispatcher) startNext() bool {
	slots, _ := d.opts.Resources.Slots()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 || d.root.Err() != nil {
		return false
	}
	j := d.queue[0]
	if _, settled := j.rec.settled(); !settled && (slots == 0 || d.active >= d.opts.Running || d.held != "") {
		return false
	}
	d.queue = slices.Delete(d.queue, 0, 1)
	d.active++
	d.move(j, begun)
	d.running.Go(func() { d.run(j) })
	return true
}

// move changes the phase of a job; the caller holds the lock.
func (d *Dispatcher) move(j *job, p phase) {
	j.phase = p
	close(j.changed)
	j.changed = make(chan struct{})
}

// run brings a job to its end, or until the dispatcher is suspended.
func (d *Dispatcher) run(j *job) {
	defer d.poke()
	defer func() {
		d.mu.Lock()
		d.active--
		d.mu.Unlock()
	}()
	d.mu.Lock()
	m, rec, counted := j.master, j.before(), j.counted
	d.mu.Unlock()
	if state, ok := rec.settled(); ok && m == nil && rec.Decided == nil {
		if rec.Runs > 0 {
			d.drop(j.id)
			d.release(j, state)
		}
		d.end(j, d.ending(j, state, rec.cause()))
		return
	}
	m, err := d.prepare(j, rec, m, counted)
	switch {
	case d.root.Err() != nil:
		return
	case err != nil:
		if rec.Runs > 0 {
			d.drop(j.id)
		}
		d.end(j, d.ending(j, execgraph.JobFailed, err))
		return
	}
	d.opts.Log.Info("job begins", "job", j.id, "name", rec.Name, "term", uint64(d.opts.Term), "runs before", rec.Runs)
	m.Run(d.root)
	if s := m.Status(); !s.State.Terminal() || s.State == execgraph.JobSuspended {
		return
	}
	d.end(j, d.describe(j, m, true))
}

// prepare makes the job master of a job that the starter has chosen, unless it is made,
// and notes that the job has begun, unless that is counted.
func (d *Dispatcher) prepare(j *job, r record, m *jobmaster.Master, counted bool) (*jobmaster.Master, error) {
	var err error
	if m == nil {
		if m, err = d.reload(j, r); err != nil {
			return nil, err
		}
	}
	begin := func(to *record) {
		to.Runs = r.Runs + 1
		if to.Started.IsZero() {
			to.Started = time.Now()
		}
	}
	if !counted {
		err = d.persevere(d.root, func(ctx context.Context) error { return d.remember(ctx, j, begin) })
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	j.master, j.graph = m, nil
	cancelled := j.rec.Cancelled && r.Decided == nil
	d.move(j, begun)
	d.mu.Unlock()
	if cancelled { // since it was chosen
		m.Cancel()
	}
	return m, nil
}

// reload makes the job master of a job from the store.
func (d *Dispatcher) reload(j *job, r record) (*jobmaster.Master, error) {
	g, err := d.load(d.root, j)
	if err != nil {
		return nil, err
	}
	if r.Decided == nil {
		if r.Runs > 0 && readAlong(g) {
			return nil, failure.Errorf(failure.Transient, "the master that ran the job is gone, and its result may have been read in part: submit it again")
		}
		return d.newMaster(j.id, g, r, nil)
	}
	staged := &rpc.CommitRequest{}
	err = d.persevere(d.root, func(ctx context.Context) error { return d.fetch(ctx, r.Decided, staged) })
	if err != nil {
		return nil, fmt.Errorf("read what is to be published: %w", err)
	}
	return d.newMaster(j.id, g, r, &jobmaster.Publication{Staged: staged.GetCommittables()})
}

// end stores how a job ended and makes it known.
func (d *Dispatcher) end(j *job, s *rpc.JobStatus) {
	d.mu.Lock()
	if s.Started == 0 {
		s.Started = millis(j.rec.Started)
	}
	d.mu.Unlock()
	err := d.persevere(d.root, func(ctx context.Context) error { return d.close(ctx, j, s) })
	if err != nil {
		if d.root.Err() != nil {
			return // the next leader brings it to its end
		}
		d.opts.Log.Warn("the end of a job was not stored", "job", j.id, "error", err)
	}
	d.mu.Lock()
	if d.opts.Embedded || err != nil {
		j.final = s
	} else {
		j.master = nil // with the graph
	}
	j.rec.State, j.rec.Ended = s.GetState(), time.UnixMilli(s.GetEnded())
	d.move(j, over)
	d.over = append(d.over, j.id)
	old := d.excess()
	d.mu.Unlock()
	close(j.ended)
	if cause := s.GetCause(); cause != nil {
		d.opts.Log.Warn("job is over", "job", j.id, "state", s.GetState(), "cause", cause.GetText())
	} else {
		d.opts.Log.Info("job is over", "job", j.id, "state", s.GetState(), "rows", s.GetRowsWritten())
	}
	d.forget(d.root, old)
}

// excess takes the oldest jobs beyond the history away; the caller holds the lock.
func (d *Dispatcher) excess() (old []id.Job) {
	if n := len(d.over) - d.opts.History; n > 0 {
		old = slices.Clone(d.over[:n])
		d.over = slices.Delete(d.over, 0, n)
		for _, o := range old {
			delete(d.jobs, o)
		}
	}
	return old
}

// drop ends what an earlier leader's job may have left on workers and shuffle servers.
func (d *Dispatcher) drop(jobID id.Job) {
	ref := rpc.Ref(jobID, d.opts.Term)
	for _, k := range d.opts.Resources.Members() {
		ctx, stop := context.WithTimeout(d.root, dropTimeout)
		var err error
		if k.Slots > 0 {
			_, err = d.opts.Dialer.Worker(k.ID).Drop(ctx, &rpc.DropRequest{Job: ref, EndJob: true, Results: true})
		} else {
			_, err = d.opts.Dialer.Shuffle(string(k.ID)).Drop(ctx, &rpc.ShuffleDropRequest{Job: ref})
		}
		stop()
		if err != nil {
			d.opts.Log.Warn("job was not dropped", "job", jobID, "member", k.ID, "error", err)
		}
	}
}

// release forgets the checkpoints of a job that is not to run again.
func (d *Dispatcher) release(j *job, state execgraph.JobState) {
	g, err := d.load(d.root, j)
	if err != nil || d.opts.Checkpoints == nil || g.GetMode() != jobgraph.Mode_MODE_STREAMING {
		return // what is not forgotten costs a few bytes
	}
	c, err := config.FromMap(g.GetOptions(), "job "+g.GetName())
	if err == nil && config.CheckpointDir.Get(c) != "" {
		var store *checkpointing.Store
		if store, err = d.opts.Checkpoints(c); err == nil {
			err = jobmaster.Forget(d.root, store, c, j.id, state)
		}
	}
	if err != nil {
		d.opts.Log.Warn("checkpoints were not released", "job", j.id, "error", err)
	}
}

// persevere tries until the store takes it, refuses it, or ctx ends.
func (d *Dispatcher) persevere(ctx context.Context, try func(context.Context) error) error {
	pause := firstPause
	for {
		err := try(ctx)
		if err == nil || deposed(err) || !failure.Of(err).Retryable() {
			return err
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// sweep collects blobs that no job names.
func (d *Dispatcher) sweep() {
	d.every(sweepPause, func() {
		used := d.named()
		_, _, err := d.opts.Store.List(d.root, bucket, "-") // nothing: does this master still lead?
		if err == nil {
			err = d.opts.Blobs.Collect(d.root, used)
		}
		if err != nil {
			d.opts.Log.Warn("unused blobs were not collected", "error", err)
		}
	})
}

// every does something again and again, until the dispatcher ends.
func (d *Dispatcher) every(pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			do()
		case <-d.root.Done():
			return
		}
	}
}
