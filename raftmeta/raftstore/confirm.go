package raftstore

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

// confirmer lets a leader know that no other led at a time after the question. It asks
// the masters for their terms: whoever had been elected later than this leader would have
// taken a majority to its term, and any two majorities have a master in common. Raft's
// own VerifyLeader counts answers to heartbeats that were sent before the question, which
// a process that was stopped for a while may find in its sockets when it goes on.
//
// Questions that meet a round under way share the next one.
type confirmer struct {
	store *Store

	mu      sync.Mutex
	next    *round // has not begun; nil if nobody asked for one
	running bool
}

type round struct {
	done chan struct{}
	err  error // set before done is closed
}

// confirm takes part in the next round.
func (c *confirmer) confirm(ctx context.Context) error {
	c.mu.Lock()
	if c.next == nil {
		c.next = &round{done: make(chan struct{})}
	}
	r := c.next
	if !c.running {
		if !c.store.begin(c.rounds) {
			c.mu.Unlock()
			return errClosed()
		}
		c.running = true
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rounds performs rounds while somebody asks for them.
func (c *confirmer) rounds() {
	for {
		c.mu.Lock()
		r := c.next
		c.next, c.running = nil, r != nil
		c.mu.Unlock()
		if r == nil {
			return
		}
		r.err = c.ask()
		close(r.done)
	}
}

// ask performs one round.
func (c *confirmer) ask() error {
	s := c.store
	lead := s.leading()
	notLeader := failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
	if !lead.Leading {
		return notLeader
	}
	ctx, cancel := context.WithTimeout(s.ctx, statusTime)
	defer cancel()
	servers := s.servers()
	voters, agree := 0, 0
	answers := make(chan id.Term, len(servers))
	for _, server := range servers {
		switch {
		case server.Suffrage != raft.Voter:
		case server.ID == s.self:
			voters, agree = voters+1, agree+1
		default:
			voters++
			s.running.Go(func() { answers <- c.termOf(ctx, server) })
		}
	}
	for agree <= voters/2 {
		select {
		case term := <-answers:
			if term > lead.Term {
				return notLeader
			}
			agree++
		case <-ctx.Done():
			return notLeader
		}
	}
	if id.Term(s.raft.CurrentTerm()) != lead.Term {
		return notLeader
	}
	return nil
}

// askPause is between two questions to a master that did not answer.
const askPause = 20 * time.Millisecond

// termOf is the term of another master, or one beyond all if it does not say in time.
func (c *confirmer) termOf(ctx context.Context, server raft.Server) id.Term {
	for {
		st, err := c.store.links.status(ctx, server.Address)
		if err == nil {
			return id.Term(st.term)
		}
		select { // others may answer; or it was a connection to an earlier life of it
		case <-time.After(askPause):
		case <-ctx.Done():
			return ^id.Term(0)
		}
	}
}
