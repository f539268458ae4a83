package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// leftTimeout bounds the question to a server how much it has left.
const leftTimeout = time.Second

// DrainNode implements rpc.ClusterClient. It returns at once; Nodes tells what is left.
func (m *Master) DrainNode(ctx context.Context, r *rpc.DrainNodeRequest) (*rpc.DrainNodeReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	for _, k := range m.resources.Members() {
		if string(k.ID) != r.GetId() && k.Server.ID != r.GetId() {
			continue
		}
		if k.Slots > 0 {
			return nil, failure.Errorf(failure.Usage, "%s is a worker: only shuffle servers are drained", r.GetId())
		}
		ctx, stop := context.WithTimeout(ctx, askTimeout)
		defer stop()
		if _, err := m.opts.Dialer.Shuffle(k.Server.ID).Drain(ctx, &rpc.DrainRequest{}); err != nil {
			return nil, fmt.Errorf("drain %s: %w", r.GetId(), err)
		}
		m.resources.Drain(k.ID)
		m.opts.Log.Info("shuffle server drains", "server", k.ID)
		return &rpc.DrainNodeReply{}, nil
	}
	return nil, failure.Errorf(failure.NotFound, "there is no shuffle server %s", r.GetId())
}

// drained reports whether nobody needs a server any more that drains, and keeps something
// of so many jobs.
func (m *Master) drained(w id.Worker, server string, jobs int) bool {
	kept, _ := m.dispatcher.Kept(server)
	if jobs > 0 || kept > 0 {
		return false
	}
	m.resources.Drained(w)
	return true
}

// released reports whether a server that drains, and says so in a heartbeat, may end.
func (m *Master) released(ctx context.Context, r *rpc.HeartbeatRequest) bool {
	for _, k := range m.resources.Members() {
		if string(k.ID) == r.GetWorker() && k.Slots == 0 {
			return m.drained(k.ID, k.Server.ID, len(r.GetJobs())) && m.leads(ctx)
		}
	}
	return false
}

// left says of a server that drains what is left there, and what it waits for.
func (m *Master) left(ctx context.Context, k resource.State, n *rpc.Node) {
	if n.Drained = k.Drained; n.Drained {
		return
	}
	kept, why := m.dispatcher.Kept(k.Server.ID)
	n.KeptExchanges, n.Waits = uint32(kept), why
	ctx, stop := context.WithTimeout(ctx, leftTimeout)
	defer stop()
	st, err := m.opts.Dialer.Shuffle(k.Server.ID).Stats(ctx, &rpc.ShuffleStatsRequest{})
	if err != nil {
		n.Waits = "it does not answer: " + err.Error()
		return
	}
	n.KeptExchanges, n.KeptBytes = max(n.KeptExchanges, st.GetExchanges()), st.GetMemoryBytes()+st.GetDiskBytes()
	if n.Drained = m.drained(k.ID, k.Server.ID, int(st.GetExchanges())); !n.Drained && why == "" {
		n.Waits = "what is left is of jobs that are over: results that their clients read"
	}
}

// ended lists the servers that were drained and have ended.
func (m *Master) ended() (out []*rpc.Node) {
	for _, k := range m.resources.Ended() {
		out = append(out, &rpc.Node{
			Id: string(k.ID), Role: "shuffle", Address: rpc.AddressOf(string(k.ID)), Host: k.Server.Host, Draining: true, Drained: true,
			HeardMillis: time.Since(k.Heard).Milliseconds(), Shuffle: rpc.FromServer(k.Server),
		})
	}
	return out
}
