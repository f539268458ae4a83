package merge

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// Options of a merging reader.
type Options struct {
	Job      id.Job
	Exchange id.Exchange
	Lanes    int
	Attempt  uint32 // the consumer's
	Keys     []rowsort.Key
	Alloc    memory.Allocator
	// BatchRows is the most rows of a batch.
	BatchRows int
}

// Open opens every lane's partition. ctx bounds the waiting of every later Poll.
func Open(ctx context.Context, service shuffle.Service, o Options) (shuffle.Reader, error) {
	r := &reader{ready: make(chan struct{}, 1)}
	r.ready <- struct{}{}
	inputs := make([]rowsort.Input, o.Lanes)
	for i := range o.Lanes {
		one, err := service.Reader(ctx, o.Job, o.Exchange, uint32(i), o.Attempt)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.lanes = append(r.lanes, one)
		inputs[i] = &lane{ctx: ctx, reader: one, alloc: o.Alloc}
	}
	r.merger = rowsort.NewMerger(o.Alloc, inputs, o.Keys, o.BatchRows)
	return r, nil
}

// reader is the lanes in their order.
type reader struct {
	lanes  []shuffle.Reader
	merger *rowsort.Merger
	ready  chan struct{}
	ended  bool
}

// Poll implements shuffle.Reader; it waits, so it always has something.
func (r *reader) Poll() (stream.Element, bool, error) {
	if r.ended {
		return stream.Element{Kind: stream.EndOfInput}, true, nil
	}
	record, err := r.merger.Next()
	if err != nil {
		return stream.Element{}, false, err
	}
	if record == nil {
		r.ended = true
		return stream.Advance(stream.MaxWatermark), true, nil
	}
	return stream.Data(stream.NewBatch(record)), true, nil
}

// Ready implements shuffle.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Close implements shuffle.Reader.
func (r *reader) Close() error {
	if r.merger != nil {
		r.merger.Close()
		r.merger = nil
	}
	var errs []error
	for _, l := range r.lanes {
		errs = append(errs, l.Close())
	}
	r.lanes = nil
	return errors.Join(errs...)
}

// lane is one partition as an input of the merger.
type lane struct {
	ctx    context.Context // of the task, for as long as it reads
	reader shuffle.Reader
	alloc  memory.Allocator
}

// Next implements rowsort.Input.
func (l *lane) Next() (arrow.RecordBatch, error) {
	for {
		e, ok, err := l.reader.Poll()
		if err != nil {
			return nil, err
		}
		if !ok {
			select {
			case <-l.reader.Ready():
				continue
			case <-l.ctx.Done():
				return nil, context.Cause(l.ctx)
			}
		}
		switch e.Kind {
		case stream.DataElement:
			return l.dense(e.Batch)
		case stream.EndOfInput:
			return nil, nil
		case stream.WatermarkElem, stream.IdleElement, stream.ActiveElement:
		default:
			return nil, fmt.Errorf("%v on an edge that is merged", e.Kind)
		}
	}
}

func (l *lane) dense(b *stream.Batch) (arrow.RecordBatch, error) {
	defer b.Release()
	if b.Kinds != nil {
		return nil, fmt.Errorf("row kinds on an edge that is merged")
	}
	return compute.TakeRecord(l.alloc, b.Record, b.Sel)
}
