package local

import (
	"cmp"
	"context"
	"fmt"
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
)

// Options are the settings of a service.
type Options struct {
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

var _ shuffle.Service = (*Service)(nil)

// New returns a service without exchanges.
func New(o Options) *Service {
	o.Budget = cmp.Or(o.Budget, DefaultBudget)
	o.LaneGuarantee = cmp.Or(o.LaneGuarantee, DefaultLaneGuarantee)
	if o.Tier == nil {
		o.Tier = partition.NewTier(partition.TierOptions{})
	}
	return &Service{options: o, exchanges: map[key]*exchange{}}
}

// Open declares an exchange.
func (s *Service) Open(_ context.Context, spec shuffle.Spec) error {
	if spec.Lanes < 1 || spec.Partitions < 1 {
		return failure.Errorf(failure.Internal, "open exchange %d: %d lanes, %d partitions", spec.Exchange, spec.Lanes, spec.Partitions)
	}
	if spec.Paired && spec.Lanes != spec.Partitions {
		return failure.Errorf(failure.Internal, "open exchange %d: %d lanes paired with %d partitions", spec.Exchange, spec.Lanes, spec.Partitions)
	}
	if spec.Paired && spec.Everywhere {
		return failure.Errorf(failure.Internal, "open exchange %d: paired, and everywhere", spec.Exchange)
	}
	if spec.Retention != shuffle.RetainNone && spec.Retention != shuffle.RetainJob {
		return failure.Errorf(failure.Fatal, "open exchange %d: retention %v is not available in process", spec.Exchange, spec.Retention)
	}
	spec.BudgetBytes = cmp.Or(spec.BudgetBytes, s.options.Budget)
	if most := s.options.MostBudget; most > 0 {
		spec.BudgetBytes = min(spec.BudgetBytes, most)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{spec.Job, spec.Exchange}
	if old := s.exchanges[k]; old != nil {
		if !sameSpec(old.spec, spec) {
			return failure.Errorf(failure.Internal, "open exchange %d: it is open with another spec", spec.Exchange)
		}
		return nil
	}
	s.exchanges[k] = newExchange(spec, s.options)
	return nil
}

func sameSpec(a, b shuffle.Spec) bool {
	return a.Lanes == b.Lanes && a.Partitions == b.Partitions && a.Retention == b.Retention &&
		a.BudgetBytes == b.BudgetBytes && a.Paired == b.Paired && a.Everywhere == b.Everywhere && a.Schema.Equal(b.Schema)
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

// Reader opens a partition for a consumer's attempt.
func (s *Service) Reader(_ context.Context, job id.Job, ex id.Exchange, part, attempt uint32) (shuffle.Reader, error) {
	e, err := s.find(job, ex)
	if err == nil && int(part) >= e.spec.Partitions {
		err = failure.Errorf(failure.Internal, "the exchange has %d partitions", e.spec.Partitions)
	}
	var r shuffle.Reader
	if err == nil {
		r, err = e.openPartition(part, attempt)
	}
	if err != nil {
		return nil, fmt.Errorf("read partition %v: %w", id.Partition{Exchange: ex, Index: part}, err)
	}
	return r, nil
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

func (s *Service) find(job id.Job, ex id.Exchange) (*exchange, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.exchanges[key{job, ex}]; e != nil {
		return e, nil
	}
	return nil, shuffle.ErrReleased
}
