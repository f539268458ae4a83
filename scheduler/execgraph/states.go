package execgraph

import "github.com/tidemill/tidemill/core/invariant"

// JobState is the state of a job, by Flink's names.
type JobState uint8

// The states of a job.
const (
	JobInvalid JobState = iota
	JobInitializing
	JobCreated
	JobRunning
	JobRestarting
	JobFailing
	JobFailed
	JobCancelling
	JobCanceled
	JobFinished
	JobSuspended
)

var jobNames = [...]string{
	"INVALID", "INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "FAILED",
	"CANCELLING", "CANCELED", "FINISHED", "SUSPENDED",
}

func (s JobState) String() string { return jobNames[s] }

// Terminal reports whether the job is over, for this job master at least:
// a suspended job goes on under another one.
func (s JobState) Terminal() bool { return len(jobMoves[s]) == 0 }

// AttemptState is the state of an attempt, by Flink's names.
type AttemptState uint8

// The states of an attempt.
const (
	AttemptInvalid AttemptState = iota
	AttemptCreated
	AttemptScheduled
	AttemptDeploying
	AttemptInitializing
	AttemptRunning
	AttemptFinished
	AttemptCanceling
	AttemptCanceled
	AttemptFailed
)

var attemptNames = [...]string{
	"INVALID", "CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED",
	"CANCELING", "CANCELED", "FAILED",
}

func (s AttemptState) String() string { return attemptNames[s] }

// Terminal reports whether the attempt is over.
func (s AttemptState) Terminal() bool { return len(attemptMoves[s]) == 0 }

// RegionState is the state of a region; see the package's drawing.
type RegionState uint8

// The states of a region.
const (
	RegionInvalid RegionState = iota
	RegionWaiting
	RegionRequested
	RegionRunning
	RegionStopping
	RegionDelayed
	RegionFinished
	RegionEnded
)

var regionNames = [...]string{
	"INVALID", "WAITING", "REQUESTED", "RUNNING", "STOPPING", "DELAYED", "FINISHED", "ENDED",
}

func (s RegionState) String() string { return regionNames[s] }

// The legal moves. A state without moves is terminal.
var (
	jobMoves = [...][]JobState{
		JobInvalid:      {JobInitializing},
		JobInitializing: {JobCreated, JobFailing, JobCancelling, JobSuspended},
		JobCreated:      {JobRunning, JobFailing, JobCancelling, JobSuspended},
		JobRunning:      {JobRestarting, JobFailing, JobCancelling, JobFinished, JobSuspended},
		JobRestarting:   {JobRunning, JobFailing, JobCancelling, JobSuspended},
		JobFailing:      {JobFailed, JobCancelling, JobSuspended},
		JobCancelling:   {JobCanceled, JobSuspended},
		JobFailed:       {},
		JobCanceled:     {},
		JobFinished:     {},
		JobSuspended:    {},
	}
	attemptMoves = [...][]AttemptState{
		AttemptInvalid:      {AttemptCreated},
		AttemptCreated:      {AttemptScheduled, AttemptCanceled},
		AttemptScheduled:    {AttemptDeploying, AttemptCanceled},
		AttemptDeploying:    {AttemptInitializing, AttemptCanceling, AttemptFailed},
		AttemptInitializing: {AttemptRunning, AttemptCanceling, AttemptFailed},
		AttemptRunning:      {AttemptFinished, AttemptCanceling, AttemptFailed},
		AttemptCanceling:    {AttemptCanceled, AttemptFailed},
		AttemptFinished:     {},
		AttemptCanceled:     {},
		AttemptFailed:       {},
	}
	regionMoves = [...][]RegionState{
		RegionInvalid:   {RegionWaiting},
		RegionWaiting:   {RegionRequested, RegionStopping},
		RegionRequested: {RegionRunning, RegionStopping},
		RegionRunning:   {RegionFinished, RegionStopping},
		RegionStopping:  {RegionDelayed, RegionEnded},
		RegionDelayed:   {RegionWaiting, RegionStopping},
		RegionFinished:  {RegionStopping},
		RegionEnded:     {},
	}
)

type state interface {
	JobState | AttemptState | RegionState
	String() string
}

// move changes a state along its table. who names its owner in the panic that
// any other move is.
func move[S state](s *S, to S, table [][]S, who any) {
	for _, legal := range table[*s] {
		if legal == to {
			*s = to
			return
		}
	}
	invariant.Broken("execution graph: %v cannot move from %v to %v", who, *s, to)
}
