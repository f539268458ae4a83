package memstate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// space is one namespace: keys and values, perhaps lists, and what has happened to
// them since the last snapshot.
type space struct {
	table *table
	ns    int64
	*hashtable.Table
	lists *lists // nil: none
	cold  *cold  // nil: all keys stay in memory

	saved   bool            // an earlier snapshot has rows of it
	changed marks           // slots
	kept    []bool          // by slot: an earlier snapshot has the key
	gone    [][]arrow.Array // keys that were removed and earlier snapshots have
	pending *pending        // what a snapshot has still to copy; nil: nothing

	// While it is restored:
	index   map[int32]map[uint64]int32 // rows of long lists by sequence
	came    int                        // rows of PutKey pieces
	reached keygroup.Group             // where the groups of the last one began
	later   bool                       // there were some of more than one snapshot
}

// lists is a space's lists as an operator sees them.
type lists struct {
	*hashtable.Lists
	space   *space
	changed marks  // rows
	since   uint64 // rows of earlier sequences are in earlier snapshots
	gone    []goneRow
	// goneAway is the same of keys that are not in memory: their columns and a sequence.
	goneAway [][]arrow.Array
}

// goneRow is a row that was removed and earlier snapshots have, unless its key went, too.
type goneRow struct {
	slot     int32
	life     uint32 // of the slot
	sequence uint64
}

// marks notes numbers, each once.
type marks struct {
	set []bool
	n   int
}

// add notes numbers, which are below n.
func (m *marks) add(numbers []int32, n int) {
	if len(m.set) < n {
		m.set = append(m.set, make([]bool, max(n, 2*len(m.set))-len(m.set))...)
	}
	for _, x := range numbers {
		if !m.set[x] {
			m.set[x] = true
			m.n++
		}
	}
}

// drop forgets numbers.
func (m *marks) drop(numbers []int32) {
	for _, x := range numbers {
		if m.has(x) {
			m.set[x] = false
			m.n--
		}
	}
}

// has reports whether x is noted.
func (m *marks) has(x int32) bool { return int(x) < len(m.set) && m.set[x] }

func newSpace(t *table, ns int64) (*space, error) {
	keys, err := hashtable.New(t.spec.Keys, t.spec.Values, t.backend.account)
	if err != nil {
		return nil, fmt.Errorf("state table %d %s: %w", t.spec.ID, t.spec.Name, err)
	}
	keys.Removable()
	keys.Routed(t.spec.Routed)
	s := &space{table: t, ns: ns, Table: keys}
	if t.tiered() {
		s.cold = &cold{}
	}
	if len(t.spec.List) == 0 {
		return s, nil
	}
	l, err := hashtable.NewLists(t.spec.List, t.backend.account)
	if err != nil {
		keys.Release()
		return nil, fmt.Errorf("state table %d %s: %w", t.spec.ID, t.spec.Name, err)
	}
	s.lists = &lists{Lists: l, space: s}
	return s, nil
}

// release gives the memory back.
func (s *space) release() {
	s.Release()
	if s.lists != nil {
		s.lists.Release()
		s.lists.releaseGone()
	}
	if s.cold != nil {
		s.cold.release(s.table.backend.account)
	}
	for _, keys := range s.gone {
		compute.ReleaseAll(keys)
	}
	s.gone = nil
}

// Resolve implements state.Rows.
func (s *space) Resolve(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	if err := s.Compact(s.table.backend.alloc); err != nil {
		return err
	}
	if s.lists != nil { // a key without room for its list must not be added
		if err := s.lists.Slots(s.Len() + len(hashes)); err != nil {
			return err
		}
	}
	if err := s.Table.Resolve(keys, sel, hashes, slots); err != nil {
		return err
	}
	if s.cold != nil {
		if err := s.bring(keys, sel, hashes, slots[:len(hashes)]); err != nil {
			return err
		}
	}
	s.Touch(slots[:len(hashes)])
	return nil
}

// Find implements state.Rows.
func (s *space) Find(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	if err := s.Table.Find(keys, sel, hashes, slots); err != nil || s.cold == nil {
		return err
	}
	return s.find(keys, sel, hashes, slots[:len(hashes)])
}

// Touch implements state.Rows.
func (s *space) Touch(slots []int32) {
	s.pending.saveKeys(slots)
	if s.table.backend.tracking {
		s.changed.add(slots, s.Len())
	}
	s.modified(slots)
}

// Remove implements state.Rows.
func (s *space) Remove(slots []int32) {
	if len(slots) == 0 {
		return
	}
	s.pending.saveLists(slots)
	s.pending.saveKeys(slots)
	var known []int32
	for _, x := range slots {
		if int(x) < len(s.kept) && s.kept[x] {
			s.kept[x] = false
			known = append(known, x)
		}
	}
	if len(known) > 0 {
		keys, err := s.Take(s.table.backend.alloc, known)
		if err != nil {
			panic(fmt.Sprintf("memstate: keys of a batch do not fit an array: %v", err)) // a batch's keys did before
		}
		s.gone = append(s.gone, keys)
	}
	if s.cold != nil {
		if err := s.deleteStored(slots); err != nil {
			s.table.backend.tier.fail(err)
		}
	}
	s.takeOut(slots)
}

// takeOut is Remove of keys of which nothing is to be noted.
func (s *space) takeOut(slots []int32) {
	if s.lists != nil {
		s.lists.removeAll(slots)
	}
	if s.cold != nil {
		s.cold.leave(slots)
	}
	s.changed.drop(slots)
	s.pending.removed(slots)
	s.Table.Remove(slots)
}

// Each implements state.Rows.
func (s *space) Each(do func(v state.View, from, to int) error) error {
	err := s.Runs(stream.MaxRows, func(from, to int) error { return do(s, from, to) })
	if err != nil || s.cold == nil || !s.cold.lacks() {
		return err
	}
	return s.eachAway(func(k *chunk) error {
		v, err := s.viewOf(k)
		if err != nil {
			return err
		}
		defer v.release()
		return do(v, 0, k.len())
	})
}

// Keys implements state.View.
func (s *space) Keys(from, to int) ([]arrow.Array, error) {
	return s.Table.Keys(s.table.backend.alloc, from, to)
}

// Lists implements state.Rows.
func (s *space) Lists() state.Lists {
	if s.lists == nil {
		return nil
	}
	return s.lists
}

// Add implements state.Lists.
func (l *lists) Add(slots []int32, columns []arrow.Array, sel []int32, rows []int32) error {
	if cap(rows) < len(slots) {
		rows = make([]int32, len(slots))
	}
	rows = rows[:len(slots)]
	if err := l.Compact(); err != nil {
		return err
	}
	if err := l.Lists.Add(slots, columns, sel, rows); err != nil {
		return err
	}
	l.TouchRows(rows)
	l.space.modified(slots)
	return nil
}

// Replace implements state.Lists.
func (l *lists) Replace(rows []int32, columns []arrow.Array, sel []int32) error {
	if err := l.Compact(); err != nil {
		return err
	}
	l.TouchRows(rows)
	return l.Lists.Replace(rows, columns, sel)
}

// TouchRows implements state.Lists.
func (l *lists) TouchRows(rows []int32) {
	l.space.pending.saveRows(rows)
	if l.space.table.backend.tracking {
		l.changed.add(rows, len(l.Sequences()))
	}
	l.modified(rows)
}

// RemoveRows implements state.Lists.
func (l *lists) RemoveRows(rows []int32) {
	l.space.pending.saveRows(rows)
	l.space.pending.removedRows(rows)
	sequences, owners := l.Sequences(), l.Owners()
	for _, r := range rows {
		if q := sequences[r]; q < l.since {
			l.gone = append(l.gone, goneRow{owners[r], l.space.life(owners[r]), q})
		}
	}
	l.changed.drop(rows)
	l.modified(rows)
	l.Remove(rows)
}

// removeAll empties the lists of keys that go.
func (l *lists) removeAll(slots []int32) {
	first, next := l.Chains()
	var rows []int32
	for _, s := range slots {
		for r := first[s]; r >= 0; r = next[r] {
			rows = append(rows, r)
		}
	}
	l.changed.drop(rows)
	l.space.pending.removedRows(rows)
	l.RemoveAll(slots)
}

// Take implements state.Lists.
func (l *lists) Take(i int, rows []int32) (arrow.Array, error) {
	return l.Lists.Take(l.space.table.backend.alloc, i, rows)
}

var (
	_ state.Rows  = (*space)(nil)
	_ state.View  = (*space)(nil)
	_ state.Lists = (*lists)(nil)
)
