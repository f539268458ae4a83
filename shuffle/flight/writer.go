package flight

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// writer is an attempt's end of a lane of which something is at other servers.
type writer struct {
	service *Service
	spec    shuffle.Spec
	schema  *arrow.Schema
	lane    uint32
	attempt uint32
	local   shuffle.Writer // to what is in this process; nil: nothing is
	pushes  []*push
	route   []int // by partition: an index into pushes, or here
	totals  []shuffle.PartitionTotals
	waiting local.Waiting
	ended   bool
}

// here is the route of partitions in this process.
const here = -1

var _ shuffle.PatientWriter = (*writer)(nil)

// newWriter opens the lane at every server that it writes to.
func (s *Service) newWriter(ctx context.Context, spec shuffle.Spec, lane, attempt uint32) (_ shuffle.Writer, err error) {
	w := &writer{
		service: s, spec: spec, schema: spec.Schema.Arrow(), lane: lane, attempt: attempt,
		route: make([]int, spec.Partitions), totals: make([]shuffle.PartitionTotals, spec.Partitions),
	}
	defer func() {
		if err != nil {
			err = errors.Join(w.wrap(err), w.Close())
		}
	}()
	at := map[uint32]int{}
	for p := range w.route {
		part := uint32(p)
		switch {
		case spec.Retention == shuffle.RetainJob:
			part = lane
		case spec.Paired && part != lane:
			continue
		}
		i := spec.Placement.At[part]
		to, known := at[i]
		if !known {
			if to, err = w.open(ctx, spec.Placement.Servers[i]); err != nil {
				return nil, err
			}
			at[i] = to
		}
		w.route[p] = to
	}
	for _, p := range w.pushes {
		if err := p.session.ready(ctx); err != nil {
			return nil, err
		}
	}
	if len(w.pushes) == 0 {
		return w.local, nil
	}
	return w, nil
}

// open opens the lane at a server, and returns the route to it.
func (w *writer) open(ctx context.Context, server shuffle.Server) (route int, err error) {
	if server.ID == w.service.options.Self.ID {
		w.local, err = w.service.options.Local.Writer(ctx, w.spec.Job, w.spec.Exchange, w.lane, w.attempt)
		return here, err
	}
	w.pushes = append(w.pushes, w.service.newPush(server, &wire.Open{
		Ticket: w.spec.Placement.Ticket, Exchange: wire.FromSpec(w.spec, server.ID), Index: w.lane, Attempt: w.attempt,
	}))
	return len(w.pushes) - 1, nil
}

// WhileWaiting implements shuffle.PatientWriter.
func (w *writer) WhileWaiting(wanted <-chan struct{}, do func()) {
	w.waiting = local.Waiting{Wanted: wanted, Do: do}
	if p, ok := w.local.(shuffle.PatientWriter); ok {
		p.WhileWaiting(wanted, do)
	}
}

// Send implements shuffle.Writer.
func (w *writer) Send(ctx context.Context, part uint32, b *stream.Batch) error {
	if err := w.check(part); err != nil {
		b.Release()
		return w.wrap(err)
	}
	b, err := compute.TakeBatch(w.service.options.Alloc, b)
	if err != nil {
		return w.wrap(err)
	}
	rows, bytes := uint64(b.Len()), uint64(b.Bytes())
	if err := w.send(ctx, part, b); err != nil {
		return w.wrap(err)
	}
	for p := range w.totals {
		if uint32(p) == part || w.spec.Everywhere {
			w.totals[p].Rows += rows
			w.totals[p].Bytes += bytes
		}
	}
	return nil
}

func (w *writer) check(part uint32) error {
	switch {
	case int(part) >= w.spec.Partitions:
		return failure.Errorf(failure.Internal, "send to partition %d of %d", part, w.spec.Partitions)
	case w.spec.Paired && part != w.lane:
		return failure.Errorf(failure.Internal, "send to partition %d of a paired exchange", part)
	case w.spec.Everywhere && part != 0:
		return failure.Errorf(failure.Internal, "send to partition %d of an exchange that sends everywhere", part)
	default:
		return nil
	}
}

// send sends a batch to the server of its partition, or to all servers. It owns b.
func (w *writer) send(ctx context.Context, part uint32, b *stream.Batch) error {
	if !w.spec.Everywhere {
		if to := w.route[part]; to != here {
			return w.push(ctx, part, b, w.pushes[to:to+1])
		}
		return w.local.Send(ctx, part, b)
	}
	if w.local != nil {
		if err := w.local.Send(ctx, part, b.Share()); err != nil {
			b.Release()
			return err
		}
	}
	return w.push(ctx, part, b, w.pushes)
}

// push encodes a batch once for all of these. It owns b.
func (w *writer) push(ctx context.Context, part uint32, b *stream.Batch, to []*push) error {
	h := wire.Header{Lane: w.lane, Attempt: w.attempt, Partition: part}
	if w.spec.Retention == shuffle.RetainJob {
		h.Digest = partition.Digest(b)
	}
	m, err := wire.Encode(w.service.options.Alloc, w.schema, h, b)
	if err != nil {
		return err
	}
	return w.sendAll(ctx, m, to)
}

// sendAll sends a message to all of these. It owns m.
func (w *writer) sendAll(ctx context.Context, m *wire.Message, to []*push) error {
	defer m.Release()
	for _, p := range to {
		if err := p.send(ctx, &w.waiting, m.Share()); err != nil {
			return err
		}
	}
	return nil
}

// Broadcast implements shuffle.Writer.
func (w *writer) Broadcast(ctx context.Context, e stream.Element) error {
	m, err := wire.FromElement(e)
	if err != nil {
		e.Release()
		return w.wrap(err)
	}
	m.Lane, m.Attempt = w.lane, w.attempt
	if w.local != nil {
		if err := w.local.Broadcast(ctx, e); err != nil {
			m.Release()
			return w.wrap(err)
		}
	}
	return w.wrap(w.sendAll(ctx, m, w.pushes))
}

// Finish implements shuffle.Writer.
func (w *writer) Finish(ctx context.Context) (shuffle.Manifest, error) {
	m, err := wire.Control(wire.Header{Kind: wire.KindEndOfLane, Lane: w.lane, Attempt: w.attempt}, nil)
	if err == nil {
		err = w.sendAll(ctx, m, w.pushes)
	}
	if err == nil && w.local != nil {
		_, err = w.local.Finish(ctx)
	}
	manifest := shuffle.Manifest{Lane: w.lane, Attempt: w.attempt, Partitions: w.totals}
	for _, p := range w.pushes {
		if err != nil {
			break
		}
		var told *wire.Manifest
		if told, err = p.finished(ctx); err == nil && w.spec.Retention == shuffle.RetainJob {
			manifest, err = w.agreed(told.Shuffle())
		}
	}
	if err != nil {
		return shuffle.Manifest{}, w.wrap(err)
	}
	w.ended = true
	return manifest, nil
}

// agreed compares what a server has stored with what it was sent.
func (w *writer) agreed(m shuffle.Manifest) (shuffle.Manifest, error) {
	if len(m.Partitions) != len(w.totals) {
		return m, failure.Errorf(failure.Internal, "manifest of %d partitions of %d", len(m.Partitions), len(w.totals))
	}
	for p, have := range m.Partitions {
		if want := w.totals[p]; have.Rows != want.Rows || have.Bytes != want.Bytes {
			return m, failure.Errorf(failure.Internal, "partition %d was sent %+v and holds %+v", p, want, have)
		}
	}
	return m, nil
}

// Close implements shuffle.Writer.
func (w *writer) Close() error {
	for _, p := range w.pushes {
		p.close()
	}
	if w.local != nil {
		return w.local.Close()
	}
	return nil
}

func (w *writer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write exchange %d, lane %d, attempt %d: %w", w.spec.Exchange, w.lane, w.attempt, err)
}
