package hdfs

import (
	"context"
	"net"
	"sync"
)

// link is a client's connection to its namenode, which the library gives no context.
// It is severed when that of a call ends: nothing else ends a call that waits. Others
// that share the client then call again with another one. The zero value is ready.
type link struct {
	mu      sync.Mutex
	severed bool
	end     func() // ends the dialling or the connection; nil: there is none
}

// dial opens the connection, unless the link is severed.
func (l *link) dial(ctx context.Context, dial func(ctx context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !l.holds(cancel) {
		return nil, net.ErrClosed
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	if !l.holds(func() { _ = conn.Close() }) {
		_ = conn.Close() // nothing was sent
		return nil, net.ErrClosed
	}
	return conn, nil
}

// holds sets what ends the link; false if it was severed.
func (l *link) holds(end func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
	return !l.severed
}

func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.severed = true
	if l.end != nil {
		l.end()
	}
}

func (l *link) isSevered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.severed
}

// during runs f, which talks over the link, and severs it when ctx ends.
func (l *link) during(ctx context.Context, f func() error) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		l.sever()
	})
	err := f()
	if stop() {
		return err
	}
	<-cut
	if err != nil {
		return ctx.Err()
	}
	return nil
}
