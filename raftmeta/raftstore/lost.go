package raftstore

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// absent knows which masters the leader does not hear of, and since when. A master that
// does not lead knows of none.
type absent struct {
	mu    sync.Mutex
	since map[raft.ServerID]time.Time
}

// begin forgets what was known: another leadership begins, or none.
func (a *absent) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = map[raft.ServerID]time.Time{}
}

// note takes what Raft has observed.
func (a *absent) note(o raft.Observation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch seen := o.Data.(type) {
	case raft.FailedHeartbeatObservation:
		if _, known := a.since[seen.PeerID]; known || a.since == nil {
			return
		}
		at := seen.LastContact
		if at.IsZero() { // not since the leadership began
			at = time.Now()
		}
		a.since[seen.PeerID] = at
	case raft.ResumedHeartbeatObservation:
		delete(a.since, seen.PeerID)
	}
}

// lost is since when a master is not heard of; zero: it is, or nobody asks it.
func (a *absent) lost(server raft.ServerID) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since[server]
}

// heartbeats are what absent wants to know.
func heartbeats(o *raft.Observation) bool {
	switch o.Data.(type) {
	case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation:
		return true
	}
	return false
}
