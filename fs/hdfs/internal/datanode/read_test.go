package datanode

// A datanode of the test's own speaks the protocol: every range comes whole and
// checked, the connection serves many requests, and each way in which an answer
// can be wrong is an error that says so.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// node serves one block over one connection.
type node struct {
	data   []byte
	chunk  int
	packet int // bytes of data in a packet, a multiple of chunk
	kind   uint64
	status uint64
	harm   func(packet []byte) []byte // changes each packet before it is sent
	cut    bool                       // goes away in the middle of the first packet
	ended  chan struct{}
	asked  int
	client uint64 // the status that the client sent last
}

func message(parts ...any) (m []byte) {
	for i := 0; i < len(parts); i += 2 {
		f := protowire.Number(parts[i].(int))
		switch v := parts[i+1].(type) {
		case uint64:
			m = protowire.AppendVarint(protowire.AppendTag(m, f, protowire.VarintType), v)
		case uint32:
			m = protowire.AppendFixed32(protowire.AppendTag(m, f, protowire.Fixed32Type), v)
		case int64:
			m = protowire.AppendFixed64(protowire.AppendTag(m, f, protowire.Fixed64Type), uint64(v))
		case []byte:
			m = protowire.AppendBytes(protowire.AppendTag(m, f, protowire.BytesType), v)
		}
	}
	return m
}

func delimited(m []byte) []byte { return append(protowire.AppendVarint(nil, uint64(len(m))), m...) }

func (n *node) receive(c *Conn, prefix int) ([]byte, error) {
	if _, err := io.ReadFull(c.in, make([]byte, prefix)); err != nil {
		return nil, err
	}
	length, err := binary.ReadUvarint(c.in)
	if err != nil {
		return nil, err
	}
	return c.take(length, maxMessage)
}

// serve answers requests until the client goes.
func (n *node) serve(conn net.Conn) {
	defer conn.Close()
	c := NewConn(conn)
	for {
		op, err := n.receive(c, 3)
		if err != nil {
			return
		}
		n.asked++
		var off, length int
		_ = fields(op, func(f protowire.Number, v uint64, _ []byte) error {
			switch f {
			case 2:
				off = int(v)
			case 3:
				length = int(v)
			}
			return nil
		})
		from, to := off/n.chunk*n.chunk, min((off+length+n.chunk-1)/n.chunk*n.chunk, len(n.data))
		checks := message(1, message(1, n.kind, 2, uint64(n.chunk)), 2, uint64(from))
		if _, err := conn.Write(delimited(message(1, n.status, 4, checks, 5, []byte("because")))); err != nil || n.status != success {
			return
		}
		for at := from; ; at += n.packet {
			part := n.data[min(at, to):min(at+n.packet, to)]
			p := n.frame(at, part)
			if n.harm != nil {
				p = n.harm(p)
			}
			if n.cut {
				p = p[:len(p)/2]
			}
			if _, err := conn.Write(p); err != nil || n.cut {
				return
			}
			if len(part) == 0 {
				break
			}
		}
		status, err := n.receive(c, 0)
		if err != nil {
			return
		}
		_ = fields(status, func(_ protowire.Number, v uint64, _ []byte) error { n.client = v; return nil })
	}
}

func (n *node) frame(at int, part []byte) []byte {
	last := uint64(0)
	if len(part) == 0 {
		last = 1
	}
	head := message(1, int64(at), 2, int64(1), 3, last, 4, uint32(len(part)))
	var sums []byte
	for rest := part; len(rest) > 0 && n.kind != 0; rest = rest[min(len(rest), n.chunk):] {
		table := crc32.MakeTable(crc32.Castagnoli)
		if n.kind == 1 {
			table = crc32.IEEETable
		}
		sums = binary.BigEndian.AppendUint32(sums, crc32.Checksum(rest[:min(len(rest), n.chunk)], table))
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(4+len(sums)+len(part)))
	p = binary.BigEndian.AppendUint16(p, uint16(len(head)))
	return append(append(append(p, head...), sums...), part...)
}

func (n *node) connect(t testing.TB) *Conn {
	ours, theirs := net.Pipe()
	n.ended = make(chan struct{})
	go func() { defer close(n.ended); n.serve(theirs) }()
	t.Cleanup(func() { ours.Close(); <-n.ended })
	return NewConn(ours)
}

func newNode(size int) *node {
	n := &node{data: make([]byte, size), chunk: 512, packet: 4096, kind: 2}
	_, _ = rand.NewChaCha8([32]byte{}).Read(n.data)
	return n
}

func TestRanges(t *testing.T) {
	for kind := range uint64(3) {
		n := newNode(100_001)
		n.kind = kind
		c := n.connect(t)
		r := rand.New(rand.NewPCG(1, kind))
		for range 200 {
			off := r.IntN(len(n.data))
			p := make([]byte, 1+r.IntN(min(len(n.data)-off, 20_000)))
			if got, err := c.Read(Request{Block: []byte("b"), Token: []byte("t"), Client: "c", Offset: int64(off)}, p); err != nil || got != len(p) || !bytes.Equal(p, n.data[off:off+len(p)]) {
				t.Fatalf("%d bytes at %d: %d, %v", len(p), off, got, err)
			}
		}
		c.Close()
		<-n.ended
		if n.asked != 200 || n.client != checksumOK {
			t.Errorf("asked %d times, told %d", n.asked, n.client)
		}
	}
}

func TestWrongAnswers(t *testing.T) {
	flip := func(p []byte) []byte { p[len(p)-1] ^= 1; return p }
	for _, c := range []struct {
		name, says string
		change     func(n *node)
		is         error
	}{
		{"refused", "the datanode refused (status 5): because", func(n *node) { n.status = 5 }, nil},
		{"damaged", "checksum mismatch", func(n *node) { n.harm = flip }, ErrChecksum},
		{"unknown checksums", "unknown type 9", func(n *node) { n.kind = 9 }, nil},
		{"another place", "expected 0", func(n *node) {
			n.harm = func(p []byte) []byte { return n.frame(8192, n.data[:4096]) }
		}, nil},
		{"cut off", "unexpected EOF", func(n *node) { n.cut = true }, io.ErrUnexpectedEOF},
		{"a huge packet", "bytes", func(n *node) {
			n.harm = func([]byte) []byte {
				head := message(1, int64(0), 4, uint32(1<<31))
				return append(append([]byte{0xff, 0xff, 0xff, 0xff, 0}, byte(len(head))), head...)
			}
		}, nil},
		{"too few checksums", "of checksums", func(n *node) {
			n.harm = func(p []byte) []byte { binary.BigEndian.PutUint32(p, 5000); return p }
		}, nil},
		{"too much", "more than asked for", func(n *node) {
			n.harm = func(p []byte) []byte { return append(p, n.frame(4096, n.data[4096:8192])...) }
		}, nil},
	} {
		n := newNode(100_000)
		c.change(n)
		conn := n.connect(t)
		p := make([]byte, 4096)
		_, err := conn.Read(Request{}, p)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		conn.Close()
	}
}

// FuzzRead: whatever a datanode sends, Read returns, and allocates no more than a
// packet may have.
func FuzzRead(f *testing.F) {
	n := newNode(10_000)
	ours, theirs := net.Pipe()
	go n.serve(theirs)
	seen := &recorder{Conn: ours}
	if _, err := NewConn(seen).Read(Request{Offset: 700}, make([]byte, 9000)); err != nil {
		f.Fatal(err)
	}
	ours.Close()
	f.Add(seen.data)
	f.Fuzz(func(t *testing.T, answer []byte) {
		p := make([]byte, 9000)
		_, _ = NewConn(&canned{Reader: bytes.NewReader(answer)}).Read(Request{Offset: 700}, p)
	})
}

type recorder struct {
	net.Conn
	data []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.data = append(r.data, p[:n]...)
	return n, err
}

type canned struct {
	net.Conn
	io.Reader
}

func (c *canned) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return len(p), nil }
