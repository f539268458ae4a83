package memstate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// rounds is after how many snapshots of changes every group has been in a share, at
// the latest.
const rounds = 64

// snapshot is frozen content: pieces in the order in which they are restored.
type snapshot struct {
	alloc  memory.Allocator
	whole  keygroup.Range
	pieces []state.Piece
	away   *away // what is in the store; nil: there is none
}

// Snapshot implements state.Backend: it copies what is to be written.
func (b *Backend) Snapshot(scope state.Scope) (state.Snapshot, error) {
	s := &snapshot{alloc: b.alloc}
	if b.tier != nil {
		if b.tier.failed != nil {
			return nil, b.tier.failed
		}
		s.away = &away{backend: b, cycle: b.tier.cycle}
	}
	if scope != state.Changes || !b.tracking {
		s.whole = b.owned
	} else {
		s.whole = b.nextShare()
	}
	for _, id := range slices.Sorted(maps.Keys(b.tables)) {
		t := b.tables[id]
		if err := t.freeze(s); err != nil {
			s.Release()
			b.tracking = false // what has been forgotten of changes is in the next one, with all the rest
			return nil, fmt.Errorf("freeze state table %d %s: %w", id, t.spec.Name, err)
		}
	}
	if s.away != nil {
		if err := s.away.freeze(s.whole); err != nil {
			s.Release()
			b.tracking = false
			return nil, fmt.Errorf("freeze the store: %w", err)
		}
	}
	b.tracking = true
	if b.share = s.whole.Last; b.share >= b.owned.Last {
		b.share = b.owned.First
	}
	return s, nil
}

// nextShare is the groups that the next snapshot of changes holds whole: as many rows,
// about, as the changes are twice, or else a part that the number of rounds asks for.
func (b *Backend) nextShare() keygroup.Range {
	changes, all := 0, 0
	for _, t := range b.tables {
		for _, s := range t.spaces {
			changes += len(s.changed.list) + len(s.gone)
			all += s.Len() - len(s.Free())
			if s.lists != nil {
				changes += len(s.lists.changed.list) + len(s.lists.gone)
				all += s.lists.Count()
			}
			if s.cold != nil {
				changes += int(s.cold.changed)
				all += int(s.cold.away)
			}
		}
		changes += len(t.dropped)
	}
	if changes == 0 {
		return keygroup.Range{First: b.share, Last: b.share}
	}
	owned := b.owned.Len()
	n := max(owned/rounds, 1)
	if all > 0 {
		n = max(n, min(owned, owned*2*changes/all))
	}
	return keygroup.Range{First: b.share, Last: min(b.share+keygroup.Group(n), b.owned.Last)}
}

// freeze adds the pieces of a table, and forgets what has changed.
func (t *table) freeze(s *snapshot) error {
	var drops []int64
	if s.whole != t.backend.owned {
		drops = slices.Sorted(maps.Keys(t.dropped))
	}
	clear(t.dropped)
	if len(drops) > 0 {
		p, err := t.spacePiece(state.DropSpace, drops)
		if err != nil {
			return err
		}
		s.pieces = append(s.pieces, p)
	}
	var kinds [state.PutRow + 1][]state.Piece
	for _, ns := range t.Namespaces() {
		if err := t.spaces[ns].freeze(s, &kinds); err != nil {
			for _, pieces := range kinds {
				releasePieces(pieces)
			}
			return err
		}
	}
	for _, pieces := range kinds {
		s.pieces = append(s.pieces, pieces...)
	}
	return nil
}

// spacePiece is a piece of nothing but namespaces.
func (t *table) spacePiece(kind state.Kind, spaces []int64) (state.Piece, error) {
	b := array.NewInt64Builder(t.backend.alloc)
	defer b.Release()
	b.AppendValues(spaces, nil)
	column := b.NewArray()
	defer column.Release()
	return state.Piece{
		Table: t.spec, Kind: kind, Groups: t.backend.owned,
		Rows: array.NewRecordBatch(state.PieceSchema(t.spec, kind), []arrow.Array{column}, int64(len(spaces))),
	}, nil
}

// freeze adds the pieces of a namespace by kind.
func (s *space) freeze(into *snapshot, kinds *[state.PutRow + 1][]state.Piece) (err error) {
	b, whole := s.table.backend, into.whole
	everything := whole == b.owned
	f := &freezer{space: s, ns: s.ns, everything: everything}
	if kinds[state.RemoveKey], err = f.removedKeys(kinds[state.RemoveKey]); err != nil {
		return err
	}
	if s.lists != nil {
		if kinds[state.RemoveRow], err = f.removedRows(kinds[state.RemoveRow]); err != nil {
			return err
		}
	}
	slots := f.within(s.changed.take(), whole)
	if kinds[state.PutKey], err = f.pieces(kinds[state.PutKey], state.PutKey, slots, nil, s.columns); err != nil {
		return err
	}
	s.kept = grown(s.kept, s.Len())
	for _, x := range slots {
		s.kept[x] = true
	}
	s.saved = s.saved || len(slots) > 0
	if s.cold != nil {
		if err := into.away.leaveOut(s, slots); err != nil {
			return err
		}
	}
	if s.lists == nil {
		return nil
	}
	owners, rows := f.listRows(whole)
	kinds[state.PutRow], err = f.pieces(kinds[state.PutRow], state.PutRow, owners, rows, s.lists.columns)
	s.lists.since = s.lists.Upcoming()
	return err
}

func grown(s []bool, n int) []bool {
	if len(s) < n {
		s = append(s, make([]bool, n-len(s))...)
	}
	return s
}

// columns are the values of slots.
func (s *space) columns(slots, _ []int32) ([]arrow.Array, error) {
	var out []arrow.Array
	for _, c := range s.Values() {
		a, err := hashtable.TakeValues(s.table.backend.alloc, c, slots)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// columns are the sequence and the columns of rows.
func (l *lists) columns(_, rows []int32) ([]arrow.Array, error) {
	sequences := make([]int64, len(rows))
	for i, r := range rows {
		sequences[i] = int64(l.Sequences()[r])
	}
	out := []arrow.Array{integers(l.space.table.backend.alloc, sequences)}
	for i := range l.space.table.spec.List {
		a, err := l.Take(i, rows)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func integers(mem memory.Allocator, v []int64) arrow.Array {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(v, nil)
	return b.NewArray()
}

// freezer makes the pieces of one namespace.
type freezer struct {
	space      *space
	ns         int64
	everything bool
}

func (f *freezer) group(slot int32) keygroup.Group {
	return keygroup.Of(f.space.Hashes()[slot], f.space.table.backend.groups)
}

// within adds to changed slots all those of the groups of a share.
func (f *freezer) within(changed []int32, whole keygroup.Range) []int32 {
	if whole.Len() == 0 {
		return changed
	}
	s := f.space
	var noted marks
	noted.add(changed, s.Len())
	groups, hashes := s.table.backend.groups, s.Hashes()
	// Runs calls back for its slots only and cannot fail.
	_ = s.Runs(s.Len()+1, func(from, to int) error {
		for x := from; x < to; x++ {
			if whole.Contains(keygroup.Of(hashes[x], groups)) && !noted.has(int32(x)) {
				changed = append(changed, int32(x))
			}
		}
		return nil
	})
	return changed
}

// listRows are the changed rows and all those of the groups of a share, each with its
// slot, in the order of each list.
func (f *freezer) listRows(whole keygroup.Range) (slots, rows []int32) {
	l := f.space.lists
	owners, sequences := l.Owners(), l.Sequences()
	changed := l.changed.take()
	slices.SortFunc(changed, func(a, b int32) int { return cmp.Compare(sequences[a], sequences[b]) })
	for _, r := range changed {
		if !whole.Contains(f.group(owners[r])) {
			slots, rows = append(slots, owners[r]), append(rows, r)
		}
	}
	first, next := l.Chains()
	for _, s := range f.within(nil, whole) {
		for r := first[s]; r >= 0; r = next[r] {
			slots, rows = append(slots, s), append(rows, r)
		}
	}
	return slots, rows
}

// pieces adds pieces of slots, and rows of their lists, in the order of their groups.
func (f *freezer) pieces(out []state.Piece, kind state.Kind, slots, rows []int32, columns func(slots, rows []int32) ([]arrow.Array, error)) ([]state.Piece, error) {
	order, groups := f.byGroup(slots)
	for from := 0; from < len(order); from += stream.TargetRows {
		part := order[from:min(from+stream.TargetRows, len(order))]
		keys, items := make([]int32, len(part)), make([]int32, 0, len(part))
		for i, x := range part {
			keys[i] = slots[x]
			if rows != nil {
				items = append(items, rows[x])
			}
		}
		held, err := f.space.Table.Take(f.space.table.backend.alloc, keys)
		if err != nil {
			return out, err
		}
		more, err := columns(keys, items)
		if err != nil {
			compute.ReleaseAll(held)
			return out, err
		}
		within := keygroup.Range{First: groups[part[0]], Last: groups[part[len(part)-1]] + 1}
		out = append(out, f.piece(kind, within, append(held, more...)))
	}
	return out, nil
}

// piece makes a piece of columns, which it takes over, behind the namespace.
func (f *freezer) piece(kind state.Kind, groups keygroup.Range, columns []arrow.Array) state.Piece {
	t, n := f.space.table, columns[0].Len()
	spaces := make([]int64, n)
	for i := range spaces {
		spaces[i] = f.ns
	}
	all := append([]arrow.Array{integers(t.backend.alloc, spaces)}, columns...)
	defer compute.ReleaseAll(all)
	return state.Piece{Table: t.spec, Kind: kind, Groups: groups, Rows: array.NewRecordBatch(state.PieceSchema(t.spec, kind), all, int64(n))}
}

// byGroup orders positions by the groups of their slots (counting sort); groups are by
// position.
func (f *freezer) byGroup(slots []int32) (order []int32, groups []keygroup.Group) {
	groups = make([]keygroup.Group, len(slots))
	places := make([]int32, f.space.table.backend.groups+1)
	for i, s := range slots {
		groups[i] = f.group(s)
		places[groups[i]+1]++
	}
	for g := range places[1:] {
		places[g+1] += places[g]
	}
	order = make([]int32, len(slots))
	for i, g := range groups {
		order[places[g]] = int32(i)
		places[g]++
	}
	return order, groups
}

// removedKeys adds the keys that were removed.
func (f *freezer) removedKeys(out []state.Piece) ([]state.Piece, error) {
	gone := f.space.gone
	f.space.gone = nil
	for _, keys := range gone {
		if f.everything {
			compute.ReleaseAll(keys)
			continue
		}
		out = append(out, f.piece(state.RemoveKey, f.space.table.backend.owned, keys))
	}
	return out, nil
}

// removedRows adds the rows that were removed from lists of keys that are still there.
func (f *freezer) removedRows(out []state.Piece) ([]state.Piece, error) {
	l := f.space.lists
	gone := l.gone
	l.gone = nil
	var slots, at []int32
	for i, g := range gone {
		if !f.everything && int(g.slot) < len(f.space.kept) && f.space.kept[g.slot] && g.life == f.space.life(g.slot) {
			slots, at = append(slots, g.slot), append(at, int32(i))
		}
	}
	for _, columns := range l.goneAway {
		if f.everything {
			compute.ReleaseAll(columns)
			continue
		}
		out = append(out, f.piece(state.RemoveRow, f.space.table.backend.owned, columns))
	}
	l.goneAway = nil
	alloc := f.space.table.backend.alloc
	return f.pieces(out, state.RemoveRow, slots, at, func(_, at []int32) ([]arrow.Array, error) {
		sequences := make([]int64, len(at))
		for i, x := range at {
			sequences[i] = int64(gone[x].sequence)
		}
		return []arrow.Array{integers(alloc, sequences)}, nil
	})
}

// Whole implements state.Snapshot.
func (s *snapshot) Whole() keygroup.Range { return s.whole }

// Write implements state.Snapshot: small pieces that follow one another become one.
func (s *snapshot) Write(ctx context.Context, emit func(state.Piece) error) error {
	for from := 0; from < len(s.pieces); {
		if err := ctx.Err(); err != nil {
			return err
		}
		to, rows := from+1, s.pieces[from].Rows.NumRows()
		for to < len(s.pieces) && s.pieces[to].Kind == s.pieces[from].Kind && s.pieces[to].Table.ID == s.pieces[from].Table.ID &&
			rows+s.pieces[to].Rows.NumRows() <= stream.TargetRows {
			rows += s.pieces[to].Rows.NumRows()
			to++
		}
		if err := s.emit(s.pieces[from:to], emit); err != nil {
			return fmt.Errorf("write state table %d %s: %w", s.pieces[from].Table.ID, s.pieces[from].Table.Name, err)
		}
		from = to
	}
	if s.away != nil {
		return s.away.write(ctx, s.whole, emit)
	}
	return nil
}

func (s *snapshot) emit(pieces []state.Piece, emit func(state.Piece) error) error {
	if len(pieces) == 1 {
		return emit(pieces[0])
	}
	one, records := pieces[0], make([]arrow.RecordBatch, len(pieces))
	for i, p := range pieces {
		records[i] = p.Rows
		one.Groups.First, one.Groups.Last = min(one.Groups.First, p.Groups.First), max(one.Groups.Last, p.Groups.Last)
	}
	rows, err := compute.ConcatRecords(s.alloc, records)
	if err != nil {
		return err
	}
	defer rows.Release()
	one.Rows = rows
	return emit(one)
}

// Release implements state.Snapshot.
func (s *snapshot) Release() {
	releasePieces(s.pieces)
	s.pieces = nil
	if s.away != nil {
		s.away.release()
	}
}

func releasePieces(pieces []state.Piece) {
	for _, p := range pieces {
		p.Rows.Release()
	}
}

var _ state.Snapshot = (*snapshot)(nil)
