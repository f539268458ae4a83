package rpc

import (
	"context"

	"github.com/tidemill/tidemill/core/id"
)

type localMaster struct {
	l *Local
}

var _ MasterClient = localMaster{}

func (c localMaster) find() MasterClient { return c.l.master }

func (c localMaster) Register(ctx context.Context, q *RegisterRequest) (*RegisterReply, error) {
	return call(ctx, c.l, "master.Register", c.find, MasterClient.Register, q)
}

func (c localMaster) Heartbeat(ctx context.Context, q *HeartbeatRequest) (*HeartbeatReply, error) {
	return call(ctx, c.l, "master.Heartbeat", c.find, MasterClient.Heartbeat, q)
}

func (c localMaster) Report(ctx context.Context, q *TaskReport) (*TaskReply, error) {
	return call(ctx, c.l, "master.Report", c.find, MasterClient.Report, q)
}

func (c localMaster) Acknowledge(ctx context.Context, q *AckRequest) (*AckReply, error) {
	return call(ctx, c.l, "master.Acknowledge", c.find, MasterClient.Acknowledge, q)
}

func (c localMaster) Decline(ctx context.Context, q *DeclineRequest) (*DeclineReply, error) {
	return call(ctx, c.l, "master.Decline", c.find, MasterClient.Decline, q)
}

func (c localMaster) Leave(ctx context.Context, q *LeaveRequest) (*LeaveReply, error) {
	return call(ctx, c.l, "master.Leave", c.find, MasterClient.Leave, q)
}

type localWorker struct {
	l *Local
	w id.Worker
}

var _ WorkerClient = localWorker{}

func (c localWorker) find() WorkerClient { return c.l.workers[c.w] }

func (c localWorker) Deploy(ctx context.Context, q *DeployRequest) (*DeployReply, error) {
	return call(ctx, c.l, "worker.Deploy", c.find, WorkerClient.Deploy, q)
}

func (c localWorker) StandBy(ctx context.Context, q *StandByRequest) (*StandByReply, error) {
	return call(ctx, c.l, "worker.StandBy", c.find, WorkerClient.StandBy, q)
}

func (c localWorker) Cancel(ctx context.Context, q *CancelRequest) (*CancelReply, error) {
	return call(ctx, c.l, "worker.Cancel", c.find, WorkerClient.Cancel, q)
}

func (c localWorker) Trigger(ctx context.Context, q *TriggerRequest) (*TriggerReply, error) {
	return call(ctx, c.l, "worker.Trigger", c.find, WorkerClient.Trigger, q)
}

func (c localWorker) Notify(ctx context.Context, q *NotifyRequest) (*NotifyReply, error) {
	return call(ctx, c.l, "worker.Notify", c.find, WorkerClient.Notify, q)
}

func (c localWorker) Rewind(ctx context.Context, q *RewindRequest) (*RewindReply, error) {
	return call(ctx, c.l, "worker.Rewind", c.find, WorkerClient.Rewind, q)
}

func (c localWorker) Drop(ctx context.Context, q *DropRequest) (*DropReply, error) {
	return call(ctx, c.l, "worker.Drop", c.find, WorkerClient.Drop, q)
}

func (c localWorker) StartCoordinator(ctx context.Context, q *CoordinatorRequest) (*CoordinatorReply, error) {
	return call(ctx, c.l, "worker.StartCoordinator", c.find, WorkerClient.StartCoordinator, q)
}

func (c localWorker) Logs(ctx context.Context, q *LogsRequest) (*LogsReply, error) {
	return call(ctx, c.l, "worker.Logs", c.find, WorkerClient.Logs, q)
}

type localShuffle struct {
	l      *Local
	server string
}

var _ ShuffleClient = localShuffle{}

func (c localShuffle) find() ShuffleClient { return c.l.shuffles[c.server] }

func (c localShuffle) Drop(ctx context.Context, q *ShuffleDropRequest) (*ShuffleDropReply, error) {
	return call(ctx, c.l, "shuffle.Drop", c.find, ShuffleClient.Drop, q)
}

func (c localShuffle) Drain(ctx context.Context, q *DrainRequest) (*DrainReply, error) {
	return call(ctx, c.l, "shuffle.Drain", c.find, ShuffleClient.Drain, q)
}

func (c localShuffle) Stats(ctx context.Context, q *ShuffleStatsRequest) (*ShuffleStats, error) {
	return call(ctx, c.l, "shuffle.Stats", c.find, ShuffleClient.Stats, q)
}

func (c localShuffle) HandOver(ctx context.Context, q *HandOverRequest) (*HandOverReply, error) {
	return call(ctx, c.l, "shuffle.HandOver", c.find, ShuffleClient.HandOver, q)
}

func (c localShuffle) Lanes(ctx context.Context, q *LanesRequest) (*LanesReply, error) {
	return call(ctx, c.l, "shuffle.Lanes", c.find, ShuffleClient.Lanes, q)
}

type localCoordinator struct {
	l *Local
	w id.Worker
}

var _ CoordinatorClient = localCoordinator{}

func (c localCoordinator) find() CoordinatorClient { return c.l.coordinators[c.w] }

func (c localCoordinator) NextSplit(ctx context.Context, q *SplitRequest) (*SplitReply, error) {
	return call(ctx, c.l, "coordinator.NextSplit", c.find, CoordinatorClient.NextSplit, q)
}

func (c localCoordinator) Reset(ctx context.Context, q *ResetRequest) (*ResetReply, error) {
	return call(ctx, c.l, "coordinator.Reset", c.find, CoordinatorClient.Reset, q)
}

func (c localCoordinator) Snapshot(ctx context.Context, q *SnapshotRequest) (*SnapshotReply, error) {
	return call(ctx, c.l, "coordinator.Snapshot", c.find, CoordinatorClient.Snapshot, q)
}

func (c localCoordinator) Commit(ctx context.Context, q *CommitRequest) (*CommitReply, error) {
	return call(ctx, c.l, "coordinator.Commit", c.find, CoordinatorClient.Commit, q)
}

func (c localCoordinator) Abort(ctx context.Context, q *AbortRequest) (*AbortReply, error) {
	return call(ctx, c.l, "coordinator.Abort", c.find, CoordinatorClient.Abort, q)
}

func (c localCoordinator) Gather(ctx context.Context, q *GatherRequest) (*GatherReply, error) {
	return call(ctx, c.l, "coordinator.Gather", c.find, CoordinatorClient.Gather, q)
}

func (c localCoordinator) Progress(ctx context.Context, q *ProgressRequest) (*ProgressReply, error) {
	return call(ctx, c.l, "coordinator.Progress", c.find, CoordinatorClient.Progress, q)
}
