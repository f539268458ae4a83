package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/minicluster"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/gateway"
)

// cluster is the workers and shuffle servers of a plan, of which some die.
type cluster struct {
	*minicluster.Cluster
	gateway *gateway.Gateway
	deaths  <-chan Fault
	stop    context.CancelFunc
	reaping sync.WaitGroup

	// Of the goroutine that kills, and of those who have waited for it.
	workers, servers []id.Worker
	joined           int
	unnoticed        bool // somebody died, which masters notice by silence alone
	err              error
}

// noticed is after how long whoever is silent counts as dead, twice over.
const noticed = 5 * time.Second

func startCluster(ctx context.Context, p Plan, settings map[string]string, registry *tidemill.Registry, f *faults, blobs string) (*cluster, error) {
	process, err := config.FromMap(settings, "simulation")
	if err != nil {
		return nil, err
	}
	options := minicluster.Options{
		Config: process, Connectors: registry.Connector, FileSystems: registry.FileSystems,
		Wire: f.wire(), Workers: p.Workers, Servers: p.Servers, Masters: p.Masters, Blobs: blobs,
	}
	if p.Stream != nil && p.Stream.Kind == Ledger {
		program := p.program()
		options.Connectors = program.Connectors(registry.Connector)
		if options.Functions, err = program.Functions(); err != nil {
			return nil, err
		}
	}
	whole, err := minicluster.New(ctx, options)
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: whole, deaths: f.deaths, joined: p.Workers}
	for i := range p.Workers {
		c.workers = append(c.workers, worker(i))
	}
	for i := range p.Servers {
		c.servers = append(c.servers, id.Worker(fmt.Sprintf("server-%d", i+1)))
	}
	c.gateway = gateway.New(gateway.Options{
		Cluster: whole.Client(), Shuffle: whole.Shuffle(), Connectors: registry, Functions: function.Builtins(),
	})
	reap, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.reaping.Go(func() { c.reap(reap) })
	return c, nil
}

func worker(i int) id.Worker { return id.Worker(fmt.Sprintf("worker-%d", i+1)) }

// reap brings deaths about until ctx ends.
func (c *cluster) reap(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-c.deaths:
			c.strike(ctx, f)
		}
	}
}

func (c *cluster) strike(ctx context.Context, f Fault) {
	c.unnoticed = true
	switch f.Kind {
	case KillServer:
		c.die(&c.servers, 1)
	case KillMaster, LoseMaster:
		c.err = errors.Join(c.err, c.KillMaster(ctx, f.Kind == LoseMaster, f.Late))
	case CutMaster:
		c.IsolateMaster(ctx, f.Late)
	case DrainServer:
		c.drain(ctx)
	case JoinWorker:
		c.join(ctx)
	default:
		c.die(&c.workers, 0)
		time.Sleep(f.Late)
		c.join(ctx)
	}
}

// join adds a worker. That a plan has its registration fail is no defect: it does not come.
func (c *cluster) join(ctx context.Context) {
	err := c.AddWorker(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		c.workers = append(c.workers, worker(c.joined))
	case !strings.Contains(err.Error(), errInjected.Error()): // over the wire there is its text only
		c.err = errors.Join(c.err, err)
	}
	c.joined++
}

// drain has the first of several servers take nothing new. It goes on serving what it
// keeps until the end; that it cannot be asked is no defect.
func (c *cluster) drain(ctx context.Context) {
	if len(c.servers) < 2 {
		return
	}
	if _, err := c.Client().DrainNode(ctx, &rpc.DrainNodeRequest{Id: string(c.servers[0])}); err == nil {
		c.servers = c.servers[1:]
	}
}

// die ends the first of some nodes unless no more than so many are left.
func (c *cluster) die(of *[]id.Worker, left int) {
	if len(*of) <= left {
		return
	}
	c.err = errors.Join(c.err, c.Kill((*of)[0]))
	*of = (*of)[1:]
}

// calm ends all dying, and returns what went wrong with it. Jobs are not given to the dead
// any more when it returns: those whose restarts come faster than silence is noticed would
// rightly fail.
func (c *cluster) calm() error {
	c.stop()
	c.reaping.Wait()
	if c.unnoticed {
		time.Sleep(noticed)
		c.unnoticed = false
	}
	err := c.err
	c.err = nil
	return err
}

func (c *cluster) close() error {
	err := errors.Join(c.calm(), c.Cluster.Close())
	c.gateway.Close()
	return err
}
