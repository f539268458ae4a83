package memstate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/stream"
)

// rowAt is the row at a position of a selection.
func rowAt(sel []int32, i int32) int32 {
	if sel == nil {
		return i
	}
	return sel[i]
}

// bring gives keys that Resolve has just added what the store has of them. If it fails
// they are taken out again.
func (s *space) bring(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	c := s.cold
	c.reach(s.Table.Len())
	c.fresh, c.asked = c.fresh[:0], c.asked[:0]
	added := 0
	for i, x := range slots {
		f := c.flags[x]
		if f == 0 {
			f, added = inUse, added+1
			c.fresh = append(c.fresh, x)
			if c.lacks() && c.filter.has(hashes[i]) {
				c.asked = append(c.asked, int32(i))
			}
		} else if f&hitBits != hitBits {
			f += oneHit
		}
		c.flags[x] = f
	}
	t := s.table.backend.tier
	t.busy, c.used = true, t.clock
	t.stats.Asked += int64(len(slots))
	t.stats.Hits += int64(len(slots) - added)
	if len(c.asked) == 0 {
		return nil
	}
	err := s.fetch(keys, sel, hashes, c.asked, func(positions []int32, found *chunk) error {
		into := make([]int32, len(positions))
		for i, p := range positions {
			into[i] = slots[p]
		}
		return s.load(found, nil, into)
	})
	if err != nil {
		s.undo(c.fresh)
	}
	return err
}

// undo takes keys out of memory again that were not read whole.
func (s *space) undo(slots []int32) {
	slices.Sort(slots)
	slots = slices.Compact(slots)
	for _, x := range slots {
		if s.cold.flags[x]&isStored != 0 {
			s.cold.away++
		}
	}
	if s.lists != nil {
		s.lists.removeAll(slots)
	}
	s.evicted(slots)
}

// find gives keys that Find did not find in memory, but the store has, their slots.
func (s *space) find(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	c := s.cold
	c.asked = c.asked[:0]
	missed := 0
	for i, x := range slots {
		switch {
		case x >= 0:
			if f := c.flags[x]; f&hitBits != hitBits {
				c.flags[x] = f + oneHit
			}
		case c.filter.has(hashes[i]):
			c.asked = append(c.asked, int32(i))
			missed++
		default:
			missed++
		}
	}
	t := s.table.backend.tier
	t.busy, c.used = true, t.clock
	t.stats.Asked += int64(len(slots))
	t.stats.Hits += int64(len(slots) - missed)
	if len(c.asked) == 0 {
		return nil
	}
	return s.fetch(keys, sel, hashes, c.asked, func(positions []int32, found *chunk) error {
		into, err := s.admit(keys, sel, hashes, positions)
		if err != nil {
			return err
		}
		for i, p := range positions {
			slots[p] = into[i]
		}
		if err := s.load(found, nil, into); err != nil {
			s.undo(into)
			return err
		}
		return nil
	})
}

// admit gives keys at positions slots.
func (s *space) admit(keys []arrow.Array, sel []int32, hashes []uint64, positions []int32) ([]int32, error) {
	rows, some, into := make([]int32, len(positions)), make([]uint64, len(positions)), make([]int32, len(positions))
	for i, p := range positions {
		rows[i], some[i] = rowAt(sel, p), hashes[p]
	}
	if s.lists != nil {
		if err := s.lists.Slots(s.Table.Len() + len(positions)); err != nil {
			return nil, err
		}
	}
	if err := s.Table.Resolve(keys, rows, some, into); err != nil {
		return nil, err
	}
	s.cold.reach(s.Table.Len())
	for _, x := range into {
		s.cold.flags[x] |= inUse
	}
	return into, nil
}

// fetch reads the records of keys at positions, each of which may come more than once,
// and hands over what there is.
func (s *space) fetch(keys []arrow.Array, sel []int32, hashes []uint64, positions []int32, got func(positions []int32, found *chunk) error) error {
	t := s.table.backend.tier
	if t.failed != nil {
		return t.failed
	}
	rows := make([]int32, len(positions))
	for i, p := range positions {
		rows[i] = rowAt(sel, p)
	}
	columns := loaded(s.table.spec.Keys, keys, rows, len(rows))
	prefix := appendSpace(nil, s.table.spec.ID, s.ns)
	var arena []byte
	ends := make([]int, len(rows))
	for i, p := range positions {
		arena = appendKey(appendHash(append(arena, prefix...), hashes[p]), columns, i)
		ends[i] = len(arena)
	}
	wanted, order := make([][]byte, len(rows)), make([]int32, len(rows))
	from := 0
	for i, end := range ends {
		wanted[i], order[i] = arena[from:end], int32(i)
		from = end
	}
	slices.SortFunc(order, func(a, b int32) int { // as the keys are ordered, which begin alike
		return cmp.Or(cmp.Compare(hashes[positions[a]], hashes[positions[b]]), bytes.Compare(wanted[a], wanted[b]))
	})
	sorted := make([][]byte, len(order))
	for i, o := range order {
		sorted[i] = wanted[o]
	}
	found, at := newChunk(s.table, t.cycle), make([]int32, 0, len(order))
	err := t.store.Get(sorted, func(i int, record []byte) error {
		at = append(at, positions[order[i]])
		return found.add(record)
	})
	if err != nil {
		return fmt.Errorf("read keys of namespace %d: %w", s.ns, err)
	}
	if len(at) == 0 {
		return nil
	}
	return got(at, found)
}

// load writes records to slots. A slot may come twice, with the same record. picked are
// the records that are wanted; nil: all.
func (s *space) load(k *chunk, picked, slots []int32) error {
	c, b := s.cold, s.table.backend
	s.kept = grown(s.kept, s.Table.Len())
	var records, into, changed []int32 // each slot once
	slotOf := make([]int32, k.len())
	for i := range slotOf {
		slotOf[i] = -1
	}
	for i, x := range slots {
		if c.flags[x]&isStored != 0 {
			continue
		}
		r := rowAt(picked, int32(i))
		c.flags[x] |= isStored
		c.away--
		b.tier.stats.Read++
		records, into, slotOf[r] = append(records, r), append(into, x), x
		s.kept[x] = k.kept(int(r))
		if b.tracking && k.fresh(int(r)) {
			changed = append(changed, x)
		}
	}
	for i, column := range s.Values() {
		hashtable.Copy(column, k.values[i], records, into)
	}
	s.changed.add(changed, s.Table.Len())
	if s.lists == nil {
		return nil
	}
	return s.lists.load(k, slotOf)
}

// load adds the rows of records to the lists of their slots, -1 where they are not
// wanted.
func (l *lists) load(k *chunk, slotOf []int32) error {
	var slots, sel []int32
	var sequences []int64
	for i, o := range k.owners {
		if x := slotOf[o]; x >= 0 {
			slots, sel, sequences = append(slots, x), append(sel, int32(i)), append(sequences, k.sequences[i])
		}
	}
	if len(slots) == 0 {
		return nil
	}
	columns, err := arrays(l.space.table.backend.alloc, k.list, len(k.owners))
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	rows := make([]int32, len(slots))
	if err := l.AddAs(slots, sequences, columns, sel, rows); err != nil {
		return err
	}
	var changed []int32
	for i, r := range rows {
		if k.changed[sel[i]] && k.fresh(int(k.owners[sel[i]])) {
			changed = append(changed, r)
		}
	}
	if l.space.table.backend.tracking {
		l.changed.add(changed, len(l.Sequences()))
	}
	return nil
}

// eachAway hands out the keys that are in the store only.
func (s *space) eachAway(do func(k *chunk) error) error {
	b := s.table.backend
	frozen, err := b.tier.store.Freeze()
	if err != nil {
		return err
	}
	err = s.chunks(frozen, keygroup.Range{Last: keygroup.Group(b.groups)}, b.tier.cycle, func(k *chunk) error {
		left, err := s.withoutHot(k)
		if err != nil || left.len() == 0 {
			return err
		}
		return do(left)
	})
	if closed := frozen.Close(); err == nil {
		err = closed
	}
	return err
}

// chunks reads the records of a namespace in groups.
func (s *space) chunks(frozen Frozen, groups keygroup.Range, cycle uint32, do func(k *chunk) error) error {
	return scanChunks(frozen, s.table, s.ns, groups, cycle, nil, do)
}

// scanChunks reads the records of a namespace in groups, but for those of keys to skip.
func scanChunks(frozen Frozen, t *table, ns int64, groups keygroup.Range, cycle uint32, skip map[string]struct{}, do func(k *chunk) error) error {
	k := newChunk(t, cycle)
	from, to := t.bounds(ns, groups)
	err := frozen.Scan(from, to, func(key, record []byte) error {
		if isNote(key) {
			return nil
		}
		if _, ok := skip[string(key)]; ok {
			return nil
		}
		if err := k.addKey(key); err != nil {
			return err
		}
		if err := k.add(record); err != nil {
			return err
		}
		if k.len() < stream.TargetRows && len(k.owners) < stream.TargetRows {
			return nil
		}
		full := k
		k = newChunk(t, cycle)
		return do(full)
	})
	if err != nil || k.len() == 0 {
		return err
	}
	return do(k)
}

// withoutHot leaves out records of keys that are in memory.
func (s *space) withoutHot(k *chunk) (*chunk, error) {
	keys, err := arrays(s.table.backend.alloc, k.keys, k.len())
	if err != nil {
		return nil, err
	}
	defer compute.ReleaseAll(keys)
	slots := make([]int32, k.len())
	if err := s.Table.Find(keys, nil, k.hashes, slots); err != nil {
		return nil, err
	}
	var picked []int32
	for i, x := range slots {
		if x < 0 {
			picked = append(picked, int32(i))
		}
	}
	if len(picked) == k.len() {
		return k, nil
	}
	return k.pick(picked), nil
}

// stay brings all keys of a namespace back to memory, for good.
func (s *space) stay() error {
	c := s.cold
	if c == nil {
		return nil
	}
	if c.lacks() {
		err := s.eachAway(func(k *chunk) error {
			keys, err := arrays(s.table.backend.alloc, k.keys, k.len())
			if err != nil {
				return err
			}
			defer compute.ReleaseAll(keys)
			positions := make([]int32, k.len())
			for i := range positions {
				positions[i] = int32(i)
			}
			into, err := s.admit(keys, nil, k.hashes, positions)
			if err != nil {
				return err
			}
			return s.load(k, nil, into)
		})
		if err != nil {
			return err
		}
	}
	if err := s.forgetStored(); err != nil {
		return err
	}
	c.release(s.table.backend.account)
	s.cold = nil
	return nil
}
