package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/raftmeta"
)

// A master that lost its disk has forgotten that there is a cluster. If it began one
// again because it was told to once, there would be two. So who is told to begin a cluster
// and of other masters asks each of them first:
//
//	one is in a cluster                join that; the former life of this one is replaced
//	all say that they are in none      begin one, unless one of them is to begin it, too,
//	                                   and goes first by its name
//	none is, but not all have answered ask again: who is silent may be in one
//
// Who knows of no other master has nobody to ask, and begins a cluster. If it is one of
// another cluster's, having lost its disk, the others tell it, and it ends: by its log's
// address, where they go on calling its earlier life (raftstore), or, if its log is elsewhere
// now, at its door, where the leading master asks all that it does not hear of.
const (
	askTimeout  = 2 * time.Second
	lostPause   = time.Second // between two questions of a leader to those that it lost
	askPause    = 100 * time.Millisecond
	mostAsking  = time.Second // between two rounds of questions
	joinTimeout = time.Minute // for the answer to one request to join
)

// enter makes this master one of a cluster's.
func (m *Master) enter(ctx context.Context) {
	founded, err := false, error(nil)
	if m.founding.Load() {
		founded, err = m.found(ctx)
		m.founding.Store(false)
	}
	if err == nil && !founded {
		err = m.join(ctx)
	}
	if err != nil && ctx.Err() == nil {
		m.opts.Log.Error("this master is in no cluster", "error", err)
	}
}

// found begins a cluster, or returns false when there is one to be joined.
func (m *Master) found(ctx context.Context) (bool, error) {
	told := ""
	for pause := askPause; ; pause = min(2*pause, mostAsking) {
		answers, silent := m.askOthers(ctx)
		waits := "masters that do not answer: " + strings.Join(silent, ", ")
		before := slices.IndexFunc(answers, func(a *rpc.SelfReply) bool { return a.GetFounding() && a.GetId() < m.id })
		switch {
		case slices.ContainsFunc(answers, func(a *rpc.SelfReply) bool { return len(a.GetMembers()) > 0 }):
			m.opts.Log.Info("there is a cluster: this master joins it and begins none")
			return false, nil
		case len(silent) > 0:
		case before >= 0:
			waits = "a cluster that " + answers[before].GetId() + " is to begin"
		default:
			err := m.store.Bootstrap(ctx)
			if failure.Of(err) == failure.Conflict { // a cluster has reached us in the meantime
				return false, nil
			}
			if err == nil {
				m.opts.Log.Info("this master begins a cluster: no other one is in any")
			}
			return true, err
		}
		if waits != told {
			m.opts.Log.Warn("this master is to begin a cluster, and does not know yet whether there is one", "waits for", waits)
			told = waits
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// askOthers asks the masters that this one was told of what they know of a cluster. It
// leaves out itself; silent are those without an answer, and why.
func (m *Master) askOthers(ctx context.Context) (answers []*rpc.SelfReply, silent []string) {
	ctx, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	replies, errs := make([]*rpc.SelfReply, len(m.opts.Masters)), make([]error, len(m.opts.Masters))
	var asking sync.WaitGroup
	for i, address := range m.opts.Masters {
		asking.Go(func() { replies[i], errs[i] = m.network.Peer(address).Self(ctx, &rpc.SelfRequest{}) })
	}
	asking.Wait()
	for i, r := range replies {
		switch {
		case errs[i] != nil && errors.Is(errs[i], rpc.ErrUnreachable), errs[i] != nil && ctx.Err() != nil:
			silent = append(silent, m.opts.Masters[i])
		case errs[i] != nil:
			silent = append(silent, fmt.Sprintf("%s (%v)", m.opts.Masters[i], errs[i]))
		case r.GetId() != m.id:
			answers = append(answers, r)
		}
	}
	return answers, silent
}

// join has the leading master add this one, or learn its address.
func (m *Master) join(ctx context.Context) error {
	return m.insist(ctx, "joining", func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, joinTimeout)
		defer stop()
		_, err := m.network.Cluster().Join(ctx, &rpc.JoinRequest{Id: m.id, Address: m.logAddress})
		if failure.Of(err) == failure.Cancelled { // it took too long, or who led has ended meanwhile
			err = failure.Wrap(failure.Transient, err)
		}
		return err
	})
}

// callLost has a master that leads tell those that it does not hear of whose they are, until
// ctx ends.
func (m *Master) callLost(ctx context.Context) {
	tick := time.NewTicker(lostPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if _, err := m.candidate.Leading(); err != nil {
			continue
		}
		members, err := m.store.Members(ctx)
		if err != nil {
			return // the store has failed, or is closed
		}
		q := &rpc.SelfRequest{Asker: m.id, Members: idsOf(members)}
		asking, stop := context.WithTimeout(ctx, askTimeout)
		var calls sync.WaitGroup
		for _, k := range members {
			if !k.Lost.IsZero() {
				calls.Go(func() { _, _ = m.network.Peer(k.ID).Self(asking, q) }) // most are dead
			}
		}
		calls.Wait()
		stop()
	}
}

func idsOf(members []raftmeta.Member) (ids []string) {
	for _, k := range members {
		ids = append(ids, k.ID)
	}
	return ids
}

// self is this master as others see it.
type self struct {
	m *Master
}

// Self implements network.Peer. A master that is alone and hears that it is one of the
// asker's cluster has begun a second one, and ends.
func (s self) Self(ctx context.Context, q *rpc.SelfRequest) (*rpc.SelfReply, error) {
	members, err := s.m.store.Members(ctx)
	if err != nil {
		return nil, err
	}
	r := &rpc.SelfReply{Id: s.m.id, Founding: s.m.founding.Load(), Members: idsOf(members)}
	if len(members) == 1 && q.GetAsker() != "" && q.GetAsker() != s.m.id && slices.Contains(q.GetMembers(), s.m.id) {
		s.m.broken(failure.Errorf(failure.Conflict,
			"this master is one of %s and has begun another cluster, having lost its disk: it must be told of them, and join", strings.Join(q.GetMembers(), ", ")))
	}
	return r, nil
}
