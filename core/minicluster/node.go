package minicluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/coordinator"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// exchangePart is the part of the memory that a partition of an exchange may hold
// for its reader. Many hold what their readers do not want yet, such as joins that
// still build; together they must leave room for what these wait for.
const exchangePart = 128

// replayPart is the part of the memory for what exchanges keep to be read again.
const replayPart = 16

const workerID id.Worker = "embedded"

// node is a worker or a shuffle server, and what is its own.
type node struct {
	id     id.Worker
	ledger *memory.Ledger
	spill  *spill.Directory
	// stateDisk is where state on disk goes; nil: where spilled rows go.
	stateDisk *spill.Directory
	local     *local.Service
	worker    *worker.Worker // nil: a shuffle server
	door      *door          // nil: nobody comes from elsewhere
	daemon    string         // the shuffle server that a worker prefers, or none
	quiet     func()         // ends the heartbeats of a shuffle server; nil: there are none

	mu       sync.Mutex
	dead     bool           // guarded by mu
	speaking sync.WaitGroup // those who speak for it with the master
}

// newNode makes a node, with one of so many parts of the memory, that runs nothing yet.
func (c *Cluster) newNode(name id.Worker, o Options, parts int64) (n *node, err error) {
	_, limit := memory.Divide(memory.OfProcess(o.Config) / parts)
	n = &node{id: name}
	c.nodes = append(c.nodes, n)
	if n.ledger, err = memory.New(memory.Options{Limit: limit, Option: config.Memory.Key()}); err != nil {
		return nil, err
	}
	if n.spill, err = spill.Open(config.SpillDir.Get(o.Config), config.SpillLimit.Get(o.Config)); err != nil {
		return nil, err
	}
	if dir := config.StateDir.Get(o.Config); dir != "" {
		if n.stateDisk, err = spill.Open(dir, config.SpillLimit.Get(o.Config)); err != nil {
			return nil, err
		}
	}
	n.local = local.New(local.Options{
		Self:       string(name),
		Alloc:      n.ledger.Child("shuffle", 0).Allocator(),
		MostBudget: limit/exchangePart + 1,
		Replay:     max(1, min(config.ReplayMemory.Get(o.Config), limit/replayPart)),
		Tier: partition.NewTier(partition.TierOptions{
			MemoryBytes: min(partition.DefaultMemoryBytes, limit/8), Dir: n.spill.Root(), Disk: n.spill,
		}),
	})
	return n, nil
}

// startWorker has a node run tasks.
func (c *Cluster) startWorker(ctx context.Context, o Options, n *node, exchanges shuffle.Service) (err error) {
	state := n.ledger.Child("checkpoints", 0).Allocator()
	coordinators := coordinator.New(o.Connectors, func(ctx context.Context, m *checkpoint.Manifest, dir string) (*checkpoint.Manifest, error) {
		return storage.Gather(ctx, o.FileSystems, m, dir)
	})
	options := worker.Options{
		ID: n.id, Slots: cmp.Or(config.Slots.Get(o.Config), runtime.GOMAXPROCS(0)), Dialer: keyed{c.transport, c, n},
		Shuffle: exchanges, Connectors: o.Connectors, Functions: o.Functions, Memory: n.ledger, Spill: n.spill, StateDisk: n.stateDisk, Coordinators: coordinators,
		Snapshots: func(_ id.Job, job config.Config) (task.Snapshots, error) {
			files, _, err := storage.Open(o.FileSystems, job, state)
			return files, err
		},
		NewTask: o.NewTask, Metrics: cmp.Or(o.Metrics, metric.NewRegistry(metric.Options{})), Log: o.Log,
	}
	if n.door != nil {
		options.Server, options.Daemon = n.door.self, n.daemon
	}
	if n.worker, err = worker.New(options); err != nil {
		return err
	}
	c.transport.ServeWorker(n.id, n.worker, coordinators)
	return n.worker.Start(ctx)
}

// close ends what the node runs, then what it keeps.
func (n *node) close() (all error) {
	if n.quiet != nil {
		n.quiet()
	}
	if n.worker != nil {
		all = n.worker.Close()
	}
	if n.door != nil {
		all = errors.Join(all, n.door.close())
	}
	if n.stateDisk != nil {
		all = errors.Join(all, n.stateDisk.Close())
	}
	return errors.Join(all, n.spill.Close())
}

// Kill ends a worker or shuffle server as its death would: whoever speaks with it hears
// nothing any more, and the master notices.
func (c *Cluster) Kill(name id.Worker) error {
	for i, n := range c.nodes {
		if n.id != name {
			continue
		}
		c.nodes = append(c.nodes[:i:i], c.nodes[i+1:]...)
		c.transport.ServeWorker(name, nil, nil)
		c.transport.ServeShuffle(string(name), nil)
		n.door.cut()
		n.mu.Lock()
		n.dead = true // or it would register again
		n.mu.Unlock()
		n.speaking.Wait()
		if c.master != nil { // several masters notice it themselves
			c.master.Resources().Lose(name, errors.New("it was killed"))
		}
		return n.close()
	}
	return fmt.Errorf("there is no %s", name)
}

// keyed is the transport of a worker, which hands it the key of the cluster's tickets
// when it registers, and lets the dead say nothing.
type keyed struct {
	*rpc.Local
	cluster *Cluster
	node    *node
}

// Master implements rpc.Dialer.
func (k keyed) Master() rpc.MasterClient { return keyedMaster{k.Local.Master(), k.cluster, k.node} }

type keyedMaster struct {
	master  rpc.MasterClient
	cluster *Cluster
	node    *node
}

// Register implements rpc.MasterClient.
func (m keyedMaster) Register(ctx context.Context, q *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	r, err := say(ctx, m.node, m.master.Register, q)
	if key := r.GetTicketKey(); len(key) > 0 {
		m.cluster.key.Store(&key)
	}
	return r, err
}

// Heartbeat implements rpc.MasterClient.
func (m keyedMaster) Heartbeat(ctx context.Context, q *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	return say(ctx, m.node, m.master.Heartbeat, q)
}

// Report implements rpc.MasterClient.
func (m keyedMaster) Report(ctx context.Context, q *rpc.TaskReport) (*rpc.TaskReply, error) {
	return say(ctx, m.node, m.master.Report, q)
}

// Acknowledge implements rpc.MasterClient.
func (m keyedMaster) Acknowledge(ctx context.Context, q *rpc.AckRequest) (*rpc.AckReply, error) {
	return say(ctx, m.node, m.master.Acknowledge, q)
}

// Decline implements rpc.MasterClient.
func (m keyedMaster) Decline(ctx context.Context, q *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	return say(ctx, m.node, m.master.Decline, q)
}

// Leave implements rpc.MasterClient.
func (m keyedMaster) Leave(ctx context.Context, q *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	return say(ctx, m.node, m.master.Leave, q)
}

// say calls the master for a node, unless that is dead.
func say[Q, R any](ctx context.Context, n *node, call func(context.Context, *Q) (*R, error), q *Q) (*R, error) {
	n.mu.Lock()
	dead := n.dead
	if !dead {
		n.speaking.Add(1)
	}
	n.mu.Unlock()
	if dead {
		return nil, failure.Wrap(failure.Transient, rpc.ErrUnreachable)
	}
	defer n.speaking.Done()
	return call(ctx, q)
}
