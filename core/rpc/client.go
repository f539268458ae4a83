package rpc

import (
	"context"

	"github.com/tidemill/tidemill/core/id"
)

// WorkerClient is a worker as its master sees it. Calls may be concurrent. They
// return when the worker has taken note, not when the work is done; each may be
// repeated. A worker that is gone answers Transient, a stale term ErrFenced.
type WorkerClient interface {
	// Deploy starts an attempt in a slot. What becomes of it is reported to the
	// master. A lower attempt of the same subtask is cancelled.
	Deploy(ctx context.Context, r *DeployRequest) (*DeployReply, error)
	// Cancel ends attempts; each reports CANCELLED or how else it ended. Unknown
	// ones are ignored.
	Cancel(ctx context.Context, r *CancelRequest) (*CancelReply, error)
	// Trigger asks sources for a barrier.
	Trigger(ctx context.Context, r *TriggerRequest) (*TriggerReply, error)
	// Notify tells attempts that a checkpoint is complete.
	Notify(ctx context.Context, r *NotifyRequest) (*NotifyReply, error)
	// Drop forgets exchanges of a job, or all that the worker has of it. With
	// end_job it returns when nothing of the job runs here any more.
	Drop(ctx context.Context, r *DropRequest) (*DropReply, error)
	// StartCoordinator starts the job's coordinator task here.
	StartCoordinator(ctx context.Context, r *CoordinatorRequest) (*CoordinatorReply, error)
}

// MasterClient is the leading master as a worker sees it. Calls may be
// concurrent, except that reports about one attempt come in order. A master that
// does not lead, or is gone, answers Transient.
type MasterClient interface {
	// Register makes the worker's slots known. Registering again replaces what was
	// known: the worker's former attempts count as lost.
	Register(ctx context.Context, r *RegisterRequest) (*RegisterReply, error)
	// Heartbeat says that the worker lives, and what its tasks have done.
	Heartbeat(ctx context.Context, r *HeartbeatRequest) (*HeartbeatReply, error)
	// Report says that an attempt has reached a state.
	Report(ctx context.Context, r *TaskReport) (*TaskReply, error)
	// Acknowledge gives an attempt's part of a checkpoint.
	Acknowledge(ctx context.Context, r *AckRequest) (*AckReply, error)
	// Decline says that an attempt could not take its part.
	Decline(ctx context.Context, r *DeclineRequest) (*DeclineReply, error)
}

// CoordinatorClient is a job's coordinator task. Calls may be concurrent. A job
// whose coordinator does not run there answers ErrGone.
type CoordinatorClient interface {
	// NextSplit waits for a split for a source's subtask.
	NextSplit(ctx context.Context, r *SplitRequest) (*SplitReply, error)
	// Reset takes back the splits of attempts that failed.
	Reset(ctx context.Context, r *ResetRequest) (*ResetReply, error)
	// Snapshot returns the positions of all enumerators.
	Snapshot(ctx context.Context, r *SnapshotRequest) (*SnapshotReply, error)
	// Commit publishes committables; the same ones may come again.
	Commit(ctx context.Context, r *CommitRequest) (*CommitReply, error)
	// Abort removes what committables have staged.
	Abort(ctx context.Context, r *AbortRequest) (*AbortReply, error)
	// Progress counts splits.
	Progress(ctx context.Context, r *ProgressRequest) (*ProgressReply, error)
}

// Dialer finds the other side. The clients that it returns need no closing.
type Dialer interface {
	// Master is the leading master, whoever that is at the time of a call.
	Master() MasterClient
	// Worker is a worker; a call to one that is not there is Transient.
	Worker(w id.Worker) WorkerClient
	// Coordinator is the coordinator tasks of a worker.
	Coordinator(w id.Worker) CoordinatorClient
}
