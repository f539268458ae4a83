package faultproxy

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// connection is a client's connection and the one to the server that belongs to it.
type connection struct {
	proxy  *Proxy
	client net.Conn
	number uint64
	// left are the bytes until a reset, up and down.
	left [2]atomic.Int64

	mu     sync.Mutex
	server net.Conn      // nil until it is dialled
	over   chan struct{} // closed by reset; nil until served
	gone   bool
}

// serve pumps both directions until both have ended.
func (c *connection) serve(server net.Conn) {
	c.mu.Lock()
	c.server, c.over = server, make(chan struct{})
	if c.gone {
		close(c.over)
		_ = server.Close()
	}
	c.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(Up, server, c.client, &c.proxy.up) })
	pumps.Go(func() { c.pump(Down, c.client, server, &c.proxy.down) })
	pumps.Wait()
	_ = c.client.Close()
	_ = server.Close()
}

// reset ends both connections at once; over TCP, their peers see a reset.
func (c *connection) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	c.proxy.resets.Add(1)
	abandon(c.client)
	if c.server != nil {
		abandon(c.server)
		close(c.over)
	}
}

func abandon(n net.Conn) {
	if t, ok := n.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = n.Close()
}

// pump moves one direction's bytes until there are no more, and then says so to the
// other end.
func (c *connection) pump(d Direction, to, from net.Conn, count *atomic.Int64) {
	defer func() {
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
			return
		}
		_ = to.Close()
	}()
	random := rand.New(rand.NewPCG(c.proxy.options.Seed, c.number<<1|uint64(d-Up)))
	buffer := make([]byte, pieceBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !c.hand(d, to, buffer[:n], random, count) {
			c.reset()
			return
		}
		if err != nil {
			return
		}
	}
}

// hand passes a piece on as the fault wants it. It returns false when the connection
// is to be reset.
func (c *connection) hand(d Direction, to net.Conn, piece []byte, random *rand.Rand, count *atomic.Int64) bool {
	f, ok := c.proxy.wait(c.over, d, random)
	if !ok {
		return false
	}
	if f.Swallow {
		c.proxy.swallowed.Add(int64(len(piece)))
		return true
	}
	if f.Corrupt > 0 {
		c.proxy.corrupted.Add(corrupt(piece, f.Corrupt, random))
	}
	cut := false
	if f.ResetAfter > 0 {
		if left := c.left[d-Up].Add(-int64(len(piece))); left <= 0 {
			piece, cut = piece[:max(0, int64(len(piece))+left)], true
		}
	}
	n, err := to.Write(piece)
	count.Add(int64(n))
	return err == nil && !cut
}

// corrupt flips one bit in about one of every bytes. Distances are exponential, so that
// it does not matter where one piece ends and the next begins.
func corrupt(piece []byte, every int64, random *rand.Rand) (flipped int64) {
	distance := func() int64 { return int64(random.ExpFloat64() * float64(every)) }
	for at := distance(); at < int64(len(piece)); at += 1 + distance() {
		piece[at] ^= 1 << random.IntN(8)
		flipped++
	}
	return flipped
}
