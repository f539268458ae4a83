package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
)

// removeAfter is how long a master must not have been heard of before it is removed: on a
// busy machine one that is alive misses a heartbeat.
const removeAfter = 10 * time.Second

// Remove implements rpc.ClusterClient. What is alive is not removed: it is ended first. A
// master that is lost does not count any more then, so that the others need fewer for a
// majority; of its absence a leader must be sure, who needs a majority to lead.
func (m *Master) Remove(ctx context.Context, r *rpc.RemoveRequest) (*rpc.RemoveReply, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	if found, err := m.removeMaster(ctx, r.GetId()); found || err != nil {
		return &rpc.RemoveReply{}, err
	}
	for _, k := range m.resources.Members() {
		if string(k.ID) == r.GetId() {
			return nil, failure.Errorf(failure.Conflict, "remove %s: it is alive: end it, or drain a shuffle server, and it goes by itself", k.ID)
		}
	}
	if m.resources.Forget(id.Worker(r.GetId())) {
		return &rpc.RemoveReply{}, nil
	}
	return nil, failure.Errorf(failure.NotFound, "remove %s: there is no such node", r.GetId())
}

// removeMaster removes a master, if it is one.
func (m *Master) removeMaster(ctx context.Context, name string) (found bool, err error) {
	c, ok := m.opts.Store.(raftmeta.Cluster)
	if !ok {
		return false, nil
	}
	members, err := c.Members(ctx)
	if err != nil {
		return false, fmt.Errorf("list the masters: %w", err)
	}
	for _, k := range members {
		switch {
		case k.ID != name:
			continue
		case len(members) == 1:
			return true, failure.Errorf(failure.Conflict, "remove master %s: it is the last one", name)
		case name == m.opts.Name:
			return true, failure.Errorf(failure.Conflict, "remove master %s: it leads: end it first, and another one does", name)
		case k.Lost.IsZero():
			return true, failure.Errorf(failure.Conflict, "remove master %s: it is alive: end it first", name)
		}
		if silent := time.Since(k.Lost); silent < removeAfter {
			return true, failure.Errorf(failure.Conflict, "remove master %s: it was heard of %v ago and may be alive: it can be removed after %v of silence", name, silent.Round(time.Millisecond), removeAfter)
		}
		if err := c.Remove(ctx, name); err != nil {
			return true, fmt.Errorf("remove master %s: %w", name, err)
		}
		m.opts.Log.Info("master was removed", "master", name)
		return true, nil
	}
	return false, nil
}
