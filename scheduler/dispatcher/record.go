package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
)

// bucket holds records.
const bucket raftmeta.Bucket = "jobs"

const (
	recordVersion = 2
	// inlineBytes bounds what stands in a record itself; more becomes a blob.
	inlineBytes   = 8 << 10
	maxGraphBytes = 48 << 20
	opsPerTxn     = 128
)

// record is what the store keeps of a job.
type record struct {
	Version   int
	Name      string
	Submitted time.Time // on the clock of the master that accepted it
	Started   time.Time `json:",omitzero"`  // of the one that ran it first
	Result    bool      `json:",omitempty"` // a client reads it
	// Runs is how many leaderships have begun it, or were about to.
	Runs int `json:",omitempty"`
	// Cancelled: the user has asked for its end, and was told that it will come.
	Cancelled bool  `json:",omitempty"`
	Graph     *kept `json:",omitempty"` // until it is over
	// Requirements say with how many subtasks a streaming job is to run.
	Requirements jobmaster.Requirements `json:",omitzero"`
	// Decided is the output that is being published, a CommitRequest: the job does not run
	// again.
	Decided *kept `json:",omitempty"`
	// Savepoint is the directory of the savepoint with which the job has ended: it does not
	// run again.
	Savepoint string `json:",omitempty"`
	// Ending is the state in which a job with checkpoints ends, which are being forgotten: it
	// does not run again. Cause and Class go with it.
	Ending string `json:",omitempty"`
	// Of a job that is over.
	State string    `json:",omitempty"`
	Cause string    `json:",omitempty"`
	Class uint8     `json:",omitempty"` // of Cause: failure.Class
	Ended time.Time `json:",omitzero"`
	Final *kept     `json:",omitempty"` // its rpc.JobStatus
}

// kept is a message, here or in a blob.
type kept struct {
	Inline []byte            `json:",omitempty"`
	Blob   raftmeta.BlobName `json:",omitempty"`
}

// settled says in which state a job ends that does not run again, and whether it is one.
func (r record) settled() (execgraph.JobState, bool) {
	for _, s := range []execgraph.JobState{execgraph.JobFinished, execgraph.JobFailed, execgraph.JobCanceled} {
		if r.Ending == s.String() {
			return s, true
		}
	}
	if r.Savepoint != "" {
		return execgraph.JobFinished, true
	}
	return execgraph.JobCanceled, r.Cancelled
}

// blame notes why a job fails.
func (r *record) blame(c *rpc.Failure) {
	if c == nil {
		return
	}
	r.Cause, r.Class = c.GetText(), uint8(c.GetClass())
	if len(r.Cause) > inlineBytes {
		r.Cause = r.Cause[:inlineBytes]
	}
}

func (r record) cause() error {
	if r.Cause == "" {
		return nil
	}
	return failure.Wrap(failure.Class(r.Class), errors.New(r.Cause))
}

// keep makes a message ready for a record: a large one is durable as a blob when it
// returns.
func (d *Dispatcher) keep(ctx context.Context, m proto.Message) (*kept, error) {
	if d.opts.Embedded {
		return &kept{}, nil
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, failure.Errorf(failure.Internal, "encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	if len(data) <= inlineBytes || d.opts.Blobs == nil {
		return &kept{Inline: data}, nil
	}
	name, err := d.opts.Blobs.Put(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("keep %d bytes: %w", len(data), err)
	}
	return &kept{Blob: name}, nil
}

// fetch reads a message that was kept.
func (d *Dispatcher) fetch(ctx context.Context, k *kept, m proto.Message) error {
	data := k.Inline
	if k.Blob != "" {
		var err error
		if data, err = d.opts.Blobs.Get(ctx, k.Blob); err != nil {
			return err
		}
		if err := k.Blob.Check(data); err != nil {
			return err
		}
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return failure.Errorf(failure.Fatal, "decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// apply writes under this leadership.
func (d *Dispatcher) apply(ctx context.Context, txn raftmeta.Txn) error {
	if d.opts.Embedded || len(txn.Ops) == 0 {
		return nil
	}
	txn.Term = d.opts.Term
	_, err := d.opts.Store.Apply(ctx, txn)
	return err
}

func (r record) encode() ([]byte, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return nil, failure.Errorf(failure.Internal, "encode the record of job %s: %w", r.Name, err)
	}
	return value, nil
}

// store writes a new job's graph and record. A job of that id that exists is
// raftmeta.ErrConflict.
func (d *Dispatcher) store(ctx context.Context, j *job, g *jobgraph.Graph) error {
	if n := proto.Size(g); n > maxGraphBytes {
		return failure.Errorf(failure.InvalidSQL, "the job's graph has %d bytes: the limit is %d", n, maxGraphBytes)
	}
	r := j.rec
	var err error
	if r.Graph, err = d.keep(ctx, g); err != nil {
		return fmt.Errorf("store the graph of job %v: %w", j.id, err)
	}
	value, err := r.encode()
	if err != nil {
		return err
	}
	if err := d.apply(ctx, raftmeta.Txn{}.Put(bucket, j.id.String(), value, raftmeta.Absent)); err != nil {
		return fmt.Errorf("store job %v: %w", j.id, err)
	}
	if err := failpoint.Hit(failpoint.JobStored); err != nil {
		return err
	}
	d.mu.Lock()
	j.rec = r
	d.mu.Unlock()
	return nil
}

// remember changes the record of a job that is not over.
func (d *Dispatcher) remember(ctx context.Context, j *job, change func(*record)) error {
	if err := j.writing.take(ctx); err != nil {
		return err
	}
	defer j.writing.release()
	d.mu.Lock()
	r, done := j.rec, j.phase == over
	d.mu.Unlock()
	if done {
		return nil
	}
	change(&r)
	return d.write(ctx, j, r)
}

// write stores a record and makes it the job's; the caller has the turn.
func (d *Dispatcher) write(ctx context.Context, j *job, r record) error {
	value, err := r.encode()
	if err != nil {
		return err
	}
	if err := d.apply(ctx, raftmeta.Txn{}.Put(bucket, j.id.String(), value, raftmeta.Any)); err != nil {
		return fmt.Errorf("store job %v: %w", j.id, err)
	}
	d.mu.Lock()
	j.rec = r
	d.mu.Unlock()
	return nil
}

// decide records that a job's output is published from now on. It tries until this
// master is deposed.
func (d *Dispatcher) decide(ctx context.Context, jobID id.Job, p jobmaster.Publication) error {
	j, err := d.find(jobID)
	if err != nil {
		return err
	}
	err = d.persevere(ctx, func(ctx context.Context) error {
		staged, err := d.keep(ctx, &rpc.CommitRequest{Committables: p.Staged})
		if err != nil {
			return err
		}
		return d.remember(ctx, j, func(r *record) { r.Decided = staged })
	})
	if err == nil {
		err = failpoint.Hit(failpoint.PublishBegin)
	}
	if deposed(err) || ctx.Err() != nil {
		return errors.Join(jobmaster.ErrDeposed, err)
	}
	return err
}

// stopped records that a job has ended with a savepoint.
func (d *Dispatcher) stopped(ctx context.Context, jobID id.Job, directory string) error {
	return d.note(ctx, jobID, func(r *record) { r.Savepoint = directory })
}

// ends records how a job ends whose checkpoints are about to be forgotten.
func (d *Dispatcher) ends(ctx context.Context, jobID id.Job, state execgraph.JobState, cause error) error {
	return d.note(ctx, jobID, func(r *record) {
		r.Ending = state.String()
		r.blame(rpc.ToFailure(cause))
	})
}

// note changes the record of a job that runs. It tries until this master is deposed.
func (d *Dispatcher) note(ctx context.Context, jobID id.Job, change func(*record)) error {
	j, err := d.find(jobID)
	if err != nil {
		return err
	}
	err = d.persevere(ctx, func(ctx context.Context) error { return d.remember(ctx, j, change) })
	if deposed(err) || ctx.Err() != nil {
		return errors.Join(jobmaster.ErrDeposed, err)
	}
	return err
}

// deposed says that an error of the store means that this leadership is over.
func deposed(err error) bool {
	return errors.Is(err, raftmeta.ErrFenced) || errors.Is(err, raftmeta.ErrNotLeader) ||
		errors.Is(err, raftmeta.ErrUnknown) || errors.Is(err, raftmeta.ErrClosed)
}

// load reads a job's graph from the store.
func (d *Dispatcher) load(ctx context.Context, j *job) (*jobgraph.Graph, error) {
	d.mu.Lock()
	g, k := j.graph, j.rec.Graph
	d.mu.Unlock()
	if g != nil {
		return g, nil
	}
	if k == nil {
		return nil, failure.Errorf(failure.Internal, "job %v is stored without its graph", j.id)
	}
	g = &jobgraph.Graph{}
	err := d.persevere(ctx, func(ctx context.Context) error { return d.fetch(ctx, k, g) })
	if err != nil {
		return nil, fmt.Errorf("read the graph of job %v: %w", j.id, err)
	}
	return g, nil
}

// close writes how a job ended in place of what was needed to run it.
func (d *Dispatcher) close(ctx context.Context, j *job, s *rpc.JobStatus) error {
	if err := failpoint.Hit(failpoint.JobEnd); err != nil {
		return err
	}
	if err := j.writing.take(ctx); err != nil {
		return err
	}
	defer j.writing.release()
	d.mu.Lock()
	r := j.rec
	d.mu.Unlock()
	r.Graph, r.Decided = nil, nil
	r.State, r.Ended = s.GetState(), time.UnixMilli(s.GetEnded())
	r.blame(s.GetCause())
	var err error
	if r.Final, err = d.keep(ctx, s); err != nil {
		return fmt.Errorf("store the end of job %v: %w", j.id, err)
	}
	return d.write(ctx, j, r)
}

// forget deletes the records of jobs that are over.
func (d *Dispatcher) forget(ctx context.Context, jobs []id.Job) {
	for len(jobs) > 0 {
		n := min(len(jobs), opsPerTxn)
		txn := raftmeta.Txn{}
		for _, jobID := range jobs[:n] {
			txn = txn.Delete(bucket, jobID.String(), raftmeta.Any)
		}
		if err := d.apply(ctx, txn); err != nil {
			d.opts.Log.Warn("jobs that are over were not forgotten", "jobs", n, "error", err)
		}
		jobs = jobs[n:]
	}
}

// named tells which blobs the records name.
func (d *Dispatcher) named() func(raftmeta.BlobName) bool {
	names := map[raftmeta.BlobName]bool{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.jobs {
		for _, k := range [...]*kept{j.rec.Graph, j.rec.Decided, j.rec.Final} {
			if k != nil {
				names[k.Blob] = true
			}
		}
	}
	return func(n raftmeta.BlobName) bool { return names[n] }
}

func parseState(name string) execgraph.JobState {
	for s := execgraph.JobInvalid; s <= execgraph.JobSuspended; s++ {
		if s.String() == name {
			return s
		}
	}
	return execgraph.JobInvalid
}
