package dispatcher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// Recover reads the jobs that the store knows: those that are over become the history,
// the others wait to be run under this leadership, in the order in which they were
// accepted. It is called once, before anything else.
func (d *Dispatcher) Recover(ctx context.Context) error {
	all, _, err := d.opts.Store.List(ctx, bucket, "")
	if err != nil {
		return fmt.Errorf("read the jobs of earlier leaders: %w", err)
	}
	var jobs []*job
	for _, e := range all {
		j, err := decode(e)
		if err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	slices.SortStableFunc(jobs, func(a, b *job) int {
		return cmp.Or(a.rec.Submitted.Compare(b.rec.Submitted), slices.Compare(a.id[:], b.id[:]))
	})
	d.mu.Lock()
	var done []*job
	for _, j := range jobs {
		d.jobs[j.id] = j
		if j.phase == over {
			done = append(done, j)
			continue
		}
		d.queue = append(d.queue, j)
	}
	slices.SortStableFunc(done, func(a, b *job) int { return a.rec.Ended.Compare(b.rec.Ended) })
	for _, j := range done {
		d.over = append(d.over, j.id)
	}
	old := d.excess()
	d.mu.Unlock()
	d.forget(ctx, old)
	d.poke()
	return nil
}

// decode reads an entry of the store. A record of a newer program stops this master:
// it would lose what it does not know.
func decode(e raftmeta.Entry) (*job, error) {
	jobID, err := id.ParseJob(e.Key)
	j := newJob(jobID)
	if err == nil {
		err = json.Unmarshal(e.Value, &j.rec)
	}
	if err == nil && j.rec.Version != recordVersion {
		err = fmt.Errorf("version %d of its record is not known", j.rec.Version)
	}
	if err != nil {
		return nil, failure.Errorf(failure.Fatal, "job %s: %w", e.Key, err)
	}
	if j.rec.State != "" {
		j.phase = over
		close(j.ended)
	}
	return j, nil
}

// adopt makes a job known that another call has stored, whose client was not told.
func (d *Dispatcher) adopt(ctx context.Context, jobID id.Job) error {
	e, err := d.opts.Store.Get(ctx, bucket, jobID.String())
	if errors.Is(err, raftmeta.ErrNotFound) {
		return failure.Errorf(failure.Transient, "job %v was being stored by somebody else", jobID)
	}
	if err != nil {
		return fmt.Errorf("read job %v: %w", jobID, err)
	}
	j, err := decode(e)
	if err != nil {
		return err
	}
	if known, err := d.enter(j); known || err != nil {
		return err
	}
	d.mu.Lock()
	if j.phase == over {
		d.over = append(d.over, j.id)
	} else {
		d.queue = append(d.queue, j)
	}
	d.mu.Unlock()
	d.poke()
	return nil
}
