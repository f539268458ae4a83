package network

import (
	"context"
	"errors"
	"time"

	"github.com/tidemill/tidemill/core/rpc"
)

// The generated clients take options that nobody of ours gives.

type masterCalls struct{ to target }

var _ rpc.MasterClient = masterCalls{}

func (c masterCalls) Register(ctx context.Context, q *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	return call[rpc.RegisterReply](ctx, c.to, Master_Register_FullMethodName, q)
}

func (c masterCalls) Heartbeat(ctx context.Context, q *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	return call[rpc.HeartbeatReply](ctx, c.to, Master_Heartbeat_FullMethodName, q)
}

func (c masterCalls) Report(ctx context.Context, q *rpc.TaskReport) (*rpc.TaskReply, error) {
	return call[rpc.TaskReply](ctx, c.to, Master_Report_FullMethodName, q)
}

func (c masterCalls) Acknowledge(ctx context.Context, q *rpc.AckRequest) (*rpc.AckReply, error) {
	return call[rpc.AckReply](ctx, c.to, Master_Acknowledge_FullMethodName, q)
}

func (c masterCalls) Decline(ctx context.Context, q *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	return call[rpc.DeclineReply](ctx, c.to, Master_Decline_FullMethodName, q)
}

func (c masterCalls) Leave(ctx context.Context, q *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	return call[rpc.LeaveReply](ctx, c.to, Master_Leave_FullMethodName, q)
}

type workerCalls struct{ to target }

var _ rpc.WorkerClient = workerCalls{}

func (c workerCalls) Deploy(ctx context.Context, q *rpc.DeployRequest) (*rpc.DeployReply, error) {
	return call[rpc.DeployReply](ctx, c.to, Worker_Deploy_FullMethodName, q)
}

func (c workerCalls) StandBy(ctx context.Context, q *rpc.StandByRequest) (*rpc.StandByReply, error) {
	return call[rpc.StandByReply](ctx, c.to, Worker_StandBy_FullMethodName, q)
}

func (c workerCalls) Cancel(ctx context.Context, q *rpc.CancelRequest) (*rpc.CancelReply, error) {
	return call[rpc.CancelReply](ctx, c.to, Worker_Cancel_FullMethodName, q)
}

func (c workerCalls) Trigger(ctx context.Context, q *rpc.TriggerRequest) (*rpc.TriggerReply, error) {
	return call[rpc.TriggerReply](ctx, c.to, Worker_Trigger_FullMethodName, q)
}

func (c workerCalls) Notify(ctx context.Context, q *rpc.NotifyRequest) (*rpc.NotifyReply, error) {
	return call[rpc.NotifyReply](ctx, c.to, Worker_Notify_FullMethodName, q)
}

func (c workerCalls) Rewind(ctx context.Context, q *rpc.RewindRequest) (*rpc.RewindReply, error) {
	return call[rpc.RewindReply](ctx, c.to, Worker_Rewind_FullMethodName, q)
}

func (c workerCalls) Drop(ctx context.Context, q *rpc.DropRequest) (*rpc.DropReply, error) {
	return call[rpc.DropReply](ctx, c.to, Worker_Drop_FullMethodName, q)
}

func (c workerCalls) StartCoordinator(ctx context.Context, q *rpc.CoordinatorRequest) (*rpc.CoordinatorReply, error) {
	return call[rpc.CoordinatorReply](ctx, c.to, Worker_StartCoordinator_FullMethodName, q)
}

func (c workerCalls) Logs(ctx context.Context, q *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return call[rpc.LogsReply](ctx, c.to, Worker_Logs_FullMethodName, q)
}

type coordinatorCalls struct{ to target }

var _ rpc.CoordinatorClient = coordinatorCalls{}

// A request for a split is numbered, so it can be asked again when its way broke: the answer
// may have been lost on it.
const (
	splitTries = 3
	splitPause = 100 * time.Millisecond
)

func (c coordinatorCalls) NextSplit(ctx context.Context, q *rpc.SplitRequest) (*rpc.SplitReply, error) {
	for try := 1; ; try++ {
		r, err := call[rpc.SplitReply](ctx, c.to, Coordinator_NextSplit_FullMethodName, q)
		if !errors.Is(err, rpc.ErrUnreachable) || q.GetSequence() == 0 || try == splitTries {
			return r, err
		}
		select {
		case <-time.After(splitPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c coordinatorCalls) Reset(ctx context.Context, q *rpc.ResetRequest) (*rpc.ResetReply, error) {
	return call[rpc.ResetReply](ctx, c.to, Coordinator_Reset_FullMethodName, q)
}

func (c coordinatorCalls) Snapshot(ctx context.Context, q *rpc.SnapshotRequest) (*rpc.SnapshotReply, error) {
	return call[rpc.SnapshotReply](ctx, c.to, Coordinator_Snapshot_FullMethodName, q)
}

func (c coordinatorCalls) Commit(ctx context.Context, q *rpc.CommitRequest) (*rpc.CommitReply, error) {
	return call[rpc.CommitReply](ctx, c.to, Coordinator_Commit_FullMethodName, q)
}

func (c coordinatorCalls) Abort(ctx context.Context, q *rpc.AbortRequest) (*rpc.AbortReply, error) {
	return call[rpc.AbortReply](ctx, c.to, Coordinator_Abort_FullMethodName, q)
}

func (c coordinatorCalls) Gather(ctx context.Context, q *rpc.GatherRequest) (*rpc.GatherReply, error) {
	return call[rpc.GatherReply](ctx, c.to, Coordinator_Gather_FullMethodName, q)
}

func (c coordinatorCalls) Progress(ctx context.Context, q *rpc.ProgressRequest) (*rpc.ProgressReply, error) {
	return call[rpc.ProgressReply](ctx, c.to, Coordinator_Progress_FullMethodName, q)
}

type shuffleCalls struct{ to target }

var _ rpc.ShuffleClient = shuffleCalls{}

func (c shuffleCalls) Drop(ctx context.Context, q *rpc.ShuffleDropRequest) (*rpc.ShuffleDropReply, error) {
	return call[rpc.ShuffleDropReply](ctx, c.to, Shuffle_Drop_FullMethodName, q)
}

func (c shuffleCalls) Drain(ctx context.Context, q *rpc.DrainRequest) (*rpc.DrainReply, error) {
	return call[rpc.DrainReply](ctx, c.to, Shuffle_Drain_FullMethodName, q)
}

func (c shuffleCalls) Stats(ctx context.Context, q *rpc.ShuffleStatsRequest) (*rpc.ShuffleStats, error) {
	return call[rpc.ShuffleStats](ctx, c.to, Shuffle_Stats_FullMethodName, q)
}

func (c shuffleCalls) HandOver(ctx context.Context, q *rpc.HandOverRequest) (*rpc.HandOverReply, error) {
	return call[rpc.HandOverReply](ctx, c.to, Shuffle_HandOver_FullMethodName, q)
}

func (c shuffleCalls) Lanes(ctx context.Context, q *rpc.LanesRequest) (*rpc.LanesReply, error) {
	return call[rpc.LanesReply](ctx, c.to, Shuffle_Lanes_FullMethodName, q)
}

type clusterCalls struct{ to target }

var _ rpc.ClusterClient = clusterCalls{}

func (c clusterCalls) Submit(ctx context.Context, q *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	return call[rpc.SubmitReply](ctx, c.to, Cluster_Submit_FullMethodName, q)
}

func (c clusterCalls) GetJob(ctx context.Context, q *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	return call[rpc.JobStatus](ctx, c.to, Cluster_GetJob_FullMethodName, q)
}

func (c clusterCalls) ListJobs(ctx context.Context, q *rpc.ListJobsRequest) (*rpc.ListJobsReply, error) {
	return call[rpc.ListJobsReply](ctx, c.to, Cluster_ListJobs_FullMethodName, q)
}

func (c clusterCalls) CancelJob(ctx context.Context, q *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	return call[rpc.CancelJobReply](ctx, c.to, Cluster_CancelJob_FullMethodName, q)
}

func (c clusterCalls) Savepoint(ctx context.Context, q *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	return call[rpc.SavepointReply](ctx, c.to, Cluster_Savepoint_FullMethodName, q)
}

func (c clusterCalls) Checkpoints(ctx context.Context, q *rpc.CheckpointsRequest) (*rpc.CheckpointsReply, error) {
	return call[rpc.CheckpointsReply](ctx, c.to, Cluster_Checkpoints_FullMethodName, q)
}

func (c clusterCalls) Rescale(ctx context.Context, q *rpc.RescaleRequest) (*rpc.RescaleReply, error) {
	return call[rpc.RescaleReply](ctx, c.to, Cluster_Rescale_FullMethodName, q)
}

func (c clusterCalls) Nodes(ctx context.Context, q *rpc.NodesRequest) (*rpc.NodesReply, error) {
	return call[rpc.NodesReply](ctx, c.to, Cluster_Nodes_FullMethodName, q)
}

func (c clusterCalls) Logs(ctx context.Context, q *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return call[rpc.LogsReply](ctx, c.to, Cluster_Logs_FullMethodName, q)
}

func (c clusterCalls) DrainNode(ctx context.Context, q *rpc.DrainNodeRequest) (*rpc.DrainNodeReply, error) {
	return call[rpc.DrainNodeReply](ctx, c.to, Cluster_DrainNode_FullMethodName, q)
}

func (c clusterCalls) Join(ctx context.Context, q *rpc.JoinRequest) (*rpc.JoinReply, error) {
	return call[rpc.JoinReply](ctx, c.to, Cluster_Join_FullMethodName, q)
}

func (c clusterCalls) Remove(ctx context.Context, q *rpc.RemoveRequest) (*rpc.RemoveReply, error) {
	return call[rpc.RemoveReply](ctx, c.to, Cluster_Remove_FullMethodName, q)
}

type peerCalls struct{ to target }

var _ Peer = peerCalls{}

func (c peerCalls) Self(ctx context.Context, q *rpc.SelfRequest) (*rpc.SelfReply, error) {
	return call[rpc.SelfReply](ctx, c.to, Peer_Self_FullMethodName, q)
}

type blobsCalls struct{ to target }

var _ Blobs = blobsCalls{}

func (c blobsCalls) Put(ctx context.Context, q *rpc.BlobRequest) (*rpc.BlobReply, error) {
	return call[rpc.BlobReply](ctx, c.to, Blobs_Put_FullMethodName, q)
}

func (c blobsCalls) Get(ctx context.Context, q *rpc.BlobRequest) (*rpc.BlobReply, error) {
	return call[rpc.BlobReply](ctx, c.to, Blobs_Get_FullMethodName, q)
}
