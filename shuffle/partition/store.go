package partition

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// spillPiece is how much of a partition is encoded before it is written.
const spillPiece = 1 << 20

// Store keeps the partitions of one exchange. All methods may be called
// concurrently; calls for one run come from one goroutine.
type Store struct {
	tier   *Tier
	mem    memory.Allocator
	schema *arrow.Schema
	number uint64          // of the tier's stores
	ctx    context.Context // of reads from the remote tier; it ends with Close
	cancel context.CancelFunc

	mu       sync.Mutex
	lanes    []laneRuns
	inMemory []int64 // bytes, by partition
	packs    []*pack
	objects  uint64 // that were begun in the remote tier
	closed   bool
	failed   []error // of packs that were not removed
}

type laneRuns struct {
	runs   map[uint32]*run // by attempt
	winner *run
	// damaged says that a block of the winner could not be read: the lane is lost, and
	// the next attempt that is sealed takes its place.
	damaged bool
	used    uint64 // when it was sealed or read last, by the tier's clock
}

// run is what one attempt wrote into its lane.
type run struct {
	attempt uint32
	parts   [][]block // by partition
	totals  []shuffle.PartitionTotals
	disk    int64 // bytes on local disk
}

// New returns an empty store of batches of that schema. mem is what blocks that are
// read back from disk are allocated from.
func New(t *Tier, mem memory.Allocator, schema *arrow.Schema, lanes, partitions int) *Store {
	s := &Store{
		tier: t, mem: mem, schema: schema, number: t.stores.Add(1), lanes: make([]laneRuns, lanes), inMemory: make([]int64, partitions),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if t.mover != nil {
		t.mover.keep(s, true)
	}
	return s
}

// Begin opens a run. An attempt whose lane another one has won may write too; it learns
// of it from Seal.
func (s *Store) Begin(lane, attempt uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return shuffle.ErrReleased
	}
	l := &s.lanes[lane]
	if l.winner != nil && l.winner.attempt == attempt {
		return shuffle.ErrLostRace // to itself
	}
	if l.runs == nil {
		l.runs = map[uint32]*run{}
	}
	s.discard(lane, attempt) // of a writer that is gone
	l.runs[attempt] = &run{attempt: attempt, parts: make([][]block, len(s.inMemory)), totals: make([]shuffle.PartitionTotals, len(s.inMemory))}
	return nil
}

// Append adds a batch without a selection to a run. It owns b. Where there is a remote
// tier, it waits for room on disk for some time.
func (s *Store) Append(ctx context.Context, lane, attempt, partition uint32, b *stream.Batch) error {
	added := block{batch: b, bytes: b.Bytes(), rows: uint64(b.Len()), digest: Digest(b)}
	for left := s.tier.patience(); ; {
		room := s.tier.given()
		err := s.append(owner{lane, attempt, partition}, added)
		if err == nil {
			return nil
		}
		again := false
		if errors.Is(err, errFull) {
			var ended error
			if again, ended = s.tier.wait(ctx, room, &left); ended != nil {
				err = ended
			}
		}
		if !again {
			b.Release()
			return err
		}
	}
}

// append places a block. After an error it is still the caller's.
func (s *Store) append(o owner, added block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[o.lane].runs[o.attempt]
	if s.closed || r == nil {
		return shuffle.ErrReleased
	}
	added.seq = uint64(len(r.parts[o.partition]))
	if err := s.placeNew(o, r, &added); err != nil {
		return err
	}
	r.parts[o.partition] = append(r.parts[o.partition], added)
	t := &r.totals[o.partition]
	t.Rows += added.rows
	t.Bytes += uint64(added.bytes)
	t.Digest += added.digest
	return nil
}

// placeNew finds room for a new block: in memory, if need be after spilling the
// largest partitions; otherwise on disk.
func (s *Store) placeNew(o owner, r *run, b *block) error {
	for !s.tier.reserveMemory(b.bytes) {
		largest := 0
		for p, n := range s.inMemory {
			if n > s.inMemory[largest] {
				largest = p
			}
		}
		if s.inMemory[largest] < b.bytes { // others hold the tier, or b is huge
			return s.write(o, r, []*block{b})
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
					if err := s.moveOut(o, r, piece, size); err != nil {
						return err
					}
					piece, size = piece[:0], 0
				}
			}
			if err := s.moveOut(o, r, piece, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) moveOut(o owner, r *run, blocks []*block, size int64) error {
	if len(blocks) == 0 {
		return nil
	}
	if err := s.write(o, r, blocks); err != nil {
		return err
	}
	s.inMemory[o.partition] -= size
	s.tier.give(size, 0)
	return nil
}

// write puts blocks of one owner, in a run, on disk and releases their batches.
func (s *Store) write(o owner, r *run, blocks []*block) error {
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
	r.disk += int64(len(buf))
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
	case l.winner != nil && !l.damaged:
		s.discard(lane, attempt)
		return shuffle.Manifest{}, shuffle.ErrLostRace
	}
	l.winner, l.damaged, l.used = r, false, s.tier.clock.Add(1)
	for _, other := range slices.Collect(maps.Keys(l.runs)) {
		if other != attempt {
			s.discard(lane, other)
		}
	}
	if s.tier.mover != nil && s.tier.pressed() {
		s.tier.mover.hurry()
	}
	return r.manifest(lane), nil
}

func (r *run) manifest(lane uint32) shuffle.Manifest {
	return shuffle.Manifest{Lane: lane, Attempt: r.attempt, Partitions: slices.Clone(r.totals)}
}

// Won lists the lanes that an attempt has won and that are not known to be damaged, by
// what they hold.
func (s *Store) Won() (lanes []shuffle.Manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lane := range s.lanes {
		if l := &s.lanes[lane]; l.winner != nil && !l.damaged {
			lanes = append(lanes, l.winner.manifest(uint32(lane)))
		}
	}
	return lanes
}

// Forget empties a lane, whoever has written it; open writers get ErrReleased.
func (s *Store) Forget(lane uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, attempt := range slices.Collect(maps.Keys(s.lanes[lane].runs)) {
		s.discard(lane, attempt)
	}
	s.lanes[lane] = laneRuns{}
}

// Discard forgets a run that was not sealed.
func (s *Store) Discard(lane, attempt uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := &s.lanes[lane]; l.winner == nil || l.winner != l.runs[attempt] {
		s.discard(lane, attempt)
	}
}

// discard frees a run's memory, and what it had on disk and below.
func (s *Store) discard(lane, attempt uint32) {
	r := s.lanes[lane].runs[attempt]
	if r == nil {
		return
	}
	delete(s.lanes[lane].runs, attempt)
	var holes []hole
	for p, blocks := range r.parts {
		for _, b := range blocks {
			switch {
			case b.batch != nil:
				b.batch.Release()
				s.inMemory[p] -= b.bytes
				s.tier.give(b.bytes, 0)
			case b.pack != nil:
				holes = append(holes, hole{b.pack, b.offset, b.offset + b.length})
			default:
				s.tier.dropped(b.length)
				if b.object.live -= b.length; b.object.live == 0 && !s.closed {
					s.tier.mover.doom(b.object.info.Path)
				}
			}
		}
	}
	if !s.closed {
		s.dig(holes)
	}
}

// Close frees memory and removes files; later calls get ErrReleased.
func (s *Store) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.closed
	s.closed = true
	for lane := range s.lanes {
		for _, attempt := range slices.Collect(maps.Keys(s.lanes[lane].runs)) {
			s.discard(uint32(lane), attempt)
		}
	}
	errs := s.failed
	for _, p := range s.packs {
		errs = append(errs, p.remove())
	}
	s.packs, s.failed = nil, nil
	if m := s.tier.mover; m != nil && !was {
		m.keep(s, false)
		if s.objects > 0 {
			m.doom(m.dir(s))
		}
	}
	return errors.Join(errs...)
}
