package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/faultproxy"
)

// networkFault is what a bad network does for a while.
type networkFault uint8

// The faults of networks.
const (
	noNetworkFault networkFault = iota
	delayed                     // every piece comes late
	reset                       // all connections are cut, again and again
	stalled                     // nothing passes, and nobody is told
	halfOpen                    // one direction loses what it is given
	networkFaults               // how many there are, with the zero one
)

func (f networkFault) String() string {
	switch f {
	case delayed:
		return "delay"
	case reset:
		return "reset"
	case stalled:
		return "stall"
	case halfOpen:
		return "half-open"
	default:
		return "no network fault"
	}
}

// interpose puts a proxy before each node: workers and shuffle servers advertise theirs,
// and find the masters through those of the masters. Masters among themselves, and what
// takes a unix socket, go without.
func (c *cluster) interpose(ctx context.Context, seed uint64) error {
	var masters []string
	for i, n := range c.nodes {
		p, err := faultproxy.Listen(ctx, "tcp", "127.0.0.1:0", n.address, seed+uint64(i))
		if err != nil {
			return errors.Join(err, c.close())
		}
		c.proxies = append(c.proxies, p)
		if n.role == Master {
			masters = append(masters, p.Addr().String())
		}
	}
	for i, n := range c.nodes {
		if n.role != Master {
			n.masters = masters
			n.more = append(n.more, "--advertise", c.proxies[i].Addr().String())
		}
	}
	return nil
}

// close ends the proxies.
func (c *cluster) close() (err error) {
	for _, p := range c.proxies {
		err = errors.Join(err, p.Close())
	}
	c.proxies = nil
	return err
}

const (
	// lateness and its jitter are those of a bad long line.
	lateness, jitter = 20 * time.Millisecond, 100 * time.Millisecond
	resetPause       = 300 * time.Millisecond
)

// disturb does a network fault to what passes a node's proxy, until it is over.
func (c *cluster) disturb(ctx context.Context, node int, f networkFault, length time.Duration) error {
	if node >= len(c.proxies) {
		return fmt.Errorf("no proxy is before node %d", node)
	}
	p := c.proxies[node]
	ctx, stop := context.WithTimeout(ctx, length)
	defer stop()
	switch f {
	case delayed:
		p.Set(faultproxy.Fault{Latency: lateness, Jitter: jitter})
	case stalled:
		p.Set(faultproxy.Fault{Stall: true})
	case halfOpen:
		p.Set(faultproxy.Fault{Swallow: true, On: faultproxy.Direction(1 + node%2)})
	case reset:
		for ctx.Err() == nil {
			p.Reset()
			_ = pause(ctx, resetPause)
		}
	default:
		return fmt.Errorf("network fault %d is unknown", f)
	}
	_ = pause(ctx, length)
	p.Set(faultproxy.Fault{})
	if f == halfOpen {
		p.Reset() // nobody could read what follows a gap
	}
	return nil
}
