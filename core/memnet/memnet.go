package memnet

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Listener is where connections in memory arrive.
type Listener struct {
	size    int
	arrived chan net.Conn
	closing sync.Once
	closed  chan struct{}
}

// Listen returns a listener whose connections hold up to size bytes in each direction.
func Listen(size int) *Listener {
	return &Listener{size: size, arrived: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection. After Close it fails with net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, l.fail("accept", net.ErrClosed)
	case c := <-l.arrived:
		return c, nil
	}
}

// DialContext connects. It waits until the connection is accepted.
func (l *Listener) DialContext(ctx context.Context) (net.Conn, error) {
	there, back := newPipe(l.size), newPipe(l.size)
	select {
	case <-l.closed:
		return nil, l.fail("dial", net.ErrClosed)
	case <-ctx.Done():
		return nil, l.fail("dial", context.Cause(ctx))
	case l.arrived <- &conn{in: there, out: back}:
		return &conn{in: back, out: there}, nil
	}
}

func (l *Listener) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: addr{}.Network(), Addr: addr{}, Err: err}
}

// Close ends Accept and DialContext. Connections stay.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address that says no more than where it is: in memory.
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }

// conn is one end of a connection.
type conn struct{ in, out *pipe }

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *conn) LocalAddr() net.Addr         { return addr{} }
func (c *conn) RemoteAddr() net.Addr        { return addr{} }

// Close has the other end read what is written, then io.EOF; its writes fail.
func (c *conn) Close() error {
	c.in.close(&c.in.reader)
	c.out.close(&c.out.writer)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	return firstError(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *conn) SetReadDeadline(t time.Time) error  { return c.in.limit(&c.in.reader, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.limit(&c.out.writer, t) }

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// pipe is one direction of a connection.
type pipe struct {
	mu             sync.Mutex
	changed        sync.Cond
	ring           []byte
	begin, length  int
	reader, writer end
}

// end is who reads from a pipe, or who writes to it.
type end struct {
	closed bool
	late   bool // its deadline has passed
	timer  *time.Timer
}

func newPipe(size int) *pipe {
	p := &pipe{ring: make([]byte, max(size, 1))}
	p.changed.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.reader.closed:
			return 0, io.ErrClosedPipe
		case p.reader.late:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.length > 0:
			n := copy(b, p.ring[p.begin:min(p.begin+p.length, len(p.ring))])
			n += copy(b[n:], p.ring[:max(p.length-n, 0)])
			p.begin = (p.begin + n) % len(p.ring)
			p.length -= n
			p.changed.Broadcast()
			return n, nil
		case p.writer.closed:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *pipe) write(b []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.writer.closed || p.reader.closed:
			return written, io.ErrClosedPipe
		case p.writer.late:
			return written, os.ErrDeadlineExceeded
		}
		for len(b) > 0 && p.length < len(p.ring) {
			at := (p.begin + p.length) % len(p.ring)
			room := min(len(p.ring)-p.length, len(p.ring)-at)
			n := copy(p.ring[at:at+room], b)
			p.length += n
			written += n
			b = b[n:]
			p.changed.Broadcast()
		}
		if len(b) == 0 {
			return written, nil
		}
		p.changed.Wait()
	}
}

func (p *pipe) close(e *end) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.closed = true
	e.stop()
	p.changed.Broadcast()
}

func (e *end) stop() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// limit sets the deadline of an end; the zero time is none.
func (p *pipe) limit(e *end, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.closed {
		return io.ErrClosedPipe
	}
	e.stop()
	left := time.Until(t)
	e.late = !t.IsZero() && left <= 0
	if left > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(left, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if e.timer == timer {
				e.late = true
				p.changed.Broadcast()
			}
		})
		e.timer = timer
	}
	p.changed.Broadcast()
	return nil
}
