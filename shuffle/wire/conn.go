package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// ErrBroken says that a connection ended in the midst of something, or was closed here:
// what the other side has got is not known.
var ErrBroken = errors.New("shuffle connection broke")

// The prefix of a frame: the length of the message, and the same with all bits turned,
// so that a length that is not one is seen before anything waits for so many bytes.
const framePrefix = 8

const (
	// readBuffer is what small parts are read through. Larger ones are read to where
	// they stay. A connection that is idle has no more memory than this.
	readBuffer = 4 << 10
	// writeBuffer is what is put together on connections that do not gather, such as TLS.
	writeBuffer = 16 << 10
	// keepScratch bounds the memory that a connection keeps for the next Send.
	keepScratch = 4 << 10
)

// Conn is an end of a bare stream: messages as frames on a connection of its own. One
// goroutine may send while another one receives.
//
//	0        4         8
//	| length | ^length | FlightData |  length | ...
type Conn struct {
	conn  net.Conn
	alloc memory.Allocator

	receiving sync.Mutex // guards what follows
	in        *bufio.Reader
	most      int // bytes of a message that arrives

	sending sync.Mutex
	to      io.Writer     // takes net.Buffers in one call; nil: gather is used
	gather  *bufio.Writer // nil: there was no need yet
	head    []byte        // scratch
	out     [][]byte      // scratch
	all     net.Buffers   // what is left of out
}

// NewConn makes a stream of what follows on a connection, which it takes over. Buffers
// of arriving messages come from alloc.
func NewConn(c net.Conn, alloc memory.Allocator) *Conn {
	w := &Conn{conn: c, alloc: alloc, most: MaxMessageBytes, in: bufio.NewReaderSize(breaking{c}, readBuffer)}
	switch bare := unwrapped(c).(type) {
	case *net.TCPConn, *net.UnixConn:
		w.to = bare.(io.Writer)
	}
	return w
}

// unwrapped is the connection below those that only add something to it and say so.
func unwrapped(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ Unwrapped() net.Conn })
		if !ok {
			return c
		}
		c = w.Unwrapped()
	}
}

// Limit bounds the messages that arrive from now on; zero: MaxMessageBytes.
func (c *Conn) Limit(bytes int) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	c.most = MaxMessageBytes
	if bytes > 0 {
		c.most = bytes
	}
}

// Send sends messages, which stay the caller's, together. It may block for as long as
// the other side does not read; Close, or a deadline, ends that. An error is ErrBroken.
func (c *Conn) Send(ms ...*Message) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	room, parts := 0, 0
	for _, m := range ms {
		small, large := m.pieces()
		room += small + framePrefix
		parts += 2*large + 1
	}
	// Slices of head go out: it must not grow.
	scratch, out := slices.Grow(c.head, room), slices.Grow(c.out, parts)
	head := scratch
	for _, m := range ms {
		head = m.appendFields(append(head, make([]byte, framePrefix)...))
		n := uint32(len(head) - framePrefix + m.payload.size)
		binary.LittleEndian.PutUint32(head, n)
		binary.LittleEndian.PutUint32(head[4:], ^n)
		head = m.walk(head, func(copied []byte, part *[]byte) {
			if part != nil {
				copied = *part
			}
			out = append(out, copied)
		})
	}
	err := c.write(out)
	clear(out)
	c.out, c.head = out[:0], nil
	if room <= keepScratch {
		c.head = scratch
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

func (c *Conn) write(pieces [][]byte) error {
	if c.to != nil {
		c.all = pieces
		_, err := c.all.WriteTo(c.to)
		return err
	}
	if c.gather == nil {
		c.gather = bufio.NewWriterSize(c.conn, writeBuffer)
	}
	for _, piece := range pieces {
		if _, err := c.gather.Write(piece); err != nil {
			return err
		}
	}
	return c.gather.Flush()
}

// Recv returns the next message, which is the caller's. After the last one it is io.EOF,
// if the other side has ended the stream between messages. ErrBroken says that the
// connection failed; any other error is about the message, and the stream is of no more
// use either.
func (c *Conn) Recv() (*Message, error) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	prefix, err := c.in.Peek(framePrefix)
	if err != nil {
		if errors.Is(err, io.EOF) && len(prefix) == 0 {
			return nil, io.EOF
		}
		return nil, broke(err)
	}
	n := binary.LittleEndian.Uint32(prefix)
	if n != ^binary.LittleEndian.Uint32(prefix[4:]) {
		return nil, fmt.Errorf("%w: no frame begins here", ErrMalformed)
	}
	if uint64(n) > uint64(c.most) {
		return nil, fmt.Errorf("%w: message of %d bytes, the limit is %d", ErrMalformed, n, c.most)
	}
	if _, err := c.in.Discard(framePrefix); err != nil {
		return nil, broke(err)
	}
	m := &Message{}
	if err := m.read(c.alloc, c.in, int(n)); err != nil {
		return nil, broke(err)
	}
	return m, nil
}

// broke is err, which is of the connection if that has ended where it must not.
func broke(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrBroken, io.ErrUnexpectedEOF)
	}
	return err
}

// breaking tells errors of the connection from those of what it brings.
type breaking struct{ net.Conn }

// Read implements io.Reader.
func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return n, err
}

// SetDeadline has what blocks from then on fail; the zero time: nothing does.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetWriteDeadline has a Send that blocks from then on fail.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

// Close ends the stream both ways. It may be called at any time, and again.
func (c *Conn) Close() error { return c.conn.Close() }

// How long, and how much, a stream that has ended is still read.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// Finish ends the stream once the other side has read what was sent: closing at once
// would take that away if something of theirs had not been read. A Recv that is under way
// ends.
func (c *Conn) Finish() error {
	half, ok := unwrapped(c.conn).(interface{ CloseWrite() error })
	if !ok {
		return c.conn.Close()
	}
	if err := errors.Join(half.CloseWrite(), c.conn.SetDeadline(time.Now().Add(lingerTime))); err == nil {
		c.receiving.Lock()
		defer c.receiving.Unlock()
		_, _ = io.CopyN(io.Discard, c.in, lingerBytes) // it ends as it ends
	}
	return c.conn.Close()
}
