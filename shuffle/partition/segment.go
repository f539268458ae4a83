package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/tidemill/tidemill/fs"
)

// object is a file of the remote tier: blocks of sealed lanes, by partition, then by lane,
// as they were on disk. It never changes.
type object struct {
	info fs.Info
	ends []int64 // where each partition's blocks end
	live int64   // bytes of blocks that are not dropped; the store's lock guards it
}

// segment is what becomes an object.
type segment struct {
	store  *Store
	number uint64
	blocks []piece
	ends   []int64
}

// piece is a block on disk, and where it belongs.
type piece struct {
	owner
	index  int
	pack   *pack
	offset int64
	length int64
}

// movable tells how long ago the least recently used of the lanes that can be moved was
// used, and whether they have so many bytes.
func (s *Store) movable(least int64) (age uint64, enough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes := int64(0)
	for i := range s.lanes {
		l := &s.lanes[i]
		if !l.movable() {
			continue
		}
		if bytes == 0 || l.used < age {
			age = l.used
		}
		bytes += l.winner.disk
	}
	return age, bytes >= least && bytes > 0
}

func (l *laneRuns) movable() bool { return l.winner != nil && !l.damaged && l.winner.disk > 0 }

// segment takes blocks of the lanes that have not been used for the longest time, about as
// many bytes as an object has; nil if there are none any more.
func (s *Store) segment(most int64) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lanes []uint32
	for i := range s.lanes {
		if s.lanes[i].movable() {
			lanes = append(lanes, uint32(i))
		}
	}
	if s.closed || len(lanes) == 0 {
		return nil
	}
	slices.SortFunc(lanes, func(a, b uint32) int { return cmp.Compare(s.lanes[a].used, s.lanes[b].used) })
	bytes, n := int64(0), 0
	for ; n < len(lanes) && bytes < most; n++ {
		bytes += s.lanes[lanes[n]].winner.disk
	}
	lanes = lanes[:n]
	slices.Sort(lanes)
	s.objects++
	g := &segment{store: s, number: s.objects, ends: make([]int64, len(s.inMemory))}
	at := int64(0)
	for p := range g.ends {
		for _, lane := range lanes {
			w := s.lanes[lane].winner
			for i, b := range w.parts[p] {
				if b.pack == nil || at >= most {
					continue
				}
				g.blocks = append(g.blocks, piece{owner{lane, w.attempt, uint32(p)}, i, b.pack, b.offset, b.length})
				at += b.length
			}
		}
		g.ends[p] = at
	}
	return g
}

// move writes the object, and then gives up what is on disk of it. After an error everything
// is as it was.
func (g *segment) move(ctx context.Context) error {
	m := g.store.tier.mover
	path := m.path(g.store, g.number)
	info, err := g.write(ctx, path)
	var lost *lostPiece
	switch {
	case err == nil:
		g.store.place(g, &object{info: info, ends: g.ends})
		return nil
	case errors.As(err, &lost):
		_ = g.store.damage(lost.owner, lost.cause) // nobody could read it either
		return nil
	}
	m.doom(path) // the reply may have been lost
	return fmt.Errorf("move %d bytes of %d blocks to the remote tier: %w", g.ends[len(g.ends)-1], len(g.blocks), err)
}

// lostPiece says that a block on disk could not be read. That of a lane which was dropped
// meanwhile is no loss.
type lostPiece struct {
	owner
	cause error
}

func (e *lostPiece) Error() string { return e.cause.Error() }
func (e *lostPiece) Unwrap() error { return e.cause }

// writeBytes is how much is read from disk, and written, at once.
const writeBytes = 1 << 20

func (g *segment) write(ctx context.Context, path string) (info fs.Info, err error) {
	files := g.store.tier.mover.options.FS
	w, err := files.Create(ctx, path, fs.CreateOptions{})
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			_ = w.Abort(context.WithoutCancel(ctx)) // the path is removed anyway
		}
	}()
	var data []byte
	for rest := g.blocks; len(rest) > 0; {
		n, length := adjacent(rest)
		data = slices.Grow(data[:0], int(length))[:length]
		if err := rest[0].pack.read(rest[0].offset, data); err != nil {
			return info, &lostPiece{rest[0].owner, err}
		}
		if err := ctx.Err(); err != nil {
			return info, err
		}
		if _, err := w.Write(data); err != nil {
			return info, err
		}
		rest = rest[n:]
	}
	if err := w.Commit(ctx); err != nil {
		return info, err
	}
	if info, err = files.Stat(ctx, path); err != nil {
		return info, err
	}
	if want := g.ends[len(g.ends)-1]; info.Size != want {
		return info, fmt.Errorf("%s has %d bytes, not %d", path, info.Size, want)
	}
	return info, nil
}

// adjacent tells how many of the first pieces lie side by side and are read at once, and
// their length.
func adjacent(blocks []piece) (n int, length int64) {
	first := blocks[0]
	for _, b := range blocks {
		if b.pack != first.pack || b.offset != first.offset+length || b.owner != first.owner || n > 0 && length+b.length > writeBytes {
			break
		}
		n++
		length += b.length
	}
	return n, length
}

// place has blocks be read from the object from now on, those that are still wanted, and gives up
// what is on disk of them.
func (s *Store) place(g *segment, o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset := int64(0)
	var holes []hole
	for _, p := range g.blocks {
		at := offset
		offset += p.length
		r := s.lanes[p.lane].runs[p.attempt]
		if s.closed || r == nil || p.index >= len(r.parts[p.partition]) {
			continue
		}
		b := &r.parts[p.partition][p.index]
		if b.pack != p.pack || b.offset != p.offset {
			continue // another run of that attempt
		}
		b.pack, b.object, b.offset = nil, o, at
		r.disk -= p.length
		o.live += p.length
		holes = append(holes, hole{p.pack, p.offset, p.offset + p.length})
	}
	s.tier.moved(o.live, 0)
	if o.live == 0 {
		s.tier.mover.doom(o.info.Path)
	}
	s.dig(holes)
}

// hole is a range of a pack that nobody reads any more.
type hole struct {
	pack     *pack
	from, to int64
}

// dig gives ranges of packs back, and packs in which nothing is read any more.
func (s *Store) dig(holes []hole) {
	slices.SortFunc(holes, func(a, b hole) int {
		return cmp.Or(cmp.Compare(a.pack.name, b.pack.name), cmp.Compare(a.from, b.from))
	})
	for len(holes) > 0 {
		h, n := holes[0], 1
		for n < len(holes) && holes[n].pack == h.pack && holes[n].from == h.to {
			h.to = holes[n].to
			n++
		}
		holes = holes[n:]
		h.pack.live -= h.to - h.from
		if len(holes) > 0 && holes[0].pack == h.pack || h.pack.live > 0 {
			h.pack.punch(h.from, h.to)
			continue
		}
		s.packs = slices.DeleteFunc(s.packs, func(p *pack) bool { return p == h.pack })
		if err := h.pack.remove(); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.failed = append(s.failed, err)
		}
	}
}
