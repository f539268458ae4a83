package task

import (
	"context"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// openRange opens the partitions of its range that the subtask reads: one after the
// other, so that a range has one reader open at a time. They are stored ones.
func openRange(ctx context.Context, t *Task, e Edge) (shuffle.Reader, error) {
	self := int(t.d.Attempt.Subtask.Index)
	if self+1 >= len(e.Ranges) || e.Ranges[self] > e.Ranges[self+1] || int(e.Ranges[self+1]) > e.Partitions {
		return nil, failure.Errorf(failure.Internal, "ranges %v of %d partitions: none for subtask %d", e.Ranges, e.Partitions, self)
	}
	r := &rangeReader{ctx: ctx, task: t, exchange: id.Exchange(e.Exchange.Id), ready: make(chan struct{}, 1), watermark: stream.MaxWatermark}
	for p := e.Ranges[self]; p < e.Ranges[self+1]; p++ {
		if _, empty := slices.BinarySearch(e.Empty, p); !empty {
			r.rest = append(r.rest, p)
		}
	}
	if len(r.rest) == 1 {
		return t.env.Shuffle.Reader(ctx, t.d.Job, r.exchange, r.rest[0], t.d.Attempt.N)
	}
	r.ready <- struct{}{}
	return r, r.advance()
}

// rangeReader reads partitions in turn. Event time, which a stored partition tells at
// its end, is the least of theirs.
type rangeReader struct {
	ctx       context.Context // of the task
	task      *Task
	exchange  id.Exchange
	rest      []uint32       // not opened yet
	open      shuffle.Reader // nil: there is none any more
	ready     chan struct{}  // signalled once, for when there is none from the start
	watermark stream.Watermark
	seen      stream.Watermark // of the open one
	told      bool
}

// advance opens the next partition.
func (r *rangeReader) advance() (err error) {
	if r.open != nil {
		r.watermark = min(r.watermark, r.seen)
		err = r.open.Close()
	}
	r.open, r.seen = nil, stream.MinWatermark
	if err != nil || len(r.rest) == 0 {
		return err
	}
	r.open, err = r.task.env.Shuffle.Reader(r.ctx, r.task.d.Job, r.exchange, r.rest[0], r.task.d.Attempt.N)
	r.rest = r.rest[1:]
	return err
}

// Poll implements shuffle.Reader.
func (r *rangeReader) Poll() (stream.Element, bool, error) {
	for r.open != nil {
		e, ok, err := r.open.Poll()
		if err != nil || !ok {
			return stream.Element{}, false, err
		}
		switch e.Kind {
		case stream.WatermarkElem:
			r.seen = max(r.seen, e.Watermark)
		case stream.EndOfInput:
			if err := r.advance(); err != nil {
				return stream.Element{}, false, err
			}
		default:
			return e, true, nil
		}
	}
	if !r.told && r.watermark > stream.MinWatermark {
		r.told = true
		return stream.Advance(r.watermark), true, nil
	}
	return stream.Element{Kind: stream.EndOfInput}, true, nil
}

// Ready implements shuffle.Reader: the channel is that of the partition that is open,
// so whoever waits asks for it each time.
func (r *rangeReader) Ready() <-chan struct{} {
	if r.open != nil {
		return r.open.Ready()
	}
	return r.ready
}

// Close implements shuffle.Reader.
func (r *rangeReader) Close() error {
	if r.open == nil {
		return nil
	}
	open := r.open
	r.open = nil
	return open.Close()
}
