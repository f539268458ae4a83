package join

import (
	"context"
	"sync"

	"github.com/tidemill/tidemill/core/id"
)

// Builds is where subtasks of one vertex that run in the same process, and are all
// given the same build side, share what is made of it. All methods may be called by
// any goroutine. It needs no closing: what is shared goes with the last join that
// shares it.
type Builds struct {
	mu  sync.Mutex
	all map[buildKey]*shared
}

// buildKey is what joins have in common that share: attempts of a vertex's subtasks
// that were started together. What an earlier one read may have been different.
type buildKey struct {
	vertex  id.Vertex
	attempt uint32
}

// shared is one build side.
type shared struct {
	builds  *Builds
	key     buildKey
	members int           // joins that are open; guarded by builds.mu
	turn    chan struct{} // holds one token unless somebody builds or has built
	done    chan struct{} // closed when it is built
	build   build         // since done; nobody changes it
}

// NewBuilds returns one with nothing in it.
func NewBuilds() *Builds { return &Builds{all: map[buildKey]*shared{}} }

// enter joins those who share; it is followed by a leave.
func (b *Builds) enter(a id.Attempt) *shared {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := buildKey{a.Subtask.Vertex, a.N}
	s := b.all[key]
	if s == nil {
		s = &shared{builds: b, key: key, turn: make(chan struct{}, 1), done: make(chan struct{})}
		s.turn <- struct{}{}
		b.all[key] = s
	}
	s.members++
	return s
}

// leave releases what was built when nobody else is there.
func (s *shared) leave() {
	s.builds.mu.Lock()
	s.members--
	last := s.members == 0
	if last {
		delete(s.builds.all, s.key)
	}
	s.builds.mu.Unlock()
	if last && s.ready() {
		s.build.release()
	}
}

// ready reports whether it is built.
func (s *shared) ready() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// await waits until it is built or it is the caller's turn to build it, who then
// calls lend or pass.
func (s *shared) await(ctx context.Context) (turn bool, err error) {
	select {
	case <-s.done:
		return false, nil
	case <-s.turn:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// lend gives what b has built to all, b being one of them from here on.
func (s *shared) lend(b *build) {
	s.build = build{join: b.join, index: b.index, charged: b.charged}
	*b = build{join: b.join, index: s.build.index.view()}
	close(s.done)
}

// pass lets another one try.
func (s *shared) pass() { s.turn <- struct{}{} }
