package task

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keyfilter"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator/join"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/shuffle"
)

// Descriptor says what to run. It is made of what travels in a message: specs,
// numbers and state handles.
type Descriptor struct {
	Job     id.Job
	Term    id.Term // of the job master
	Attempt id.Attempt
	Vertex  *jobgraph.Vertex
	// In and Out are the vertex's exchanges, in the order of Vertex.Inputs and
	// Vertex.Outputs.
	In, Out     []Edge
	Parallelism int
	KeyGroups   int
	// Streaming is the job's mode: it decides nothing in operators, but a task
	// takes checkpoints only where it is set.
	Streaming bool
	// Restore is what the subtask starts from; nil for a fresh start.
	Restore *checkpoint.Restore
	Options Options
}

// Edge is an exchange with the parallelism of the vertex at its other end (1 for
// a result that the client reads).
type Edge struct {
	Exchange *jobgraph.Exchange
	Peers    int
	// Placement says where it is; the zero value: in this process.
	Placement shuffle.Placement
	// Partitions is how many it has; 0: as many as its distribution says of the
	// parallelism at both ends.
	Partitions int
	// Ranges are the partitions that subtasks read, where that is not one each: subtask
	// i those from Ranges[i] to below Ranges[i+1], except Empty ones, which have no rows.
	Ranges []uint32
	Empty  []uint32 // ascending
}

// Options are the settings of a task. Zero values mean the defaults.
type Options struct {
	// BatchRows is the most rows an operator emits at a time;
	// stream.TargetRows.
	BatchRows int
	// Flush is how long rows wait in a partition's buffer while nothing else
	// fills it (`exchange.flush`); 5 ms.
	Flush time.Duration
	// ExchangeBudget bounds what a partition holds in memory for its reader
	// (`exchange.budget`); zero leaves it to the shuffle service.
	ExchangeBudget int64
	// MostInFlight bounds what is kept of what a checkpoint overtakes; 128 MiB. Credit
	// bounds it before: what exchanges hold, and what producers still send of the batch
	// they were blocked with.
	MostInFlight int64
	// Zone is the session's time zone (`table.local-time-zone`); nil means UTC.
	Zone *time.Location
	// StateOnDisk has keyed state that does not fit StateBudget bytes (0: Env.StateBudget)
	// of an operator in Env.State (`state.backend.type`), wherever that has its files.
	StateOnDisk bool
	StateBudget int64
	// Timed has the time of each operator measured (`metrics.operator-time`).
	Timed bool

	bufferBytes int64 // at which a partition's buffer is sent; zero: stream.TargetBytes
}

func (o Options) complete() Options {
	o.BatchRows = cmp.Or(o.BatchRows, stream.TargetRows)
	o.Flush = cmp.Or(o.Flush, 5*time.Millisecond)
	o.MostInFlight = cmp.Or(o.MostInFlight, 128<<20)
	return o
}

// Env is what a worker lends its tasks. Everything in it may be used by several
// tasks at once.
type Env struct {
	Shuffle shuffle.Service
	// Connectors finds a connector by the value of its 'connector' option.
	Connectors func(name string) (connector.Connector, error)
	// Functions finds the functions of the program's own operators; nil: there are none.
	Functions  process.Functions
	Splits     SplitSource
	SlowSplits bool // Splits asks another process
	Reporter   Reporter
	// Snapshots writes and reads state files; needed where Descriptor.Streaming
	// is set or there is something to restore.
	Snapshots Snapshots
	// Memory is the account below which the task opens its own.
	Memory *memory.Account
	// Filters are what joins of the job tell its scans; nil: nothing.
	Filters *keyfilter.Set
	// Builds is where joins of the job share what they build here; nil: nowhere.
	Builds *join.Builds
	// Spill is where operators put what does not fit memory.
	Spill *spill.Directory
	// State is where keyed state goes that does not fit; needed where Options.StateOnDisk
	// is set.
	State       *pebblestate.Home
	StateBudget int64
	// Standby is what was restored ahead for tasks of the job; nil: nothing.
	Standby *Standby
	Metrics *metric.Scope // may be nil
	Log     *slog.Logger  // nil: discarded
	// Now is processing time; nil: time.Now.
	Now func() time.Time
}

// SplitSource hands out splits of a source vertex: the job's coordinator task,
// seen from a source's subtask. Calls may be concurrent.
type SplitSource interface {
	// NextSplit waits for a split for the subtask; false means that there will
	// never be one again.
	NextSplit(ctx context.Context, job id.Job, to id.Attempt) (connector.Split, bool, error)
}

// Reporter is told what becomes of tasks: the job master, seen from a worker.
// Calls come from the task's goroutines, for one attempt never two at a time;
// they must not block for long. The last call for an attempt is State with a
// state that Ended.
type Reporter interface {
	// State says that the attempt has reached s; cause is set with Failed, and
	// done with Finished and Cancelled, there with counts only.
	State(job id.Job, attempt id.Attempt, s State, done *Done, cause error)
	// Acknowledge says that the attempt's part of a checkpoint is safe.
	Acknowledge(job id.Job, attempt id.Attempt, a Ack)
	// Decline says that the attempt could not take its part of a checkpoint, but
	// goes on.
	Decline(job id.Job, attempt id.Attempt, c id.Checkpoint, cause error)
}

// Snapshots is where the keyed state of checkpoints is kept;
// core/checkpoint/storage implements it. Calls may be concurrent.
type Snapshots interface {
	// Write stores a snapshot of one operator under a name that is unique in the
	// checkpoint, and returns its handles; none for an empty one.
	Write(ctx context.Context, job id.Job, c id.Checkpoint, name string, s state.Snapshot) ([]*checkpoint.Handle, error)
	// Restore gives what a chain names to a backend of a job with so many key groups: it is
	// read, or adopted if the backend is a state.Adopter.
	Restore(ctx context.Context, chain checkpoint.Chain, groups int, into state.Backend) error
	// WriteInFlight stores blocks of what is in flight under a name that is unique in the
	// checkpoint, and returns a handle of each, without its rows and groups.
	WriteInFlight(ctx context.Context, job id.Job, c id.Checkpoint, name string, blocks iter.Seq2[[]byte, error]) ([]*checkpoint.Handle, error)
	// ReadInFlight reads a block back.
	ReadInFlight(ctx context.Context, h *checkpoint.Handle) ([]byte, error)
	// Homes is where tasks of a job have directories for state besides (checkpoint.NewHome).
	Homes(job id.Job) (fs.FileSystem, string, error)
}

// Ack is a subtask's part of a checkpoint.
type Ack struct {
	Barrier stream.Barrier
	State   *checkpoint.SubtaskState
	// Committables are what sinks of the chain have made ready to publish.
	Committables []Committable
	// Aligned is how long inputs waited for each other, Paused how long the task
	// stood still for its snapshot, Wrote how long the rest took aside.
	Aligned, Paused, Wrote time.Duration
	// Overtaken: the barrier had not come on all inputs; InFlight is how many bytes came
	// before it.
	Overtaken bool
	InFlight  int64
	// WroteBytes is how much keyed state was written for it.
	WroteBytes int64
}

// Committable is a sink's staged output with the operator it came from.
type Committable struct {
	Operator string // uid
	connector.Committable
}

// Done is what a finished subtask leaves.
type Done struct {
	Manifests    []ExchangeManifest
	Committables []Committable
	RowsIn       uint64
	RowsOut      uint64
	BytesIn      uint64
	SpilledBytes uint64
	Late, Future uint64 // as of Standing, as the following
	Rejected     uint64
	Operators    []OperatorCounts // of the chain, in its order; none if it was never built
}

// ExchangeManifest is the manifest of the subtask's lane of an exchange.
type ExchangeManifest struct {
	Exchange id.Exchange
	shuffle.Manifest
	// Discarded says that another attempt had won the lane: nothing of this one is there.
	Discarded bool
}

// State is how far an attempt has come.
type State uint8

// The states: Deploying -> Running -> Finished, and from the first two to
// Failed or Cancelled.
const (
	InvalidState State = iota
	Deploying          // building operators, restoring state
	Running
	Finished
	Failed
	Cancelled
)

var stateNames = [...]string{"invalid", "DEPLOYING", "RUNNING", "FINISHED", "FAILED", "CANCELLED"}

// String is the state in capitals, as users see it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("STATE %d", uint8(s))
}

// Ended reports whether nothing follows the state.
func (s State) Ended() bool { return s >= Finished }
