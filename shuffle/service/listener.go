package service

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// DoorOptions say who may begin a bare stream.
type DoorOptions struct {
	// TLS is the listener's side of it; nil: none. Unix sockets never have it.
	TLS *tls.Config
	// Admit says why somebody may not, or nil: state is nil without TLS, shown what the
	// caller shows. Nil: everybody may, as far as tickets let them.
	Admit func(state *tls.ConnectionState, shown string) error
}

const (
	// openTimeout bounds what comes before a stream's first message, and that.
	openTimeout = 10 * time.Second
	// maxOpenBytes bounds that message: the ticket in it was not looked at yet.
	maxOpenBytes = 1 << 20
	// maxOpening bounds the connections of which it is not known what they want.
	maxOpening = 1 << 10
)

// Listener serves bare streams on l; other connections are left to the server, such as
// gRPC's, that accepts from the one that is returned. Closing it breaks the streams and
// waits for them.
func (s *Server) Listener(l net.Listener, o DoorOptions) net.Listener {
	d := &door{Listener: l, server: s, options: o, others: make(chan other), open: map[net.Conn]struct{}{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.work.Go(d.acceptAll)
	return d
}

// door is a listener that bare streams come through.
type door struct {
	net.Listener
	server  *Server
	options DoorOptions
	ctx     context.Context // of all streams
	cancel  context.CancelFunc
	others  chan other
	work    sync.WaitGroup // a goroutine for each connection that is not another's

	mu      sync.Mutex
	closed  bool
	open    map[net.Conn]struct{}
	opening int // of them: nothing is known of those
}

// other is what Accept returns.
type other struct {
	conn net.Conn
	err  error
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case o := <-d.others:
		return o.conn, o.err
	case <-d.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	err := d.Listener.Close()
	d.mu.Lock()
	d.closed = true
	d.cancel()
	for c := range d.open {
		_ = c.Close() // who uses it sees that
	}
	d.mu.Unlock()
	d.work.Wait()
	return err
}

func (d *door) acceptAll() {
	for d.ctx.Err() == nil {
		c, err := d.Listener.Accept()
		if err != nil {
			d.hand(other{err: err}) // who accepts decides when to try again
			continue
		}
		if !d.enter(c) {
			_ = c.Close()
			continue
		}
		d.work.Go(func() { d.meet(c) })
	}
}

// hand gives something to who accepts.
func (d *door) hand(o other) bool {
	select {
	case d.others <- o:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// enter counts a connection, unless there are too many. Those that are a few more than there
// may be streams are let in to hear why they are refused (Server.session).
func (d *door) enter(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.opening >= maxOpening || len(d.open)-d.opening >= d.server.options.MaxStreams+maxOpening {
		return false
	}
	d.open[c] = struct{}{}
	d.opening++
	return true
}

// known says that a connection is a stream, or gone.
func (d *door) known(c net.Conn, stays bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
	if !stays {
		delete(d.open, c)
	}
}

// meet finds out what a connection wants, and serves it if that is a bare stream.
func (d *door) meet(c net.Conn) {
	first := make([]byte, len(wire.Preface))
	err := c.SetDeadline(time.Now().Add(openTimeout))
	if err == nil {
		_, err = io.ReadFull(c, first)
	}
	if err == nil && string(first) != wire.Preface {
		err = c.SetDeadline(time.Time{})
		d.known(c, false)
		if err != nil || !d.hand(other{conn: &peeked{Conn: c, first: first}}) {
			_ = c.Close()
		}
		return
	}
	var b *bare
	if err == nil {
		b, err = d.welcome(c)
	}
	d.known(c, err == nil)
	if err != nil {
		d.server.options.Log.Debug("bare stream refused", "from", c.RemoteAddr().String(), "error", err)
		_ = c.Close()
		return
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, c)
	}()
	if d.exchange(b) {
		_ = b.conn.Finish() // there is nobody to tell
	} else {
		_ = b.conn.Close()
	}
}

func (d *door) exchange(b *bare) (over bool) {
	if !d.server.enter() {
		return false
	}
	defer d.server.work.Done()
	return d.server.exchange(b, b.opened)
}

// welcome lets somebody in who may come.
func (d *door) welcome(c net.Conn) (*bare, error) {
	config := d.options.TLS
	if c.LocalAddr().Network() == "unix" {
		config = nil
	}
	up, state, shown, err := wire.Welcome(d.ctx, c, config)
	if err != nil {
		return nil, err
	}
	b := &bare{conn: wire.NewConn(up, d.server.options.Alloc), ctx: d.ctx}
	if d.options.Admit != nil {
		if err := d.options.Admit(state, shown); err != nil {
			_ = sendError(b, failure.Wrap(failure.Unauthorized, err)) // it sees in any case that it is out
			return nil, err
		}
	}
	if v, ok := c.(interface{ Admit() }); ok {
		v.Admit()
	}
	b.conn.Limit(maxOpenBytes)
	return b, nil
}

// peeked is a connection of which the first bytes were read.
type peeked struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}

// Unwrapped is the connection that was accepted.
func (p *peeked) Unwrapped() net.Conn { return p.Conn }

// bare is a stream on a connection of its own.
type bare struct {
	conn *wire.Conn
	ctx  context.Context
}

func (b *bare) Context() context.Context       { return b.ctx }
func (b *bare) Send(ms ...*wire.Message) error { return b.conn.Send(ms...) }
func (b *bare) Recv() (*wire.Message, error)   { return b.conn.Recv() }
func (b *bare) Hurry()                         { _ = b.conn.SetWriteDeadline(time.Now().Add(hurry)) }

// opened takes the limits off that it had while nobody knew who it is.
func (b *bare) opened() {
	b.conn.Limit(0)
	_ = b.conn.SetDeadline(time.Time{}) // or it breaks
}

// hurry is how long a stream that is over, or hung up on, may take to send what it has.
const hurry = time.Second
