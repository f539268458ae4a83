package route

import (
	"cmp"
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Options say how a lane is routed.
type Options struct {
	Distribution shuffle.Distribution
	Partitions   int
	// Lane is the producer's index, for forward and merge.
	Lane uint32
	// Keys are the columns of hash, KeyGroups the job's number of key groups.
	Keys      []int
	KeyGroups int
	Alloc     memory.Allocator
	// TargetRows and TargetBytes are the size at which a buffer is sent; zero
	// means those of core/stream.
	TargetRows  int
	TargetBytes int64
}

// Partitions is the number of partitions of an exchange between that many
// producers and consumers.
func Partitions(d shuffle.Distribution, producers, consumers int) int {
	if d == shuffle.Merge {
		return producers
	}
	return consumers
}

// Router routes one lane.
type Router struct {
	writer  shuffle.Writer
	options Options
	owners  *keygroup.Assignment // of hash
	buffers []buffer             // of hash, by partition
	next    uint32               // of rebalance

	// Scratch of hash, reused from batch to batch.
	keys   []arrow.Array
	hashes []uint64
	parts  []uint32
	order  []int32 // rows by partition
	bounds []int32 // of partitions in order
	fill   []int32

	buffered  bool             // some buffer has rows
	watermark stream.Watermark // waits for the buffered rows
	waiting   bool
}

// New returns a router of a lane; it owns w.
func New(w shuffle.Writer, o Options) (*Router, error) {
	o.TargetRows = cmp.Or(o.TargetRows, stream.TargetRows)
	o.TargetBytes = cmp.Or(o.TargetBytes, stream.TargetBytes)
	r := &Router{writer: w, options: o, next: o.Lane}
	switch o.Distribution {
	case shuffle.Forward, shuffle.Merge:
		if int(o.Lane) >= o.Partitions {
			return nil, failure.Errorf(failure.Internal, "%v: lane %d has no partition among %d", o.Distribution, o.Lane, o.Partitions)
		}
	case shuffle.Hash:
		owners, err := keygroup.Even(o.KeyGroups, o.Partitions)
		if err != nil {
			return nil, err
		}
		r.owners, r.buffers = owners, make([]buffer, o.Partitions)
		r.bounds, r.fill = make([]int32, o.Partitions+1), make([]int32, o.Partitions+1)
		r.keys = make([]arrow.Array, len(o.Keys))
	case shuffle.Broadcast, shuffle.Rebalance, shuffle.Singleton:
	default:
		return nil, failure.Errorf(failure.Fatal, "exchange of distribution %v is not supported", o.Distribution)
	}
	return r, nil
}

// Emit routes a batch; it may wait for credit. It owns b.
func (r *Router) Emit(ctx context.Context, b *stream.Batch) error {
	if b.Len() == 0 {
		b.Release()
		return nil
	}
	if r.options.Distribution != shuffle.Hash || r.options.Partitions == 1 {
		// Send would do it, but where its service's memory is wanted.
		var err error
		if b, err = compute.TakeBatch(r.options.Alloc, b); err != nil {
			return fmt.Errorf("route batch: %w", err)
		}
	}
	switch r.options.Distribution {
	case shuffle.Forward, shuffle.Merge:
		return r.writer.Send(ctx, r.options.Lane, b)
	case shuffle.Singleton, shuffle.Broadcast: // the exchange is opened so that it is sent everywhere
		return r.writer.Send(ctx, 0, b)
	case shuffle.Rebalance:
		r.next++
		return r.writer.Send(ctx, r.next%uint32(r.options.Partitions), b)
	default:
		return r.scatter(ctx, b)
	}
}

func (r *Router) scatter(ctx context.Context, b *stream.Batch) error {
	if r.options.Partitions == 1 {
		return r.writer.Send(ctx, 0, b)
	}
	defer b.Release()
	for i, k := range r.options.Keys {
		r.keys[i] = b.Column(k)
	}
	r.hashes = compute.HashColumns(r.keys, b.Sel, r.hashes)
	clear(r.keys)
	owners, groups := r.owners.Owners(), r.owners.Groups()
	r.parts = r.parts[:0]
	for _, h := range r.hashes {
		r.parts = append(r.parts, uint32(owners[keygroup.Of(h, groups)]))
	}
	if gatherable(b.Record) {
		return r.gather(ctx, b)
	}
	batches, err := compute.Scatter(r.options.Alloc, b, r.parts, r.options.Partitions)
	if err != nil {
		return fmt.Errorf("route batch of %d rows: %w", b.Len(), err)
	}
	for p, add := range batches {
		switch {
		case add == nil:
		case err != nil:
			add.Release()
		default:
			r.buffers[p].addBatch(add)
			err = r.filled(ctx, p)
		}
	}
	return err
}

// gather puts each row straight into its partition's buffer: one counting sort,
// then one loop for each partition and column.
func (r *Router) gather(ctx context.Context, b *stream.Batch) error {
	clear(r.bounds)
	for _, p := range r.parts {
		r.bounds[p+1]++
	}
	for p := range r.options.Partitions {
		r.bounds[p+1] += r.bounds[p]
	}
	if cap(r.order) < len(r.parts) {
		r.order = make([]int32, len(r.parts))
	}
	r.order = r.order[:len(r.parts)]
	copy(r.fill, r.bounds)
	for i, p := range r.parts {
		row := int32(i)
		if b.Sel != nil {
			row = b.Sel[i]
		}
		r.order[r.fill[p]] = row
		r.fill[p]++
	}
	bytes := b.Bytes() / int64(max(b.PhysicalRows(), 1))
	for p := range r.options.Partitions {
		rows := r.order[r.bounds[p]:r.bounds[p+1]]
		if len(rows) == 0 {
			continue
		}
		r.buffers[p].addRows(r.options.Alloc, b, rows, bytes*int64(len(rows)))
		if err := r.filled(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// filled sends a partition's buffer if it is full.
func (r *Router) filled(ctx context.Context, p int) error {
	r.buffered = true
	if r.buffers[p].rows < r.options.TargetRows && r.buffers[p].bytes < r.options.TargetBytes {
		return nil
	}
	return r.send(ctx, p)
}

func (r *Router) send(ctx context.Context, p int) error {
	b, err := r.buffers[p].take(r.options.Alloc)
	if err != nil || b == nil {
		return err
	}
	return r.writer.Send(ctx, uint32(p), b)
}

// Advance routes a watermark; while rows are buffered it waits for Flush.
func (r *Router) Advance(ctx context.Context, w stream.Watermark) error {
	if r.buffered {
		r.watermark, r.waiting = w, true
		return nil
	}
	return r.writer.Broadcast(ctx, stream.Advance(w))
}

// Broadcast sends what is buffered, then a barrier or a change of idleness, to
// every partition.
func (r *Router) Broadcast(ctx context.Context, e stream.Element) error {
	if err := r.Flush(ctx); err != nil {
		return err
	}
	return r.writer.Broadcast(ctx, e)
}

// Pending reports whether rows, or a watermark behind them, wait for Flush.
func (r *Router) Pending() bool { return r.buffered }

// Flush sends what is buffered.
func (r *Router) Flush(ctx context.Context) error {
	if !r.buffered {
		return nil
	}
	for p := range r.buffers {
		if err := r.send(ctx, p); err != nil {
			return err
		}
	}
	r.buffered = false
	if !r.waiting {
		return nil
	}
	r.waiting = false
	return r.writer.Broadcast(ctx, stream.Advance(r.watermark))
}

// Finish sends what is buffered and ends the lane.
func (r *Router) Finish(ctx context.Context) (shuffle.Manifest, error) {
	if err := r.Flush(ctx); err != nil {
		return shuffle.Manifest{}, err
	}
	return r.writer.Finish(ctx)
}

// Close frees what is buffered and closes the writer; a lane that was not
// finished is given up.
func (r *Router) Close() error {
	for p := range r.buffers {
		r.buffers[p].release()
	}
	return r.writer.Close()
}
