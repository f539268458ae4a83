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
	// StandBy restores keyed state ahead for attempts that are about to be deployed, and
	// returns once that is done. What it has restored ends with the term, or when it is called
	// again.
	StandBy(ctx context.Context, r *StandByRequest) (*StandByReply, error)
	// Cancel ends attempts; each reports CANCELLED or how else it ended. Unknown
	// ones are ignored.
	Cancel(ctx context.Context, r *CancelRequest) (*CancelReply, error)
	// Trigger asks sources for a barrier.
	Trigger(ctx context.Context, r *TriggerRequest) (*TriggerReply, error)
	// Notify tells attempts that a checkpoint is complete, or given up.
	Notify(ctx context.Context, r *NotifyRequest) (*NotifyReply, error)
	// Rewind brings partitions of exchanges of retention checkpoint back to a checkpoint. It
	// fails where something is not kept.
	Rewind(ctx context.Context, r *RewindRequest) (*RewindReply, error)
	// Drop forgets exchanges of a job, or all that the worker has of it. With
	// end_job it returns when nothing of the job runs here any more.
	Drop(ctx context.Context, r *DropRequest) (*DropReply, error)
	// StartCoordinator starts the job's coordinator task here.
	StartCoordinator(ctx context.Context, r *CoordinatorRequest) (*CoordinatorReply, error)
	// Logs returns the newest lines that the worker has logged about a job.
	Logs(ctx context.Context, r *LogsRequest) (*LogsReply, error)
}

// ShuffleClient is a shuffle server as its master sees it. Calls may be concurrent
// and repeated.
type ShuffleClient interface {
	// Drop forgets exchanges of a job, lanes of one, or all that it keeps of the job, under
	// this term or lower ones.
	Drop(ctx context.Context, r *ShuffleDropRequest) (*ShuffleDropReply, error)
	// Drain says that nothing new is placed at the server. It goes on serving what it
	// keeps, says in its heartbeats that it drains, and ends when it is told that nobody
	// needs it any more.
	Drain(ctx context.Context, r *DrainRequest) (*DrainReply, error)
	// HandOver writes a committed lane to another server and returns when that one has
	// committed it, and holds the same by rows, bytes and digest.
	HandOver(ctx context.Context, r *HandOverRequest) (*HandOverReply, error)
	// Lanes lists the committed lanes of an exchange that are there and not known to be
	// damaged; of an exchange that it does not know, none.
	Lanes(ctx context.Context, r *LanesRequest) (*LanesReply, error)
	// Stats counts what it keeps and has moved.
	Stats(ctx context.Context, r *ShuffleStatsRequest) (*ShuffleStats, error)
}

// ClusterClient is the leading master as clients see it. Calls may be concurrent. A
// job that is not known is NotFound.
type ClusterClient interface {
	// Submit stores a job and starts it: it survives every master from then on.
	Submit(ctx context.Context, r *SubmitRequest) (*SubmitReply, error)
	// GetJob describes a job, at once or when something has changed.
	GetJob(ctx context.Context, r *GetJobRequest) (*JobStatus, error)
	// ListJobs lists jobs, those that are over included, without vertices.
	ListJobs(ctx context.Context, r *ListJobsRequest) (*ListJobsReply, error)
	// CancelJob asks a job to end. One that is over stays as it is; its result, if there
	// is one, need not be kept any longer.
	CancelJob(ctx context.Context, r *CancelJobRequest) (*CancelJobReply, error)
	// Savepoint takes a savepoint, and waits for it a while: an answer without a path says
	// that it is still under way, and the same request waits on. One that fails leaves the
	// job as it is.
	Savepoint(ctx context.Context, r *SavepointRequest) (*SavepointReply, error)
	// Checkpoints tells what is remembered of a job's checkpoints.
	Checkpoints(ctx context.Context, r *CheckpointsRequest) (*CheckpointsReply, error)
	// Rescale says between how many subtasks the vertices of a streaming job are to run, or
	// reads it. It answers once that is stored; the job's status tells when it holds.
	Rescale(ctx context.Context, r *RescaleRequest) (*RescaleReply, error)
	// Nodes lists the masters, workers and shuffle servers.
	Nodes(ctx context.Context, r *NodesRequest) (*NodesReply, error)
	// Logs collects the newest lines about a job from masters and workers.
	Logs(ctx context.Context, r *LogsRequest) (*LogsReply, error)
	// DrainNode drains a shuffle server.
	DrainNode(ctx context.Context, r *DrainNodeRequest) (*DrainNodeReply, error)
	// Join adds a master, and is repeated by it until it succeeds.
	Join(ctx context.Context, r *JoinRequest) (*JoinReply, error)
	// Remove takes a master out for good.
	Remove(ctx context.Context, r *RemoveRequest) (*RemoveReply, error)
}

// MasterClient is the leading master as a worker sees it. Calls may be
// concurrent, except that reports about one attempt come in order. A master that
// does not lead, or is gone, answers Transient.
type MasterClient interface {
	// Register makes the worker's slots known, and tells what it runs. Registering again
	// replaces what was known: the worker's former attempts count as lost, and the reply
	// tells which of those that it runs it is to end.
	Register(ctx context.Context, r *RegisterRequest) (*RegisterReply, error)
	// Heartbeat says that the worker lives, and what its tasks have done.
	Heartbeat(ctx context.Context, r *HeartbeatRequest) (*HeartbeatReply, error)
	// Report says that an attempt has reached a state.
	Report(ctx context.Context, r *TaskReport) (*TaskReply, error)
	// Acknowledge gives an attempt's part of a checkpoint.
	Acknowledge(ctx context.Context, r *AckRequest) (*AckReply, error)
	// Decline says that an attempt could not take its part.
	Decline(ctx context.Context, r *DeclineRequest) (*DeclineReply, error)
	// Leave says that a worker or shuffle server is about to end: it counts as lost from
	// now on. One that is not known is no error.
	Leave(ctx context.Context, r *LeaveRequest) (*LeaveReply, error)
}

// CoordinatorClient is a job's coordinator task. Calls may be concurrent. A job
// whose coordinator does not run there answers ErrGone.
type CoordinatorClient interface {
	// NextSplit waits for a split for a source's subtask. A request that is repeated, as
	// its sequence says, is given the same answer.
	NextSplit(ctx context.Context, r *SplitRequest) (*SplitReply, error)
	// Reset takes back the splits of attempts that failed.
	Reset(ctx context.Context, r *ResetRequest) (*ResetReply, error)
	// Snapshot returns the positions of all enumerators.
	Snapshot(ctx context.Context, r *SnapshotRequest) (*SnapshotReply, error)
	// Commit publishes committables; the same ones may come again.
	Commit(ctx context.Context, r *CommitRequest) (*CommitReply, error)
	// Abort removes what committables have staged.
	Abort(ctx context.Context, r *AbortRequest) (*AbortReply, error)
	// Gather copies the files of a checkpoint into a directory, which then needs nothing
	// else: all of them, or nothing stays there. Damaged ones are BadData. A job without
	// coordinator is served, too.
	Gather(ctx context.Context, r *GatherRequest) (*GatherReply, error)
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
	// Shuffle is a shuffle server by its id; a call to one that is not there is
	// Transient.
	Shuffle(server string) ShuffleClient
}
