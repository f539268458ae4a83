package flight

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// pull is a partition, or some lanes of it, at one server.
type pull struct {
	session *session
	schema  *arrow.Schema
	ready   chan<- struct{} // signalled when poll may have something

	mu       sync.Mutex
	queue    []*wire.Message
	received uint64 // seq of the last message
	taken    uint64 // seq of the last one that was polled
	told     uint64 // what the server knows of that
	untold   int64  // bytes that were polled since
	window   int64
	started  bool // somebody has polled
	asked    bool // the server knows
	totals   shuffle.PartitionTotals
	complete bool // all has arrived
	closed   bool
	err      error
}

func (s *Service) newPull(server shuffle.Server, open *wire.Open, schema *arrow.Schema, ready chan<- struct{}) *pull {
	open.Read = true
	p := &pull{schema: schema, ready: ready}
	p.session = s.start(server, open, p)
	return p
}

// begin implements end.
func (p *pull) begin(x *wire.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window, p.asked = x.GetWindow(), false
}

// position implements end.
func (p *pull) position() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received
}

// passed implements end.
func (p *pull) passed() uint64 { return p.position() }

// next implements end: nothing is asked for before the first poll, for what was read
// cannot be read by another attempt; then credit is given back when a quarter of the window has been
// read: the server waits only when all of it is on its way.
func (p *pull) next() *wire.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started || p.asked && (p.taken == p.told || p.untold < p.window/4) {
		return nil
	}
	m, err := wire.Control(wire.Header{Kind: wire.KindProgress}, &wire.Progress{Seq: p.taken})
	if err != nil {
		return nil // it is made of numbers
	}
	p.told, p.untold, p.asked = p.taken, 0, true
	return m
}

// take implements end.
func (p *pull) take(m *wire.Message) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		m.Release()
		return false, nil
	}
	if m.Seq != p.received+1 {
		defer m.Release()
		return false, failure.Errorf(failure.Internal, "message %d follows message %d", m.Seq, p.received)
	}
	p.received++
	p.complete = m.Kind == wire.KindEndOfPartition
	p.queue = append(p.queue, m)
	signal(p.ready)
	return false, nil
}

// ended implements end.
func (p *pull) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.complete {
		p.err = err
		p.discard()
	}
	signal(p.ready)
}

// poll returns the next element of the server's; it is in wire form.
func (p *pull) poll() (stream.Element, bool, error) {
	p.mu.Lock()
	if len(p.queue) == 0 {
		defer p.mu.Unlock()
		if !p.started {
			p.started = true
			p.session.wake()
		}
		return stream.Element{}, false, p.err
	}
	m := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.taken = m.Seq
	p.untold += int64(m.Bytes())
	if p.untold >= p.window/4 {
		p.session.wake()
	}
	p.mu.Unlock()
	e, err := p.element(m)
	return e, err == nil, err
}

// element is what a message brought. It owns m.
func (p *pull) element(m *wire.Message) (stream.Element, error) {
	switch m.Kind {
	case wire.KindData:
		p.totals.Rows += uint64(m.Rows)
		p.totals.Bytes += uint64(m.Value)
		p.totals.Digest += m.Digest
		b, err := wire.Batch(p.schema, m)
		if err != nil {
			return stream.Element{}, failure.Wrap(failure.BadData, err)
		}
		return stream.Data(b), nil
	case wire.KindEndOfPartition:
		defer m.Release()
		var x wire.Totals
		if err := m.Content(&x); err != nil {
			return stream.Element{}, err
		}
		if x.Shuffle() != p.totals {
			return stream.Element{}, failure.Errorf(failure.LostPartition, "%w: read %+v, sent %+v", shuffle.ErrDataLoss, p.totals, x.Shuffle())
		}
		return stream.Element{Kind: stream.EndOfInput}, nil
	default:
		defer m.Release()
		e, ok := m.Element()
		if !ok {
			return e, failure.Errorf(failure.BadData, "%w: %v to a reader", wire.ErrMalformed, m.Kind)
		}
		return e, nil
	}
}

// close releases what was not polled. It does not wait.
func (p *pull) close() {
	p.session.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.discard()
}

func (p *pull) discard() {
	for _, m := range p.queue {
		m.Release()
	}
	p.queue = nil
}
