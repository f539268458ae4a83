package scheduler

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
)

// Limits of what clients are answered.
const (
	defaultMost = 1000
	mostLines   = 10_000
	mostJobs    = 10_000
	// askTimeout bounds a question to one member.
	askTimeout = 5 * time.Second
	// askAtOnce is how many members are asked at a time.
	askAtOnce = 16
)

// Submit implements rpc.ClusterClient.
func (m *Master) Submit(ctx context.Context, r *rpc.SubmitRequest) (*rpc.SubmitReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	if r.GetGraph() == nil {
		return nil, failure.Errorf(failure.Usage, "submit: there is no job graph")
	}
	jobID := id.NewJob()
	if call := r.GetRequest(); len(call) > 0 {
		jobID = jobOf(call)
	}
	jobID, err := m.dispatcher.Accept(ctx, jobID, r.GetGraph())
	if err != nil {
		return nil, err
	}
	return &rpc.SubmitReply{Job: jobID[:]}, nil
}

// jobOf is the id of the job that a client's call starts: the same one whenever and
// wherever the call is repeated, and none that the client could choose.
func jobOf(call []byte) id.Job {
	sum := sha256.Sum256(append([]byte("tidemill job of call "), call...))
	return id.Job(sum[:])
}

// GetJob implements rpc.ClusterClient.
func (m *Master) GetJob(ctx context.Context, r *rpc.GetJobRequest) (*rpc.JobStatus, error) {
	jobID, err := m.named(r.GetJob())
	if err != nil {
		return nil, err
	}
	if r.GetKnownState() == "" && !r.GetAwaitResult() {
		return m.dispatcher.Describe(ctx, jobID)
	}
	return m.dispatcher.Poll(ctx, jobID, r.GetKnownState(), r.GetAwaitResult())
}

func (m *Master) named(job []byte) (id.Job, error) {
	if err := m.alive(); err != nil {
		return id.Job{}, err
	}
	if len(job) != len(id.Job{}) {
		return id.Job{}, failure.Errorf(failure.Usage, "a job's id has %d bytes, not %d", len(id.Job{}), len(job))
	}
	return id.Job(job), nil
}

// ListJobs implements rpc.ClusterClient.
func (m *Master) ListJobs(_ context.Context, r *rpc.ListJobsRequest) (*rpc.ListJobsReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	most := min(cmp.Or(int(r.GetMost()), defaultMost), mostJobs)
	return &rpc.ListJobsReply{Jobs: m.dispatcher.Briefs(most, r.GetRunning())}, nil
}

// CancelJob implements rpc.ClusterClient.
func (m *Master) CancelJob(ctx context.Context, r *rpc.CancelJobRequest) (*rpc.CancelJobReply, error) {
	jobID, err := m.named(r.GetJob())
	if err != nil {
		return nil, err
	}
	return &rpc.CancelJobReply{}, m.dispatcher.Cancel(ctx, jobID)
}

// Savepoint implements rpc.ClusterClient.
func (m *Master) Savepoint(ctx context.Context, r *rpc.SavepointRequest) (*rpc.SavepointReply, error) {
	jobID, err := m.named(r.GetJob())
	if err != nil {
		return nil, err
	}
	return m.dispatcher.Savepoint(ctx, jobID, r)
}

// Checkpoints implements rpc.ClusterClient.
func (m *Master) Checkpoints(_ context.Context, r *rpc.CheckpointsRequest) (*rpc.CheckpointsReply, error) {
	jobID, err := m.named(r.GetJob())
	if err != nil {
		return nil, err
	}
	return m.dispatcher.Checkpoints(jobID, int(min(r.GetMost(), defaultMost)))
}

// Nodes implements rpc.ClusterClient.
func (m *Master) Nodes(ctx context.Context, _ *rpc.NodesRequest) (*rpc.NodesReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	reply := &rpc.NodesReply{}
	if c, ok := m.opts.Store.(raftmeta.Cluster); ok {
		members, err := c.Members(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the masters: %w", err)
		}
		for _, k := range members {
			n := &rpc.Node{
				Id: k.ID, Role: "master", Address: cmp.Or(addressOf(k.ID), k.Address), Leader: k.ID == m.opts.Name,
				Joining: !k.Voter || m.joining.has(k.ID),
			}
			if n.Leader && m.opts.Address != "" {
				n.Address = m.opts.Address
			}
			if !k.Lost.IsZero() && !n.Leader {
				n.Lost, n.HeardMillis = true, time.Since(k.Lost).Milliseconds()
			}
			reply.Nodes = append(reply.Nodes, n)
		}
	} else {
		reply.Nodes = append(reply.Nodes, &rpc.Node{Id: m.opts.Name, Role: "master", Address: m.opts.Address, Leader: true})
	}
	for _, k := range m.resources.Members() {
		n := &rpc.Node{
			Id: string(k.ID), Role: "worker", Address: rpc.AddressOf(string(k.ID)), Host: k.Server.Host,
			Slots: uint32(k.Slots), FreeSlots: uint32(k.Free), MemoryBytes: k.Memory, MemoryUsed: k.MemoryUsed,
			Draining: k.Draining, HeardMillis: time.Since(k.Heard).Milliseconds(), Shuffle: rpc.FromServer(k.Server), Full: k.Full,
		}
		if k.Slots == 0 {
			n.Role = "shuffle"
		}
		if k.Draining {
			m.left(ctx, k, n)
		}
		reply.Nodes = append(reply.Nodes, n)
	}
	reply.Nodes = append(reply.Nodes, m.ended()...)
	return reply, nil
}

// Logs implements rpc.ClusterClient. Workers that cannot be asked are named in a line.
func (m *Master) Logs(ctx context.Context, r *rpc.LogsRequest) (*rpc.LogsReply, error) {
	jobID, err := m.named(r.GetJob())
	if err != nil {
		return nil, err
	}
	if _, err := m.dispatcher.Get(jobID); err != nil {
		return nil, err
	}
	most := min(cmp.Or(int(r.GetMost()), defaultMost), mostLines)
	var lines []*rpc.LogLine
	if m.opts.Logs != nil {
		lines = m.opts.Logs.Lines(jobID, most)
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	turns := make(chan struct{}, askAtOnce)
	for _, w := range m.resources.Workers() {
		turns <- struct{}{}
		asking.Go(func() {
			defer func() { <-turns }()
			ctx, stop := context.WithTimeout(ctx, askTimeout)
			defer stop()
			reply, err := m.opts.Dialer.Worker(w).Logs(ctx, &rpc.LogsRequest{Job: r.GetJob(), Most: uint32(most)})
			found := reply.GetLines()
			if err != nil {
				found = []*rpc.LogLine{{
					At: time.Now().UnixMilli(), Level: "WARN", Node: m.opts.Name, Text: fmt.Sprintf("lines of worker %s are missing: %v", w, err),
				}}
			}
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, found...)
		})
	}
	asking.Wait()
	slices.SortStableFunc(lines, func(a, b *rpc.LogLine) int {
		return cmp.Or(cmp.Compare(a.GetAt(), b.GetAt()), cmp.Compare(a.GetNode(), b.GetNode()))
	})
	return &rpc.LogsReply{Lines: lines[max(0, len(lines)-most):]}, nil
}

// Join implements rpc.ClusterClient.
func (m *Master) Join(ctx context.Context, r *rpc.JoinRequest) (*rpc.JoinReply, error) {
	c, err := m.masters()
	if err != nil {
		return nil, err
	}
	if r.GetId() == "" || r.GetAddress() == "" {
		return nil, failure.Errorf(failure.Usage, "join: a master has an id and an address")
	}
	defer m.joining.add(r.GetId())()
	if err := c.Join(ctx, raftmeta.Member{ID: r.GetId(), Address: r.GetAddress(), Voter: true}); err != nil {
		return nil, fmt.Errorf("join %s: %w", r.GetId(), err)
	}
	m.opts.Log.Info("master has joined", "master", r.GetId(), "address", r.GetAddress())
	return &rpc.JoinReply{}, nil
}

func (m *Master) masters() (raftmeta.Cluster, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	c, ok := m.opts.Store.(raftmeta.Cluster)
	if !ok {
		return nil, failure.Errorf(failure.Usage, "this master is alone for ever: it keeps its store without others")
	}
	return c, nil
}
