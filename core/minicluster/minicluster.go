package minicluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	arrow "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/coordinator"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// Options say what a cluster is made of.
type Options struct {
	// Config has the process's settings: worker.slots, worker.memory.size,
	// io.tmp.dir and the like. Settings of jobs are in their graphs.
	Config config.Config
	// Connectors finds a connector by the value of its 'connector' option.
	Connectors func(name string) (connector.Connector, error)
	// FileSystems hold checkpoints.
	FileSystems *fs.Registry
	Metrics     *metric.Registry // nil: one of its own
	Log         *slog.Logger     // nil: discarded
	// Wire has every control-plane message go through its encoding, and faults.
	Wire rpc.LocalOptions
	// Heartbeat is how often progress is reported; zero means 100 ms.
	Heartbeat time.Duration

	// Shuffle and NewTask replace the parts of that name; nil: the real ones.
	Shuffle shuffle.Service
	NewTask func(d task.Descriptor, env task.Env) (worker.Task, error)
}

// Cluster is a running cluster.
type Cluster struct {
	store     *raftstore.Store
	transport *rpc.Local
	master    *scheduler.Master
	worker    *worker.Worker
	shuffle   shuffle.Service
	spill     *spill.Directory
}

// closeTimeout bounds how long jobs may take to be cancelled at Close.
const closeTimeout = 30 * time.Second

// New starts a cluster.
func New(ctx context.Context, o Options) (*Cluster, error) {
	o.Heartbeat = cmp.Or(o.Heartbeat, 100*time.Millisecond)
	c := &Cluster{transport: rpc.NewLocal(o.Wire), shuffle: o.Shuffle}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) (err error) {
	if c.store, err = raftstore.New(ctx, raftstore.MemoryStorage(), raftstore.Options{}); err != nil {
		return err
	}
	c.master, err = scheduler.New(ctx, scheduler.Options{
		Store: c.store, Dialer: c.transport, Fixed: true, Heartbeat: o.Heartbeat, Log: o.Log,
		Files: func(job config.Config) (checkpointing.Files, fs.FileSystem, error) {
			return storage.Open(o.FileSystems, job, arrow.DefaultAllocator)
		},
	})
	if err != nil {
		return err
	}
	c.transport.ServeMaster(c.master)
	return c.startWorker(ctx, o)
}

// exchangePart is the part of the memory that a partition of an exchange may hold
// for its reader. Many hold what their readers do not want yet, such as joins that
// still build; together they must leave room for what these wait for.
const exchangePart = 128

const workerID id.Worker = "embedded"

func (c *Cluster) startWorker(ctx context.Context, o Options) error {
	_, limit := memory.Divide(memory.OfProcess(o.Config))
	ledger, err := memory.New(memory.Options{Limit: limit, Option: config.Memory.Key()})
	if err != nil {
		return err
	}
	if c.spill, err = spill.Open(config.SpillDir.Get(o.Config), config.SpillLimit.Get(o.Config)); err != nil {
		return err
	}
	if c.shuffle == nil {
		c.shuffle = local.New(local.Options{
			Alloc:      ledger.Child("shuffle", 0).Allocator(),
			MostBudget: ledger.Limit()/exchangePart + 1,
			Tier: partition.NewTier(partition.TierOptions{
				MemoryBytes: min(partition.DefaultMemoryBytes, ledger.Limit()/8), Dir: c.spill.Root(), Disk: c.spill,
			}),
		})
	}
	state := ledger.Child("checkpoints", 0).Allocator()
	coordinators := coordinator.New(o.Connectors)
	c.worker, err = worker.New(worker.Options{
		ID: workerID, Slots: cmp.Or(config.Slots.Get(o.Config), runtime.GOMAXPROCS(0)), Dialer: c.transport,
		Shuffle: c.shuffle, Connectors: o.Connectors, Memory: ledger, Spill: c.spill, Coordinators: coordinators,
		Snapshots: func(_ id.Job, job config.Config) (task.Snapshots, error) {
			files, _, err := storage.Open(o.FileSystems, job, state)
			return files, err
		},
		NewTask: o.NewTask, Metrics: cmp.Or(o.Metrics, metric.NewRegistry(metric.Options{})), Log: o.Log,
	})
	if err != nil {
		return err
	}
	c.transport.ServeWorker(workerID, c.worker, coordinators)
	return c.worker.Start(ctx)
}

// Dispatcher runs the cluster's jobs.
func (c *Cluster) Dispatcher() *dispatcher.Dispatcher { return c.master.Dispatcher() }

// Client is the cluster as clients see it.
func (c *Cluster) Client() rpc.ClusterClient { return c.master }

// Dialer reaches the cluster's parts.
func (c *Cluster) Dialer() rpc.Dialer { return c.transport }

// Shuffle keeps the cluster's exchanges.
func (c *Cluster) Shuffle() shuffle.Service { return c.shuffle }

// Close cancels all jobs and ends every part, the last one started first.
func (c *Cluster) Close() error {
	ctx, stop := context.WithTimeout(context.Background(), closeTimeout)
	defer stop()
	var all error
	if c.master != nil {
		all = errors.Join(all, c.master.Close(ctx))
	}
	if c.worker != nil {
		all = errors.Join(all, c.worker.Close())
	}
	all = errors.Join(all, c.spill.Close())
	if c.store != nil {
		all = errors.Join(all, c.store.Close())
	}
	return all
}
