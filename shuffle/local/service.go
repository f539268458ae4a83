package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// Default settings of the service.
const (
	DefaultBudget        = 4 << 20
	DefaultLaneGuarantee = 32 << 10
	DefaultReplay        = 128 << 20
)

// Options are the settings of a service.
type Options struct {
	// Self is this process as a shuffle.Server (its ID): of an exchange with a
	// placement it keeps what is placed there. Empty: nothing is.
	Self string
	// Budget is a pipe's budget in bytes where its spec names none
	// (`exchange.budget`); zero means DefaultBudget.
	Budget int64
	// MostBudget bounds the budget of every pipe, whatever specs name; zero means no
	// bound.
	MostBudget int64
	// LaneGuarantee is the credit in bytes that each lane always has; zero means
	// DefaultLaneGuarantee.
	LaneGuarantee int64
	// Alloc is what the service's own buffers come from: compacted batches, blocks
	// read back from disk. Required.
	Alloc memory.Allocator
	// Tier keeps what has retention job; nil means a tier of its own without disk.
	Tier *partition.Tier
	// Replay bounds the bytes that all partitions of retention checkpoint keep to be read
	// again, a quarter of it those of one; zero means DefaultReplay. They stay charged where
	// they were allocated.
	Replay int64

	pool *pool
}

// Service is the shuffle service of one process.
type Service struct {
	options Options

	mu        sync.Mutex
	exchanges map[key]*exchange
}

type key struct {
	job      id.Job
	exchange id.Exchange
}

var (
	_ shuffle.Service  = (*Service)(nil)
	_ shuffle.Replayer = (*Service)(nil)
)

// New returns a service without exchanges.
func New(o Options) *Service {
	o.Budget = cmp.Or(o.Budget, DefaultBudget)
	o.LaneGuarantee = cmp.Or(o.LaneGuarantee, DefaultLaneGuarantee)
	if o.Tier == nil {
		o.Tier = partition.NewTier(partition.TierOptions{})
	}
	o.pool = &pool{most: cmp.Or(o.Replay, DefaultReplay)}
	return &Service{options: o, exchanges: map[key]*exchange{}}
}

// Open declares an exchange. One of a higher term, or a pipelined one of a higher
// version of its placement, begins anew.
func (s *Service) Open(_ context.Context, spec shuffle.Spec) error {
	if err := check(spec); err != nil {
		return err
	}
	spec.BudgetBytes = cmp.Or(spec.BudgetBytes, s.options.Budget)
	if most := s.options.MostBudget; most > 0 {
		spec.BudgetBytes = min(spec.BudgetBytes, most)
	}
	s.mu.Lock()
	k := key{spec.Job, spec.Exchange}
	old := s.exchanges[k]
	anew, err := old.reopen(spec)
	if anew {
		s.exchanges[k] = newExchange(spec, s.options)
	}
	s.mu.Unlock()
	if anew && old != nil {
		err = old.drop()
	}
	if err != nil {
		return fmt.Errorf("open exchange %d: %w", spec.Exchange, err)
	}
	return nil
}

func check(spec shuffle.Spec) error {
	if spec.Lanes < 1 || spec.Partitions < 1 {
		return failure.Errorf(failure.Internal, "open exchange %d: %d lanes, %d partitions", spec.Exchange, spec.Lanes, spec.Partitions)
	}
	if spec.Paired && spec.Lanes != spec.Partitions {
		return failure.Errorf(failure.Internal, "open exchange %d: %d lanes paired with %d partitions", spec.Exchange, spec.Lanes, spec.Partitions)
	}
	if spec.Paired && spec.Everywhere {
		return failure.Errorf(failure.Internal, "open exchange %d: paired, and everywhere", spec.Exchange)
	}
	if spec.Retention < shuffle.RetainNone || spec.Retention > shuffle.RetainJob {
		return failure.Errorf(failure.Internal, "open exchange %d: %v", spec.Exchange, spec.Retention)
	}
	places := spec.Partitions
	if spec.Retention == shuffle.RetainJob {
		places = spec.Lanes
	}
	if p := spec.Placement; !p.Local() {
		if len(p.At) != places {
			return failure.Errorf(failure.Internal, "open exchange %d: %d of %d parts are placed", spec.Exchange, len(p.At), places)
		}
		for _, at := range p.At {
			if int(at) >= len(p.Servers) {
				return failure.Errorf(failure.Internal, "open exchange %d: placed at server %d of %d", spec.Exchange, at, len(p.Servers))
			}
		}
	}
	return nil
}

func sameSpec(a, b shuffle.Spec) bool {
	return a.Lanes == b.Lanes && a.Partitions == b.Partitions && a.Retention == b.Retention &&
		a.Paired == b.Paired && a.Everywhere == b.Everywhere && a.Schema.Equal(b.Schema)
}

// Writer opens a lane for an attempt.
func (s *Service) Writer(_ context.Context, job id.Job, ex id.Exchange, lane, attempt uint32) (shuffle.Writer, error) {
	e, err := s.find(job, ex)
	if err == nil && int(lane) >= e.spec.Lanes {
		err = failure.Errorf(failure.Internal, "the exchange has %d lanes", e.spec.Lanes)
	}
	if err == nil {
		err = e.openLane(lane, attempt)
	}
	if err != nil {
		return nil, fmt.Errorf("write exchange %d, lane %d: %w", ex, lane, err)
	}
	return newWriter(e, lane, attempt), nil
}

// Reader opens a partition for a consumer's attempt. Of a stored exchange it reads the
// lanes that are placed here.
func (s *Service) Reader(ctx context.Context, job id.Job, ex id.Exchange, part, attempt uint32) (shuffle.Reader, error) {
	return s.ReaderOf(ctx, job, ex, part, attempt, nil)
}

// ReaderOf is Reader of some lanes of a stored exchange, wherever they are placed;
// nil means those that are placed here.
func (s *Service) ReaderOf(_ context.Context, job id.Job, ex id.Exchange, part, attempt uint32, lanes []uint32) (shuffle.Reader, error) {
	e, err := s.find(job, ex)
	if err == nil && int(part) >= e.spec.Partitions {
		err = failure.Errorf(failure.Internal, "the exchange has %d partitions", e.spec.Partitions)
	}
	var r shuffle.Reader
	if err == nil {
		r, err = e.openPartition(part, attempt, lanes)
	}
	if err != nil {
		return nil, fmt.Errorf("read partition %v: %w", id.Partition{Exchange: ex, Index: part}, err)
	}
	return r, nil
}

// Completed implements shuffle.Replayer.
func (s *Service) Completed(job id.Job, c id.Checkpoint) {
	var kept []*exchange
	s.mu.Lock()
	for k, e := range s.exchanges {
		if k.job == job && e.spec.Retention == shuffle.RetainCheckpoint {
			kept = append(kept, e)
		}
	}
	s.mu.Unlock()
	for _, e := range kept {
		for _, p := range e.pipes {
			if p != nil {
				p.completed(c)
			}
		}
	}
}

// Rewind implements shuffle.Replayer.
func (s *Service) Rewind(job id.Job, ex id.Exchange, c id.Checkpoint, part shuffle.Rewound) error {
	e, err := s.find(job, ex)
	if err == nil {
		err = e.rewind(c, part)
	}
	if err != nil {
		return fmt.Errorf("rewind exchange %d to checkpoint %d: %w", ex, c, err)
	}
	return nil
}

// Drop forgets an exchange.
func (s *Service) Drop(_ context.Context, job id.Job, ex id.Exchange) error {
	s.mu.Lock()
	e := s.exchanges[key{job, ex}]
	delete(s.exchanges, key{job, ex})
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	if err := e.drop(); err != nil {
		return fmt.Errorf("drop exchange %d: %w", ex, err)
	}
	return nil
}

// DropJob drops exchanges of a job, or without a list all of them, unless they are of a
// higher term.
func (s *Service) DropJob(job id.Job, exchanges []id.Exchange, term id.Term) error {
	var gone []*exchange
	s.mu.Lock()
	for k, e := range s.exchanges {
		if k.job == job && e.spec.Term <= term && (exchanges == nil || slices.Contains(exchanges, k.exchange)) {
			gone = append(gone, e)
			delete(s.exchanges, k)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, e := range gone {
		if err := e.drop(); err != nil {
			errs = append(errs, fmt.Errorf("drop exchange %d: %w", e.spec.Exchange, err))
		}
	}
	return errors.Join(errs...)
}

// Kept is the number of exchanges of each job of which something is kept.
func (s *Service) Kept() map[id.Job]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[id.Job]int{}
	for k := range s.exchanges {
		kept[k.job]++
	}
	return kept
}

// Spec is what an exchange was opened with, and whether it is open.
func (s *Service) Spec(job id.Job, ex id.Exchange) (shuffle.Spec, bool) {
	e, err := s.find(job, ex)
	if err != nil {
		return shuffle.Spec{}, false
	}
	return e.current(), true
}

// Ended lists the lanes of a stored exchange that an attempt has won here.
func (s *Service) Ended(job id.Job, ex id.Exchange) ([]uint32, error) {
	e, err := s.find(job, ex)
	if err != nil {
		return nil, err
	}
	if e.store == nil {
		return nil, failure.Errorf(failure.NotFound, "exchange %d is not stored", ex)
	}
	var lanes []uint32
	for _, m := range e.store.Won() {
		lanes = append(lanes, m.Lane)
	}
	return lanes, nil
}

// Scan reads lanes of a stored partition that have ended. It is nobody's attempt: it
// fences no reader, and none fences it.
func (s *Service) Scan(job id.Job, ex id.Exchange, part uint32, lanes []uint32) (*partition.Reader, error) {
	e, err := s.find(job, ex)
	switch {
	case err != nil:
		return nil, err
	case e.store == nil || int(part) >= e.spec.Partitions:
		return nil, failure.Errorf(failure.NotFound, "exchange %d has no stored partition %d", ex, part)
	}
	for _, lane := range lanes {
		if int(lane) >= e.spec.Lanes {
			return nil, failure.Errorf(failure.NotFound, "exchange %d has no lane %d", ex, lane)
		}
	}
	if e.spec.Everywhere {
		part = 0
	}
	return e.store.Reader(part, lanes), nil
}

// Used is the number of bytes of stored exchanges in memory and on disk.
func (s *Service) Used() (memory, disk int64) { return s.options.Tier.Used() }

func (s *Service) find(job id.Job, ex id.Exchange) (*exchange, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.exchanges[key{job, ex}]; e != nil {
		return e, nil
	}
	return nil, shuffle.ErrReleased
}
