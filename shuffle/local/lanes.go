package local

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// Lane is a stored lane that an attempt has won.
type Lane struct {
	Spec     shuffle.Spec
	Manifest shuffle.Manifest
	Ended    stream.Watermark // where its event time ended
	store    *partition.Store
}

// Lane returns a lane that the attempt has won here. One that somebody else has won, or
// nobody, or that is damaged, is ErrDataLoss.
func (s *Service) Lane(job id.Job, ex id.Exchange, lane, attempt uint32) (Lane, error) {
	e, err := s.stored(job, ex)
	if err != nil {
		return Lane{}, err
	}
	for _, m := range e.store.Won() {
		if m.Lane == lane && m.Attempt == attempt {
			e.everywhere(&m)
			return Lane{Spec: e.current(), Manifest: m, Ended: e.ended([]uint32{lane}), store: e.store}, nil
		}
	}
	return Lane{}, failure.Errorf(failure.LostPartition, "%w: exchange %d, lane %d: attempt %d has not committed it here", shuffle.ErrDataLoss, ex, lane, attempt)
}

// Rows reads what the lane holds for a partition, in the form in which it is kept.
func (l Lane) Rows(part uint32) *partition.Reader {
	return l.store.Reader(part, []uint32{l.Manifest.Lane})
}

// Parts are the partitions that it may have rows for.
func (l Lane) Parts() []uint32 {
	switch {
	case l.Spec.Paired:
		return []uint32{l.Manifest.Lane}
	case l.Spec.Everywhere:
		return []uint32{0}
	}
	parts := make([]uint32, l.Spec.Partitions)
	for i := range parts {
		parts[i] = uint32(i)
	}
	return parts
}

// Manifests lists the lanes of a stored exchange that an attempt has won here and that are
// not known to be damaged; of one that is not here, none.
func (s *Service) Manifests(job id.Job, ex id.Exchange) []shuffle.Manifest {
	e, err := s.stored(job, ex)
	if err != nil {
		return nil
	}
	won := e.store.Won()
	for i := range won {
		e.everywhere(&won[i])
	}
	return won
}

// DropLanes empties lanes of a stored exchange, unless it is of a higher term: writers that
// are open fail, and others may write them. Dropping what is not there is no error.
func (s *Service) DropLanes(job id.Job, ex id.Exchange, lanes []uint32, term id.Term) error {
	e, err := s.stored(job, ex)
	if err != nil || e.spec.Term > term {
		return nil
	}
	if slices.ContainsFunc(lanes, func(lane uint32) bool { return int(lane) >= e.spec.Lanes }) {
		return failure.Errorf(failure.Usage, "drop lanes %v of exchange %d, which has %d", lanes, ex, e.spec.Lanes)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, lane := range lanes {
		e.store.Forget(lane)
		e.lanes[lane].ended = 0
	}
	return nil
}

// stored finds a stored exchange.
func (s *Service) stored(job id.Job, ex id.Exchange) (*exchange, error) {
	e, err := s.find(job, ex)
	if err == nil && e.store == nil {
		err = failure.Errorf(failure.NotFound, "it is not stored")
	}
	if err != nil {
		return nil, fmt.Errorf("exchange %d: %w", ex, err)
	}
	return e, nil
}
