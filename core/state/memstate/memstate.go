package memstate

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
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
	share   keygroup.Group // where the next share begins
	// tracking: there is an earlier snapshot to which the next one adds its changes.
	tracking bool
	// foreseen are the rows of keys, by table, that are restored in all; nil: nobody said.
	foreseen map[uint16]int
	shares   sync.Pool // *share: room that those of restored pieces have had
	taking   *snapshot // the latest one, while it is not all copied
	tier     *tier     // nil: memory is all
}

// table is one table; its opened flag says that an operator has it.
type table struct {
	backend *Backend
	spec    state.TableSpec
	opened  bool
	spaces  map[int64]*space
	dropped map[int64]bool // namespaces that earlier snapshots have

	// While it is restored: rows of PutKey pieces, and those of them that were wanted.
	read, came int
}

// New returns empty state for the groups in owned of a job with so many.
func New(groups int, owned keygroup.Range, alloc memory.Allocator, account stream.Account) *Backend {
	return &Backend{groups: groups, owned: owned, alloc: alloc, account: account, tables: map[uint16]*table{}, share: owned.First}
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
	t.opened, t.spec = true, spec
	for _, s := range t.spaces {
		s.index = nil // of the restore
		if t.tiered() {
			continue
		}
		if err := s.stay(); err != nil {
			return nil, fmt.Errorf("state table %d %s back to memory: %w", spec.ID, spec.Name, err)
		}
	}
	return t, nil
}

// declare returns the table of spec, which must have the columns it had before.
func (b *Backend) declare(spec state.TableSpec) (*table, error) {
	t, ok := b.tables[spec.ID]
	if !ok {
		t = &table{backend: b, spec: spec, spaces: map[int64]*space{}, dropped: map[int64]bool{}}
		b.tables[spec.ID] = t
		return t, nil
	}
	if t.spec.Routed != spec.Routed {
		return nil, failure.Errorf(failure.Fatal, "state table %d %s is sent to its subtasks by %d columns, its restored state by %d", spec.ID, spec.Name, spec.Routed, t.spec.Routed)
	}
	if !spec.Fits(t.spec) {
		return nil, failure.Errorf(failure.Fatal, "state table %d %s has columns (%s; %s; %s), its restored state (%s; %s; %s)",
			spec.ID, spec.Name, spec.Keys, spec.Values, spec.List, t.spec.Keys, t.spec.Values, t.spec.List)
	}
	return t, nil
}

// Close implements state.Backend.
func (b *Backend) Close() error {
	if b.taking != nil {
		_ = state.Complete(b.taking) // Copy says it again
	}
	for _, t := range b.tables {
		for _, s := range t.spaces {
			s.release()
		}
	}
	clear(b.tables)
	if b.tier != nil {
		return b.tier.store.Close()
	}
	return nil
}

// space returns a namespace, made if need be.
func (t *table) space(ns int64) (*space, error) {
	if s, ok := t.spaces[ns]; ok {
		return s, nil
	}
	s, err := newSpace(t, ns)
	if err != nil {
		return nil, err
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
	return s, nil
}

// Namespaces implements state.Table.
func (t *table) Namespaces() []int64 { return slices.Sorted(maps.Keys(t.spaces)) }

// Drop implements state.Table.
func (t *table) Drop(ns int64) {
	s, ok := t.spaces[ns]
	if !ok {
		return
	}
	if s.saved {
		t.dropped[ns] = true
	}
	if err := s.forgetStored(); err != nil {
		t.backend.tier.fail(err)
	}
	delete(t.spaces, ns)
	if s.pending != nil {
		s.pending.dropped = true
		return
	}
	s.release()
}

var (
	_ state.Backend   = (*Backend)(nil)
	_ state.Forgetter = (*Backend)(nil)
	_ state.Table     = (*table)(nil)
)
