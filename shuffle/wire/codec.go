package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of everything else
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	tmemory "github.com/tidemill/tidemill/core/memory"
)

// Limits of a message, checked before anything is allocated for it.
const (
	MaxMessageBytes = 260 << 20 // a row of 256 MiB and what describes it
	maxHeadBytes    = 16 << 20  // of the header with its TLVs, and of the Arrow message
)

// The settings of both ends of a connection. Credits bind, not windows: a stream's is
// larger than what a lane may have on its way to a partition by default.
const (
	StreamWindow = 4 << 20
	ConnWindow   = 16 << 20
	SocketBuffer = 256 << 10
)

// The fields of FlightData.
const (
	fieldDescriptor = 1
	fieldDataHeader = 2
	fieldMetadata   = 3
	fieldBody       = 1000
)

// copyBelow is the size of a part that is copied into what goes out before it: a
// buffer of its own would cost more.
const copyBelow = 4 << 10

// Codec is the gRPC codec of processes with shuffle streams: a *Message is FlightData
// that was taken apart by hand; everything else is left to the standard codec. Buffers
// of arriving messages come from Alloc.
type Codec struct {
	Alloc memory.Allocator
}

var _ encoding.CodecV2 = Codec{}

// Bounded is a message that is received only if it has at most so many bytes.
type Bounded struct {
	Message
	Most int
}

// Name implements encoding.CodecV2: the content type is that of any Flight client.
func (Codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*Message); ok {
		return m.marshal(), nil
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *Message:
		return m.unmarshal(c.Alloc, data)
	case *Bounded:
		if n := data.Len(); n > m.Most {
			return fmt.Errorf("%w: %d bytes, and at most %d may come here", ErrMalformed, n, m.Most)
		}
		return m.unmarshal(c.Alloc, data)
	}
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// marshal makes FlightData of which large parts are not copied: the payload is kept
// until gRPC does not need them any more.
func (m *Message) marshal() mem.BufferSlice {
	small, large := m.pieces()
	var lent *loan
	if large > 0 {
		lent = m.payload.lend(large)
	}
	out := make(mem.BufferSlice, 0, 2*large+1)
	m.walk(m.appendFields(make([]byte, 0, small)), func(copied []byte, part *[]byte) {
		if part == nil {
			out = append(out, mem.SliceBuffer(copied))
		} else {
			out = append(out, mem.NewBuffer(part, lent))
		}
	})
	return out
}

// pieces is how many bytes of m are copied when it goes out, at most, and how many parts
// of its body are not.
func (m *Message) pieces() (small, large int) {
	p := m.payload
	small = len(p.meta) + len(p.extra) + HeaderBytes + 40
	for _, part := range p.parts {
		if len(part) < copyBelow {
			small += len(part)
		} else {
			large++
		}
	}
	return small, large
}

// appendFields appends the fields of FlightData but for the bytes of the body.
func (m *Message) appendFields(b []byte) []byte {
	p := m.payload
	if len(p.meta) > 0 {
		b = protowire.AppendTag(b, fieldDataHeader, protowire.BytesType)
		b = protowire.AppendBytes(b, p.meta)
	}
	if m.Kind != InvalidKind {
		b = protowire.AppendTag(b, fieldMetadata, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(HeaderBytes+len(p.extra)))
		b = m.Header.append(b, p.sum)
		b = append(b, p.extra...)
	}
	if p.size > 0 {
		b = protowire.AppendTag(b, fieldBody, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(p.size))
	}
	return b
}

// walk calls visit with what goes out, in order: pieces of head, which ends in the fields
// and has room for what of the body is copied, and the parts in between that are not. It
// returns what is left of head.
func (m *Message) walk(head []byte, visit func(copied []byte, part *[]byte)) []byte {
	parts := m.payload.parts
	for i := range parts {
		part := &parts[i]
		if len(*part) < copyBelow {
			head = append(head, *part...)
			continue
		}
		if len(head) > 0 {
			visit(head, nil)
			head = head[len(head):]
		}
		visit(nil, part)
	}
	if len(head) > 0 {
		visit(head, nil)
	}
	return head[len(head):]
}

// unmarshal takes FlightData apart.
func (m *Message) unmarshal(alloc memory.Allocator, data mem.BufferSlice) error {
	in := data.Reader()
	return errors.Join(m.read(alloc, in, data.Len()), in.Close())
}

// read takes FlightData of that many bytes apart as it comes: the body goes into one
// aligned buffer.
func (m *Message) read(alloc memory.Allocator, in source, size int) (err error) {
	defer tmemory.Recover(&err)
	r := fields{in: in, left: size}
	var meta, metadata []byte
	var body *memory.Buffer
	defer func() {
		if err != nil && body != nil {
			body.Release()
		}
	}()
	for r.left > 0 {
		field, n, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case field == fieldBody && body == nil:
			body = newBody(alloc, n)
			err = r.read(body.Bytes())
		case n > maxHeadBytes:
			return fmt.Errorf("%w: field %d of %d bytes", ErrMalformed, field, n)
		default:
			value := make([]byte, n)
			err = r.read(value)
			switch field {
			case fieldDataHeader:
				meta = value
			case fieldMetadata:
				metadata = value
			}
		}
		if err != nil {
			return err
		}
	}
	return m.assemble(metadata, meta, body)
}

// assemble makes m of its parts, once the checksum was compared. It takes over body,
// unless it fails.
func (m *Message) assemble(metadata, meta []byte, body *memory.Buffer) error {
	if len(metadata) < HeaderBytes {
		return fmt.Errorf("%w: %d bytes of metadata, which is not of this program", ErrMalformed, len(metadata))
	}
	p := received(metadata[HeaderBytes:], meta, body)
	h, err := parseHeader(metadata, p.sum)
	if err != nil {
		return err
	}
	m.Header, m.payload = h, p
	p.body = body
	return nil
}

// newBody returns a buffer of n bytes, which need not be zero.
func newBody(alloc memory.Allocator, n int) *memory.Buffer {
	if a, ok := alloc.(interface{ AllocateDirty(int) []byte }); ok {
		return memory.NewBufferWithAllocator(a.AllocateDirty(n), alloc)
	}
	return memory.NewBufferWithAllocator(alloc.Allocate(n), alloc)
}

// fields reads the fields of a protobuf message that are bytes.
type fields struct {
	in   source
	left int
}

// source is what messages are read from.
type source interface {
	io.Reader
	io.ByteReader
}

// next is the number of the next field and how many bytes it has; every field of
// FlightData is bytes.
func (f *fields) next() (field, n int, err error) {
	tag, err := f.varint()
	if err != nil {
		return 0, 0, err
	}
	if tag&7 != uint64(protowire.BytesType) || tag>>3 == 0 || tag>>3 > 1<<29 {
		return 0, 0, fmt.Errorf("%w: protobuf tag %#x", ErrMalformed, tag)
	}
	size, err := f.varint()
	if err != nil {
		return 0, 0, err
	}
	if size > uint64(f.left) {
		return 0, 0, fmt.Errorf("%w: field of %d bytes, %d are left", ErrMalformed, size, f.left)
	}
	return int(tag >> 3), int(size), nil
}

func (f *fields) varint() (uint64, error) {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		if f.left == 0 {
			return 0, fmt.Errorf("%w: it ends in a number", ErrMalformed)
		}
		b, err := f.in.ReadByte()
		if err != nil {
			return 0, err
		}
		f.left--
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return x, nil
		}
	}
	return 0, fmt.Errorf("%w: number of more than 64 bits", ErrMalformed)
}

func (f *fields) read(into []byte) error {
	f.left -= len(into)
	_, err := io.ReadFull(f.in, into)
	return err
}
