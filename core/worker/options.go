package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/coordinator"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/core/task"
	"github.com/tidemill/tidemill/shuffle"
)

// Task is one attempt; core/task's is one. Run is called once; the others may be
// called by any goroutine and return at once.
type Task interface {
	// Run runs the attempt to its end, which it has reported when it returns; ctx
	// ending cancels it.
	Run(ctx context.Context) error
	// Trigger asks a source for a barrier.
	Trigger(b stream.Barrier)
	// Overtake asks for the attempt's part of a checkpoint before its barrier has come.
	Overtake(b stream.Barrier)
	// Completed says that a checkpoint is complete.
	Completed(c id.Checkpoint)
	// GivenUp says that a checkpoint will not be complete.
	GivenUp(c id.Checkpoint)
	// Cancel makes Run return soon.
	Cancel()
}

// Options say who a worker is and what it lends its tasks.
type Options struct {
	ID     id.Worker // required
	Slots  int       // at least 1
	Dialer rpc.Dialer

	Shuffle shuffle.Service
	// Server is this process as a shuffle server, for the pipelined partitions that
	// its tasks read; the zero value: no other process reaches it.
	Server shuffle.Server
	// Daemon is the id of the shuffle server that keeps what its tasks write into
	// stored exchanges; empty: the master chooses.
	Daemon string
	// Apart: what Dialer reaches is in other processes.
	Apart      bool
	Connectors func(name string) (connector.Connector, error)
	// Functions finds the functions of the program's own operators; nil: there are none.
	Functions process.Functions
	Memory    *memory.Ledger
	Spill     *spill.Directory
	// StateDisk is where state goes that does not fit memory; nil: Spill.
	StateDisk *spill.Directory
	// Coordinators runs coordinator tasks.
	Coordinators *coordinator.Host
	// Snapshots opens where a job keeps its state; nil: no job can.
	Snapshots func(job id.Job, c config.Config) (task.Snapshots, error)
	// NewTask makes a task that is not running yet; nil: core/task's.
	NewTask func(d task.Descriptor, env task.Env) (Task, error)

	Metrics *metric.Registry // required: progress is read from it
	Log     *slog.Logger     // nil: discarded
	// Logs returns the newest lines that were logged about a job, oldest first; nil:
	// none are kept.
	Logs func(job id.Job, most int) []*rpc.LogLine
	// ReportLimit bounds the reports that wait for a master that cannot be reached;
	// beyond it tasks are cancelled. Zero means 65,536.
	ReportLimit int
}

// statePart is which part of a slot's memory the keys of an operator take at most, if its
// state is on disk and the job says nothing else.
const statePart = 4

// Pauses between attempts to reach the master.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
)

func (o Options) complete() (Options, error) {
	if o.ID == "" || o.Slots < 1 || o.Dialer == nil || o.Shuffle == nil || o.Memory == nil || o.Spill == nil || o.Coordinators == nil || o.Metrics == nil {
		return o, failure.Errorf(failure.Internal, "worker %q: options are incomplete", o.ID)
	}
	if o.NewTask == nil {
		o.NewTask = func(d task.Descriptor, env task.Env) (Task, error) { return task.New(d, env) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StateDisk == nil {
		o.StateDisk = o.Spill
	}
	if o.ReportLimit == 0 {
		o.ReportLimit = 1 << 16
	}
	return o, nil
}
