package memstate

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// away is the part of a snapshot that is not in memory: what the store held when it was
// taken. Keys that were in memory then are in the snapshot's pieces, if they belong there,
// and their records do not count.
type away struct {
	backend *Backend
	cycle   uint32
	frozen  Frozen // nil: nothing was in the store
	all     bool   // the snapshot holds everything
	spaces  []awaySpace
	hot     map[string]struct{} // keys that were in memory and have records
	old     [][]byte            // keys of notes
}

// awaySpace is a namespace with records.
type awaySpace struct {
	table *table
	ns    int64
	notes [][]byte // about records that have changed in the cycle
}

// add notes what the store has of s.
func (a *away) add(s *space) {
	c := s.cold
	noted := c.notes
	a.old, c.notes = append(a.old, noted...), nil
	if !c.holds() {
		return
	}
	s.saved = s.saved || c.changed > 0 || c.away > 0
	a.spaces = append(a.spaces, awaySpace{s.table, s.ns, noted})
	c.changed = 0
}

// leaveOut notes that slots of s are in the pieces.
func (a *away) leaveOut(s *space, slots []int32) error {
	keys, ends, err := s.storedKeys(slots)
	if err != nil || len(ends) == 0 {
		return err
	}
	if a.hot == nil {
		a.hot = make(map[string]struct{}, len(ends))
	}
	from, all := 0, string(keys)
	for _, end := range ends {
		a.hot[all[from:end]] = struct{}{}
		from = end
	}
	return nil
}

// freeze ends the cycle.
func (a *away) freeze(whole keygroup.Range) error {
	t := a.backend.tier
	a.all = whole == a.backend.owned
	if len(a.spaces) > 0 {
		frozen, err := t.store.Freeze()
		if err != nil {
			return err
		}
		a.frozen = frozen
	}
	t.cycle++
	if len(a.old) == 0 {
		return nil
	}
	change := t.store.Change()
	for _, key := range a.old {
		if err := change.Delete(key); err != nil {
			return err
		}
	}
	return change.Commit()
}

// write hands out what belongs in the snapshot.
func (a *away) write(ctx context.Context, whole keygroup.Range, emit func(state.Piece) error) error {
	if a.frozen == nil {
		return nil
	}
	for _, s := range a.spaces {
		err := a.writeSpace(ctx, s, whole, emit)
		if err != nil {
			return fmt.Errorf("write state table %d %s from the store: %w", s.table.spec.ID, s.table.spec.Name, err)
		}
	}
	return nil
}

func (a *away) writeSpace(ctx context.Context, s awaySpace, whole keygroup.Range, emit func(state.Piece) error) error {
	out := func(k *chunk, whole bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return a.emit(s, k, whole, emit)
	}
	if whole.Len() > 0 {
		err := scanChunks(a.frozen, s.table, s.ns, whole, a.cycle, a.hot, func(k *chunk) error { return out(k, true) })
		if err != nil {
			return err
		}
	}
	if a.all || len(s.notes) == 0 {
		return nil
	}
	return a.changes(s, whole, func(k *chunk) error { return out(k, false) })
}

// changes reads the records that have changed in the cycle.
func (a *away) changes(s awaySpace, whole keygroup.Range, do func(k *chunk) error) error {
	var keys [][]byte
	flush := func() error {
		k := newChunk(s.table, a.cycle)
		err := a.frozen.Get(keys, func(i int, record []byte) error {
			if err := k.addKey(keys[i]); err != nil {
				return err
			}
			return k.add(record)
		})
		keys = keys[:0]
		if err != nil || k.len() == 0 {
			return err
		}
		return do(k)
	}
	err := a.readNotes(s, func(key []byte) error {
		if _, hot := a.hot[string(key)]; hot || whole.Contains(keygroup.Of(hashOf(key), a.backend.groups)) {
			return nil
		}
		if keys = append(keys, key); len(keys) < stream.TargetRows {
			return nil
		}
		return flush()
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return flush()
}

// emit hands out the keys of records, and the rows of their lists: all, or those that
// have changed.
func (a *away) emit(s awaySpace, k *chunk, whole bool, emit func(state.Piece) error) error {
	groups := keygroup.Range{First: a.group(k, 0), Last: a.group(k, k.len()-1) + 1}
	keys, err := arrays(a.backend.alloc, k.keys, k.len())
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(keys)
	values, err := arrays(a.backend.alloc, k.values, k.len())
	if err != nil {
		return err
	}
	err = a.piece(s, state.PutKey, groups, k.len(), slices.Concat(keys, values), emit)
	compute.ReleaseAll(values)
	if err != nil || len(k.owners) == 0 {
		return err
	}
	var rows, owners []int32
	var sequences []int64
	for i, o := range k.owners {
		if whole || k.changed[i] {
			rows, owners, sequences = append(rows, int32(i)), append(owners, o), append(sequences, k.sequences[i])
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var columns []arrow.Array
	defer func() { compute.ReleaseAll(columns) }()
	for _, key := range keys {
		taken, err := compute.Take(a.backend.alloc, key, owners)
		if err != nil {
			return err
		}
		columns = append(columns, taken)
	}
	list, err := arrays(a.backend.alloc, pickAll(k.list, rows), len(rows))
	if err != nil {
		return err
	}
	columns = append(append(columns, integers(a.backend.alloc, sequences)), list...)
	return a.piece(s, state.PutRow, groups, len(rows), columns, emit)
}

func (a *away) group(k *chunk, i int) keygroup.Group {
	return keygroup.Of(k.hashes[i], a.backend.groups)
}

// piece hands out columns, which stay the caller's, behind the namespace.
func (a *away) piece(s awaySpace, kind state.Kind, groups keygroup.Range, n int, columns []arrow.Array, emit func(state.Piece) error) error {
	spaces := make([]int64, n)
	for i := range spaces {
		spaces[i] = s.ns
	}
	namespace := integers(a.backend.alloc, spaces)
	defer namespace.Release()
	rows := array.NewRecordBatch(state.PieceSchema(s.table.spec, kind), append([]arrow.Array{namespace}, columns...), int64(n))
	defer rows.Release()
	return emit(state.Piece{Table: s.table.spec, Kind: kind, Groups: groups, Rows: rows})
}

func (a *away) release() {
	if a.frozen != nil {
		// What was read has been read; the store tells the next one that uses it.
		_ = a.frozen.Close()
		a.frozen = nil
	}
	a.hot, a.spaces, a.old = nil, nil, nil
}
