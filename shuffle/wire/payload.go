package wire

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// The types of TLV: one byte of type, four of length, the value.
const (
	tlvKinds      = 1 // a byte for each row
	tlvDictionary = 2 // see dictionary
	tlvControl    = 3 // a message of control.proto
)

// payload is a message but for its header: it never changes, and is the same in every
// message and block that carries these rows.
type payload struct {
	extra []byte   // TLVs
	meta  []byte   // an Arrow IPC message, of a record batch
	parts [][]byte // the body: what its buffers hold, padded to eight bytes each
	size  int      // of the body
	sum   uint32   // CRC-32C of extra, meta and body

	body *memory.Buffer // what the one part lies in, if the message was received
	one  [1][]byte      // that part

	refs atomic.Int64
	free func() // called when nobody needs parts any more; may be nil
}

func newPayload(extra, meta []byte, parts [][]byte, free func()) *payload {
	p := &payload{extra: extra, meta: meta, parts: parts, free: free}
	p.complete()
	return p
}

// received is the payload of a message that came, of which body, or nil, is in one piece.
func received(extra, meta []byte, body *memory.Buffer) *payload {
	p := &payload{extra: extra, meta: meta}
	if body != nil {
		p.one[0] = body.Bytes()
		p.parts = p.one[:]
	}
	p.complete()
	return p
}

// complete counts and sums what the payload is made of.
func (p *payload) complete() {
	p.refs.Store(1)
	p.sum = checksum(checksum(0, p.extra), p.meta)
	for _, part := range p.parts {
		p.size += len(part)
		p.sum = checksum(p.sum, part)
	}
}

func (p *payload) retain() { p.refs.Add(1) }

func (p *payload) release() {
	if n := p.refs.Add(-1); n == 0 {
		p.parts, p.one[0] = nil, nil
		if p.free != nil {
			p.free()
		}
		if p.body != nil {
			p.body.Release()
		}
	} else if n < 0 {
		panic("wire: payload released too often")
	}
}

func appendTLV(b []byte, kind byte, value []byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// eachTLV calls do with every TLV, until it fails.
func eachTLV(b []byte, do func(kind byte, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < 5 {
			return fmt.Errorf("%w: %d bytes of TLV", ErrMalformed, len(b))
		}
		n := binary.LittleEndian.Uint32(b[1:])
		if uint64(n) > uint64(len(b)-5) {
			return fmt.Errorf("%w: TLV of %d bytes in %d", ErrMalformed, n, len(b)-5)
		}
		if err := do(b[0], b[5:5+n]); err != nil {
			return err
		}
		b = b[5+n:]
	}
	return nil
}

// Message is what is sent and received. Its owner releases it.
type Message struct {
	Header
	payload *payload // nil: it was never received
}

// Control makes a message without rows; content may be nil.
func Control(h Header, content proto.Message) (*Message, error) {
	var extra []byte
	if content != nil {
		value, err := proto.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode %v: %w", h.Kind, err)
		}
		extra = appendTLV(nil, tlvControl, value)
	}
	return &Message{Header: h, payload: newPayload(extra, nil, nil, nil)}, nil
}

// Element is what a message without rows tells a consumer; ok says whether it is one.
func (m *Message) Element() (e stream.Element, ok bool) {
	switch m.Kind {
	case KindWatermark:
		return stream.Advance(stream.Watermark(m.Value)), true
	case KindIdle:
		return stream.Element{Kind: stream.IdleElement}, true
	case KindActive:
		return stream.Element{Kind: stream.ActiveElement}, true
	case KindBarrier:
		b := stream.Barrier{Checkpoint: id.Checkpoint(m.Value), Kind: stream.BarrierKind(m.Rows), TriggeredAt: int64(m.Digest)}
		return stream.Element{Kind: stream.BarrierElement, Barrier: b}, true
	default:
		return stream.Element{}, false
	}
}

// FromElement makes the message of an element without rows.
func FromElement(e stream.Element) (*Message, error) {
	var h Header
	switch e.Kind {
	case stream.WatermarkElem:
		h.Kind, h.Value = KindWatermark, int64(e.Watermark)
	case stream.IdleElement:
		h.Kind = KindIdle
	case stream.ActiveElement:
		h.Kind = KindActive
	case stream.BarrierElement:
		b := e.Barrier
		h.Kind, h.Value, h.Rows, h.Digest = KindBarrier, int64(b.Checkpoint), uint32(b.Kind), uint64(b.TriggeredAt)
	default:
		return nil, failure.Errorf(failure.Internal, "%v does not travel alone", e.Kind)
	}
	return Control(h, nil)
}

// Content reads what Control was given.
func (m *Message) Content(into proto.Message) error {
	found := false
	err := eachTLV(m.payload.extra, func(kind byte, value []byte) error {
		if kind != tlvControl {
			return nil
		}
		found = true
		if err := proto.Unmarshal(value, into); err != nil {
			return fmt.Errorf("%w: %v: %w", ErrMalformed, m.Kind, err)
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: %v without content", ErrMalformed, m.Kind)
	}
	return err
}

// Bytes is about what the message takes on the wire.
func (m *Message) Bytes() int {
	return HeaderBytes + len(m.payload.extra) + len(m.payload.meta) + m.payload.size
}

// Retain makes a second owner.
func (m *Message) Retain() { m.payload.retain() }

// Share returns a message with the same content and a header of its own.
func (m *Message) Share() *Message {
	m.payload.retain()
	return &Message{Header: m.Header, payload: m.payload}
}

// Release ends the caller's ownership.
func (m *Message) Release() {
	if m.payload != nil {
		m.payload.release()
	}
}
