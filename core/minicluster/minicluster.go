package minicluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	arrow "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/core/worker"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta/blobstore"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/shuffle"
)

// Options say what a cluster is made of.
type Options struct {
	// Config has the process's settings: worker.slots, worker.memory.size,
	// io.tmp.dir and the like. Settings of jobs are in their graphs.
	Config config.Config
	// Connectors finds a connector by the value of its 'connector' option.
	Connectors func(name string) (connector.Connector, error)
	// Functions finds the functions of the program's own operators; nil: there are none.
	Functions process.Functions
	// FileSystems hold checkpoints.
	FileSystems *fs.Registry
	Metrics     *metric.Registry // nil: one of its own
	Log         *slog.Logger     // nil: discarded
	// Wire has every control-plane message go through its encoding, and faults.
	Wire rpc.LocalOptions
	// Heartbeat is how often progress is reported; zero means 100 ms.
	Heartbeat time.Duration

	// Workers is how many there are; zero means one. The exchanges of several go over
	// connections in memory, as those of many processes do over their network; the memory
	// is divided among them.
	Workers int
	// Servers is how many shuffle servers there are beside them, to which workers write in
	// turn; without one, workers keep what they write themselves.
	Servers int
	// Masters is how many there are; zero means one. Several need several workers or
	// servers, and a directory for their blobs; of them KillMaster ends one.
	Masters int
	Blobs   string

	// Shuffle and NewTask replace the parts of that name; nil: the real ones.
	Shuffle shuffle.Service
	NewTask func(d task.Descriptor, env task.Env) (worker.Task, error)
}

// Cluster is a running cluster.
type Cluster struct {
	store     *raftstore.Store
	transport *rpc.Local
	master    *scheduler.Master // nil: there are several
	masters   *masters
	nodes     []*node // workers, then shuffle servers
	shuffle   shuffle.Service
	closeOwn  func() error                           // of the shuffle service of clients, where it is not a worker's
	join      func(ctx context.Context, i int) error // starts worker i
	joined    int
	key       atomic.Pointer[[]byte] // of tickets
	doors     sync.Map               // by address
}

// patience is how long a node may be silent: in one process none dies without its end
// being told.
const patience = time.Hour

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
	if o.Masters > 1 {
		if err := c.startMasters(ctx, o); err != nil {
			return err
		}
		return c.startNodes(ctx, o)
	}
	if c.store, err = raftstore.New(ctx, raftstore.MemoryStorage(), raftstore.Options{}); err != nil {
		return err
	}
	c.master, err = scheduler.New(ctx, scheduler.Options{
		Store: c.store, Blobs: blobstore.NewMemory(blobstore.Options{}), Dialer: c.transport, Fixed: !o.apart(), Timeout: patience, Heartbeat: o.Heartbeat, Log: o.Log,
		Files: func(job config.Config) (checkpointing.Files, fs.FileSystem, error) {
			return storage.Open(o.FileSystems, job, arrow.DefaultAllocator)
		},
	})
	if err != nil {
		return err
	}
	c.transport.ServeMaster(c.master)
	if o.apart() {
		return c.startNodes(ctx, o)
	}
	n, err := c.newNode(workerID, o, 1)
	if err != nil {
		return err
	}
	if c.shuffle == nil {
		c.shuffle = n.local
	}
	return c.startWorker(ctx, o, n, c.shuffle)
}

// apart says that there are several processes in this one.
func (o Options) apart() bool { return o.Workers > 1 || o.Servers > 0 }

// Dispatcher runs the jobs of a cluster with one master.
func (c *Cluster) Dispatcher() *dispatcher.Dispatcher { return c.master.Dispatcher() }

// Client is the cluster as clients see it.
func (c *Cluster) Client() rpc.ClusterClient {
	if c.masters != nil {
		return router{of: c.masters}
	}
	return c.master
}

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
	if c.masters != nil {
		all = errors.Join(all, c.masters.close(ctx))
	}
	if c.closeOwn != nil {
		all = errors.Join(all, c.closeOwn())
	}
	for _, n := range slices.Backward(c.nodes) {
		all = errors.Join(all, n.close())
	}
	if c.store != nil {
		all = errors.Join(all, c.store.Close())
	}
	return all
}
