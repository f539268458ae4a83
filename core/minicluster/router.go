package minicluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler"
)

// router is the leading master of several, whoever that is at the time of a call, as
// core/rpc/network finds it: a call that gets no answer is made again.
type router struct{ of *masters }

var (
	_ rpc.MasterClient  = router{}
	_ rpc.ClusterClient = router{}
)

// ask calls the leading master until one has answered.
func ask[Q, R any](ctx context.Context, m *masters, method func(*scheduler.Master, context.Context, *Q) (*R, error), q *Q) (*R, error) {
	late := time.Now().Add(askPatience)
	for {
		last := rpc.NotLeader("")
		for _, l := range m.lives() {
			leader, err := l.candidate.Leading()
			if err != nil {
				continue
			}
			r, err := method(leader, ctx, q)
			if l.dead.Load() {
				err = failure.Wrap(failure.Transient, rpc.ErrUnreachable)
			}
			if err == nil || !errors.Is(err, rpc.ErrNotLeader) && !errors.Is(err, rpc.ErrUnreachable) {
				return r, err
			}
			last = err
		}
		if time.Now().After(late) {
			return nil, last
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}

// Register implements rpc.MasterClient.
func (r router) Register(ctx context.Context, q *rpc.RegisterRequest) (*rpc.RegisterReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Register, q)
}

// Heartbeat implements rpc.MasterClient.
func (r router) Heartbeat(ctx context.Context, q *rpc.HeartbeatRequest) (*rpc.HeartbeatReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Heartbeat, q)
}

// Report implements rpc.MasterClient.
func (r router) Report(ctx context.Context, q *rpc.TaskReport) (*rpc.TaskReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Report, q)
}

// Acknowledge implements rpc.MasterClient.
func (r router) Acknowledge(ctx context.Context, q *rpc.AckRequest) (*rpc.AckReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Acknowledge, q)
}

// Decline implements rpc.MasterClient.
func (r router) Decline(ctx context.Context, q *rpc.DeclineRequest) (*rpc.DeclineReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Decline, q)
}

// Leave implements rpc.MasterClient.
func (r router) Leave(ctx context.Context, q *rpc.LeaveRequest) (*rpc.LeaveReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Leave, q)
}

// Submit implements rpc.ClusterClient.
func (r router) Submit(ctx context.Context, q *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Submit, q)
}

// GetJob implements rpc.ClusterClient.
func (r router) GetJob(ctx context.Context, q *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	return ask(ctx, r.of, (*scheduler.Master).GetJob, q)
}

// CancelJob implements rpc.ClusterClient.
func (r router) CancelJob(ctx context.Context, q *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).CancelJob, q)
}

// ListJobs implements rpc.ClusterClient.
func (r router) ListJobs(ctx context.Context, q *rpc.ListJobsRequest) (*rpc.ListJobsReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).ListJobs, q)
}

// Savepoint implements rpc.ClusterClient.
func (r router) Savepoint(ctx context.Context, q *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Savepoint, q)
}

// Checkpoints implements rpc.ClusterClient.
func (r router) Checkpoints(ctx context.Context, q *rpc.CheckpointsRequest) (*rpc.CheckpointsReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Checkpoints, q)
}

// Rescale implements rpc.ClusterClient.
func (r router) Rescale(ctx context.Context, q *rpc.RescaleRequest) (*rpc.RescaleReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Rescale, q)
}

// Nodes implements rpc.ClusterClient.
func (r router) Nodes(ctx context.Context, q *rpc.NodesRequest) (*rpc.NodesReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Nodes, q)
}

// Logs implements rpc.ClusterClient.
func (r router) Logs(ctx context.Context, q *rpc.LogsRequest) (*rpc.LogsReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Logs, q)
}

// DrainNode implements rpc.ClusterClient.
func (r router) DrainNode(ctx context.Context, q *rpc.DrainNodeRequest) (*rpc.DrainNodeReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).DrainNode, q)
}

// Join implements rpc.ClusterClient.
func (r router) Join(ctx context.Context, q *rpc.JoinRequest) (*rpc.JoinReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Join, q)
}

// Remove implements rpc.ClusterClient.
func (r router) Remove(ctx context.Context, q *rpc.RemoveRequest) (*rpc.RemoveReply, error) {
	return ask(ctx, r.of, (*scheduler.Master).Remove, q)
}

// leader is the number of the master that leads, or of the first one that lives.
func (m *masters) leader() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := -1
	for i, n := range m.all {
		if n.life == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		if _, err := n.life.candidate.Leading(); err == nil {
			return i
		}
	}
	return first
}

// KillMaster ends the leading master of several as kill -9 does, with its disk where lost
// says so, and starts it again after a while. It returns when that one takes part again:
// only one is away at a time.
func (c *Cluster) KillMaster(ctx context.Context, lost bool, down time.Duration) error {
	m := c.masters
	i := m.leader()
	m.kill(i)
	if lost {
		n := m.all[i]
		n.storage = raftstore.MemoryStorage()
		if err := os.RemoveAll(n.blobs); err != nil {
			return err
		}
	}
	wait(ctx, down)
	if err := m.start(i, false); err != nil {
		return err
	}
	select {
	case <-m.all[i].life.joined:
	case <-m.root.Done():
	}
	return nil
}

// IsolateMaster cuts the leading master of several off from the others for a while;
// workers and clients still reach it.
func (c *Cluster) IsolateMaster(ctx context.Context, away time.Duration) {
	m := c.masters
	name := m.all[m.leader()].name
	m.links.isolate(name, true)
	wait(ctx, away)
	m.links.isolate(name, false)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
