package storage

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/state"
)

// decodeChunk reads what encodeChunk wrote; the rows, which the caller releases, lie in data.
func decodeChunk(data *memory.Buffer, mem memory.Allocator) (p state.Piece, err error) {
	from := &messages{data: data}
	defer from.Release()
	r, err := ipc.NewReaderFromMessageReader(from, ipc.WithAllocator(mem))
	if err != nil {
		return p, fmt.Errorf("%w: %w", checkpoint.ErrCorrupt, err)
	}
	defer r.Release()
	if p, err = pieceOf(r.Schema()); err != nil {
		return p, err
	}
	if !r.Next() {
		return p, fmt.Errorf("%w: no rows: %w", checkpoint.ErrCorrupt, r.Err())
	}
	p.Rows = r.RecordBatch()
	p.Rows.Retain()
	return p, nil
}

// messages is an ipc.MessageReader whose messages lie in a buffer: ipc.NewMessageReader copies
// them. Its one goroutine needs no count of references.
type messages struct {
	data *memory.Buffer
	at   int
	last *ipc.Message
}

// The beginning of a message: a mark, and the length of what describes it.
const (
	messageMark  = 0xFFFFFFFF
	prefixLength = 8
)

// Message implements ipc.MessageReader.
func (m *messages) Message() (*ipc.Message, error) {
	left := m.data.Bytes()[m.at:]
	if len(left) < prefixLength || binary.LittleEndian.Uint32(left) != messageMark {
		return nil, fmt.Errorf("no message at byte %d: %w", m.at, io.ErrUnexpectedEOF)
	}
	n := int(binary.LittleEndian.Uint32(left[4:]))
	if n == 0 {
		return nil, io.EOF
	}
	if left = left[prefixLength:]; n > len(left) {
		return nil, fmt.Errorf("message at byte %d described in %d bytes: %w", m.at, n, io.ErrUnexpectedEOF)
	}
	described := memory.NewBufferBytes(left[:n])
	alone := ipc.NewMessage(described, memory.NewBufferBytes(nil))
	length := alone.BodyLen()
	alone.Release()
	if length < 0 || length > int64(len(left)-n) {
		return nil, fmt.Errorf("message at byte %d of %d bytes: %w", m.at, length, io.ErrUnexpectedEOF)
	}
	body := memory.SliceBuffer(m.data, m.at+prefixLength+n, int(length))
	defer body.Release()
	m.Release()
	m.at += prefixLength + n + int(length)
	m.last = ipc.NewMessage(described, body)
	return m.last, nil
}

// Retain implements ipc.MessageReader.
func (m *messages) Retain() {}

// Release implements ipc.MessageReader.
func (m *messages) Release() {
	if m.last != nil {
		m.last.Release()
		m.last = nil
	}
}
