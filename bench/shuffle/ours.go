package shuffle

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// moveInProcess passes batches by pointer through our service.
func moveInProcess(ctx context.Context, _ path, l *load) (int64, error) {
	service := local.New(local.Options{Alloc: memory.DefaultAllocator})
	spec, err := l.spec(shuffle.RetainNone)
	if err != nil {
		return 0, err
	}
	if err := service.Open(ctx, spec); err != nil {
		return 0, err
	}
	var rows atomic.Int64
	err = together(ctx, 2*l.streams, func(ctx context.Context, i int) error {
		s := uint32(i / 2)
		if i%2 == 0 {
			return l.write(ctx, service, spec, s)
		}
		n, err := read(ctx, service, spec, s)
		rows.Add(n)
		return err
	})
	return rows.Load(), errors.Join(err, service.Drop(ctx, spec.Job, spec.Exchange))
}

// spec is an exchange of as many lanes and partitions as there are streams, one a
// stream.
func (l *load) spec(retention shuffle.Retention) (shuffle.Spec, error) {
	columns, err := datatype.SchemaFromArrow(l.schema)
	return shuffle.Spec{
		Job: id.Job{1}, Exchange: 1, Schema: columns, Lanes: l.streams, Partitions: l.streams, Retention: retention, Paired: true,
	}, err
}

// write sends stream s as a lane and finishes it.
func (l *load) write(ctx context.Context, service shuffle.Service, spec shuffle.Spec, s uint32) (err error) {
	w, err := service.Writer(ctx, spec.Job, spec.Exchange, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for i := range l.each {
		b := l.batches[l.at(int(s), i)]
		b.Retain()
		if err := w.Send(ctx, s, stream.NewBatch(b)); err != nil {
			return err
		}
	}
	_, err = w.Finish(ctx)
	return err
}

// read takes a partition to its end and returns its rows.
func read(ctx context.Context, service shuffle.Service, spec shuffle.Spec, s uint32) (rows int64, err error) {
	r, err := service.Reader(ctx, spec.Job, spec.Exchange, s, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		e, ok, err := r.Poll()
		switch {
		case err != nil:
			return rows, err
		case !ok:
			select {
			case <-r.Ready():
			case <-ctx.Done():
				return rows, ctx.Err()
			}
		case e.Kind == stream.EndOfInput:
			return rows, nil
		case e.Kind == stream.DataElement:
			rows += int64(e.Batch.Len())
			e.Release()
		default:
			return rows, failure.Errorf(failure.Internal, "read %v, sent only rows", e.Kind)
		}
	}
}
