package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator/endpoint"
	"github.com/tidemill/tidemill/core/rpc"
)

// Sized is an enumerator that knows how much it will hand out in all. Its method
// is called by the one goroutine that uses the enumerator.
type Sized interface {
	// Total counts the splits and bytes of the source, handed out or not; zeros
	// are unknown.
	Total() (splits uint64, bytes int64)
}

// maxSubtasks bounds a vertex, as the scheduler does.
const maxSubtasks = 1 << 20

// source is one source vertex.
type source struct {
	name string
	turn *turn
	enum connector.Enumerator
	// bounded says that a subtask may be given what was meant for another one: the order
	// of rows does not matter, and the other may not exist, for a bounded job's
	// parallelism is only known when its tasks begin.
	bounded bool

	mu       sync.Mutex
	subtasks int      // that the enumerator was told of
	first    uint32   // what floor begins with
	floor    []uint32 // by subtask: lower attempts get nothing
	given    map[id.Attempt]*given
	assigned uint64
	bytes    int64
	total    rpc.ProgressReply
}

func newSource(name string, enum connector.Enumerator, bounded bool, parallelism int, first uint32) *source {
	s := &source{name: name, turn: newTurn(), enum: enum, bounded: bounded, subtasks: parallelism, first: first, given: map[id.Attempt]*given{}}
	s.floor = make([]uint32, parallelism)
	for i := range s.floor {
		s.floor[i] = first
	}
	s.measure()
	return s
}

// given is what an attempt was handed out. The first splits are forgotten once
// they are in a source's part of a checkpoint.
type given struct {
	forgotten uint64
	splits    []connector.Split
	last      answer
}

// answer is what an attempt's request of that number was answered; zero: none was that
// has a number.
type answer struct {
	sequence uint64
	split    connector.Split
	ok       bool
}

// measure asks the enumerator for its size; the turn is held, or nobody else
// knows the source yet.
func (s *source) measure() {
	if sized, ok := s.enum.(Sized); ok {
		splits, bytes := sized.Total()
		s.mu.Lock()
		s.total.SplitsTotal, s.total.BytesTotal = splits, bytes
		s.mu.Unlock()
	}
}

// admits says whether an attempt may have splits.
func (s *source) admits(a id.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := int(a.Subtask.Index)
	for s.bounded && i >= len(s.floor) && i < maxSubtasks { // workers have come since
		s.floor = append(s.floor, s.first)
	}
	if i >= len(s.floor) {
		return failure.Errorf(failure.Internal, "attempt %v asks source %s of parallelism %d for a split", a, s.name, len(s.floor))
	}
	if a.N < s.floor[i] {
		return failure.Wrap(failure.Conflict, fmt.Errorf("attempt %v of source %s: %w", a, s.name, rpc.ErrGone))
	}
	return nil
}

// patience is how long a request waits for a split to come before it is to be asked again.
const patience = time.Minute

// next answers an attempt's request of that number, in the way in which it was answered
// before. Requests without one, zero, are each another. A *connector.LaterError is no
// answer.
func (s *source) next(ctx context.Context, a id.Attempt, sequence uint64) (connector.Split, bool, error) {
	for waited := time.Duration(0); ; {
		split, ok, err := s.once(ctx, a, sequence)
		later, isLater := errors.AsType[*connector.LaterError](err)
		if !isLater || waited >= patience {
			return split, ok, err
		}
		select {
		case <-time.After(later.After):
			waited += later.After
		case <-ctx.Done():
			return connector.Split{}, false, ctx.Err()
		}
	}
}

// once is next without patience.
func (s *source) once(ctx context.Context, a id.Attempt, sequence uint64) (split connector.Split, ok bool, err error) {
	err = s.turn.patiently(ctx, func(ctx context.Context) error {
		if err := s.admits(a); err != nil {
			return err
		}
		before, err := s.answered(a, sequence)
		if err != nil {
			return err
		}
		if before != nil {
			split, ok = before.split, before.ok
			return nil
		}
		if own := int(a.Subtask.Index); own < s.subtasks {
			split, ok, err = s.enum.Next(ctx, own)
		}
		for other := 0; s.bounded && err == nil && !ok && other < s.subtasks; other++ {
			split, ok, err = s.enum.Next(ctx, other)
		}
		if err != nil {
			return fmt.Errorf("source %s: next split for attempt %v: %w", s.name, a, err)
		}
		s.measure()
		s.give(a, answer{sequence, split, ok})
		return nil
	})
	return split, ok && err == nil, err
}

// answered is the answer to a request that was answered before, or nil. An older one is
// refused: its sender has gone on, and nobody waits for it.
func (s *source) answered(a id.Attempt, sequence uint64) (*answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.given[a]
	switch {
	case sequence == 0 || g == nil || sequence > g.last.sequence:
		return nil, nil
	case sequence < g.last.sequence:
		return nil, failure.Errorf(failure.Conflict, "attempt %v of source %s: request %d comes after request %d", a, s.name, sequence, g.last.sequence)
	}
	last := g.last
	return &last, nil
}

// give notes what an attempt is answered.
func (s *source) give(a id.Attempt, now answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.given[a]
	if g == nil {
		g = &given{}
		s.given[a] = g
	}
	if now.sequence > 0 {
		g.last = now
	}
	if now.ok {
		s.assigned++
		s.bytes += now.split.Bytes
		g.splits = append(g.splits, now.split)
	}
}

// reset takes back everything that an attempt was given.
func (s *source) reset(ctx context.Context, a id.Attempt) error {
	if err := s.turn.interrupt(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	s.mu.Lock()
	var back []connector.Split
	if g := s.given[a]; g != nil {
		back = g.splits
	}
	delete(s.given, a)
	if i := int(a.Subtask.Index); i < len(s.floor) {
		s.floor[i] = max(s.floor[i], a.N+1)
	}
	s.assigned -= uint64(len(back))
	for _, split := range back {
		s.bytes -= split.Bytes
	}
	s.mu.Unlock()
	if len(back) > 0 {
		s.enum.Return(back)
	}
	return nil
}

// snapshot returns the position that belongs to the sources' parts of a
// checkpoint. It comes after them, so whatever was handed out is either in a part
// or added here: splits that were on their way, or given since.
func (s *source) snapshot(ctx context.Context, parts map[id.Attempt]*rpc.SourcePart) ([]byte, error) {
	if err := s.turn.interrupt(ctx); err != nil {
		return nil, err
	}
	defer s.turn.release()
	state, err := s.enum.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("source %s: position of the enumerator: %w", s.name, err)
	}
	out := &rpc.EnumeratorState{Enumerator: state}
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, g := range s.given {
		if err := g.settle(parts[a]); err != nil {
			return nil, fmt.Errorf("source %s: attempt %v: %w", s.name, a, err)
		}
		for _, split := range g.splits {
			out.Unreceived = append(out.Unreceived, rpc.FromSplit(split))
		}
	}
	return proto.Marshal(out)
}

// settle forgets what a source's part of a checkpoint accounts for.
func (g *given) settle(part *rpc.SourcePart) error {
	if part == nil {
		return nil
	}
	received := g.forgotten + uint64(len(g.splits))
	if !part.GetFinished() {
		var err error
		if received, err = endpoint.Received(part.GetState()); err != nil {
			return err
		}
	}
	n := min(max(received, g.forgotten)-g.forgotten, uint64(len(g.splits)))
	g.splits, g.forgotten = slices.Delete(g.splits, 0, int(n)), g.forgotten+n
	return nil
}

func (s *source) addProgress(p *rpc.ProgressReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.SplitsAssigned += s.assigned
	p.BytesAssigned += s.bytes
	p.SplitsTotal += s.total.SplitsTotal
	p.BytesTotal += s.total.BytesTotal
}

func (s *source) close(ctx context.Context) error {
	if err := s.turn.interrupt(ctx); err != nil {
		return err
	}
	defer s.turn.end()
	return s.enum.Close()
}
