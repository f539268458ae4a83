package minicluster

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// fabric is the network of several masters, in memory. A master that is cut off reaches
// none of the others, nor they it; what it had said and was not heard is lost.
type fabric struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	cut       map[string]bool
	pipes     map[*pipe]struct{}
}

func newFabric() *fabric {
	return &fabric{listeners: map[string]*pipeListener{}, cut: map[string]bool{}, pipes: map[*pipe]struct{}{}}
}

// network makes an address reachable, in place of whoever was there.
func (f *fabric) network(address string) *raftstore.Network {
	l := &pipeListener{address: address, conns: make(chan net.Conn), done: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[address] = l
	return &raftstore.Network{Listener: l, Dial: func(ctx context.Context, to string) (net.Conn, error) {
		return f.dial(ctx, l, to)
	}}
}

func (f *fabric) dial(ctx context.Context, from *pipeListener, to string) (net.Conn, error) {
	f.mu.Lock()
	l := f.listeners[to]
	refused := l == nil || f.cut[to] || f.cut[from.address] || f.listeners[from.address] != from
	f.mu.Unlock()
	if refused {
		return nil, fmt.Errorf("dial %s: nobody answers", to)
	}
	a, b := net.Pipe()
	here, there := &pipe{Conn: a, of: f, from: from.address, to: to}, &pipe{Conn: b, of: f, from: to, to: from.address}
	select {
	case l.conns <- there:
	case <-l.done:
		return nil, fmt.Errorf("dial %s: nobody is there", to)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pipes[here], f.pipes[there] = struct{}{}, struct{}{}
	return here, nil
}

// isolate cuts an address off, or lets it in again.
func (f *fabric) isolate(address string, on bool) {
	f.mu.Lock()
	f.cut[address] = on
	f.mu.Unlock()
	if on {
		f.reset(address)
	}
}

// kill has nobody be at an address any more.
func (f *fabric) kill(address string) {
	f.mu.Lock()
	l := f.listeners[address]
	delete(f.listeners, address)
	f.mu.Unlock()
	if l != nil {
		_ = l.Close() // it never fails
	}
	f.reset(address)
}

// reset breaks the connections of an address.
func (f *fabric) reset(address string) {
	f.mu.Lock()
	var broken []*pipe
	for p := range f.pipes {
		if p.from == address || p.to == address {
			broken = append(broken, p)
		}
	}
	f.mu.Unlock()
	for _, p := range broken {
		_ = p.Close()
	}
}

type pipeListener struct {
	address string
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.address) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// pipe is one side of a connection.
type pipe struct {
	net.Conn
	of       *fabric
	from, to string
}

// Close implements net.Conn.
func (p *pipe) Close() error {
	p.of.mu.Lock()
	delete(p.of.pipes, p)
	p.of.mu.Unlock()
	return p.Conn.Close()
}
