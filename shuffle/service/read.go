package service

import (
	"errors"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// reading is a session of a reader elsewhere: what the partition has is sent as the
// reader gives credit, and kept until it says that it has it.
type reading struct {
	open    *wire.Open
	schema  *arrow.Schema
	alloc   memory.Allocator
	reader  local.EncodedReader
	window  int64
	changed chan struct{} // the client told something

	// Of the goroutine of the stream that carries the session.
	seq    uint64 // the last message that was made
	totals shuffle.PartitionTotals
	ended  bool

	mu     sync.Mutex
	sent   []*wire.Message // that the reader has not taken, in order of seq
	bytes  int64           // of them
	asked  bool            // the client wants rows
	closed bool            // by the client
	err    error
}

// readWindow is how much may be on its way to a reader, unless one message is more.
const readWindow = 4 << 20

func newReading(s *Server, spec shuffle.Spec, open *wire.Open, r local.EncodedReader) *reading {
	window := int64(readWindow)
	if spec.BudgetBytes > 0 {
		window = min(window, spec.BudgetBytes)
	}
	return &reading{
		open: open, schema: spec.Schema.Arrow(), alloc: s.options.Alloc, reader: r, window: window, changed: make(chan struct{}, 1),
	}
}

func (r *reading) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.sent {
		m.Release()
	}
	r.sent = nil
	return r.reader.Close()
}

// carry implements end.
func (r *reading) carry(_ *session, st *carrier) (over bool, err error) {
	if err := st.control(wire.Header{Kind: wire.KindProgress}, &wire.Progress{Window: r.window}); err != nil {
		return false, nil
	}
	st.receive(r.take)
	defer st.cancel()
	if !r.again(st) {
		return false, nil
	}
	for {
		credit, err := r.credit()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		var m *wire.Message
		if credit && !r.ended {
			if m, err = r.next(); err != nil {
				return true, err
			}
		}
		if m != nil {
			err := st.send(m)
			m.Release()
			if err != nil {
				return false, nil
			}
			continue
		}
		select {
		case <-r.reader.Ready():
		case <-r.changed:
		case <-st.ctx.Done():
			_, err := r.credit()
			if errors.Is(err, io.EOF) {
				return true, nil
			}
			return err != nil, err
		}
	}
}

// again sends what earlier streams sent, but for what arrived.
func (r *reading) again(st *carrier) bool {
	r.mu.Lock()
	resend := make([]*wire.Message, 0, len(r.sent))
	for _, m := range r.sent {
		if m.Seq > st.open.GetSeq() {
			m.Retain()
			resend = append(resend, m)
		}
	}
	r.mu.Unlock()
	ok := true
	for _, m := range resend {
		ok = ok && st.send(m) == nil
		m.Release()
	}
	return ok
}

// credit reports whether another message may be sent, or why none will be any more;
// io.EOF if the client closed.
func (r *reading) credit() (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, io.EOF
	}
	return r.asked && r.bytes < r.window, r.err
}

// take hears what the client says. It owns m.
func (r *reading) take(m *wire.Message) error {
	defer m.Release()
	defer signal(r.changed)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m.Kind {
	case wire.KindClose:
		r.closed = true
		return io.EOF
	case wire.KindProgress:
		var x wire.Progress
		if r.err = m.Content(&x); r.err != nil {
			return r.err
		}
		r.asked = true
		for len(r.sent) > 0 && r.sent[0].Seq <= x.GetSeq() {
			r.bytes -= weight(r.sent[0])
			r.sent[0].Release()
			r.sent = r.sent[1:]
		}
		return nil
	default:
		r.err = failure.Errorf(failure.BadData, "%s: %w: %v from a reader", r.open.Summary(), wire.ErrMalformed, m.Kind)
		return r.err
	}
}

// weight is what a message counts for in the window.
func weight(m *wire.Message) int64 { return int64(m.Bytes()) }

// next makes a message of the partition's next element, which the caller releases; nil:
// there is none yet.
func (r *reading) next() (*wire.Message, error) {
	e, ok, err := r.reader.PollEncoded()
	if err != nil || !ok {
		return nil, err
	}
	m, err := r.message(e)
	if err != nil {
		return nil, err
	}
	r.seq++
	m.Seq = r.seq
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, m)
	r.bytes += weight(m)
	m.Retain() // the client may answer before it is told that it was sent
	return m, nil
}

func (r *reading) message(e stream.Element) (*wire.Message, error) {
	switch e.Kind {
	case stream.DataElement:
		m, err := wire.Encode(r.alloc, r.schema, wire.Header{Partition: r.open.GetIndex()}, e.Batch)
		if err != nil {
			return nil, err
		}
		r.totals.Rows += uint64(m.Rows)
		r.totals.Bytes += uint64(m.Value)
		r.totals.Digest += m.Digest
		return m, nil
	case stream.EndOfInput:
		r.ended = true
		return wire.Control(wire.Header{Kind: wire.KindEndOfPartition}, wire.FromTotals(r.totals))
	default:
		return wire.FromElement(e)
	}
}
