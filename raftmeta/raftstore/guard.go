package raftstore

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
)

// The keys under which Raft keeps what it promised.
const (
	voteTermKey = "LastVoteTerm"
	voteForKey  = "LastVoteCand"
)

// guard stands between Raft and its log store, once Raft runs. A master whose log cannot
// be written or read must stop, by name, and the others go on; but Raft tries again for
// ever, and panics where it knows no way on. So the first error fails the machine, and
//
//   - writes fail from then on: nothing is acknowledged, no vote given;
//   - a term that cannot be written and an entry that cannot be read, at which Raft would
//     panic, make it wait until Close has cut the network. Then it is told that all is
//     well, and ends without anybody having heard of it. While Raft starts, on the
//     goroutine of New, it gets the error, and New takes the panic.
//
// Raft writes the term of a vote before the candidate. A crash between the two would
// leave the last candidate with a vote in the new term that nobody checked, so guard
// turns them round: a candidate in an old term is no vote.
type guard struct {
	LogStore
	fail     func(error) error
	released chan struct{} // closed when the network is cut
	started  atomic.Bool   // Raft runs

	mu       sync.Mutex
	failed   error
	voteTerm uint64 // not yet written
}

var _ LogStore = (*guard)(nil)

// start starts Raft. It writes on this goroutine only, until others reach it.
func (g *guard) start(start func() (*raft.Raft, error)) (r *raft.Raft, err error) {
	defer func() {
		if p := recover(); p != nil {
			if err = g.failure(); err == nil {
				panic(p)
			}
		}
	}()
	r, err = start()
	g.started.Store(true)
	return r, err
}

func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// check takes note of an error.
func (g *guard) check(what string, err error) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = g.fail(failure.Errorf(failure.Fatal, "%s metadata log: %w", what, err))
	}
	return g.failed
}

// write performs a write unless an earlier one failed.
func (g *guard) write(perform func() error) error {
	if err := g.failure(); err != nil {
		return err
	}
	return g.check("write", perform())
}

func (g *guard) StoreLog(l *raft.Log) error {
	return g.write(func() error { return g.LogStore.StoreLog(l) })
}

func (g *guard) StoreLogs(logs []*raft.Log) error {
	return g.write(func() error { return g.LogStore.StoreLogs(logs) })
}

func (g *guard) DeleteRange(first, last uint64) error {
	return g.write(func() error { return g.LogStore.DeleteRange(first, last) })
}

func (g *guard) Set(key, value []byte) error {
	return g.write(func() error {
		err := g.LogStore.Set(key, value)
		if err == nil && string(key) == voteForKey {
			err = g.LogStore.SetUint64([]byte(voteTermKey), g.voteTerm)
		}
		return err
	})
}

func (g *guard) SetUint64(key []byte, value uint64) error {
	if string(key) == voteTermKey {
		g.voteTerm = value // Raft's main goroutine writes the candidate next
		return nil
	}
	err := g.write(func() error { return g.LogStore.SetUint64(key, value) })
	if err == nil || !g.started.Load() {
		return err
	}
	<-g.released
	return nil
}

func (g *guard) GetLog(index uint64, l *raft.Log) error {
	err := g.LogStore.GetLog(index, l)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	if err = g.check("read", err); !g.started.Load() {
		return err
	}
	<-g.released
	*l = raft.Log{Index: index, Type: raft.LogNoop}
	return nil
}
