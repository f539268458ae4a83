package network

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// Limits of a Door; see there.
const (
	maxConnections = 4 << 10
	maxStrangers   = 256
)

// Door is a listener whose connections have a limit, so that a crowd outside costs
// little and keeps nobody out who belongs here. A connection on which no call was
// admitted yet is a stranger's: one too many of those, and the one that has waited
// longest is closed. One connection too many in all, and the newest is.
//
// The server must tell it who is no stranger: one of gRPC by ServerOptions, one of HTTP
// by ConnContext, Admit and ConnState, any other by GuardedBy.
type Door struct {
	net.Listener
	most, strange int

	mu        sync.Mutex
	open      int
	strangers *list.List // of *visitor, by age
}

// NewDoor takes a listener.
func NewDoor(l net.Listener) *Door {
	return &Door{Listener: l, most: maxConnections, strange: maxStrangers, strangers: list.New()}
}

// Accept implements net.Listener.
func (d *Door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		v, leave := d.enter(c)
		if leave != nil {
			_ = leave.Close() // it may have gone by itself
		}
		if v != nil {
			return v, nil
		}
	}
}

// enter counts a connection, or refuses it; leave is to be closed.
func (d *Door) enter(c net.Conn) (v *visitor, leave net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch oldest := d.strangers.Front(); {
	case oldest != nil && (d.strangers.Len() >= d.strange || d.open >= d.most):
		leave = oldest.Value.(*visitor)
		d.forget(oldest.Value.(*visitor))
	case d.open >= d.most:
		return nil, c
	}
	v = &visitor{Conn: c, door: d}
	d.open++
	v.place = d.strangers.PushBack(v)
	return v, leave
}

// forget uncounts a connection, once. Door.mu is held.
func (d *Door) forget(v *visitor) {
	if v.gone {
		return
	}
	v.gone = true
	d.open--
	d.admitted(v)
}

// admitted takes a connection from the strangers. Door.mu is held.
func (d *Door) admitted(v *visitor) {
	if v.place != nil {
		d.strangers.Remove(v.place)
		v.place = nil
	}
}

// visitor is a connection that came through a door, whose mutex guards the fields.
type visitor struct {
	net.Conn
	door  *Door
	place *list.Element // among the strangers; nil: it is none
	gone  bool
}

// admit says that a call was admitted.
func (v *visitor) admit() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.door.admitted(v)
}

// dismiss makes a stranger of who has been admitted.
func (v *visitor) dismiss() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.place == nil && !v.gone {
		v.place = v.door.strangers.PushBack(v)
	}
}

// ConnContext is for a http.Server behind a Door: it has Admit find the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, visitorOf(c))
}

type visitorKey struct{}

// Admit says that a request, by its context, was let in: until it is answered its
// connection is no stranger's. One that merely sends a request is: else a crowd that
// begins requests and never ends them would fill the Door.
func Admit(ctx context.Context) {
	if v, ok := ctx.Value(visitorKey{}).(*visitor); ok && v != nil {
		v.admit()
	}
}

// ConnState is for a http.Server behind a Door: between requests a connection is a
// stranger's.
func ConnState(c net.Conn, s http.ConnState) {
	if v := visitorOf(c); v != nil && s == http.StateIdle {
		v.dismiss()
	}
}

// visitorOf is a connection as its Door knows it; nil: there is none.
func visitorOf(c net.Conn) *visitor {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	v, _ := c.(*visitor)
	return v
}

// GuardedBy is a listener behind the Door that speaks TLS and wants a certificate, as
// config says: whoever has shown one is no stranger. A handshake is over in time or never.
func (d *Door) GuardedBy(config *tls.Config) net.Listener { return guarded{d, config} }

type guarded struct {
	*Door
	config *tls.Config
}

// Accept implements net.Listener. The handshake is left to the connection's first use.
func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Door.Accept()
	if err != nil {
		return nil, err
	}
	return &greeted{Conn: tls.Server(c, g.config), visitor: visitorOf(c)}, nil
}

// greeted is a connection whose handshake comes before its first byte.
type greeted struct {
	*tls.Conn
	visitor *visitor
	once    sync.Once
	err     error // of the handshake
}

func (g *greeted) greet() error {
	g.once.Do(func() {
		ctx, stop := context.WithTimeout(context.Background(), helloTimeout)
		defer stop()
		if g.err = g.HandshakeContext(ctx); g.err == nil {
			g.visitor.admit()
		}
	})
	return g.err
}

// Read implements net.Conn.
func (g *greeted) Read(b []byte) (int, error) {
	if err := g.greet(); err != nil {
		return 0, err
	}
	return g.Conn.Read(b)
}

// Write implements net.Conn.
func (g *greeted) Write(b []byte) (int, error) {
	if err := g.greet(); err != nil {
		return 0, err
	}
	return g.Conn.Write(b)
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.door.mu.Lock()
	v.door.forget(v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}
