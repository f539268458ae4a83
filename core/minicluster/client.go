package minicluster

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/dispatcher"
	"github.com/tidemill/tidemill/scheduler/jobmaster"
)

// clients is a dispatcher as clients see it: the part of rpc.ClusterClient that
// sessions call.
type clients struct {
	rpc.ClusterClient
	d *dispatcher.Dispatcher
}

func (c clients) Submit(ctx context.Context, r *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	j, err := c.d.Submit(ctx, r.GetGraph())
	if err != nil {
		return nil, err
	}
	return &rpc.SubmitReply{Job: j[:]}, nil
}

func (c clients) GetJob(ctx context.Context, r *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	j := id.Job(r.GetJob())
	m, err := c.d.Master(j)
	if err != nil {
		return nil, err
	}
	done, err := c.d.Done(j)
	if err != nil {
		return nil, err
	}
	over := false
	if r.GetKnownState() == m.Status().State.String() {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-done:
		over = true
	default:
	}
	return status(m, over), nil
}

func status(m *jobmaster.Master, over bool) *rpc.JobStatus {
	s := m.Status()
	now := time.Now()
	out := &rpc.JobStatus{
		Job: s.Job[:], Name: s.Name, State: s.State.String(), Cause: rpc.ToFailure(s.Cause), Over: over,
		Started: now.Add(-s.Running).UnixMilli(), Ended: now.UnixMilli(), Restarts: uint32(s.Restarts), Checkpoints: uint64(s.Checkpoints),
		RowsWritten: uint64(s.Written.Rows), BytesWritten: uint64(s.Written.Bytes), FilesWritten: uint64(s.Written.Files),
	}
	sp := m.Splits(context.Background())
	out.SplitsAssigned, out.SplitsTotal = sp.GetSplitsAssigned(), sp.GetSplitsTotal()
	for i, v := range s.Vertices {
		w := &rpc.VertexStatus{
			Vertex: uint32(i), Name: v.Name, Source: v.Source, Parallelism: uint32(v.Parallelism), RowsIn: v.RowsIn, RowsOut: v.RowsOut,
			BytesIn: v.BytesIn, SpilledBytes: v.SpilledBytes, Subtasks: map[string]uint32{},
		}
		for k, n := range v.Subtasks {
			w.Subtasks[k.String()] = uint32(n)
		}
		if over {
			ops := m.Operators(id.Vertex(i))
			for n := range ops[0] {
				for _, op := range ops {
					w.Operators = append(w.Operators, op[n])
				}
			}
		}
		out.Vertices = append(out.Vertices, w)
	}
	for _, x := range m.Graph().GetExchanges() {
		if x.GetResult() {
			out.Result = &rpc.Edge{Exchange: x, Peers: uint32(m.Parallelism(id.Vertex(x.GetProducer())))}
		}
	}
	return out
}

func (c clients) ListJobs(context.Context, *rpc.ListJobsRequest) (*rpc.ListJobsReply, error) {
	out := &rpc.ListJobsReply{}
	for _, s := range c.d.List() {
		out.Jobs = append(out.Jobs, &rpc.JobStatus{Job: s.Job[:], Name: s.Name, State: s.State.String()})
	}
	return out, nil
}

func (c clients) CancelJob(_ context.Context, r *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	return &rpc.CancelJobReply{}, c.d.Cancel(id.Job(r.GetJob()))
}

func (c clients) Nodes(context.Context, *rpc.NodesRequest) (*rpc.NodesReply, error) {
	return &rpc.NodesReply{Nodes: []*rpc.Node{{Slots: uint32(c.d.Slots())}}}, nil
}

// Client is the cluster as clients see it.
func (c *Cluster) Client() rpc.ClusterClient { return clients{d: c.master.Dispatcher()} }
