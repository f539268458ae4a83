package partition

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// spillPiece is how much of a partition is encoded before it is written.
const spillPiece = 1 << 20

// Store keeps the partitions of one exchange. All methods may be called
// concurrently; calls for one run come from one goroutine.
type Store struct {
	tier   *Tier
	mem    memory.Allocator
	schema *arrow.Schema

	mu       sync.Mutex
	lanes    []laneRuns
	inMemory []int64 // bytes, by partition
	packs    []*pack
	closed   bool
}

type laneRuns struct {
	runs   map[uint32]*run // by attempt
	winner *run
}

// run is what one attempt wrote into its lane.
type run struct {
	attempt uint32
	parts   [][]block // by partition
	totals  []shuffle.PartitionTotals
}

// New returns an empty store of batches of that schema. mem is what blocks that are
// read back from disk are allocated from.
func New(t *Tier, mem memory.Allocator, schema *arrow.Schema, lanes, partitions int) *Store {
	return &Store{tier: t, mem: mem, schema: schema, lanes: make([]laneRuns, lanes), inMemory: make([]int64, partitions)}
}

// Begin opens a run. An attempt whose lane has been won may write too; it learns
// of it from Seal.
func (s *Store) Begin(lane, attempt uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return shuffle.ErrReleased
	}
	l := &s.lanes[lane]
	if l.runs == nil {
		l.runs = map[uint32]*run{}
	}
	l.runs[attempt] = &run{attempt: attempt, parts: make([][]block, len(s.inMemory)), totals: make([]shuffle.PartitionTotals, len(s.inMemory))}
	return nil
}

// Append adds a batch without a selection to a run. It owns b.
func (s *Store) Append(lane, attempt, partition uint32, b *stream.Batch) error {
	added := block{batch: b, bytes: b.Bytes(), rows: uint64(b.Len()), digest: Digest(b)}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[lane].runs[attempt]
	if s.closed || r == nil {
		b.Release()
		return shuffle.ErrReleased
	}
	added.seq = uint64(len(r.parts[partition]))
	if err := s.place(owner{lane, attempt, partition}, &added); err != nil {
		b.Release()
		return err
	}
	r.parts[partition] = append(r.parts[partition], added)
	t := &r.totals[partition]
	t.Rows += added.rows
	t.Bytes += uint64(added.bytes)
	t.Digest += added.digest
	return nil
}

// place finds room for a new block: in memory, if need be after spilling the
// largest partitions; otherwise on disk.
func (s *Store) place(o owner, b *block) error {
	for !s.tier.reserveMemory(b.bytes) {
		largest := 0
		for p, n := range s.inMemory {
			if n > s.inMemory[largest] {
				largest = p
			}
		}
		if s.inMemory[largest] < b.bytes { // others hold the tier, or b is huge
			return s.write(o, []*block{b})
		}
		if err := s.spill(uint32(largest)); err != nil {
			return err
		}
	}
	s.inMemory[o.partition] += b.bytes
	return nil
}

// spill writes everything that a partition holds in memory to disk.
func (s *Store) spill(partition uint32) error {
	for lane := range s.lanes {
		for attempt, r := range s.lanes[lane].runs {
			o := owner{uint32(lane), attempt, partition}
			var piece []*block
			size := int64(0)
			for i := range r.parts[partition] {
				if b := &r.parts[partition][i]; b.batch != nil {
					piece = append(piece, b)
					size += b.bytes
				}
				if size >= spillPiece {
					if err := s.moveOut(o, piece, size); err != nil {
						return err
					}
					piece, size = piece[:0], 0
				}
			}
			if err := s.moveOut(o, piece, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) moveOut(o owner, blocks []*block, size int64) error {
	if len(blocks) == 0 {
		return nil
	}
	if err := s.write(o, blocks); err != nil {
		return err
	}
	s.inMemory[o.partition] -= size
	s.tier.give(size, 0)
	return nil
}

// write puts blocks of one owner on disk and releases their batches.
func (s *Store) write(o owner, blocks []*block) error {
	var buf []byte
	lengths := make([]int64, len(blocks))
	for i, b := range blocks {
		before := len(buf)
		var err error
		if buf, err = encode(buf, s.mem, s.schema, o, b); err != nil {
			return err
		}
		lengths[i] = int64(len(buf) - before)
	}
	at, err := s.packFor()
	if err != nil {
		return err
	}
	offset, err := at.append(buf)
	if err != nil {
		return err
	}
	for i, b := range blocks {
		b.pack, b.offset, b.length = at, offset, lengths[i]
		offset += lengths[i]
		b.batch.Release()
		b.batch = nil
	}
	return nil
}

func (s *Store) packFor() (*pack, error) {
	if n := len(s.packs); n > 0 && s.packs[n-1].size < s.tier.options.PackBytes {
		return s.packs[n-1], nil
	}
	if s.tier.options.Dir == nil {
		return nil, s.tier.reserveDisk(0)
	}
	p, err := newPack(s.tier)
	if err == nil {
		s.packs = append(s.packs, p)
	}
	return p, err
}

// Seal ends a run. The first of a lane wins it; the others get ErrLostRace and
// are discarded.
func (s *Store) Seal(lane, attempt uint32) (shuffle.Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.lanes[lane]
	r := l.runs[attempt]
	switch {
	case s.closed || r == nil:
		return shuffle.Manifest{}, shuffle.ErrReleased
	case l.winner != nil:
		s.discard(lane, attempt)
		return shuffle.Manifest{}, shuffle.ErrLostRace
	}
	l.winner = r
	for _, other := range slices.Collect(maps.Keys(l.runs)) {
		if other != attempt {
			s.discard(lane, other)
		}
	}
	return shuffle.Manifest{Lane: lane, Attempt: attempt, Partitions: slices.Clone(r.totals)}, nil
}

// Won lists the lanes that an attempt has won.
func (s *Store) Won() (lanes []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lane := range s.lanes {
		if s.lanes[lane].winner != nil {
			lanes = append(lanes, uint32(lane))
		}
	}
	return lanes
}

// Discard forgets a run that was not sealed.
func (s *Store) Discard(lane, attempt uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := &s.lanes[lane]; l.winner == nil || l.winner != l.runs[attempt] {
		s.discard(lane, attempt)
	}
}

// discard frees a run's memory; its blocks on disk go with their file.
func (s *Store) discard(lane, attempt uint32) {
	r := s.lanes[lane].runs[attempt]
	if r == nil {
		return
	}
	delete(s.lanes[lane].runs, attempt)
	for p, blocks := range r.parts {
		for _, b := range blocks {
			if b.batch != nil {
				b.batch.Release()
				s.inMemory[p] -= b.bytes
				s.tier.give(b.bytes, 0)
			}
		}
	}
}

// Close frees memory and removes files; later calls get ErrReleased.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for lane := range s.lanes {
		for _, attempt := range slices.Collect(maps.Keys(s.lanes[lane].runs)) {
			s.discard(uint32(lane), attempt)
		}
	}
	var errs []error
	for _, p := range s.packs {
		errs = append(errs, p.remove())
	}
	s.packs = nil
	return errors.Join(errs...)
}

// at returns block i of a sealed lane's partition, which may be in wire form, and what
// it counts for; sealed
// is false when no attempt has won the lane yet, b is nil after the last block.
func (s *Store) at(lane, partition uint32, i int) (b *stream.Batch, counts shuffle.PartitionTotals, sealed bool, err error) {
	at, o, sealed, err := s.find(lane, partition, i)
	counts = shuffle.PartitionTotals{Rows: at.rows, Bytes: uint64(at.bytes), Digest: at.digest}
	if at.pack == nil || err != nil {
		return at.batch, counts, sealed, err
	}
	// The file is read without the lock: blocks on disk never change.
	data := wire.NewBuffer(s.mem, int(at.length))
	if err := at.pack.read(at.offset, data.Bytes()); err != nil {
		data.Release()
		return nil, counts, true, fmt.Errorf("block %d of lane %d: %w", i, lane, err)
	}
	if b, err = decode(data, s.schema, o, &at); err != nil {
		return nil, counts, true, fmt.Errorf("block %d of lane %d: %w", i, lane, err)
	}
	return b, counts, true, nil
}

// find looks a block up; one in memory comes with a reference for the caller.
func (s *Store) find(lane, partition uint32, i int) (at block, o owner, sealed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.lanes[lane]
	if s.closed {
		return block{}, owner{}, false, shuffle.ErrReleased
	}
	if l.winner == nil {
		return block{}, owner{}, false, nil
	}
	blocks := l.winner.parts[partition]
	if i == len(blocks) {
		return block{}, owner{}, true, nil
	}
	at = blocks[i]
	if at.batch != nil {
		at.batch = at.batch.Share()
	}
	return at, owner{lane, l.winner.attempt, partition}, true, nil
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
