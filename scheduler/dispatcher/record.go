package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/raftmeta"
)

// bucket holds records and chunks.
const bucket raftmeta.Bucket = "jobs"

const (
	recordVersion = 1
	chunkBytes    = 60 << 10
	chunksPerTxn  = 16
	maxGraphBytes = 64 << 20
)

// record is what the store keeps of a job.
type record struct {
	Version   int
	Name      string
	State     string
	Cause     string    `json:",omitempty"`
	Class     uint8     `json:",omitempty"` // of Cause: failure.Class
	Submitted time.Time // on the clock of the master that accepted it
	Ended     time.Time `json:",omitzero"`
	Chunks    int       `json:",omitempty"`
}

func chunkKey(job id.Job, n int) string { return fmt.Sprintf("%v.%06d", job, n) }

// store writes a job's graph and record.
func (d *Dispatcher) store(ctx context.Context, job id.Job, g *jobgraph.Graph, r record) error {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(g)
	if err != nil {
		return failure.Errorf(failure.Internal, "encode the graph of job %v: %w", job, err)
	}
	if len(data) > maxGraphBytes {
		return failure.Errorf(failure.InvalidSQL, "the job's graph has %d bytes: the limit is %d", len(data), maxGraphBytes)
	}
	txn := raftmeta.Txn{Term: d.opts.Term}
	for len(data) > 0 {
		n := min(len(data), chunkBytes)
		txn = txn.Put(bucket, chunkKey(job, r.Chunks), data[:n], raftmeta.Absent)
		data, r.Chunks = data[n:], r.Chunks+1
		if len(txn.Ops) == chunksPerTxn && len(data) > 0 {
			if _, err := d.opts.Store.Apply(ctx, txn); err != nil {
				return fmt.Errorf("store the graph of job %v: %w", job, err)
			}
			txn = raftmeta.Txn{Term: d.opts.Term}
		}
	}
	value, err := json.Marshal(r)
	if err != nil {
		return failure.Errorf(failure.Internal, "encode the record of job %v: %w", job, err)
	}
	if len(txn.Ops) == chunksPerTxn {
		if _, err := d.opts.Store.Apply(ctx, txn); err != nil {
			return fmt.Errorf("store the graph of job %v: %w", job, err)
		}
		txn = raftmeta.Txn{Term: d.opts.Term}
	}
	if _, err := d.opts.Store.Apply(ctx, txn.Put(bucket, job.String(), value, raftmeta.Absent)); err != nil {
		return fmt.Errorf("store job %v: %w", job, err)
	}
	return nil
}

// close writes a job's last record and deletes its graph.
func (d *Dispatcher) close(ctx context.Context, job id.Job, r record, chunks int) error {
	value, err := json.Marshal(r)
	if err != nil {
		return failure.Errorf(failure.Internal, "encode the record of job %v: %w", job, err)
	}
	txn := raftmeta.Txn{Term: d.opts.Term}.Put(bucket, job.String(), value, raftmeta.Any)
	for n := range chunks {
		txn = txn.Delete(bucket, chunkKey(job, n), raftmeta.Any)
		if len(txn.Ops) == 128 {
			if _, err := d.opts.Store.Apply(ctx, txn); err != nil {
				return fmt.Errorf("store the end of job %v: %w", job, err)
			}
			txn = raftmeta.Txn{Term: d.opts.Term}
		}
	}
	if len(txn.Ops) == 0 {
		return nil
	}
	if _, err := d.opts.Store.Apply(ctx, txn); err != nil {
		return fmt.Errorf("store the end of job %v: %w", job, err)
	}
	return nil
}

// forget deletes the record of a job that is over.
func (d *Dispatcher) forget(ctx context.Context, job id.Job) error {
	txn := raftmeta.Txn{Term: d.opts.Term}.Delete(bucket, job.String(), raftmeta.Any)
	if _, err := d.opts.Store.Apply(ctx, txn); err != nil {
		return fmt.Errorf("forget job %v: %w", job, err)
	}
	return nil
}
