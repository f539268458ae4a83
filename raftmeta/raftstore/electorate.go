package raftstore

import (
	"slices"

	"github.com/hashicorp/raft"
)

// electorate is Raft's transport, which lets a candidate be voted for whoever it is. Raft
// refuses one that is no voter as far as the asked master knows, which may know less than
// the candidate: when a leader dies right after it has given a third master its vote, and
// only that one has heard of it, the third one alone can be elected, by the second one,
// which must not refuse it for ever. Who is elected by whom is decided by the candidate's
// configuration, and whether its log is long enough by the asked master; both together keep
// out who was removed: a majority of those who stay have an entry that it has not.
type electorate struct {
	raft.Transport
	voters func() []raft.Server // that this master knows
	rpcs   chan raft.RPC
}

var (
	_ raft.WithPreVote = (*electorate)(nil)
	_ raft.WithClose   = (*electorate)(nil)
)

// Consumer implements raft.Transport.
func (e *electorate) Consumer() <-chan raft.RPC { return e.rpcs }

// RequestPreVote implements raft.WithPreVote.
func (e *electorate) RequestPreVote(id raft.ServerID, to raft.ServerAddress, q *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	return e.Transport.(raft.WithPreVote).RequestPreVote(id, to, q, r)
}

// Close implements raft.WithClose.
func (e *electorate) Close() error { return e.Transport.(raft.WithClose).Close() }

// run passes on what others ask, until done is closed. Raft runs by then.
func (e *electorate) run(done <-chan struct{}) {
	for {
		select {
		case q := <-e.Transport.Consumer():
			switch v := q.Command.(type) {
			case *raft.RequestVoteRequest:
				v.ID = e.standIn(v.ID)
			case *raft.RequestPreVoteRequest:
				v.ID = e.standIn(v.ID)
			}
			select {
			case e.rpcs <- q:
			case <-done:
				return
			}
		case <-done:
			return
		}
	}
}

// standIn is a candidate's id, or, of one that is no voter here, the id of one that is: Raft
// looks at it for nothing else.
func (e *electorate) standIn(candidate []byte) []byte {
	voters := e.voters()
	if len(voters) == 0 || slices.ContainsFunc(voters, func(s raft.Server) bool { return string(s.ID) == string(candidate) }) {
		return candidate
	}
	return []byte(voters[0].ID)
}
