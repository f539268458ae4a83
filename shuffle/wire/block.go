package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A block is a message in a file: the header, TLVs, Arrow message and body as they
// travel, behind a prefix that says how long they are. The body begins at a multiple of
// 64 bytes, so that it is read in place.
//
//	0      4               8               12     16          64
//	| TMB2 | header + TLVs | Arrow message | zero | body (8)  | header, TLVs, Arrow message, padding | body
const (
	blockMagic  = "TMB2"
	blockPrefix = 64
	blockAlign  = 64
)

// BlockBytes is the length of the message's block.
func (m *Message) BlockBytes() int {
	return m.bodyAt() + m.payload.size
}

func (m *Message) bodyAt() int {
	head := blockPrefix + HeaderBytes + len(m.payload.extra) + len(m.payload.meta)
	return (head + blockAlign - 1) / blockAlign * blockAlign
}

// AppendBlock appends the message's block to b.
func (m *Message) AppendBlock(b []byte) []byte {
	p, start := m.payload, len(b)
	b = append(b, blockMagic...)
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(HeaderBytes+len(p.extra)))
	b = le.AppendUint32(b, uint32(len(p.meta)))
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(p.size))
	b = append(b, make([]byte, start+blockPrefix-len(b))...)
	b = m.Header.append(b, p.sum)
	b = append(b, p.extra...)
	b = append(b, p.meta...)
	b = append(b, make([]byte, start+m.bodyAt()-len(b))...)
	for _, part := range p.parts {
		b = append(b, part...)
	}
	return b
}

// ParseBlock reads a block that fills buf, which it takes over, also when it fails.
func ParseBlock(buf *memory.Buffer) (*Message, error) {
	m, err := parseBlock(buf)
	if err != nil {
		buf.Release()
		return nil, err
	}
	return m, nil
}

func parseBlock(buf *memory.Buffer) (*Message, error) {
	b := buf.Bytes()
	if len(b) < blockPrefix || string(b[:4]) != blockMagic {
		return nil, fmt.Errorf("%w: no block begins here", ErrMalformed)
	}
	le := binary.LittleEndian
	head, meta, size := uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:])), le.Uint64(b[16:])
	bodyAt := (blockPrefix + head + meta + blockAlign - 1) / blockAlign * blockAlign
	if bodyAt > uint64(len(b)) || size != uint64(len(b))-bodyAt {
		return nil, fmt.Errorf("%w: lengths of block differ", ErrMalformed)
	}
	zeros := [][]byte{b[12:16], b[24:blockPrefix], b[blockPrefix+head+meta : bodyAt]}
	for _, part := range zeros {
		if len(bytes.Trim(part, "\x00")) > 0 {
			return nil, fmt.Errorf("%w: padding of block is not zero", ErrMalformed)
		}
	}
	m := &Message{}
	body := memory.SliceBuffer(buf, int(bodyAt), int(size))
	if err := m.assemble(b[blockPrefix:blockPrefix+head], b[blockPrefix+head:blockPrefix+head+meta], body); err != nil {
		body.Release()
		return nil, err
	}
	buf.Release() // body holds it
	return m, nil
}

// NewBuffer returns a buffer of n bytes for ParseBlock; they are not zero.
func NewBuffer(alloc memory.Allocator, n int) *memory.Buffer { return newBody(alloc, n) }
