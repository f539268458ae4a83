package memstate

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
)

// Restore implements state.Backend.
func (b *Backend) Restore(p state.Piece, stale []bool) error {
	t, err := b.declare(p.Table)
	if err != nil {
		return err
	}
	if t.opened {
		return failure.Errorf(failure.Internal, "state table %d %s is restored after it was opened", p.Table.ID, p.Table.Name)
	}
	if err := checkPiece(p); err != nil {
		return fmt.Errorf("state table %d %s: %w", p.Table.ID, p.Table.Name, err)
	}
	b.tracking = true // what comes is in a snapshot
	if p.Rows.NumRows() == 0 {
		return nil
	}
	wanted := func(g keygroup.Group) bool {
		return b.owned.Contains(g) && (int(g) >= len(stale) || !stale[g])
	}
	if p.Kind == state.DropSpace {
		err = t.restoreDrops(p, wanted)
	} else {
		err = t.restoreRows(p, wanted)
	}
	if err != nil {
		return fmt.Errorf("restore state table %d %s: %w", p.Table.ID, p.Table.Name, err)
	}
	if p.Kind == state.PutKey && b.foreseen != nil {
		b.foreseen[p.Table.ID] -= int(p.Rows.NumRows())
	}
	if b.Crowded() {
		return b.Evict()
	}
	return nil
}

// checkPiece compares a piece's columns with what they should be.
func checkPiece(p state.Piece) error {
	if p.Kind < state.DropSpace || p.Kind > state.PutRow {
		return failure.Errorf(failure.BadData, "a piece of kind %v", p.Kind)
	}
	want, got := state.PieceSchema(p.Table, p.Kind), p.Rows.Schema()
	if want.NumFields() != got.NumFields() {
		return failure.Errorf(failure.BadData, "a %v of %d columns, want %d", p.Kind, got.NumFields(), want.NumFields())
	}
	for i, f := range want.Fields() {
		if !arrow.TypeEqual(f.Type, got.Field(i).Type) {
			return failure.Errorf(failure.BadData, "a %v whose column %d is %s, want %s", p.Kind, i, got.Field(i).Type, f.Type)
		}
	}
	return nil
}

// restoreDrops forgets the keys of namespaces that are in the piece's groups.
func (t *table) restoreDrops(p state.Piece, wanted func(keygroup.Group) bool) error {
	for _, ns := range p.Rows.Column(0).(*array.Int64).Int64Values() {
		s, ok := t.spaces[ns]
		if !ok {
			continue
		}
		var gone []int32
		err := s.Runs(s.Len()+1, func(from, to int) error {
			for x := from; x < to; x++ {
				if g := keygroup.Of(s.Hashes()[x], t.backend.groups); p.Groups.Contains(g) && wanted(g) {
					gone = append(gone, int32(x))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := s.forget(gone); err != nil {
			return err
		}
		if s.cold != nil && s.cold.away > 0 {
			if err := s.forgetAway(func(g keygroup.Group) bool { return p.Groups.Contains(g) && wanted(g) }); err != nil {
				return err
			}
		}
		if s.Len() == len(s.Free()) && (s.cold == nil || s.cold.away == 0) {
			s.release()
			delete(t.spaces, ns)
		}
	}
	return nil
}

// forget removes keys that an earlier piece brought and a later one takes away.
func (s *space) forget(slots []int32) error {
	if s.cold != nil {
		if err := s.deleteStored(slots); err != nil {
			return err
		}
	}
	for _, x := range slots {
		delete(s.index, x)
		s.kept[x] = false
	}
	s.takeOut(slots)
	return nil
}

// forgetAway is forget of keys of some groups that are in the store only.
func (s *space) forgetAway(gone func(keygroup.Group) bool) error {
	b := s.table.backend
	change, n := b.tier.store.Change(), int64(0)
	frozen, err := b.tier.store.Freeze()
	if err != nil {
		return err
	}
	prefix := appendSpace(nil, s.table.spec.ID, s.ns)
	err = frozen.Scan(prefix, after(prefix), func(key, _ []byte) error {
		if !gone(keygroup.Of(hashOf(key), b.groups)) {
			return nil
		}
		n++
		return change.Delete(key)
	})
	if closed := frozen.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	s.cold.away, s.cold.stored = s.cold.away-n, s.cold.stored-n
	return change.Commit()
}

// restoreRows takes the rows that the backend owns, by namespaces.
func (t *table) restoreRows(p state.Piece, wanted func(keygroup.Group) bool) error {
	spaces, keys := p.Rows.Column(0).(*array.Int64), p.Rows.Columns()[1:1+len(t.spec.Keys)]
	hashes := compute.HashRouted(keys, t.spec.Routed, nil, nil)
	var order []int64
	by, of := map[int64]*share{}, int64(0)
	var to *share // of the row before, which mostly is of the same namespace
	for i, h := range hashes {
		if !wanted(keygroup.Of(h, t.backend.groups)) {
			continue
		}
		if ns := spaces.Value(i); to == nil || ns != of {
			if of, to = ns, by[ns]; to == nil {
				to = &share{}
				if len(by) == 0 {
					to.sel, to.hashes = make([]int32, 0, len(hashes)), make([]uint64, 0, len(hashes))
				}
				by[ns], order = to, append(order, ns)
			}
		}
		to.sel, to.hashes = append(to.sel, int32(i)), append(to.hashes, h)
	}
	for _, ns := range order {
		s, err := t.space(ns)
		if err != nil {
			return err
		}
		s.saved = true
		if err := s.restore(p, keys, by[ns]); err != nil {
			return err
		}
	}
	return nil
}

// share is the rows of a piece that belong to one namespace.
type share struct {
	sel    []int32
	hashes []uint64
}

func (s *space) restore(p state.Piece, keys []arrow.Array, rows *share) error {
	slots := make([]int32, len(rows.sel))
	more := p.Rows.Columns()[1+len(keys):]
	if p.Kind == state.RemoveKey || p.Kind == state.RemoveRow {
		if err := s.Find(keys, rows.sel, rows.hashes, slots); err != nil {
			return err
		}
		if p.Kind == state.RemoveRow {
			return s.restoreRemoved(slots, rows.sel, more[0].(*array.Int64))
		}
		return s.forget(slices.DeleteFunc(slots, func(x int32) bool { return x < 0 }))
	}
	if s.lists != nil {
		if err := s.lists.Slots(s.Len() + len(slots)); err != nil {
			return err
		}
	}
	if err := s.Table.Resolve(keys, rows.sel, rows.hashes, slots); err != nil {
		return err
	}
	if s.cold != nil {
		if err := s.bring(keys, rows.sel, rows.hashes, slots); err != nil {
			return err
		}
		s.modified(slots)
	} else if p.Kind == state.PutKey {
		s.foresee(p, len(slots))
	}
	s.kept = grown(s.kept, s.Len())
	for _, x := range slots {
		s.kept[x] = true
	}
	if p.Kind == state.PutRow {
		return s.restoreList(slots, rows.sel, more)
	}
	for i, c := range s.Values() {
		hashtable.Load(c, more[i], rows.sel, slots)
	}
	return nil
}

// foresee makes room for the keys that follow: pieces of a file are in the order of their
// groups, and those to come will be as dense as this one with so many rows, as far as there
// are any. It saves the copying of what grows step by step. Where memory is refused it grows so.
func (s *space) foresee(p state.Piece, rows int) {
	b := s.table.backend
	groups := int(b.owned.Last) - int(min(p.Groups.Last, b.owned.Last))
	more := min(rows*groups/max(p.Groups.Len(), 1), b.foreseen[s.table.spec.ID]-rows)
	if s.Len()+more <= 2*s.Capacity() {
		return
	}
	need := s.Bytes() / int64(s.Len()) * int64(s.Len()+more) // and more, for it has room left
	if b.account.Grow(need) != nil {
		return
	}
	b.account.Shrink(need)
	_ = s.Reserve(s.Len() + more) // or not
}

// Foresee implements state.Foreseer.
func (b *Backend) Foresee(rows map[uint16]int) { b.foreseen = rows }

// restoreRemoved takes rows out of lists.
func (s *space) restoreRemoved(slots, sel []int32, sequences *array.Int64) error {
	for i, x := range slots {
		if x < 0 {
			continue
		}
		q := uint64(sequences.Value(int(sel[i])))
		if r := s.rowOf(x, q); r >= 0 {
			delete(s.index[x], q)
			s.lists.modified([]int32{r})
			s.lists.Remove([]int32{r})
		}
	}
	return nil
}

// restoreList adds rows to lists, or replaces those of the same sequence.
func (s *space) restoreList(slots, sel []int32, columns []arrow.Array) error {
	sequences, l := columns[0].(*array.Int64), s.lists
	var added, replaced struct {
		slots, sel, rows []int32
		sequences        []int64
	}
	last := map[int32]uint64{} // of the rows that are to be added, by slot
	for i, x := range slots {
		q := uint64(sequences.Value(int(sel[i])))
		end, pending := last[x]
		if r := l.Last(x); !pending && r >= 0 {
			end, pending = l.Sequences()[r], true
		}
		if pending && q <= end {
			r := s.rowOf(x, q)
			if r < 0 {
				return failure.Errorf(failure.BadData, "row %d of a list comes after row %d", q, end)
			}
			replaced.rows, replaced.sel = append(replaced.rows, r), append(replaced.sel, sel[i])
			continue
		}
		last[x] = q
		added.slots, added.sel, added.sequences = append(added.slots, x), append(added.sel, sel[i]), append(added.sequences, int64(q))
	}
	if err := l.Replace(replaced.rows, columns[1:], replaced.sel); err != nil {
		return err
	}
	added.rows = make([]int32, len(added.slots))
	if err := l.AddAs(added.slots, added.sequences, columns[1:], added.sel, added.rows); err != nil {
		return err
	}
	l.since = l.Upcoming()
	for i, x := range added.slots {
		if index, ok := s.index[x]; ok {
			index[uint64(added.sequences[i])] = added.rows[i]
		}
	}
	return nil
}

// shortList is how long a list may be to be searched.
const shortList = 32

// rowOf finds the row of a list by its sequence, -1 if it has none; long lists get an
// index.
func (s *space) rowOf(slot int32, sequence uint64) int32 {
	if index, ok := s.index[slot]; ok {
		if r, ok := index[sequence]; ok {
			return r
		}
		return -1
	}
	first, next := s.lists.Chains()
	n := 0
	for r := first[slot]; r >= 0; r = next[r] {
		if s.lists.Sequences()[r] == sequence {
			return r
		}
		if n++; n > shortList {
			return s.indexList(slot, sequence)
		}
	}
	return -1
}

func (s *space) indexList(slot int32, sequence uint64) int32 {
	if s.index == nil {
		s.index = map[int32]map[uint64]int32{}
	}
	index := map[uint64]int32{}
	s.index[slot] = index
	first, next := s.lists.Chains()
	for r := first[slot]; r >= 0; r = next[r] {
		index[s.lists.Sequences()[r]] = r
	}
	return s.rowOf(slot, sequence)
}
