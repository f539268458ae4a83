package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/raftmeta"
)

// bucket holds what the masters remember of the cluster.
const bucket raftmeta.Bucket = "cluster"

// Keys of the bucket.
const (
	keyTicket = "ticket-key" // security.KeyBytes bytes
	keyMemory = "members"    // a memory
)

// ticketKey reads the cluster's key, or makes it: once and for ever.
func ticketKey(ctx context.Context, s raftmeta.Store, term id.Term) ([]byte, error) {
	e, err := s.Get(ctx, bucket, keyTicket)
	if errors.Is(err, raftmeta.ErrNotFound) {
		_, err = s.Apply(ctx, raftmeta.Txn{Term: term}.Put(bucket, keyTicket, security.NewKey(), raftmeta.Absent))
		if err == nil || errors.Is(err, raftmeta.ErrConflict) {
			e, err = s.Get(ctx, bucket, keyTicket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's ticket key: %w", err)
	}
	if len(e.Value) != security.KeyBytes {
		return nil, failure.Errorf(failure.Fatal, "the cluster's ticket key has %d bytes, not %d", len(e.Value), security.KeyBytes)
	}
	return e.Value, nil
}

// memory is what a leader leaves to its successor, which waits for about as many to come
// back before it gives slots to jobs.
type memory struct {
	Version int
	Workers int
	Slots   int
	Servers int
}

const memoryVersion = 1

// recall reads what the leader before remembered; nothing, if there was none.
func recall(ctx context.Context, s raftmeta.Store) (memory, error) {
	e, err := s.Get(ctx, bucket, keyMemory)
	if errors.Is(err, raftmeta.ErrNotFound) {
		return memory{}, nil
	}
	var known memory
	if err == nil {
		if err = json.Unmarshal(e.Value, &known); err == nil && known.Version != memoryVersion {
			err = failure.Errorf(failure.Fatal, "version %d is not known", known.Version)
		}
	}
	if err != nil {
		return memory{}, fmt.Errorf("read how many members the cluster had: %w", err)
	}
	return known, nil
}

// welcome waits until the members that were known are back, or the grace period is over,
// lets jobs begin, and remembers from then on how many there are.
func (m *Master) welcome(known memory) {
	grace := time.NewTimer(m.opts.Grace)
	defer grace.Stop()
	for back := false; !back; {
		changed := m.resources.Changed()
		if now := m.count(); now.Slots >= known.Slots && now.Servers >= known.Servers {
			break
		}
		select {
		case <-changed:
		case <-grace.C:
			back = true
		case <-m.root.Done():
			return
		}
	}
	m.dispatcher.Begin()
	for {
		changed := m.resources.Changed()
		if now := m.count(); now != known {
			if err := m.remember(now); err != nil {
				m.opts.Log.Debug("the number of members was not stored", "error", err)
			} else {
				known = now
			}
		}
		select {
		case <-changed:
		case <-m.root.Done():
			return
		}
	}
}

func (m *Master) count() memory {
	now := memory{Version: memoryVersion}
	for _, k := range m.resources.Members() {
		if k.Slots == 0 {
			now.Servers++
			continue
		}
		now.Workers++
		now.Slots += k.Slots
	}
	return now
}

func (m *Master) remember(now memory) error {
	value, err := json.Marshal(now)
	if err != nil {
		return failure.Errorf(failure.Internal, "encode the number of members: %w", err)
	}
	_, err = m.opts.Store.Apply(m.root, raftmeta.Txn{Term: m.term}.Put(bucket, keyMemory, value, raftmeta.Any))
	return err
}
