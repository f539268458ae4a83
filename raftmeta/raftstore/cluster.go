package raftstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

const (
	// maxMembers bounds a cluster; more than that makes no cluster safer.
	maxMembers = 9
	// catchUpPause is between two looks at how far a new master is.
	catchUpPause = 50 * time.Millisecond
	// handOverTime bounds the attempt of a leader that closes.
	handOverTime = time.Second
)

// servers are the members as of the last change that this master knows, whether it is
// committed or not.
func (s *Store) servers() []raft.Server {
	return s.raft.GetConfiguration().Configuration().Servers
}

// voters are those of them that count.
func (s *Store) voters() []raft.Server {
	return slices.DeleteFunc(slices.Clone(s.servers()), func(server raft.Server) bool { return server.Suffrage != raft.Voter })
}

// Bootstrap begins a cluster of this master alone, unless it is in one: Options.Bootstrap,
// for who must ask the others first. Class Conflict says that a cluster has called it in the
// meantime, which it is about to be joined to.
func (s *Store) Bootstrap(ctx context.Context) error {
	if len(s.servers()) > 0 {
		return s.alive(ctx)
	}
	self := raft.Server{ID: s.self, Address: s.transport.LocalAddr()}
	err := s.await(ctx, func() raft.Future {
		return s.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{self}})
	})
	switch {
	case errors.Is(err, raft.ErrCantBootstrap) && len(s.servers()) > 0: // somebody else has, or it was joined
		err = nil
	case errors.Is(err, raft.ErrCantBootstrap):
		err = failure.Wrap(failure.Conflict, err)
	case err == nil:
		err = s.nudge()
	}
	if err != nil {
		return fmt.Errorf("begin a cluster: %w", classify(err))
	}
	return nil
}

// Members implements raftmeta.Cluster.
func (s *Store) Members(ctx context.Context) ([]raftmeta.Member, error) {
	if err := s.alive(ctx); err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	var members []raftmeta.Member
	for _, server := range s.servers() {
		address, _ := splitAddress(server.Address)
		members = append(members, raftmeta.Member{
			ID: nameOf(server.ID), Address: address, Voter: server.Suffrage == raft.Voter, Lost: s.absent.lost(server.ID),
		})
	}
	return members, nil
}

// Join implements raftmeta.Cluster. A master that was there with another life of its
// storage, or at another address, is taken out first. After an error the master may be there without a vote;
// joining it again goes on.
func (s *Store) Join(ctx context.Context, m raftmeta.Member) error {
	if err := s.change(ctx, func() error { return s.join(ctx, m) }); err != nil {
		return fmt.Errorf("join master %s at %s: %w", m.ID, m.Address, err)
	}
	return nil
}

// Remove implements raftmeta.Cluster.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.change(ctx, func() error { return s.remove(ctx, name) }); err != nil {
		return fmt.Errorf("remove master %s: %w", name, err)
	}
	return nil
}

// change performs one change of the members at a time, on the leader.
func (s *Store) change(ctx context.Context, perform func() error) error {
	if s.links == nil {
		return failure.Errorf(failure.Usage, "this master has no network")
	}
	select {
	case s.membership <- struct{}{}:
		defer func() { <-s.membership }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	err := perform()
	s.links.retain(func(at raft.ServerAddress) bool {
		return slices.ContainsFunc(s.servers(), func(server raft.Server) bool { return server.Address == at })
	})
	return err
}

func (s *Store) join(ctx context.Context, m raftmeta.Member) error {
	who, members, err := s.links.who(ctx, m.Address)
	if err != nil {
		return err
	}
	if nameOf(who) != m.ID {
		return failure.Errorf(failure.Conflict, "the master there is %q", nameOf(who))
	}
	if s.foreign(members) {
		return failure.Errorf(failure.Conflict, "it is a member of another cluster: it can join with an empty storage only")
	}
	address := raftAddress(m.Address, who)
	var known raft.Server
	for _, server := range s.servers() {
		switch {
		case server.ID == who && server.Address == address:
			known = server
		case server.ID == who && who == s.self:
			return s.configure(ctx, func() raft.IndexFuture { return s.raft.AddVoter(who, address, 0, 0) })
		case nameOf(server.ID) == m.ID: // another life, or elsewhere: Raft changes no address under way safely
			if err := s.configure(ctx, func() raft.IndexFuture { return s.raft.RemoveServer(server.ID, 0, 0) }); err != nil {
				return err
			}
		}
	}
	switch {
	case known.ID != "" && known.Suffrage == raft.Voter:
		return nil
	case known.ID == "" && len(s.servers()) >= maxMembers:
		return failure.Errorf(failure.Conflict, "there are %d masters, which is the limit", maxMembers)
	case known.ID == "":
		if err := s.configure(ctx, func() raft.IndexFuture { return s.raft.AddNonvoter(who, address, 0, 0) }); err != nil {
			return err
		}
	}
	if err := s.catchUp(ctx, address); err != nil {
		return err
	}
	return s.configure(ctx, func() raft.IndexFuture { return s.raft.AddVoter(who, address, 0, 0) })
}

// foreign says whether who knows those is of another cluster: no master is in two, and one
// that was removed from this one knows somebody of it. Its log must never meet this one.
func (s *Store) foreign(members []raft.ServerID) bool {
	return len(members) > 0 && !slices.ContainsFunc(s.servers(), func(server raft.Server) bool {
		return slices.Contains(members, server.ID)
	})
}

// catchUp waits until a new master has what is committed now.
func (s *Store) catchUp(ctx context.Context, at raft.ServerAddress) error {
	goal := s.raft.CommitIndex()
	tick := time.NewTicker(catchUpPause)
	defer tick.Stop()
	for {
		if st, err := s.links.status(ctx, at); err == nil && st.applied >= goal {
			return nil
		}
		if !s.leading().Leading {
			return failure.Wrap(failure.Transient, raftmeta.ErrNotLeader)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return errClosed()
		case <-ctx.Done():
			return fmt.Errorf("wait until it has caught up: %w", ctx.Err())
		}
	}
}

func (s *Store) remove(ctx context.Context, name string) error {
	voters, gone := 0, raft.Server{}
	for _, server := range s.servers() {
		if server.Suffrage == raft.Voter {
			voters++
		}
		if nameOf(server.ID) == name {
			gone = server
		}
	}
	switch {
	case gone.ID == "":
		return nil
	case voters == 1 && gone.Suffrage == raft.Voter:
		return failure.Errorf(failure.Conflict, "it is the last one")
	}
	return s.configure(ctx, func() raft.IndexFuture { return s.raft.RemoveServer(gone.ID, 0, 0) })
}

// readdress tells the others where this leader is, if it was somewhere else when it was
// told of. A follower that moves is joined again instead.
func (s *Store) readdress() {
	here := s.transport.LocalAddr()
	for _, server := range s.servers() {
		if server.ID == s.self && server.Address != here {
			if err := s.raft.AddVoter(s.self, here, 0, 0).Error(); err != nil {
				s.opts.Log.Warn("the others were not told of this master's new address", "address", s.address(), "error", err)
			}
		}
	}
}

// configure passes a change through the log.
func (s *Store) configure(ctx context.Context, start func() raft.IndexFuture) error {
	if err := s.await(ctx, func() raft.Future { return start() }); err != nil {
		return classify(err)
	}
	return nil
}

// handOver lets another master lead, if this one does and there is another.
func (s *Store) handOver() {
	if s.links == nil || !s.leading().Leading || len(s.servers()) < 2 {
		return
	}
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		_ = s.raft.LeadershipTransfer().Error() // then they find out by themselves
	})
	timer := time.NewTimer(handOverTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
