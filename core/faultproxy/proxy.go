package faultproxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a proxy is made of.
type Options struct {
	// Listener is where clients come; the proxy closes it.
	Listener net.Listener
	// Dial reaches the server.
	Dial func(ctx context.Context) (net.Conn, error)
	// Seed fixes what is random.
	Seed uint64
	// MostConnections refuses more connections than this; zero means 4,096.
	MostConnections int
}

const (
	mostConnections = 4096
	pieceBytes      = 32 << 10
)

// Counts are what a proxy has done so far.
type Counts struct {
	Connections, Refused, Resets int64
	BytesUp, BytesDown           int64
	// Corrupted and Swallowed are bits flipped and bytes lost.
	Corrupted, Swallowed int64
}

// Proxy is a running proxy. Its methods may be called concurrently.
type Proxy struct {
	options Options
	ctx     context.Context // the root of all connections
	stop    context.CancelFunc
	all     sync.WaitGroup // accepting and the pumps

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when fault changes
	open    map[*connection]struct{}
	next    uint64

	connections, refused, resets, up, down, corrupted, swallowed atomic.Int64
}

// New starts a proxy without faults.
func New(o Options) *Proxy {
	if o.MostConnections == 0 {
		o.MostConnections = mostConnections
	}
	p := &Proxy{options: o, changed: make(chan struct{}), open: map[*connection]struct{}{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.all.Go(p.accept)
	return p
}

// Listen starts a proxy on a network and address, such as "tcp" and "127.0.0.1:0", to
// another of the same network.
func Listen(ctx context.Context, network, address, target string, seed uint64) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return New(Options{Listener: l, Seed: seed, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, target)
	}}), nil
}

// Addr is where clients come.
func (p *Proxy) Addr() net.Addr { return p.options.Listener.Addr() }

// Set has a fault happen to all bytes from now on, instead of the one before.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	for c := range p.open {
		for i := range c.left {
			c.left[i].Store(f.ResetAfter)
		}
	}
}

// Reset cuts all connections as a crashed host would, and returns how many.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.reset()
	}
	return len(p.open)
}

// Counts returns what was done so far.
func (p *Proxy) Counts() Counts {
	return Counts{
		Connections: p.connections.Load(), Refused: p.refused.Load(), Resets: p.resets.Load(),
		BytesUp: p.up.Load(), BytesDown: p.down.Load(), Corrupted: p.corrupted.Load(), Swallowed: p.swallowed.Load(),
	}
}

// Close takes no more connections, cuts those there are and waits until nothing runs.
func (p *Proxy) Close() error {
	p.stop()
	err := p.options.Listener.Close()
	p.Reset()
	p.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept serves the listener until it is closed. A listener that fails ends the
// proxy's life as an acceptor; its connections go on.
func (p *Proxy) accept() {
	for {
		client, err := p.options.Listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client) })
	}
}

// serve is the life of one connection.
func (p *Proxy) serve(client net.Conn) {
	c := &connection{proxy: p, client: client}
	if !p.enter(c) {
		p.refused.Add(1)
		_ = client.Close()
		return
	}
	defer p.leave(c)
	server, err := p.options.Dial(p.ctx)
	if err != nil {
		p.refused.Add(1)
		c.reset()
		return
	}
	c.serve(server)
}

func (p *Proxy) enter(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || len(p.open) >= p.options.MostConnections {
		return false
	}
	c.number = p.next
	p.next++
	for i := range c.left {
		c.left[i].Store(p.fault.ResetAfter)
	}
	p.open[c] = struct{}{}
	p.connections.Add(1)
	return true
}

func (p *Proxy) leave(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// now is the fault, and what is closed when it changes.
func (p *Proxy) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

// wait lets a fault's time pass, and a stall's. It returns the fault that then holds,
// and false once the connection is over.
func (p *Proxy) wait(over <-chan struct{}, d Direction, r *rand.Rand) (Fault, bool) {
	late := false
	for {
		f, changed := p.now()
		switch {
		case !f.on(d):
			return Fault{}, true
		case f.Stall:
			select {
			case <-changed:
			case <-over:
				return f, false
			}
		case !late && f.Latency+f.Jitter > 0:
			late = true
			pause := f.Latency
			if f.Jitter > 0 {
				pause += time.Duration(r.Int64N(int64(f.Jitter)))
			}
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-over:
				timer.Stop()
				return f, false
			}
		default:
			return f, true
		}
	}
}
