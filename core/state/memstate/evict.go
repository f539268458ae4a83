package memstate

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

const (
	// evictKeys is how many keys leave memory at a time, at most.
	evictKeys = 1 << 15
	// evictPart is which part of the budget is made free, and evictBytes the most of it.
	evictPart, evictBytes = 16, 1 << 20
	// asidePart is which part of the budget is left for filters and hands.
	asidePart = 12
	// longestList is the list from which on a key stays in memory: bringing it back would
	// cost too much at a time.
	longestList = 1 << 16
	// changeBytes is how large changes to the store get.
	changeBytes = 4 << 20
)

func appendHash(b []byte, hash uint64) []byte { return binary.BigEndian.AppendUint64(b, hash) }

// taken is about how much memory the keys of a space take, room that they have left apart.
func (s *space) taken() int64 {
	n := int64(0)
	if room := int64(s.Table.Capacity()); room > 0 {
		n = s.Table.Bytes() * int64(s.inMemory()) / room
	}
	if s.lists != nil {
		if room := int64(s.lists.Capacity()); room > 0 {
			n += s.lists.Bytes() * int64(s.lists.Count()) / room
		}
	}
	return n
}

// inMemory is the number of keys.
func (s *space) inMemory() int { return s.Table.Len() - len(s.Free()) }

// evictable are the spaces whose keys may leave memory, and what they, filters and hands take:
// room for the latter is left from the beginning, for arrays do not shrink.
func (b *Backend) evictable() (spaces []*space, taken int64) {
	aside := int64(0)
	for _, t := range b.tables {
		if !t.tiered() {
			continue
		}
		for _, s := range t.spaces {
			if s.cold == nil {
				continue
			}
			aside += s.cold.filter.bytes() + s.cold.hand.bytes()
			if n := s.taken(); n > 0 {
				spaces, taken = append(spaces, s), taken+n
			}
		}
	}
	return spaces, taken + max(aside, b.tier.budget/asidePart)
}

// Crowded implements state.Evictor.
func (b *Backend) Crowded() bool {
	t := b.tier
	if t == nil || !t.busy {
		return false
	}
	t.busy = false
	_, taken := b.evictable()
	return taken > max(t.budget, t.enough)
}

// Evict implements state.Evictor: keys of namespaces that have been left alone go first,
// then those that a hand going round finds not asked for lately.
func (b *Backend) Evict() error {
	t := b.tier
	if t == nil {
		return nil
	}
	if t.failed != nil {
		return t.failed
	}
	spaces, taken := b.evictable()
	excess := taken - t.budget
	if excess <= 0 {
		return nil
	}
	excess += min(t.budget/evictPart, evictBytes)
	t.clock++
	slices.SortFunc(spaces, func(x, y *space) int {
		return cmp.Or(cmp.Compare(x.cold.used, y.cold.used), cmp.Compare(y.taken(), x.taken()), cmp.Compare(x.ns, y.ns))
	})
	for _, s := range spaces {
		if excess <= 0 {
			break
		}
		n, was := s.inMemory(), s.taken()
		want := int(min(int64(n)*excess/max(was, 1)+1, int64(n)))
		if err := s.evict(want); err != nil {
			return fmt.Errorf("evict keys of state table %d %s: %w", s.table.spec.ID, s.table.spec.Name, err)
		}
		excess -= was - s.taken()
	}
	t.enough = 0
	if _, left := b.evictable(); left > t.budget {
		t.enough = left + t.budget/evictPart
	}
	return nil
}

// evict moves about n keys to the store.
func (s *space) evict(n int) error {
	for n > 0 {
		victims := s.victims(min(n, evictKeys))
		if len(victims) == 0 {
			return nil
		}
		if err := s.put(victims); err != nil {
			return err
		}
		n -= len(victims)
	}
	return s.shrink()
}

// put writes keys to the store, where it has them not as they are, and takes them out of
// memory, once what a snapshot has still to copy of them is copied.
func (s *space) put(slots []int32) error {
	t := s.table.backend.tier
	s.pending.saveLists(slots)
	s.pending.saveKeys(slots)
	var dirty []int32
	for _, x := range slots {
		if f := s.cold.flags[x]; f&isStored == 0 || f&isChanged != 0 {
			dirty = append(dirty, x)
		}
	}
	gone := s.goneRows(slots)
	if len(dirty) > 0 {
		hashes := s.Hashes() // in the order of their keys records are written faster
		slices.SortFunc(dirty, func(a, b int32) int { return cmp.Compare(hashes[a], hashes[b]) })
		if err := s.write(dirty, gone); err != nil {
			return err
		}
	}
	if err := s.keepGone(gone); err != nil {
		return err
	}
	hashes := s.Hashes()
	for _, x := range slots {
		if s.cold.flags[x]&isStored == 0 {
			s.cold.filter.add(hashes[x], s.table.backend.account)
			s.cold.stored++
		}
	}
	s.cold.away += int64(len(slots))
	t.stats.Evicted += int64(len(slots))
	t.stats.Written += int64(len(dirty))
	if s.lists != nil {
		s.lists.removeAll(slots)
	}
	s.evicted(slots)
	return nil
}

// evicted takes keys without lists out of memory.
func (s *space) evicted(slots []int32) {
	for _, x := range slots {
		delete(s.index, x)
		if int(x) < len(s.kept) {
			s.kept[x] = false
		}
	}
	s.cold.leave(slots)
	s.changed.drop(slots)
	s.pending.removed(slots)
	s.Table.Remove(slots)
}

// keyBytes are the keys of slots in the store, one behind the other.
func (s *space) keyBytes(slots []int32) (arena []byte, ends []int, err error) {
	b := s.table.backend
	keys, err := s.Table.Take(b.alloc, slots)
	if err != nil {
		return nil, nil, err
	}
	defer compute.ReleaseAll(keys)
	columns, hashes := loaded(s.table.spec.Keys, keys, nil, len(slots)), s.Hashes()
	prefix := appendSpace(nil, s.table.spec.ID, s.ns)
	ends = make([]int, len(slots))
	for i, x := range slots {
		arena = appendKey(appendHash(append(arena, prefix...), hashes[x]), columns, i)
		ends[i] = len(arena)
	}
	return arena, ends, nil
}

// write writes the records of keys. gone are those that have lost rows of their lists
// since the last snapshot.
func (s *space) write(slots []int32, gone map[int32][]goneRow) error {
	t := s.table.backend.tier
	keys, ends, err := s.keyBytes(slots)
	if err != nil {
		return err
	}
	rows, err := s.listsOf(slots)
	if err != nil {
		return err
	}
	change := t.store.Change()
	var record []byte
	notes := s.cold.noting(t)
	from := 0
	for i, x := range slots {
		key := keys[from:ends[i]]
		from = ends[i]
		fresh := s.changed.has(x) || len(gone[x]) > 0 || rows.fresh(s, i)
		record = s.appendRecord(record[:0], x, rows, i, fresh)
		if err := change.Set(key, record); err != nil {
			return err
		}
		if fresh {
			s.cold.changed++
			if err := notes.add(key, change); err != nil {
				return err
			}
		}
		if change.Size() >= changeBytes {
			if err := change.Commit(); err != nil {
				return err
			}
			change = t.store.Change()
		}
	}
	if err := notes.write(change); err != nil {
		return err
	}
	return change.Commit()
}

// appendRecord appends the record of a key, the i-th whose lists are in rows.
func (s *space) appendRecord(b []byte, slot int32, rows *listed, i int, fresh bool) []byte {
	var flags uint8
	if int(slot) < len(s.kept) && s.kept[slot] {
		flags |= recordKept
	}
	if fresh {
		flags |= recordChanged
	}
	b = binary.AppendUvarint(append(b, flags), uint64(s.table.backend.tier.cycle))
	for _, c := range s.Values() {
		b = appendValue(b, c, int(slot))
	}
	if rows == nil {
		return b
	}
	from, to := rows.ends[i], rows.ends[i+1]
	b = binary.AppendUvarint(b, uint64(to-from))
	sequences, before := s.lists.Sequences(), uint64(0)
	for at := from; at < to; at++ {
		r := rows.rows[at]
		b = binary.AppendUvarint(b, sequences[r]-before)
		before = sequences[r]
		if s.lists.changed.has(r) {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
		for _, c := range rows.columns {
			b = appendValue(b, c, at)
		}
	}
	return b
}

// listed are the rows of lists of some keys: those of the i-th are [ends[i], ends[i+1]).
type listed struct {
	rows    []int32
	ends    []int
	columns []*state.Column
}

// listsOf gathers the lists of slots; nil where the table has none.
func (s *space) listsOf(slots []int32) (*listed, error) {
	if s.lists == nil {
		return nil, nil
	}
	out := &listed{ends: make([]int, 1, len(slots)+1)}
	first, next := s.lists.Chains()
	for _, x := range slots {
		for r := first[x]; r >= 0; r = next[r] {
			out.rows = append(out.rows, r)
		}
		out.ends = append(out.ends, len(out.rows))
	}
	spec := s.table.spec.List
	out.columns = scratchColumns(spec, len(out.rows))
	places := make([]int32, len(out.rows))
	for i := range places {
		places[i] = int32(i)
	}
	for i, c := range out.columns {
		a, err := s.lists.Take(i, out.rows)
		if err != nil {
			return nil, err
		}
		hashtable.Load(c, a, nil, places)
		a.Release()
	}
	return out, nil
}

// fresh says that rows of the i-th key have changed since the last snapshot.
func (l *listed) fresh(s *space, i int) bool {
	if l == nil {
		return false
	}
	for _, r := range l.rows[l.ends[i]:l.ends[i+1]] {
		if s.lists.changed.has(r) {
			return true
		}
	}
	return false
}

// goneRows takes the notes about rows that keys have lost and earlier snapshots have.
func (s *space) goneRows(slots []int32) map[int32][]goneRow {
	if s.lists == nil || len(s.lists.gone) == 0 {
		return nil
	}
	leaving := make(map[int32]bool, len(slots))
	for _, x := range slots {
		leaving[x] = true
	}
	out := map[int32][]goneRow{}
	for _, g := range s.lists.gone {
		if leaving[g.slot] && g.life == s.life(g.slot) {
			out[g.slot] = append(out[g.slot], g)
		}
	}
	return out
}

// keepGone turns the notes into what the next snapshot says, for slots mean nothing once
// their keys have left.
func (s *space) keepGone(gone map[int32][]goneRow) error {
	if len(gone) == 0 {
		return nil
	}
	var slots []int32
	var sequences []int64
	for x, rows := range gone {
		if int(x) >= len(s.kept) || !s.kept[x] {
			continue // no snapshot has the key
		}
		for _, g := range rows {
			slots, sequences = append(slots, x), append(sequences, int64(g.sequence))
		}
	}
	if len(slots) > 0 {
		keys, err := s.Table.Take(s.table.backend.alloc, slots)
		if err != nil {
			return err
		}
		s.lists.goneAway = append(s.lists.goneAway, append(keys, integers(s.table.backend.alloc, sequences)))
	}
	s.lists.gone = slices.DeleteFunc(s.lists.gone, func(g goneRow) bool { return gone[g.slot] != nil || g.life != s.life(g.slot) })
	return nil
}

// life is which key has the slot.
func (s *space) life(slot int32) uint32 {
	if s.cold == nil {
		return 0
	}
	return s.cold.lives[slot]
}

// shrink gives memory back where all keys have left, and no snapshot has slots to look at.
func (s *space) shrink() error {
	if s.inMemory() > 0 || s.Table.Len() == 0 || s.pending != nil {
		return nil
	}
	empty, err := newSpace(s.table, s.ns)
	if err != nil {
		return err
	}
	s.Table.Release()
	s.cold.hand.release(s.table.backend.account)
	s.Table, s.kept, s.changed = empty.Table, nil, marks{}
	if s.lists == nil {
		return nil
	}
	empty.lists.Continue(s.lists.Upcoming())
	s.lists.Release()
	s.lists.Lists, s.lists.changed, s.lists.gone = empty.lists.Lists, marks{}, nil
	return nil
}

// storedKeys are the keys of those of slots that have records, one after the other, and
// where each ends.
func (s *space) storedKeys(slots []int32) (keys []byte, ends []int, err error) {
	var stored []int32
	for _, x := range slots {
		if s.cold.flags[x]&isStored != 0 {
			stored = append(stored, x)
		}
	}
	if len(stored) == 0 {
		return nil, nil, nil
	}
	return s.keyBytes(stored)
}

// deleteStored deletes the records of keys that are removed.
func (s *space) deleteStored(slots []int32) error {
	keys, ends, err := s.storedKeys(slots)
	if err != nil || len(ends) == 0 {
		return err
	}
	change, from := s.table.backend.tier.store.Change(), 0
	for _, end := range ends {
		if err := change.Delete(keys[from:end]); err != nil {
			return err
		}
		from = end
	}
	s.cold.stored -= int64(len(ends))
	return change.Commit()
}

// releaseGone lets go of what the next snapshot would have said.
func (l *lists) releaseGone() {
	for _, columns := range l.goneAway {
		compute.ReleaseAll(columns)
	}
	l.goneAway = nil
}

// modified notes that slots are not what the store has of them.
func (s *space) modified(slots []int32) {
	if s.cold == nil {
		return
	}
	for _, x := range slots {
		s.cold.flags[x] |= isChanged
	}
}

// modified is the space's, of rows.
func (l *lists) modified(rows []int32) {
	c := l.space.cold
	if c == nil {
		return
	}
	owners := l.Owners()
	for _, r := range rows {
		c.flags[owners[r]] |= isChanged
	}
	l.space.table.backend.tier.busy = true
}
