package hdfs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/fs/hdfs/internal/datanode"
)

const (
	// A datanode closes a connection that nobody used for 4 s.
	idleLine  = 3 * time.Second
	idleLines = 64 // of a cluster
	// distrust is how long a datanode that failed is asked after all others, as the
	// namenode names dead ones for minutes.
	distrust = 10 * time.Minute
	suspects = 1024 // datanodes that are remembered as such
)

// lines are a cluster's open connections to datanodes, and the datanodes that
// failed lately. The zero value is ready.
type lines struct {
	mu     sync.Mutex
	idle   []line // the one used last at the end
	failed map[string]time.Time
	closed bool
}

type line struct {
	*datanode.Conn
	address string
	used    time.Time
}

// take returns an idle connection, or nil.
func (l *lines) take(address string) *datanode.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	for i := len(l.idle) - 1; i >= 0; i-- {
		if l.idle[i].address == address {
			c := l.idle[i].Conn
			l.idle = slices.Delete(l.idle, i, i+1)
			return c
		}
	}
	return nil
}

// put keeps a connection for the next request.
func (l *lines) put(address string, c *datanode.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, address)
	if l.closed {
		_ = c.Close()
		return
	}
	l.idle = append(l.idle, line{Conn: c, address: address, used: time.Now()})
	l.sweep()
}

// sweep closes the connections that are too old or too many; mu is held.
func (l *lines) sweep() {
	n := max(0, len(l.idle)-idleLines)
	for n < len(l.idle) && time.Since(l.idle[n].used) > idleLine {
		n++
	}
	for _, old := range l.idle[:n] {
		_ = old.Close() // nothing is on it
	}
	l.idle = slices.Delete(l.idle, 0, n)
}

// fail remembers that a datanode failed.
func (l *lines) fail(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil || len(l.failed) == suspects {
		l.failed = map[string]time.Time{}
	}
	l.failed[address] = time.Now()
}

// order returns the addresses, those that failed lately last, the longest ago first.
func (l *lines) order(addresses []string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	when := func(a string) int64 {
		if t, ok := l.failed[a]; ok && time.Since(t) < distrust {
			return t.UnixNano()
		}
		return 0
	}
	sorted := slices.Clone(addresses)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(when(a), when(b)) })
	return sorted
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.idle {
		_ = c.Close()
	}
	l.idle = nil
}

// ask reads from one datanode, over a connection that is open if there is one. A
// datanode may have closed that one meanwhile, which says nothing of it.
func (c *cluster) ask(ctx context.Context, address string, r datanode.Request, p []byte) (int, error) {
	if conn := c.lines.take(address); conn != nil {
		c.s.counts.Requests.Add(1)
		if n, err := c.over(ctx, conn, address, r, p); err == nil || n > 0 || ctx.Err() != nil {
			return n, err
		}
	}
	conn, err := c.s.openData(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	return c.over(ctx, datanode.NewConn(conn), address, r, p)
}

func (c *cluster) over(ctx context.Context, conn *datanode.Conn, address string, r datanode.Request, p []byte) (int, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	n, err := conn.Read(r, p)
	c.s.counts.BytesRead.Add(uint64(n))
	if !stop() || err != nil {
		_ = conn.Close() // the error of the read is the one to report
		return n, err
	}
	c.lines.put(address, conn)
	return n, nil
}
