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
func (b *Backend) Restore(p state.Piece, stale []bool) error { return b.Stage(p, stale)() }

// Stage implements state.Stager.
func (b *Backend) Stage(p state.Piece, stale []bool) func() error {
	a := arrival{Piece: p, wanted: func(g keygroup.Group) bool {
		return b.owned.Contains(g) && (int(g) >= len(stale) || !stale[g])
	}}
	failed := checkPiece(p)
	if failed == nil && p.Kind != state.DropSpace {
		a.first, _ = b.shares.Get().(*share)
		a.divide(b.groups)
	}
	return func() error {
		t, err := b.declare(p.Table)
		if err != nil {
			return err
		}
		if t.opened {
			return failure.Errorf(failure.Internal, "state table %d %s is restored after it was opened", p.Table.ID, p.Table.Name)
		}
		b.tracking = true // what comes is in a snapshot
		if err = failed; err == nil {
			err = t.restore(&a)
		}
		if err != nil {
			return fmt.Errorf("restore state table %d %s: %w", p.Table.ID, p.Table.Name, err)
		}
		if a.first != nil {
			b.shares.Put(a.first)
		}
		if b.Crowded() {
			return b.Evict()
		}
		return nil
	}
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
		if s, ok := t.spaces[ns]; ok {
			if err := s.forgetGroups(func(g keygroup.Group) bool { return p.Groups.Contains(g) && wanted(g) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// Forget implements state.Forgetter.
func (b *Backend) Forget(gone []bool) error {
	for _, t := range b.tables {
		for ns, s := range t.spaces {
			if err := s.forgetGroups(func(g keygroup.Group) bool { return gone[g] }); err != nil {
				return fmt.Errorf("state table %d %s, namespace %d: forget what is stale: %w", t.spec.ID, t.spec.Name, ns, err)
			}
		}
	}
	return nil
}

// forgetGroups forgets the keys of groups, and the namespace if none is left.
func (s *space) forgetGroups(gone func(keygroup.Group) bool) error {
	var slots []int32
	err := s.Runs(s.Len()+1, func(from, to int) error {
		for x, h := range s.Hashes()[from:to] {
			if gone(keygroup.Of(h, s.table.backend.groups)) {
				slots = append(slots, int32(from+x))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.forget(slots); err != nil {
		return err
	}
	if s.cold != nil && s.cold.away > 0 {
		if err := s.forgetAway(gone); err != nil {
			return err
		}
	}
	if s.Len() == len(s.Free()) && (s.cold == nil || s.cold.away == 0) {
		s.release()
		delete(s.table.spaces, s.ns)
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

// arrival is a piece on its way into its table.
type arrival struct {
	state.Piece
	wanted func(keygroup.Group) bool
	keys   []arrow.Array
	values []arrow.Array // and whatever comes behind the keys
	shares map[int64]*share
	order  []int64 // of the namespaces
	first  *share  // with the room that the share of an earlier piece had; nil: none
}

// share is the rows of a piece that belong to one namespace.
type share struct {
	sel    []int32
	hashes []uint64
	slots  []int32
	texts  [][][]byte // by column of values: those of characters, by row of sel
	all    []uint64   // of the first share: hashes of all rows
}

// divide tells the rows that are wanted apart by namespaces, and copies their texts.
func (a *arrival) divide(groups int) {
	columns, n := a.Rows.Columns(), 1+len(a.Table.Keys)
	a.keys, a.values = columns[1:n], columns[n:]
	spaces := columns[0].(*array.Int64)
	if a.first == nil {
		a.first = &share{}
	}
	hashes := compute.HashRouted(a.keys, a.Table.Routed, nil, a.first.all)
	a.first.all, a.first.sel, a.first.hashes = hashes, a.first.sel[:0], a.first.hashes[:0]
	a.shares = map[int64]*share{}
	var to *share // of the row before, which mostly is of the same namespace
	of := int64(0)
	for i, h := range hashes {
		if !a.wanted(keygroup.Of(h, groups)) {
			continue
		}
		if ns := spaces.Value(i); to == nil || ns != of {
			if of, to = ns, a.shares[ns]; to == nil {
				if to = a.first; len(a.order) > 0 {
					to = &share{}
				}
				a.shares[ns], a.order = to, append(a.order, ns)
			}
		}
		to.sel, to.hashes = append(to.sel, int32(i)), append(to.hashes, h)
	}
	if a.Kind != state.PutKey {
		return
	}
	for _, s := range a.shares {
		if len(s.texts) != len(a.values) {
			s.texts = make([][][]byte, len(a.values))
		}
		for i, v := range a.Table.Values {
			if hashtable.StorageOf(v.Type) == hashtable.Chars {
				s.texts[i] = hashtable.Texts(a.values[i], s.sel, s.texts[i])
			}
		}
	}
}

// restore takes a piece.
func (t *table) restore(a *arrival) error {
	if a.Rows.NumRows() == 0 {
		return nil
	}
	if a.Kind == state.DropSpace {
		return t.restoreDrops(a.Piece, a.wanted)
	}
	if a.Kind == state.PutKey {
		t.read += int(a.Rows.NumRows())
	}
	for _, ns := range a.order {
		s, err := t.space(ns)
		if err != nil {
			return err
		}
		s.saved = true
		if err := s.restore(a, a.shares[ns]); err != nil {
			return err
		}
	}
	return nil
}

func (s *space) restore(a *arrival, rows *share) error {
	rows.slots = slices.Grow(rows.slots[:0], len(rows.sel))[:len(rows.sel)]
	slots, sel := rows.slots, rows.sel
	if len(sel) == int(a.Rows.NumRows()) {
		sel = nil // all, which nobody has to pick
	}
	if a.Kind == state.RemoveKey || a.Kind == state.RemoveRow {
		if err := s.Find(a.keys, sel, rows.hashes, slots); err != nil {
			return err
		}
		if a.Kind == state.RemoveRow {
			return s.restoreRemoved(slots, rows.sel, a.values[0].(*array.Int64))
		}
		return s.forget(slices.DeleteFunc(slots, func(x int32) bool { return x < 0 }))
	}
	if s.lists != nil {
		if err := s.lists.Slots(s.Len() + len(slots)); err != nil {
			return err
		}
	}
	before := s.Len()
	if err := s.Table.Resolve(a.keys, sel, rows.hashes, slots); err != nil {
		return err
	}
	if s.cold != nil {
		if err := s.bring(a.keys, sel, rows.hashes, slots); err != nil {
			return err
		}
		s.modified(slots)
	} else if a.Kind == state.PutKey {
		s.came, s.table.came = s.came+len(slots), s.table.came+len(slots)
		s.foresee(a.Piece, s.Len()-before)
	}
	s.kept = grown(s.kept, s.Len())
	for _, x := range slots {
		s.kept[x] = true
	}
	if a.Kind == state.PutRow {
		return s.restoreList(slots, rows.sel, a.values)
	}
	for i, c := range s.Values() {
		if hashtable.StorageOf(c.Type) == hashtable.Chars {
			hashtable.LoadTexts(c, a.values[i], sel, slots, rows.texts[i])
			clear(rows.texts[i])
		} else {
			hashtable.Load(c, a.values[i], sel, slots)
		}
	}
	return nil
}

// foresee makes room for the keys that will follow a piece that has brought so many new ones:
// it saves the copying of what grows step by step. Of the rows to come as many will be new as
// of this one's, and the namespace's part of them as it was. But pieces of a snapshot are in the
// order of their groups, and in the first one of a namespace nobody knows yet whether later ones
// change its keys or bring others: no more are counted on than it has in the groups to come.
// Where memory is refused the table grows step by step.
func (s *space) foresee(p state.Piece, fresh int) {
	b, t := s.table.backend, s.table
	rows := int(p.Rows.NumRows())
	if p.Groups.First < s.reached {
		s.later = true
	}
	s.reached = p.Groups.First
	more := (b.foreseen[t.spec.ID] - t.read) * fresh / rows * s.came / t.came
	if !s.later {
		groups := int(b.owned.Last) - int(min(p.Groups.Last, b.owned.Last))
		more = min(more, fresh*groups/max(p.Groups.Len(), 1))
	}
	if all, room := s.Len()+more, s.Capacity(); all <= room || all <= 2*room && s.Len()+rows <= room {
		return // or not yet: what follows this piece will be known better
	}
	need := s.Bytes() / int64(s.Len()) * int64(s.Len()+more) // and more, for it has room left
	if b.account.Grow(need) != nil {
		return
	}
	b.account.Shrink(need)
	_ = s.Reserve(s.Len() + more) // or not
}

// Foresee implements state.Stager.
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
