package flight_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memnet"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/service"
)

// cluster is a client process, "me", and some servers, connected by pipes in memory.
// It is a shuffle.Service that places exchanges by itself.
type cluster struct {
	*flight.Service
	t       testing.TB
	alloc   memory.Allocator
	servers map[string]*node
	order   []string // of servers, "me" among them or not
	local   *local.Service
	dial    func(net.Conn) net.Conn // wraps connections

	mu    sync.Mutex
	terms map[id.Exchange]id.Term
}

type node struct {
	local   *local.Service
	service *service.Server
	grpc    *grpc.Server
	listen  *memnet.Listener
	served  chan struct{}
}

type options struct {
	alloc     memory.Allocator
	guarantee int64
	servers   []string // where things are placed, in turn; "me" is the client's process
	local     local.Options
	service   service.Options
	flight    flight.Options
	dial      func(net.Conn) net.Conn
}

func newCluster(t testing.TB, o options) *cluster {
	t.Helper()
	c := &cluster{t: t, alloc: o.alloc, servers: map[string]*node{}, order: o.servers, dial: o.dial, terms: map[id.Exchange]id.Term{}}
	o.local.Alloc, o.local.LaneGuarantee, o.local.Self = o.alloc, o.guarantee, "me"
	c.local = local.New(o.local)
	for _, name := range o.servers {
		if name != "me" {
			c.start(name, o)
		}
	}
	o.flight.Self, o.flight.Local, o.flight.Alloc, o.flight.Dialer = shuffle.Server{ID: "me"}, c.local, o.alloc, c.connect
	c.Service = flight.New(o.flight)
	return c
}

func (c *cluster) start(name string, o options) {
	o.local.Self = name
	n := &node{local: local.New(o.local), listen: memnet.Listen(256 << 10), served: make(chan struct{})}
	o.service.Self, o.service.Store, o.service.Alloc = shuffle.Server{ID: name, Address: name}, n.local, o.alloc
	n.service = service.New(o.service)
	n.grpc = grpc.NewServer(n.service.ServerOptions()...)
	n.service.Register(n.grpc)
	go func() {
		defer close(n.served)
		if err := n.grpc.Serve(n.service.Listener(n.listen, service.DoorOptions{})); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			c.t.Error(err)
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers[name] = n
}

// gone has nobody at a server's address any more.
func (c *cluster) gone(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.servers, name)
}

// another starts another life of a server, at the same address.
func (c *cluster) another(name string, o options) {
	c.start(name+"2", o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers[name] = c.servers[name+"2"]
	delete(c.servers, name+"2")
}

func (n *node) stop() error {
	err := n.service.Close()
	n.grpc.Stop()
	<-n.served
	return errors.Join(err, n.listen.Close())
}

func (c *cluster) connect(ctx context.Context, _, address string) (net.Conn, error) {
	c.mu.Lock()
	n := c.servers[address]
	c.mu.Unlock()
	if n == nil {
		return nil, fmt.Errorf("nobody is at %s", address)
	}
	conn, err := n.listen.DialContext(ctx)
	if err == nil && c.dial != nil {
		conn = c.dial(conn)
	}
	return conn, err
}

// place places an exchange's parts in turn.
func (c *cluster) place(spec shuffle.Spec) shuffle.Spec {
	n := spec.Partitions
	if spec.Retention == shuffle.RetainJob {
		n = spec.Lanes
	}
	for _, name := range c.order {
		spec.Placement.Servers = append(spec.Placement.Servers, shuffle.Server{ID: name, Address: name})
	}
	for i := range n {
		spec.Placement.At = append(spec.Placement.At, uint32(i%len(c.order)))
	}
	return spec
}

func (c *cluster) Open(ctx context.Context, spec shuffle.Spec) error {
	return c.Service.Open(ctx, c.place(spec))
}

// Drop drops everywhere, as a job's master does.
func (c *cluster) Drop(ctx context.Context, job id.Job, ex id.Exchange) error {
	err := c.Service.Drop(ctx, job, ex)
	for _, n := range c.servers {
		err = errors.Join(err, n.service.DropJob(ctx, job, []id.Exchange{ex}, 1<<60))
	}
	return err
}

func (c *cluster) Apart() bool { return true }

func (c *cluster) Close() error {
	err := c.Service.Close()
	for _, n := range c.servers {
		err = errors.Join(err, n.stop())
	}
	return err
}
