package memstate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// rounds is after how many snapshots of changes every group has been in a share, at
// the latest.
const rounds = 64

// snapshot is frozen content. Until it is all copied it belongs to the task's goroutine.
type snapshot struct {
	backend *Backend
	alloc   memory.Allocator
	whole   keygroup.Range
	tables  []*frozenTable
	todo    []*pending
	away    *away // what is in the store; nil: there is none
	failed  error
}

// frozenTable is the pieces of a table by kind, in the order in which they are restored.
type frozenTable struct {
	kinds [state.PutRow + 1][]state.Piece
	early [state.PutRow + 1][]earlyPiece // to be restored behind the others of their kind
}

// earlyPiece is rows that were copied before their turn, with their groups.
type earlyPiece struct {
	state.Piece
	groups []keygroup.Group
}

// Snapshot implements state.Backend: it notes what is to be written, and Copy copies it.
func (b *Backend) Snapshot(scope state.Scope) (state.Snapshot, error) {
	if b.taking != nil {
		_ = state.Complete(b.taking) // Copy says it again
	}
	s := &snapshot{backend: b, alloc: b.alloc}
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
	b.tracking = true
	for _, id := range slices.Sorted(maps.Keys(b.tables)) {
		t := b.tables[id]
		if err := t.freeze(s); err != nil {
			s.fail(fmt.Errorf("freeze state table %d %s: %w", id, t.spec.Name, err))
			return nil, s.failed
		}
	}
	if s.away != nil {
		if err := s.away.freeze(s.whole); err != nil {
			s.fail(fmt.Errorf("freeze the store: %w", err))
			return nil, s.failed
		}
	}
	if b.share = s.whole.Last; b.share >= b.owned.Last {
		b.share = b.owned.First
	}
	if len(s.todo) > 0 {
		b.taking = s
	}
	return s, nil
}

// Copy implements state.Snapshot.
func (s *snapshot) Copy(rows int) (done bool, err error) {
	for did := 0; did < rows && len(s.todo) > 0 && s.failed == nil; {
		p := s.todo[0]
		n, err := p.step(rows - did)
		if did += n; err != nil {
			s.fail(fmt.Errorf("copy state table %d %s: %w", p.space.table.spec.ID, p.space.table.spec.Name, err))
		} else if p.stage == copied {
			p.end()
			if s.todo = s.todo[1:]; len(s.todo) == 0 {
				s.backend.taking = nil
			}
		}
	}
	return len(s.todo) == 0, s.failed
}

// fail gives the snapshot up. What has been forgotten of changes is in the next one, with
// all the rest.
func (s *snapshot) fail(err error) {
	s.failed = err
	s.backend.tracking = false
	s.Release()
}

// nextShare is the groups that the next snapshot of changes holds whole: as many rows,
// about, as the changes are twice, or else a part that the number of rounds asks for.
func (b *Backend) nextShare() keygroup.Range {
	changes, all := 0, 0
	for _, t := range b.tables {
		for _, s := range t.spaces {
			changes += s.changed.n + len(s.gone)
			all += s.Len() - len(s.Free())
			if s.lists != nil {
				changes += s.lists.changed.n + len(s.lists.gone)
				all += s.lists.Count()
			}
			if s.cold != nil {
				changes += int(s.cold.changed)
				all += int(max(s.cold.away, 0))
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

// freeze adds what there is of a table, and forgets what has changed.
func (t *table) freeze(s *snapshot) error {
	f := &frozenTable{}
	s.tables = append(s.tables, f)
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
		f.kinds[state.DropSpace] = append(f.kinds[state.DropSpace], p)
	}
	for _, ns := range t.Namespaces() {
		if err := t.spaces[ns].freeze(s, f); err != nil {
			return err
		}
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

// freeze adds what was removed from a namespace, and has the rest copied later.
func (s *space) freeze(into *snapshot, t *frozenTable) (err error) {
	p := newPending(s, into, t)
	if t.kinds[state.RemoveKey], err = p.removedKeys(t.kinds[state.RemoveKey]); err != nil {
		return err
	}
	if s.lists != nil {
		if t.kinds[state.RemoveRow], err = p.goneRows(t.kinds[state.RemoveRow]); err != nil {
			return err
		}
	}
	if s.cold != nil {
		into.away.add(s)
	}
	s.pending, into.todo = p, append(into.todo, p)
	return nil
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

// pieces adds pieces of slots, and what is at positions beside them, in the order of their
// groups.
func (f *freezer) pieces(out []state.Piece, kind state.Kind, slots, items []int32, columns func(slots, items []int32) ([]arrow.Array, error)) ([]state.Piece, error) {
	groups := make([]keygroup.Group, len(slots))
	for i, x := range slots {
		groups[i] = f.group(x)
	}
	order := byGroup(groups, f.space.table.backend.groups)
	for from := 0; from < len(order); from += stream.TargetRows {
		part := order[from:min(from+stream.TargetRows, len(order))]
		owners, at := pickOf(slots, part), pickOf(items, part)
		p, err := f.one(kind, owners, at, keygroup.Range{First: groups[part[0]], Last: groups[part[len(part)-1]] + 1}, columns)
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}

// one makes a piece of slots, and of what columns makes of them and of the items beside
// them.
func (f *freezer) one(kind state.Kind, slots, items []int32, groups keygroup.Range, columns func(slots, items []int32) ([]arrow.Array, error)) (state.Piece, error) {
	held, err := f.space.Table.Take(f.space.table.backend.alloc, slots)
	if err != nil {
		return state.Piece{}, err
	}
	more, err := columns(slots, items)
	if err != nil {
		compute.ReleaseAll(held)
		return state.Piece{}, err
	}
	return f.piece(kind, groups, append(held, more...)), nil
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

// byGroup orders positions by their groups (counting sort).
func byGroup(of []keygroup.Group, groups int) (order []int32) {
	places := make([]int32, groups+1)
	for _, g := range of {
		places[g+1]++
	}
	for g := range places[1:] {
		places[g+1] += places[g]
	}
	order = make([]int32, len(of))
	for i, g := range of {
		order[places[g]] = int32(i)
		places[g]++
	}
	return order
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

// goneRows adds the rows that were removed from lists of keys that are still there.
func (f *freezer) goneRows(out []state.Piece) ([]state.Piece, error) {
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
	if len(s.todo) > 0 {
		return failure.Errorf(failure.Internal, "a snapshot is written that is not copied yet")
	}
	for _, t := range s.tables {
		for kind := range t.kinds {
			if err := s.writePieces(ctx, t.kinds[kind], emit); err != nil {
				return err
			}
			if err := s.writeEarly(ctx, t.early[kind], emit); err != nil {
				return err
			}
		}
	}
	if s.away != nil {
		return s.away.write(ctx, s.whole, emit)
	}
	return nil
}

func (s *snapshot) writePieces(ctx context.Context, pieces []state.Piece, emit func(state.Piece) error) error {
	for len(pieces) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, rows := 1, pieces[0].Rows.NumRows()
		for n < len(pieces) && rows+pieces[n].Rows.NumRows() <= stream.TargetRows {
			rows += pieces[n].Rows.NumRows()
			n++
		}
		if err := s.emit(pieces[:n], emit); err != nil {
			return wrote(pieces[0], err)
		}
		pieces = pieces[n:]
	}
	return nil
}

func wrote(p state.Piece, err error) error {
	return fmt.Errorf("write state table %d %s: %w", p.Table.ID, p.Table.Name, err)
}

// clustered is how many rows that were copied early are brought in the order of their groups
// at a time.
const clustered = 16 * stream.TargetRows

// writeEarly is writePieces of rows in no order.
func (s *snapshot) writeEarly(ctx context.Context, pieces []earlyPiece, emit func(state.Piece) error) error {
	for len(pieces) > 0 {
		records, groups, n := []arrow.RecordBatch{pieces[0].Rows}, slices.Clone(pieces[0].groups), 1
		for n < len(pieces) && len(groups)+len(pieces[n].groups) <= clustered {
			records, groups = append(records, pieces[n].Rows), append(groups, pieces[n].groups...)
			n++
		}
		if err := s.cluster(ctx, pieces[0].Piece, records, groups, emit); err != nil {
			return wrote(pieces[0].Piece, err)
		}
		pieces = pieces[n:]
	}
	return nil
}

// cluster hands out records by group, each list in its order.
func (s *snapshot) cluster(ctx context.Context, like state.Piece, records []arrow.RecordBatch, groups []keygroup.Group, emit func(state.Piece) error) error {
	all, err := compute.ConcatRecords(s.alloc, records)
	if err != nil {
		return err
	}
	defer all.Release()
	order := byGroup(groups, int(slices.Max(groups))+1)
	for from := 0; from < len(order); from += stream.TargetRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := order[from:min(from+stream.TargetRows, len(order))]
		like.Groups = keygroup.Range{First: groups[part[0]], Last: groups[part[len(part)-1]] + 1}
		columns := make([]arrow.Array, 0, all.NumCols())
		for _, c := range all.Columns() {
			taken, err := compute.Take(s.alloc, c, part)
			if err != nil {
				compute.ReleaseAll(columns)
				return err
			}
			columns = append(columns, taken)
		}
		like.Rows = array.NewRecordBatch(all.Schema(), columns, int64(len(part)))
		compute.ReleaseAll(columns)
		err := emit(like)
		like.Rows.Release()
		if err != nil {
			return err
		}
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
	if len(s.todo) > 0 { // it is the task's yet
		s.backend.taking = nil
	}
	for _, p := range s.todo {
		p.end()
	}
	s.todo = nil
	for _, t := range s.tables {
		for kind := range t.kinds {
			for _, p := range t.kinds[kind] {
				p.Rows.Release()
			}
			for _, p := range t.early[kind] {
				p.Rows.Release()
			}
		}
	}
	s.tables = nil
	if s.away != nil {
		s.away.release()
	}
}

var _ state.Snapshot = (*snapshot)(nil)
