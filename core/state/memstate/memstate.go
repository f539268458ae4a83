package memstate

import (
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

// Backend is keyed state in memory.
type Backend struct {
	groups  int
	owned   keygroup.Range
	alloc   memory.Allocator
	account stream.Account
	tables  map[uint16]*table
}

// table is one table; its opened flag says that an operator has it.
type table struct {
	backend *Backend
	spec    state.TableSpec
	opened  bool
	spaces  map[int64]*hashtable.Table
}

// New returns empty state for the groups in owned of a job with so many.
func New(groups int, owned keygroup.Range, alloc memory.Allocator, account stream.Account) *Backend {
	return &Backend{groups: groups, owned: owned, alloc: alloc, account: account, tables: map[uint16]*table{}}
}

// Table implements state.Backend.
func (b *Backend) Table(spec state.TableSpec) (state.Table, error) {
	t, err := b.declare(spec)
	if err != nil {
		return nil, err
	}
	if t.opened {
		return nil, failure.Errorf(failure.Internal, "state table %d %s is open already", spec.ID, spec.Name)
	}
	t.opened = true
	return t, nil
}

// declare returns the table of spec, which must have the columns it had before.
func (b *Backend) declare(spec state.TableSpec) (*table, error) {
	t, ok := b.tables[spec.ID]
	if !ok {
		t = &table{backend: b, spec: spec, spaces: map[int64]*hashtable.Table{}}
		b.tables[spec.ID] = t
		return t, nil
	}
	if !t.spec.Keys.Equal(spec.Keys) || !t.spec.Values.Equal(spec.Values) {
		return nil, failure.Errorf(failure.Fatal, "state table %d %s has columns (%s; %s), its restored state (%s; %s)",
			spec.ID, spec.Name, spec.Keys, spec.Values, t.spec.Keys, t.spec.Values)
	}
	return t, nil
}

// Restore implements state.Backend.
func (b *Backend) Restore(spec state.TableSpec, rows arrow.RecordBatch) error {
	t, err := b.declare(spec)
	if err != nil {
		return err
	}
	if t.opened {
		return failure.Errorf(failure.Internal, "state table %d %s is restored after it was opened", spec.ID, spec.Name)
	}
	if want := 1 + len(spec.Keys) + len(spec.Values); int(rows.NumCols()) != want {
		return failure.Errorf(failure.BadData, "state table %d %s: a snapshot of %d columns, want %d", spec.ID, spec.Name, rows.NumCols(), want)
	}
	namespaces, ok := rows.Column(0).(*array.Int64)
	if !ok {
		return failure.Errorf(failure.BadData, "state table %d %s: its first column is %s, not the namespace", spec.ID, spec.Name, rows.Column(0).DataType())
	}
	if rows.NumRows() == 0 {
		return nil
	}
	keys := rows.Columns()[1 : 1+len(spec.Keys)]
	hashes := compute.HashColumns(keys, nil, nil)
	owned := map[int64][]int32{}
	for i, h := range hashes {
		if b.owned.Contains(keygroup.Of(h, b.groups)) {
			owned[namespaces.Value(i)] = append(owned[namespaces.Value(i)], int32(i))
		}
	}
	for ns, sel := range owned {
		if err := t.restore(ns, rows, sel, hashes); err != nil {
			return fmt.Errorf("restore state table %d %s: %w", spec.ID, spec.Name, err)
		}
	}
	return nil
}

// restore adds the rows of sel to a namespace.
func (t *table) restore(ns int64, rows arrow.RecordBatch, sel []int32, all []uint64) error {
	space, err := t.space(ns)
	if err != nil {
		return err
	}
	hashes, slots := make([]uint64, len(sel)), make([]int32, len(sel))
	for i, r := range sel {
		hashes[i] = all[r]
	}
	if err := space.Resolve(rows.Columns()[1:1+len(t.spec.Keys)], sel, hashes, slots); err != nil {
		return err
	}
	for i, c := range space.Values() {
		hashtable.Load(c, rows.Column(1+len(t.spec.Keys)+i), sel, slots)
	}
	return nil
}

// Close implements state.Backend.
func (b *Backend) Close() error {
	for _, t := range b.tables {
		for ns := range t.spaces {
			t.Drop(ns)
		}
	}
	clear(b.tables)
	return nil
}

// space returns a namespace's table, made if need be.
func (t *table) space(ns int64) (*hashtable.Table, error) {
	if s, ok := t.spaces[ns]; ok {
		return s, nil
	}
	s, err := hashtable.New(t.spec.Keys, t.spec.Values, t.backend.account)
	if err != nil {
		return nil, fmt.Errorf("state table %d %s: %w", t.spec.ID, t.spec.Name, err)
	}
	t.spaces[ns] = s
	return s, nil
}

// Namespace implements state.Table.
func (t *table) Namespace(ns int64) (state.Rows, error) {
	s, err := t.space(ns)
	if err != nil {
		return nil, err
	}
	return hashtable.Rows{Table: s, Mem: t.backend.alloc}, nil
}

// Namespaces implements state.Table.
func (t *table) Namespaces() []int64 { return slices.Sorted(maps.Keys(t.spaces)) }

// Drop implements state.Table.
func (t *table) Drop(ns int64) {
	if s, ok := t.spaces[ns]; ok {
		s.Release()
		delete(t.spaces, ns)
	}
}

var (
	_ state.Backend = (*Backend)(nil)
	_ state.Table   = (*table)(nil)
)
