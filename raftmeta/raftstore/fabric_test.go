package raftstore_test

// A network in memory for tests in fake time: pipes that can be cut, where a message
// waits or a connection breaks.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// fabric connects addresses.
type fabric struct {
	mu        sync.Mutex
	latency   func() time.Duration // of one message; nil means none
	listeners map[string]*pipeListener
	stalled   map[[2]string]bool // from, to
	changed   chan struct{}      // closed and replaced when stalled changes
	pipes     map[*pipe]struct{}
}

func newFabric() *fabric {
	return &fabric{
		listeners: map[string]*pipeListener{}, stalled: map[[2]string]bool{},
		changed: make(chan struct{}), pipes: map[*pipe]struct{}{},
	}
}

// delay makes every message from now on take what latency says.
func (f *fabric) delay(latency func() time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = latency
}

// listener is what listens at an address now, or nil.
func (f *fabric) listener(address string) *pipeListener {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.listeners[address]
}

// network makes an address reachable.
func (f *fabric) network(address string) *raftstore.Network {
	l := &pipeListener{of: f, address: address, conns: make(chan net.Conn), done: make(chan struct{}), dead: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[address] = l
	return &raftstore.Network{
		Listener: l,
		Dial: func(ctx context.Context, to string) (net.Conn, error) {
			select {
			case <-l.dead:
				return nil, net.ErrClosed
			default:
				return f.dial(ctx, address, to)
			}
		},
	}
}

// kill breaks all connections of a network, which makes no more.
func (f *fabric) kill(n *raftstore.Network) { f.cut(n.Listener.(*pipeListener)) }

// cut is kill, of the network that listens by l.
func (f *fabric) cut(l *pipeListener) {
	close(l.dead)
	_ = l.Close() // it never fails
	f.mu.Lock()
	var broken []*pipe
	for p := range f.pipes {
		if p.from == l.address || p.to == l.address {
			broken = append(broken, p)
		}
	}
	f.mu.Unlock()
	for _, p := range broken {
		_ = p.Close()
	}
}

var errRefused = errors.New("connection refused")

func (f *fabric) dial(ctx context.Context, from, to string) (net.Conn, error) {
	if err := f.pass(from, to, ctx.Done()); err != nil {
		return nil, ctx.Err()
	}
	l := f.listener(to)
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", to, errRefused)
	}
	a, b := net.Pipe()
	here, there := &pipe{Conn: a, of: f, from: from, to: to}, &pipe{Conn: b, of: f, from: to, to: from}
	f.mu.Lock()
	f.pipes[here], f.pipes[there] = struct{}{}, struct{}{}
	f.mu.Unlock()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, errors.Join(errRefused, here.Close(), there.Close())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), here.Close(), there.Close())
	}
}

var errStopped = errors.New("stopped waiting")

// pass waits until messages pass from one address to another.
func (f *fabric) pass(from, to string, stop <-chan struct{}) error {
	for {
		f.mu.Lock()
		stalled, changed := f.stalled[[2]string{from, to}], f.changed
		f.mu.Unlock()
		if !stalled {
			return nil
		}
		select {
		case <-changed:
		case <-stop:
			return errStopped
		}
	}
}

// stall holds messages back in one direction, or lets them go.
func (f *fabric) stall(from, to string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled[[2]string{from, to}] = on
	close(f.changed)
	f.changed = make(chan struct{})
}

// reset breaks the connections between two addresses.
func (f *fabric) reset(a, b string) {
	f.mu.Lock()
	var broken []*pipe
	for p := range f.pipes {
		if p.from == a && p.to == b || p.from == b && p.to == a {
			broken = append(broken, p)
		}
	}
	f.mu.Unlock()
	for _, p := range broken {
		_ = p.Close()
	}
}

type pipeListener struct {
	of      *fabric
	address string
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
	dead    chan struct{} // closed by kill
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.of.mu.Lock()
		defer l.of.mu.Unlock()
		if l.of.listeners[l.address] == l {
			delete(l.of.listeners, l.address)
		}
	})
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.address) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// pipe is one side of a connection.
type pipe struct {
	net.Conn
	of       *fabric
	from, to string

	mu       sync.Mutex
	deadline time.Time
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	deadline := p.deadline
	p.mu.Unlock()
	stop := make(chan struct{})
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), func() { close(stop) })
		defer timer.Stop()
	}
	p.of.mu.Lock()
	latency := p.of.latency
	p.of.mu.Unlock()
	if latency != nil {
		<-time.After(latency()) // the bubble's clock
	}
	if err := p.of.pass(p.from, p.to, stop); err != nil {
		return 0, os.ErrDeadlineExceeded
	}
	return p.Conn.Write(b)
}

func (p *pipe) SetDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	return p.Conn.SetDeadline(t)
}

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	return p.Conn.SetWriteDeadline(t)
}

func (p *pipe) Close() error {
	p.of.mu.Lock()
	delete(p.of.pipes, p)
	p.of.mu.Unlock()
	return p.Conn.Close()
}
