package network

import (
	"container/list"
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
// by ConnState.
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

// ConnState is for a http.Server behind a Door: a connection is a stranger's but while it
// asks something.
func ConnState(c net.Conn, s http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	v, ok := c.(*visitor)
	switch {
	case !ok:
	case s == http.StateActive:
		v.admit()
	case s == http.StateIdle:
		v.dismiss()
	}
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.door.mu.Lock()
	v.door.forget(v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}
