package jobmaster

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/metric"
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
	// Slots is the number of slots that there are when the job begins.
	Slots     int
	Dialer    rpc.Dialer
	Resources *resource.Manager
	// TicketKey signs tickets for shuffle servers; empty: they look at none.
	TicketKey []byte
	// Checkpoints opens where a job with these settings keeps its checkpoints; nil:
	// no job can take any.
	Checkpoints func(c config.Config) (*checkpointing.Store, error)
	// Decide records what a batch job is about to publish; nothing is published before it
	// has returned nil. It is called once, on a goroutine of its own. ErrDeposed suspends
	// the job, any other error fails it. Nil: the job ends with this job master.
	Decide func(ctx context.Context, p Publication) error
	// Stopped records that a job has ended with a savepoint in that directory, which is
	// complete: no job master runs it any more. Errors are as those of Decide, but that others
	// leave the job running. Nil: the job ends with this job master.
	Stopped func(ctx context.Context, directory string) error
	// Ends records how a job with checkpoints ends, before they are forgotten: without them
	// another job master would run it from its beginning, and publish all of it again. Errors
	// are as those of Decide, but that others change nothing. Nil: the job ends with this job
	// master.
	Ends func(ctx context.Context, state execgraph.JobState, cause error) error
	// Decided is what an earlier job master has recorded: it is published, and the job
	// does not run again.
	Decided *Publication
	// Requirements say with how many subtasks a streaming job is to run.
	Requirements Requirements
	// Runs is how many earlier job masters had begun the job: then one with checkpoints
	// goes on from its latest one, and attempts have numbers that were not used before.
	Runs int
	// Metrics shows what a streaming job does while it runs; nil: nobody looks.
	Metrics *metric.Registry
	Log     *slog.Logger // nil: discarded
}

// attemptsPerRun is how many attempts of a subtask each job master has numbers for.
const attemptsPerRun = 1 << 16

// Limits of what is kept and tried.
const (
	commitTries      = 5
	commitFirstPause = 100 * time.Millisecond
	// Of what was decided while workers are away: half a minute.
	handTries   = 12
	mostPause   = 5 * time.Second
	callTimeout = time.Minute // of one call to a worker
	// Of calls to shuffle servers: what they do not hear they find out.
	serverTimeout = 5 * time.Second
	probeTimeout  = time.Second
	// Of starting the coordinator task while workers are away: a few minutes.
	coordinatorTries = 60
)

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// strategy reads the restart options. What automatic means depends on whether the cluster
// is this process alone, or one of many, of which each may go.
func strategy(c config.Config, alone bool) (execgraph.RestartStrategy, error) {
	none := execgraph.RestartStrategy{Kind: execgraph.RestartNone}
	kind := config.RestartStrategy.Get(c)
	if kind == "automatic" {
		if kind = "exponential-delay"; alone {
			kind = "none"
		}
	}
	switch kind {
	case "none":
		return none, nil
	case "fixed-delay":
		attempts := config.RestartAttempts.Get(c)
		if attempts == 0 {
			return none, nil
		}
		return execgraph.RestartStrategy{Kind: execgraph.RestartFixedDelay, Attempts: attempts, Delay: config.RestartDelay.Get(c)}, nil
	case "failure-rate":
		return execgraph.RestartStrategy{
			Kind: execgraph.RestartFailureRate, Attempts: config.FailureRateMost.Get(c),
			Interval: config.FailureRateInterval.Get(c), Delay: config.FailureRateDelay.Get(c),
		}, nil
	case "exponential-delay":
		first := max(config.BackoffInitial.Get(c), time.Millisecond)
		return execgraph.RestartStrategy{
			Kind: execgraph.RestartExponentialDelay, Attempts: cmp.Or(config.BackoffAttempts.Get(c), 1<<30), Delay: first,
			MaxDelay: max(config.BackoffMost.Get(c), first), Multiplier: config.BackoffMultiplier.Get(c), ResetAfter: config.BackoffReset.Get(c),
		}, nil
	default:
		return none, failure.Errorf(failure.Usage, "unknown restart strategy %q", kind)
	}
}
