package local

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// writer is an attempt's end of a lane, over pipes or a store.
type writer struct {
	exchange  *exchange
	lane      uint32
	attempt   uint32
	totals    []shuffle.PartitionTotals // of pipes
	watermark stream.Watermark          // of a store
	wake      chan struct{}             // signalled when a pipe may have credit
	finished  bool

	waiting Waiting
}

func newWriter(e *exchange, lane, attempt uint32) *writer {
	return &writer{
		exchange: e, lane: lane, attempt: attempt, watermark: stream.MinWatermark,
		totals: make([]shuffle.PartitionTotals, len(e.pipes)), wake: make(chan struct{}, 1),
	}
}

// Send appends a batch to a partition.
func (w *writer) Send(ctx context.Context, part uint32, b *stream.Batch) error {
	if int(part) >= w.exchange.spec.Partitions {
		b.Release()
		return w.wrap(failure.Errorf(failure.Internal, "send to partition %d of %d", part, w.exchange.spec.Partitions))
	}
	if w.exchange.spec.Paired && part != w.lane {
		b.Release()
		return w.wrap(failure.Errorf(failure.Internal, "send to partition %d of a paired exchange", part))
	}
	if w.exchange.spec.Everywhere && part != 0 {
		b.Release()
		return w.wrap(failure.Errorf(failure.Internal, "send to partition %d of an exchange that sends everywhere", part))
	}
	b, err := compute.TakeBatch(w.exchange.options.Alloc, b)
	if err != nil {
		return w.wrap(err)
	}
	if w.exchange.store != nil {
		if err := w.exchange.fenced(w.lane, w.attempt); err != nil {
			b.Release()
			return w.wrap(err)
		}
		return w.wrap(w.exchange.store.Append(ctx, w.lane, w.attempt, part, b))
	}
	if w.exchange.spec.Everywhere {
		defer b.Release()
		for i := range w.exchange.pipesOf(w.lane) {
			if err := w.pass(ctx, i, b.Share()); err != nil {
				return w.wrap(err)
			}
		}
		return nil
	}
	if w.exchange.pipes[part] == nil {
		b.Release()
		return w.wrap(failure.Errorf(failure.Internal, "send to partition %d, which is placed at another server", part))
	}
	return w.wrap(w.pass(ctx, int(part), b))
}

// pass puts a batch into a pipe.
func (w *writer) pass(ctx context.Context, part int, b *stream.Batch) error {
	rows, bytes := uint64(b.Len()), b.Bytes()
	if err := w.exchange.pipes[part].send(ctx, w, b, bytes); err != nil {
		return err
	}
	w.totals[part].Rows += rows
	w.totals[part].Bytes += uint64(bytes)
	return nil
}

// WhileWaiting implements shuffle.PatientWriter.
func (w *writer) WhileWaiting(wanted <-chan struct{}, do func()) {
	w.waiting = Waiting{Wanted: wanted, Do: do}
}

// Broadcast appends an element without rows to every partition. It never waits
// here: such elements take no credit.
func (w *writer) Broadcast(_ context.Context, e stream.Element) error {
	if e.Batch != nil || e.Kind == stream.EndOfInput {
		e.Release()
		return w.wrap(failure.Errorf(failure.Internal, "broadcast of %v", e.Kind))
	}
	if w.exchange.store != nil {
		return w.wrap(w.broadcastToStore(e))
	}
	for _, p := range w.exchange.pipesOf(w.lane) {
		if err := p.control(w, e); err != nil {
			return w.wrap(err)
		}
	}
	return nil
}

func (w *writer) broadcastToStore(e stream.Element) error {
	switch e.Kind {
	case stream.WatermarkElem:
		w.watermark = max(w.watermark, e.Watermark)
	case stream.BarrierElement:
		return failure.Errorf(failure.Internal, "barrier %d on an exchange of retention job", e.Barrier.Checkpoint)
	}
	return w.exchange.fenced(w.lane, w.attempt)
}

// Finish ends the lane.
func (w *writer) Finish(context.Context) (shuffle.Manifest, error) {
	if w.exchange.store != nil {
		if err := failpoint.Hit(failpoint.LaneCommit); err != nil {
			return shuffle.Manifest{}, w.wrap(err)
		}
		m, err := w.exchange.seal(w.lane, w.attempt, w.watermark)
		if w.finished = err == nil; w.finished {
			err = failpoint.Hit(failpoint.LaneCommitted)
		}
		return m, w.wrap(err)
	}
	for _, p := range w.exchange.pipesOf(w.lane) {
		if err := p.finish(w); err != nil {
			return shuffle.Manifest{}, w.wrap(err)
		}
	}
	w.finished = true
	return shuffle.Manifest{Lane: w.lane, Attempt: w.attempt, Partitions: w.totals}, nil
}

// Close gives the lane up unless it was finished.
func (w *writer) Close() error {
	if !w.finished && w.exchange.store != nil {
		w.exchange.store.Discard(w.lane, w.attempt)
	}
	return nil
}

func (w *writer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write exchange %d, lane %d, attempt %d: %w", w.exchange.spec.Exchange, w.lane, w.attempt, err)
}

// pipeReader is the consumer's end of a pipe.
type pipeReader struct {
	pipe    *pipe
	attempt uint32
}

// Poll returns the next element.
func (r *pipeReader) Poll() (stream.Element, bool, error) { return decoded(r.PollEncoded()) }

// PollEncoded implements EncodedReader.
func (r *pipeReader) PollEncoded() (stream.Element, bool, error) {
	e, ok, err := r.pipe.take(r.attempt)
	if err != nil {
		err = fmt.Errorf("read partition %v: %w", r.pipe.id, err)
	}
	return e, ok, err
}

// Ready is signalled when Poll may have something.
func (r *pipeReader) Ready() <-chan struct{} { return r.pipe.ready }

// Enough implements shuffle.SatisfiedReader.
func (r *pipeReader) Enough() { r.pipe.enough(r.attempt) }

// Close ends reading; what was not read is released, unless it may be read again.
func (r *pipeReader) Close() error {
	r.pipe.detach(r.attempt)
	return nil
}

// jobReader is a consumer's end of a stored partition.
type jobReader struct {
	exchange  *exchange
	partition uint32
	attempt   uint32
	lanes     []uint32
	ready     chan struct{}
	rows      *partition.Reader
	told      bool // event time
}

// Poll returns the next batch of the lanes that are won, then where event time
// ended, then the end.
func (r *jobReader) Poll() (stream.Element, bool, error) { return decoded(r.PollEncoded()) }

// PollEncoded implements EncodedReader.
func (r *jobReader) PollEncoded() (stream.Element, bool, error) {
	e, ok, err := r.poll()
	if err != nil {
		at := ""
		if self := r.exchange.options.Self; self != "" {
			at = " at " + self
		}
		err = fmt.Errorf("read partition %v%s: %w", id.Partition{Exchange: r.exchange.spec.Exchange, Index: r.partition}, at, err)
	}
	return e, ok, err
}

func (r *jobReader) poll() (stream.Element, bool, error) {
	r.exchange.mu.Lock()
	fenced := r.attempt+1 < r.exchange.latest[r.partition]
	r.exchange.mu.Unlock()
	if fenced {
		return stream.Element{}, false, shuffle.ErrFenced
	}
	b, end, err := r.rows.Next()
	switch {
	case err != nil:
		return stream.Element{}, false, err
	case b != nil:
		return stream.Data(b), true, nil
	case !end:
		return stream.Element{}, false, nil
	}
	if w := r.exchange.ended(r.lanes); !r.told && w > stream.MinWatermark {
		r.told = true
		return stream.Advance(w), true, nil
	}
	return stream.Element{Kind: stream.EndOfInput}, true, nil
}

// Ready is signalled when a lane is won.
func (r *jobReader) Ready() <-chan struct{} { return r.ready }

// Close ends reading; what is stored stays.
func (r *jobReader) Close() error {
	r.exchange.mu.Lock()
	defer r.exchange.mu.Unlock()
	delete(r.exchange.readers, r)
	r.rows.Close()
	return nil
}
