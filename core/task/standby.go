package task

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/state/memstate"
)

// Standby is keyed state of a job that a worker has restored ahead, while former attempts still
// run, for those that are about to be deployed there. An attempt that is to restore a later
// checkpoint takes what is its own and adds what came since. It may be used by several tasks at
// once. A nil one has nothing.
type Standby struct {
	account *memory.Account

	mu     sync.Mutex
	closed bool
	states map[standbyKey]*standbyState
}

// standbyKey says whose state it is.
type standbyKey struct {
	uid string // of the operator
	own keygroup.Range
}

// standbyState is the state of one operator in one subtask.
type standbyState struct {
	backend *memstate.Backend
	account *memory.Account // that it is charged to
	chain   checkpoint.Chain
}

// NewStandby returns one without state. What it restores is charged below account until it is
// taken.
func NewStandby(account *memory.Account) *Standby {
	return &Standby{account: account, states: map[standbyKey]*standbyState{}}
}

// Restore restores the keyed state of an attempt that d describes, of operators that keep it in
// memory, and whose checkpoint is this job's and of this plan; others restore it when they are
// deployed. After an error there is nothing of that attempt.
func (s *Standby) Restore(ctx context.Context, d Descriptor, snapshots Snapshots) (err error) {
	if !d.Streaming || d.Options.StateOnDisk || d.Vertex == nil {
		return nil
	}
	own, err := d.ownGroups()
	if err != nil {
		return err
	}
	for _, o := range d.Vertex.Chain {
		saved := savedOf(d.Restore, o)
		if !keepsState(o) || len(saved.GetHandles()) == 0 || saved.GetForeign() || len(saved.GetRearranged()) > 0 {
			continue
		}
		chain := checkpoint.Chain{Handles: saved.GetHandles(), Shares: saved.GetShares(), Own: own}
		if err := s.restore(ctx, o, chain, d.KeyGroups, snapshots); err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	return nil
}

func (s *Standby) restore(ctx context.Context, o *jobgraph.Operator, chain checkpoint.Chain, groups int, snapshots Snapshots) (err error) {
	account := s.account.Child("restored state", 0)
	one := &standbyState{backend: memstate.New(groups, chain.Own, account.Allocator(), account), account: account, chain: chain}
	defer func() {
		if r := recover(); r != nil {
			err = memory.Recovered("restore ahead", r)
		}
		if err != nil {
			err = errors.Join(err, one.backend.Close())
		}
	}()
	if err := snapshots.Restore(ctx, chain, groups, one.backend); err != nil {
		return err
	}
	key := standbyKey{o.Uid, chain.Own}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.states[key] != nil {
		return failure.Errorf(failure.Cancelled, "what was restored ahead is not wanted any more")
	}
	s.states[key] = one
	return nil
}

// take returns the state of an operator with such key groups, which is the caller's then; nil:
// there is none.
func (s *Standby) take(uid string, own keygroup.Range) *standbyState {
	if s == nil {
		return nil
	}
	key := standbyKey{uid, own}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.states[key]
	delete(s.states, key)
	return one
}

// adapt charges the state below an account, takes out what has become stale until a chain, and
// returns what is still to be restored of that.
func (s *standbyState) adapt(chain checkpoint.Chain, groups int, account *memory.Account) (checkpoint.Chain, error) {
	rest, gone, err := chain.Since(&s.chain, groups)
	if err != nil {
		return chain, err
	}
	if err := s.account.Move(account); err != nil {
		return chain, err
	}
	return checkpoint.Chain{Handles: rest, Shares: chain.Shares, Own: chain.Own}, s.backend.Forget(gone)
}

// Close frees what nobody has taken, and what is being restored once it is.
func (s *Standby) Close() (err error) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, one := range s.states {
		err = errors.Join(err, one.backend.Close())
	}
	clear(s.states)
	return err
}
