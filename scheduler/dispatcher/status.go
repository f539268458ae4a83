package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
)

const (
	// splitsTimeout bounds the question for splits in a status.
	splitsTimeout = 50 * time.Millisecond
	// PollTimeout bounds how long Poll waits for news.
	PollTimeout = 20 * time.Second
)

// Describe describes a job; of its splits, too, which its coordinator task knows.
func (d *Dispatcher) Describe(ctx context.Context, jobID id.Job) (*rpc.JobStatus, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	s, err := d.show(j)
	if err != nil || s.GetOver() {
		return s, err
	}
	d.mu.Lock()
	m := j.master
	d.mu.Unlock()
	if m != nil {
		ctx, stop := context.WithTimeout(ctx, splitsTimeout)
		defer stop()
		splits := m.Splits(ctx)
		s.SplitsAssigned, s.SplitsTotal = splits.GetSplitsAssigned(), splits.GetSplitsTotal()
	}
	return s, nil
}

// Poll describes a job once its state is not the known one or, with result, once its
// result can be read; and in any case when it is over, or after PollTimeout. A query of
// which nobody does so for ClientTimeout is cancelled.
func (d *Dispatcher) Poll(ctx context.Context, jobID id.Job, known string, result bool) (*rpc.JobStatus, error) {
	j, err := d.find(jobID)
	if err != nil {
		return nil, err
	}
	defer d.ask(j)()
	enough := time.NewTimer(PollTimeout)
	defer enough.Stop()
	for {
		d.mu.Lock()
		m, moved, done := j.master, j.changed, j.phase == over
		d.mu.Unlock()
		var changed <-chan struct{}
		if m != nil {
			changed = m.Changed()
		}
		s, err := d.show(j)
		switch {
		case err != nil || done:
			return s, err
		case result && s.GetResult() != nil, !result && s.GetState() != known:
			return s, nil
		}
		select {
		case <-moved:
		case <-changed:
		case <-enough.C:
			return s, nil
		case <-d.root.Done():
			return nil, closedError()
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for job %v: %w", jobID, ctx.Err())
		}
	}
}

// show is the status of a job.
func (d *Dispatcher) show(j *job) (*rpc.JobStatus, error) {
	d.mu.Lock()
	m, final, rec := j.master, j.final, j.rec
	d.mu.Unlock()
	switch {
	case final != nil:
		return final, nil
	case rec.Final != nil: // it was over before this leadership
		final = &rpc.JobStatus{}
		if err := d.fetch(d.root, rec.Final, final); err != nil {
			return nil, fmt.Errorf("read how job %v ended: %w", j.id, err)
		}
		return final, nil
	case m == nil:
		s := brief(j.id, rec)
		s.Waits = d.waits(j)
		return s, nil
	}
	return d.describe(j, m, false), nil
}

// brief is what a record says.
func brief(jobID id.Job, r record) *rpc.JobStatus {
	s := &rpc.JobStatus{
		Job: jobID[:], Name: r.Name, State: execgraph.JobCreated.String(),
		Submitted: millis(r.Submitted), Started: millis(r.Started), Ended: millis(r.Ended),
	}
	if r.State != "" {
		s.State, s.Cause, s.Over = r.State, rpc.ToFailure(r.cause()), true
	}
	return s
}

// millis are Unix milliseconds; zero stays zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// ending is the status of a job that ends without a job master.
func (d *Dispatcher) ending(j *job, state execgraph.JobState, cause error) *rpc.JobStatus {
	d.mu.Lock()
	s := brief(j.id, j.rec)
	d.mu.Unlock()
	s.State, s.Cause, s.Over, s.Ended = state.String(), rpc.ToFailure(cause), true, time.Now().UnixMilli()
	return s
}

// describe is the status of a job that has a job master. It is over once that is stored.
func (d *Dispatcher) describe(j *job, m *jobmaster.Master, done bool) *rpc.JobStatus {
	d.mu.Lock()
	s := brief(j.id, j.rec)
	d.mu.Unlock()
	now := m.Status()
	s.State, s.Cause, s.Over = now.State.String(), rpc.ToFailure(now.Cause), done
	s.Term = uint64(d.opts.Term)
	s.Restarts, s.Checkpoints = uint32(now.Restarts), uint64(now.Checkpoints)
	s.RowsWritten, s.BytesWritten, s.FilesWritten = uint64(now.Written.Rows), uint64(now.Written.Bytes), uint64(now.Written.Files)
	for i, v := range now.Vertices {
		s.Vertices = append(s.Vertices, vertex(m, id.Vertex(i), v, done))
	}
	m.Describe(s)
	if done {
		s.EndedCheckpoints = m.Checkpoints(0)
		s.Ended = time.Now().UnixMilli()
		return s
	}
	for _, w := range d.opts.Resources.Waiting(j.id) {
		s.Waits = append(s.Waits, &rpc.Wait{
			Part: fmt.Sprintf("region %d", w.Region), Reason: w.Reason, Owner: w.Owner,
			Since: max(0, w.Since.UnixMilli()-s.GetStarted()),
		})
	}
	return s
}

func vertex(m *jobmaster.Master, v id.Vertex, now jobmaster.VertexStatus, done bool) *rpc.VertexStatus {
	out := &rpc.VertexStatus{
		Vertex: uint32(v), Name: now.Name, Source: now.Source, Parallelism: uint32(now.Parallelism), Subtasks: map[string]uint32{},
		RowsIn: now.RowsIn, RowsOut: now.RowsOut, BytesIn: now.BytesIn, SpilledBytes: now.SpilledBytes,
		LateRows: now.LateRows, FutureRows: now.FutureRows, RejectedRecords: now.RejectedRecords, RejectedOf: now.RejectedOf,
	}
	for state, n := range now.Subtasks {
		out.Subtasks[state.String()] = uint32(n)
	}
	if !done {
		return out
	}
	chain := m.Operators(v)
	for n := range chain[0] {
		for _, operator := range chain {
			if n < len(operator) {
				out.Operators = append(out.Operators, operator[n])
			}
		}
	}
	return out
}

func hasResult(g *jobgraph.Graph) bool {
	return slices.ContainsFunc(g.GetExchanges(), (*jobgraph.Exchange).GetResult)
}

// readAlong says that a client reads the job's result while it is made. One that is
// stored can be read once it is whole: whoever reads one that is made again is told.
func readAlong(g *jobgraph.Graph) bool {
	return slices.ContainsFunc(g.GetExchanges(), func(x *jobgraph.Exchange) bool {
		return x.GetResult() && x.GetRetention() != jobgraph.Retention_RETENTION_JOB
	})
}

// Briefs lists at most so many jobs, the newest first; running: those that are not over.
func (d *Dispatcher) Briefs(most int, running bool) []*rpc.JobStatus {
	d.mu.Lock()
	jobs := make([]*job, 0, len(d.jobs))
	for _, j := range d.jobs {
		if !running || j.phase != over {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *job) int {
		return cmp.Or(b.rec.Submitted.Compare(a.rec.Submitted), slices.Compare(a.id[:], b.id[:]))
	})
	jobs = jobs[:min(len(jobs), most)]
	out := make([]*rpc.JobStatus, len(jobs))
	masters := make([]*jobmaster.Master, len(jobs))
	for i, j := range jobs {
		out[i] = brief(j.id, j.rec)
		if j.phase != over {
			masters[i] = j.master
		}
	}
	d.mu.Unlock()
	for i, m := range masters {
		if m != nil {
			s := m.Status()
			out[i].State, out[i].Cause, out[i].Restarts = s.State.String(), rpc.ToFailure(s.Cause), uint32(s.Restarts)
		}
	}
	return out
}

// waits says why a job has not begun.
func (d *Dispatcher) waits(j *job) []*rpc.Wait {
	slots, _ := d.opts.Resources.Slots()
	aside := d.opts.Resources.Aside()
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &rpc.Wait{Part: "job"}
	since := j.rec.Submitted
	switch at := slices.Index(d.queue, j); {
	case at < 0: // it is being begun
		return nil
	case d.held != "":
		w.Reason, w.Owner, since = d.held, "cluster", d.since
	case slots == 0:
		if w.Reason, w.Owner = "a worker with slots", "cluster"; aside != nil {
			w.Reason += fmt.Sprintf(": %v", aside)
		}
	default:
		w.Reason = fmt.Sprintf("its turn: %d jobs run, and no more may", d.active)
		w.Owner = "master"
		if at > 0 {
			w.Reason += fmt.Sprintf("; %d wait before it", at)
		}
	}
	w.Since = max(0, since.Sub(j.rec.Submitted).Milliseconds())
	return []*rpc.Wait{w}
}

// Over says whether nobody needs what is kept of a job any more: it is over, with a
// result since longer than grace or until its client cancelled it, or is not known. A job
// is known before anything of it is kept anywhere.
func (d *Dispatcher) Over(jobID id.Job, grace time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	j, ok := d.jobs[jobID]
	return !ok || j.phase == over && (!j.rec.Result || j.read || time.Since(j.rec.Ended) > grace)
}
