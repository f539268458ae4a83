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
// be in wire form. A block that cannot be read damages the lane, unless that may pass.
func (s *Store) at(lane, partition uint32, i int, way *far) (found, error) {
	for {
		at, err := s.find(lane, partition, i)
		if err != nil || !at.sealed || at.end || at.batch != nil {
			return at, err
		}
		// It is read without the lock: such blocks never change, but they move.
		err = s.load(&at, way)
		switch {
		case err == nil:
			return at, nil
		case !s.stands(&at, i):
			continue
		case errors.Is(err, shuffle.ErrReleased) || failure.Of(err) == failure.Transient:
			return at, fmt.Errorf("read block %d of lane %d: %w", i, lane, err)
		}
		return at, s.damage(at.owner, fmt.Errorf("block %d: %w", i, err))
	}
}

// load reads a block from where it was found.
func (s *Store) load(at *found, way *far) error {
	data, err := s.room(int(at.length))
	if err != nil {
		return err
	}
	if at.pack != nil {
		err = at.pack.read(at.offset, data.Bytes())
	} else {
		err = way.read(s, at.object, at.partition, at.offset, data.Bytes())
	}
	if err != nil {
		data.Release()
		return err
	}
	if at.batch, err = decode(data, s.schema, at.owner, &at.block); err != nil && at.object != nil {
		return fmt.Errorf("%s: %w", at.object.info.Path, err)
	}
	return err
}

// stands tells whether a block is still where it was found.
func (s *Store) stands(at *found, i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.lanes[at.lane].winner
	if s.closed || w == nil || w.attempt != at.attempt || i >= len(w.parts[at.partition]) {
		return false
	}
	b := &w.parts[at.partition][i]
	return b.pack == at.pack && b.object == at.object && b.offset == at.offset
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
	l.used = s.tier.clock.Add(1)
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
