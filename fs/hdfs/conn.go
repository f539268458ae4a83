package hdfs

import (
	"net"
	"time"
)

// WithDeadline returns conn with a time limit on each Read and Write. A Read
// that fails closes the connection: a client that kept it would stay with the
// server that hangs instead of trying the next.
func WithDeadline(conn net.Conn, limit time.Duration) net.Conn {
	return &deadlineConn{Conn: conn, limit: limit}
}

type deadlineConn struct {
	net.Conn
	limit time.Duration
}

func (c *deadlineConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if err != nil {
		_ = c.Close() // the error of the read is the one to report
	}
	return n, err
}

func (c *deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
