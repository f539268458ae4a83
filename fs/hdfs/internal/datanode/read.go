package datanode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	version     = 28
	opReadBlock = 81

	maxMessage = 1 << 20  // of an answer or a header
	maxPacket  = 16 << 20 // the limit of Hadoop too; it sends 64 KiB
)

// The values of Hadoop's Status that matter here.
const (
	success    = 0
	checksumOK = 6
)

// ErrChecksum says that bytes are not those that were written.
var ErrChecksum = errors.New("checksum mismatch")

// Refusal is what a datanode answered instead of data.
type Refusal struct {
	Status  uint64 // Hadoop's
	Message string
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the datanode refused (status %d): %s", r.Status, r.Message)
}

// Conn is a connection to a datanode. One goroutine uses it.
type Conn struct {
	net.Conn
	in   *bufio.Reader
	buf  []byte // of a header, or of checksums
	edge []byte // the data of a packet that is not wanted whole
}

// NewConn takes over an open connection.
func NewConn(c net.Conn) *Conn {
	// Headers and checksums of a packet fit, and its data goes past the buffer.
	return &Conn{Conn: c, in: bufio.NewReaderSize(c, 4<<10)}
}

// Request says what to read: block and token are encoded as the namenode sent them.
type Request struct {
	Block, Token []byte
	Client       string
	Offset       int64 // in the block
}

// Read fills p with the bytes of a block from r.Offset on, and returns how many are
// there and checked. After nil the connection takes the next request; after an
// error it is of no more use.
func (c *Conn) Read(r Request, p []byte) (n int, err error) {
	if _, err := c.Write(r.encode(len(p))); err != nil {
		return 0, err
	}
	sums, err := c.answer()
	if err != nil {
		return 0, err
	}
	for n < len(p) {
		h, err := c.header(sums)
		if err != nil {
			return n, err
		}
		m, err := c.packet(h, sums, p[n:], r.Offset+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	h, err := c.header(sums)
	if err != nil {
		return n, err
	}
	if h.length != 0 || !h.last {
		return n, fmt.Errorf("%d bytes more than asked for", h.length)
	}
	_, err = c.Write([]byte{2, 1 << 3, checksumOK})
	return n, err
}

func (r Request) encode(length int) []byte {
	var base, header, op []byte
	base = protowire.AppendBytes(protowire.AppendTag(base, 1, protowire.BytesType), r.Block)
	base = protowire.AppendBytes(protowire.AppendTag(base, 2, protowire.BytesType), r.Token)
	header = protowire.AppendBytes(protowire.AppendTag(header, 1, protowire.BytesType), base)
	header = protowire.AppendString(protowire.AppendTag(header, 2, protowire.BytesType), r.Client)
	op = protowire.AppendBytes(protowire.AppendTag(op, 1, protowire.BytesType), header)
	op = protowire.AppendVarint(protowire.AppendTag(op, 2, protowire.VarintType), uint64(r.Offset))
	op = protowire.AppendVarint(protowire.AppendTag(op, 3, protowire.VarintType), uint64(length))
	return append(protowire.AppendVarint([]byte{version >> 8, version, opReadBlock}, uint64(len(op))), op...)
}

// sums is how a block's data is checked.
type sums struct {
	table *crc32.Table // nil: not at all
	chunk int
}

// answer reads the datanode's reply to a request.
func (c *Conn) answer() (s sums, err error) {
	length, err := binary.ReadUvarint(c.in)
	if err != nil {
		return s, err
	}
	message, err := c.take(length, maxMessage)
	if err != nil {
		return s, err
	}
	refusal, kind := &Refusal{}, uint64(0)
	err = fields(message, func(f protowire.Number, v uint64, b []byte) error {
		switch f {
		case 1:
			refusal.Status = v
		case 5:
			refusal.Message = string(b)
		case 4: // ReadOpChecksumInfoProto, whose 1 is ChecksumProto
			return fields(b, func(f protowire.Number, _ uint64, b []byte) error {
				if f != 1 {
					return nil
				}
				return fields(b, func(f protowire.Number, v uint64, _ []byte) error {
					switch f {
					case 1:
						kind = v
					case 2:
						s.chunk = int(min(v, maxPacket))
					}
					return nil
				})
			})
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if refusal.Status != success {
		return s, refusal
	}
	switch kind {
	case 0:
		s.chunk = max(s.chunk, 1)
	case 1:
		s.table = crc32.IEEETable
	case 2:
		s.table = crc32.MakeTable(crc32.Castagnoli)
	default:
		return s, fmt.Errorf("checksums of the unknown type %d", kind)
	}
	if s.chunk <= 0 {
		return s, fmt.Errorf("checksums of %d bytes each", s.chunk)
	}
	return s, nil
}

// header is that of a packet.
type header struct {
	offset int64 // in the block
	length int   // of the data
	last   bool
	sums   []byte // one checksum for each chunk of the data; valid until the next read
}

func (c *Conn) header(s sums) (h header, err error) {
	var lengths [6]byte
	if _, err := io.ReadFull(c.in, lengths[:]); err != nil {
		return h, unexpected(err)
	}
	message, err := c.take(uint64(binary.BigEndian.Uint16(lengths[4:])), maxMessage)
	if err != nil {
		return h, err
	}
	length := uint64(0)
	err = fields(message, func(f protowire.Number, v uint64, _ []byte) error {
		switch f {
		case 1:
			h.offset = int64(v)
		case 3:
			h.last = v != 0
		case 4:
			length = v
		}
		return nil
	})
	if err != nil {
		return h, err
	}
	if length > maxPacket {
		return h, fmt.Errorf("a packet of %d bytes", length)
	}
	h.length = int(length)
	want := 0
	if s.table != nil {
		want = (h.length + s.chunk - 1) / s.chunk * 4
	}
	if have := int64(binary.BigEndian.Uint32(lengths[:4])) - 4 - int64(length); have != int64(want) {
		return h, fmt.Errorf("%d bytes of checksums for %d bytes of data", have, length)
	}
	h.sums, err = c.take(uint64(want), maxPacket)
	return h, err
}

// packet reads a packet's data, checks all of it and puts into p what belongs
// there; p[0] is at off in the block.
func (c *Conn) packet(h header, s sums, p []byte, off int64) (int, error) {
	skip := off - h.offset
	if skip < 0 || skip >= int64(h.length) {
		return 0, fmt.Errorf("bytes %d to %d of the block, expected %d", h.offset, h.offset+int64(h.length), off)
	}
	if skip == 0 && h.length <= len(p) {
		p = p[:h.length]
		if _, err := io.ReadFull(c.in, p); err != nil {
			return 0, unexpected(err)
		}
		return len(p), s.check(p, h.sums)
	}
	if cap(c.edge) < h.length {
		c.edge = make([]byte, h.length)
	}
	data := c.edge[:h.length]
	if _, err := io.ReadFull(c.in, data); err != nil {
		return 0, unexpected(err)
	}
	if err := s.check(data, h.sums); err != nil {
		return 0, err
	}
	return copy(p, data[skip:]), nil
}

func (s sums) check(data, sums []byte) error {
	if s.table == nil {
		return nil
	}
	for ; len(data) > 0; sums = sums[4:] {
		n := min(len(data), s.chunk)
		if crc32.Checksum(data[:n], s.table) != binary.BigEndian.Uint32(sums) {
			return ErrChecksum
		}
		data = data[n:]
	}
	return nil
}

// take reads n bytes into the connection's buffer, which the next take overwrites.
func (c *Conn) take(n, limit uint64) ([]byte, error) {
	if n > limit {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	if uint64(cap(c.buf)) < n {
		c.buf = make([]byte, n)
	}
	b := c.buf[:n]
	_, err := io.ReadFull(c.in, b)
	return b, unexpected(err)
}

// unexpected is err; an end inside a message is not an end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fields calls visit with each field of a message: numbers in v, the rest in b.
func fields(message []byte, visit func(f protowire.Number, v uint64, b []byte) error) error {
	for len(message) > 0 {
		f, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("a damaged message: %w", protowire.ParseError(n))
		}
		message = message[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var small uint32
			small, n = protowire.ConsumeFixed32(message)
			v = uint64(small)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(f, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("a damaged message: %w", protowire.ParseError(n))
		}
		if err := visit(f, v, b); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
