package jobmaster

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// Options say what to run, and with what.
type Options struct {
	Job   id.Job
	Term  id.Term // of the leadership under which the job master acts
	Graph *jobgraph.Graph
	// Slots is the number of slots that a vertex of parallelism 0 may count on.
	Slots     int
	Dialer    rpc.Dialer
	Resources *resource.Manager
	// Checkpoints opens where a job with these settings keeps its checkpoints; nil:
	// no job can take any.
	Checkpoints func(c config.Config) (*checkpointing.Store, error)
	// Decide records what a batch job is about to publish; nothing is published before it
	// has returned nil. It is called once, on a goroutine of its own. ErrDeposed suspends
	// the job, any other error fails it. Nil: the job ends with this job master.
	Decide func(ctx context.Context, p Publication) error
	// Decided is what an earlier job master has recorded: it is published, and the job
	// does not run again.
	Decided *Publication
	// Recovered says that an earlier job master had begun the job: one with checkpoints
	// goes on from its latest one.
	Recovered bool
	Log       *slog.Logger // nil: discarded
}

// Limits of what is kept and tried.
const (
	commitTries      = 5
	commitFirstPause = 100 * time.Millisecond
	// Of what was decided while workers are away: half a minute.
	handTries   = 12
	mostPause   = 5 * time.Second
	callTimeout = time.Minute // of one call to a worker
)

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// strategy reads the restart options. Rows that a client has read cannot be taken
// back, so a job with a result does not restart.
func strategy(c config.Config, hasResult bool) (execgraph.RestartStrategy, error) {
	kind := config.RestartStrategy.Get(c)
	attempts, delay := config.RestartAttempts.Get(c), config.RestartDelay.Get(c)
	switch {
	case hasResult || kind == "none" || attempts == 0:
		return execgraph.RestartStrategy{Kind: execgraph.RestartNone}, nil
	case kind == "fixed-delay":
		return execgraph.RestartStrategy{Kind: execgraph.RestartFixedDelay, Attempts: attempts, Delay: delay}, nil
	case kind == "exponential-delay":
		return execgraph.RestartStrategy{
			Kind: execgraph.RestartExponentialDelay, Attempts: 1 << 30, Delay: max(delay, time.Millisecond),
			MaxDelay: max(time.Minute, delay), Multiplier: 1.5, ResetAfter: time.Hour,
		}, nil
	default:
		return execgraph.RestartStrategy{}, failure.Errorf(failure.Usage, "unknown restart strategy %q", kind)
	}
}
