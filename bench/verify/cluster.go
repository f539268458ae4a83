package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/faultproxy"
)

// Shape is how many of each role a cluster has.
type Shape struct{ Masters, Workers, Shuffles int }

func (s Shape) String() string {
	return fmt.Sprintf("%d master, %d worker, %d shuffle", s.Masters, s.Workers, s.Shuffles)
}

// cluster is the processes of one.
type cluster struct {
	options Options
	shape   Shape
	dir     string
	points  *failpoint.Directory
	nodes   []*node
	proxies []*faultproxy.Proxy // before each node, or none
}

// newCluster prepares a cluster in a directory of its own; start starts it.
func newCluster(o Options, shape Shape, dir string) (*cluster, error) {
	c := &cluster{options: o, shape: shape, dir: dir, points: failpoint.Open(filepath.Join(dir, "failpoints"))}
	for _, d := range []string{"failpoints", "logs", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	for _, r := range []struct {
		role  Role
		count int
	}{{Master, shape.Masters}, {Shuffle, shape.Shuffles}, {Worker, shape.Workers}} {
		for i := range r.count {
			if _, err := c.add(r.role, i+1); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range c.nodes {
		n.masters = c.masters()
	}
	return c, nil
}

// add prepares one more node, which knows the masters that there are by now.
func (c *cluster) add(role Role, number int) (*node, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d", role, number)
	n := &node{
		role: role, name: name, address: address, options: c.options, points: filepath.Join(c.dir, "failpoints"),
		dir: filepath.Join(c.dir, "data", name), logs: c.logs(), masters: c.masters(), memory: shuffleMemory,
	}
	c.nodes = append(c.nodes, n)
	return n, nil
}

// of are the nodes of a role, in the order in which they were added.
func (c *cluster) of(role Role) (all []*node) {
	for _, n := range c.nodes {
		if n.role == role {
			all = append(all, n)
		}
	}
	return all
}

// freeAddress is one that nobody listened at a moment ago.
func freeAddress() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func (c *cluster) masters() (addresses []string) {
	for _, n := range c.of(Master) {
		addresses = append(addresses, n.address)
	}
	return addresses
}

// start starts all nodes and waits until the cluster answers.
func (c *cluster) start(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	return c.ready(ctx)
}

const (
	readyPatience = time.Minute
	readyPause    = 200 * time.Millisecond
)

// ready asks until there is an answer.
func (c *cluster) ready(ctx context.Context) error {
	deadline := time.Now().Add(readyPatience)
	for {
		a, err := c.options.ask(ctx, "SELECT 1", c.masters())
		if err != nil || a.code == 0 {
			return err
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("a cluster of %s does not answer within %v: %v", c.shape, readyPatience, a)
		}
		if err := pause(ctx, readyPause); err != nil {
			return err
		}
	}
}

// pause waits on the real clock, as this package must.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// find returns the node of a process, nil where there is none.
func (c *cluster) find(pid int) *node {
	for _, n := range c.nodes {
		if n.pid() == pid {
			return n
		}
	}
	return nil
}

// killAll ends every process at once, as a power failure would.
func (c *cluster) killAll() (err error) {
	for _, n := range c.nodes {
		if n.pid() != 0 {
			err = errors.Join(err, n.kill())
		}
	}
	return err
}

// dumpAll ends every process after it has told what its goroutines do; all at once, or
// those that come later would tell of calls that have ended with who made them.
func (c *cluster) dumpAll() error {
	failed := make([]error, len(c.nodes))
	var dumping sync.WaitGroup
	for i, n := range c.nodes {
		if n.pid() != 0 && n.alive() {
			dumping.Go(func() { failed[i] = n.dump() })
		}
	}
	dumping.Wait()
	return errors.Join(failed...)
}

// logs is where the nodes' lives have written.
func (c *cluster) logs() string { return filepath.Join(c.dir, "logs") }

const stopPatience = 30 * time.Second

// stop ends the cluster in order, workers first.
func (c *cluster) stop() (err error) {
	for i := range c.nodes {
		if n := c.nodes[len(c.nodes)-1-i]; n.pid() != 0 && n.alive() {
			err = errors.Join(err, n.stop(stopPatience))
		}
	}
	return err
}
