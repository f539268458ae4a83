package minicluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keeper"
	"github.com/tidemill/tidemill/core/memnet"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/service"
)

// connBytes is how much a connection in memory holds for its reader.
const connBytes = 256 << 10

// startNodes starts workers and shuffle servers that reach each other's exchanges over
// connections in memory.
func (c *Cluster) startNodes(ctx context.Context, o Options) error {
	workers := max(o.Workers, 1)
	parts := int64(workers + o.Servers)
	for i := range o.Servers {
		n, err := c.newNode(serverID(i), o, parts)
		if err != nil {
			return err
		}
		c.open(n)
		c.transport.ServeShuffle(string(n.id), n.keeper())
		q := &rpc.RegisterRequest{Worker: string(n.id), Shuffle: rpc.FromServer(n.door.self)}
		if _, err := (keyed{c.transport, c, n}).Master().Register(ctx, q); err != nil {
			return err
		}
		if c.masters != nil {
			c.masters.beat(n, q)
		}
	}
	c.join = func(ctx context.Context, i int) error {
		n, err := c.newNode(id.Worker(fmt.Sprintf("worker-%d", i+1)), o, parts)
		if err != nil {
			return err
		}
		c.open(n)
		c.transport.ServeShuffle(string(n.id), n.keeper())
		if o.Servers > 0 {
			n.daemon = string(serverID(i % o.Servers))
		}
		return c.startWorker(ctx, o, n, n.door.exchanges)
	}
	for i := range workers {
		if err := c.AddWorker(ctx); err != nil {
			return fmt.Errorf("worker %d: %w", i+1, err)
		}
	}
	return c.openClient(o)
}

// AddWorker has another worker join a cluster of several. It is not called together with
// Kill or Close.
func (c *Cluster) AddWorker(ctx context.Context) error {
	c.joined++
	return c.join(ctx, c.joined-1)
}

func serverID(i int) id.Worker { return id.Worker(fmt.Sprintf("server-%d", i+1)) }

// openClient makes the shuffle service by which clients read results: of nobody's
// process.
func (c *Cluster) openClient(o Options) error {
	n, err := c.newNode("client", o, int64(max(o.Workers, 1)+o.Servers))
	if err != nil {
		return err
	}
	exchanges := flight.New(flight.Options{
		Self: shuffle.Server{ID: string(n.id)}, Local: n.local, Alloc: n.ledger.Child("exchanges", 0).Allocator(), Dialer: c.dial,
	})
	c.shuffle, c.closeOwn = exchanges, exchanges.Close
	return nil
}

// door is where a node's exchanges are reached, and by which it reaches those of others.
type door struct {
	self      shuffle.Server
	server    *service.Server
	exchanges *flight.Service
	grpc      *grpc.Server
	listener  *memnet.Listener
	serving   sync.WaitGroup
}

// open gives a node a door.
func (c *Cluster) open(n *node) {
	d := &door{self: shuffle.Server{ID: string(n.id), Host: string(n.id), Address: string(n.id)}, listener: memnet.Listen(connBytes)}
	alloc := n.ledger.Child("exchanges", 0).Allocator()
	d.server = service.New(service.Options{Self: d.self, Store: n.local, Alloc: alloc, TicketKey: func() []byte {
		if key := c.key.Load(); key != nil {
			return *key
		}
		return nil
	}})
	d.exchanges = flight.New(flight.Options{Self: d.self, Local: n.local, Alloc: alloc, Dialer: c.dial})
	d.grpc = grpc.NewServer(d.server.ServerOptions()...)
	d.server.Register(d.grpc)
	d.serving.Go(func() { _ = d.grpc.Serve(d.server.Listener(d.listener, service.DoorOptions{})) })
	n.door = d
	c.doors.Store(d.self.Address, d)
}

// dial connects to a node by its name.
func (c *Cluster) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d, ok := c.doors.Load(address)
	if !ok {
		return nil, fmt.Errorf("nobody is at %s", address)
	}
	return d.(*door).listener.DialContext(ctx)
}

// cut breaks all connections.
func (d *door) cut() {
	_ = d.listener.Close()
	d.grpc.Stop()
}

func (d *door) close() error {
	err := errors.Join(d.exchanges.Close(), d.server.Close())
	d.grpc.Stop()
	d.serving.Wait()
	return err
}

// keeper is a node as its master sees it: what it keeps.
func (n *node) keeper() rpc.ShuffleClient {
	return keeper.Keeper{Server: n.door.server, Store: n.local, Exchanges: n.door.exchanges}
}
