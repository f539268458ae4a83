package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// reader is a consumer's end of a partition that is at other servers: the parts of it
// one after the other, as one.
type reader struct {
	service   *Service
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	spec      shuffle.Spec
	partition uint32
	attempt   uint32
	ready     chan struct{}
	parts     []part // that are to be read still
	current   source // of the first of them; nil: it was not opened yet
	watermark stream.Watermark
	told      bool // the watermark
	work      sync.WaitGroup
}

// part is what one server has of a partition.
type part struct {
	server shuffle.Server
	lanes  []uint32 // of a stored exchange
}

// source is an open part.
type source interface {
	poll() (stream.Element, bool, error)
	close() error
}

// newReader opens a partition.
func (s *Service) newReader(ctx context.Context, spec shuffle.Spec, partition, attempt uint32) (shuffle.Reader, error) {
	parts := partsOf(spec, partition)
	if len(parts) == 1 && parts[0].server.ID == s.options.Self.ID {
		return s.options.Local.ReaderOf(ctx, spec.Job, spec.Exchange, partition, attempt, parts[0].lanes)
	}
	r := &reader{
		service: s, spec: spec, partition: partition, attempt: attempt, ready: make(chan struct{}, 1),
		parts: parts, watermark: stream.MaxWatermark,
	}
	r.ctx, r.cancel = context.WithCancel(s.ctx)
	err := r.open()
	if p, ok := r.current.(*pulled); ok && err == nil {
		err = p.session.ready(ctx)
	}
	if err != nil {
		return nil, errors.Join(r.wrap(err), r.Close())
	}
	return r, nil
}

// partsOf lists the servers of a partition: the one that it is placed at, or those of
// the lanes, in the order of their first ones.
func partsOf(spec shuffle.Spec, partition uint32) (parts []part) {
	servers, at := spec.Placement.Servers, spec.Placement.At
	if spec.Retention != shuffle.RetainJob {
		return []part{{server: servers[at[partition]]}}
	}
	known := map[uint32]int{}
	for lane, i := range at {
		if spec.Paired && uint32(lane) != partition {
			continue
		}
		to, ok := known[i]
		if !ok {
			to = len(parts)
			known[i] = to
			parts = append(parts, part{server: servers[i]})
		}
		parts[to].lanes = append(parts[to].lanes, uint32(lane))
	}
	return parts
}

// open opens the first part that is to be read still.
func (r *reader) open() error {
	p := r.parts[0]
	if p.server.ID != r.service.options.Self.ID {
		open := &wire.Open{
			Ticket: r.spec.Placement.Ticket, Exchange: wire.FromSpec(r.spec, p.server.ID), Index: r.partition, Attempt: r.attempt,
		}
		lanes := map[uint32]bool{}
		for _, lane := range p.lanes {
			lanes[lane] = true
		}
		open.Lanes = wire.Bitmap(r.spec.Lanes, func(i int) bool { return lanes[uint32(i)] })
		r.current = &pulled{r.service.newPull(p.server, open, r.spec.Schema.Arrow(), r.ready)}
		return nil
	}
	local, err := r.service.options.Local.ReaderOf(r.ctx, r.spec.Job, r.spec.Exchange, r.partition, r.attempt, p.lanes)
	if err != nil {
		return err
	}
	signal(r.ready)
	done := make(chan struct{})
	r.current = &handed{local, done}
	r.work.Go(func() { forward(local.Ready(), done, r.ready) })
	return nil
}

// forward signals to when from is, until done.
func forward(from <-chan struct{}, done <-chan struct{}, to chan<- struct{}) {
	for {
		select {
		case <-from:
			signal(to)
		case <-done:
			return
		}
	}
}

// Poll implements shuffle.Reader.
func (r *reader) Poll() (stream.Element, bool, error) {
	e, ok, err := r.poll()
	if e.Batch != nil && err == nil {
		e.Batch, err = wire.Decode(e.Batch)
	}
	if err != nil {
		return stream.Element{}, false, r.wrap(err)
	}
	return e, ok, nil
}

func (r *reader) poll() (stream.Element, bool, error) {
	for len(r.parts) > 0 {
		if r.current == nil {
			if err := r.open(); err != nil {
				return stream.Element{}, false, err
			}
		}
		e, ok, err := r.current.poll()
		if err != nil || !ok {
			return stream.Element{}, false, err
		}
		stored := r.spec.Retention == shuffle.RetainJob
		switch {
		case e.Kind == stream.WatermarkElem && stored: // the least of all parts is told at the end
			r.watermark = min(r.watermark, e.Watermark)
			r.told = true
		case e.Kind == stream.EndOfInput:
			if !r.told {
				r.watermark = stream.MinWatermark
			}
			r.told = false
			if err := r.next(); err != nil {
				return stream.Element{}, false, err
			}
			if len(r.parts) == 0 && stored && r.watermark > stream.MinWatermark {
				return stream.Advance(r.watermark), true, nil
			}
		default:
			return e, true, nil
		}
	}
	return stream.Element{Kind: stream.EndOfInput}, true, nil
}

// next leaves the first part.
func (r *reader) next() error {
	current := r.current
	r.current, r.parts = nil, r.parts[1:]
	return current.close()
}

// Ready implements shuffle.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Close implements shuffle.Reader.
func (r *reader) Close() (err error) {
	if r.current != nil {
		err = r.current.close()
		r.current = nil
	}
	r.parts = nil
	r.cancel()
	r.work.Wait()
	return err
}

func (r *reader) wrap(err error) error {
	return fmt.Errorf("read partition %v: %w", id.Partition{Exchange: r.spec.Exchange, Index: r.partition}, err)
}

// pulled is a part at another server.
type pulled struct{ *pull }

func (p *pulled) close() error {
	p.pull.close()
	return nil
}

// handed is a part in this process.
type handed struct {
	reader shuffle.Reader
	done   chan struct{}
}

func (h *handed) poll() (stream.Element, bool, error) { return h.reader.Poll() }

func (h *handed) close() error {
	close(h.done)
	return h.reader.Close()
}
