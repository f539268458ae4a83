package partition

import (
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	tmemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// found is what lies at a place of a sealed lane's partition.
type found struct {
	block
	owner
	sealed bool // false: no attempt has won the lane yet
	end    bool // the place is behind the last block
}

// at returns block i of a lane's partition, with a batch that the caller owns and that may
// be in wire form. A block that cannot be read damages the lane.
func (s *Store) at(lane, partition uint32, i int) (found, error) {
	at, err := s.find(lane, partition, i)
	if err != nil || !at.sealed || at.end || at.batch != nil {
		return at, err
	}
	// The file is read without the lock: blocks on disk never change.
	data, err := s.room(int(at.length))
	if err != nil {
		return at, fmt.Errorf("read block %d of lane %d: %w", i, lane, err)
	}
	if err = at.pack.read(at.offset, data.Bytes()); err != nil {
		data.Release()
	} else {
		at.batch, err = decode(data, s.schema, at.owner, &at.block)
	}
	if err != nil {
		err = s.damage(at.owner, fmt.Errorf("block %d: %w", i, err))
	}
	return at, err
}

// room is a buffer for a block that is read. Where memory is out, that is so for now: the
// store of a server has many readers, and the lane is not damaged.
func (s *Store) room(bytes int) (b *memory.Buffer, err error) {
	defer func() { err = failure.Wrap(failure.Transient, err) }()
	defer tmemory.Recover(&err)
	return wire.NewBuffer(s.mem, bytes), nil
}

// find looks a block up; one in memory comes with a reference for the caller.
func (s *Store) find(lane, partition uint32, i int) (found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.lanes[lane]
	if s.closed {
		return found{}, shuffle.ErrReleased
	}
	if l.winner == nil {
		return found{}, nil
	}
	at := found{owner: owner{lane, l.winner.attempt, partition}, sealed: true}
	if l.damaged {
		return at, dataLoss(at.owner, errDamaged)
	}
	if blocks := l.winner.parts[partition]; i < len(blocks) {
		at.block = blocks[i]
	} else {
		at.end = true
	}
	if at.batch != nil {
		at.batch = at.batch.Share()
	}
	return at, nil
}

var errDamaged = fmt.Errorf("%w: a block of the lane is damaged", shuffle.ErrDataLoss)

// damage notes that what an attempt has written cannot be read, and says so; not of a store
// that was closed meanwhile.
func (s *Store) damage(o owner, cause error) error {
	if errors.Is(cause, os.ErrClosed) {
		return shuffle.ErrReleased
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := &s.lanes[o.lane]; l.winner != nil && l.winner.attempt == o.attempt {
		l.damaged = true
	}
	return dataLoss(o, cause)
}

// dataLoss names the lane and the attempt that wrote it.
func dataLoss(o owner, cause error) error {
	return failure.Wrap(failure.LostPartition, fmt.Errorf("lane %d, attempt %d: %w", o.lane, o.attempt, cause))
}

// totals is what the manifest of a sealed lane says of a partition.
func (s *Store) totals(lane, partition uint32) shuffle.PartitionTotals {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.lanes[lane].winner; w != nil {
		return w.totals[partition]
	}
	return shuffle.PartitionTotals{}
}
