package statetest

import (
	"maps"
	"slices"

	"github.com/tidemill/tidemill/core/state/memstate"
)

// Store is a plain map as a memstate.Store, for tests of what lies above.
type Store struct{ records map[string]string }

// NewStore returns an empty store.
func NewStore() *Store { return &Store{records: map[string]string{}} }

// Get implements memstate.Store.
func (s *Store) Get(keys [][]byte, do func(i int, record []byte) error) error {
	return content(s.records).Get(keys, do)
}

// Change implements memstate.Store.
func (s *Store) Change() memstate.Changes { return &changes{store: s} }

// Freeze implements memstate.Store.
func (s *Store) Freeze() (memstate.Frozen, error) { return content(maps.Clone(s.records)), nil }

// Close implements memstate.Store.
func (s *Store) Close() error { return nil }

// changes are made one after the other.
type changes struct {
	store *Store
	todo  []func(map[string]string)
}

// Set implements memstate.Changes.
func (c *changes) Set(key, record []byte) error {
	k, r := string(key), string(record)
	c.todo = append(c.todo, func(m map[string]string) { m[k] = r })
	return nil
}

// Delete implements memstate.Changes.
func (c *changes) Delete(key []byte) error {
	k := string(key)
	c.todo = append(c.todo, func(m map[string]string) { delete(m, k) })
	return nil
}

// DeleteRange implements memstate.Changes.
func (c *changes) DeleteRange(from, to []byte) error {
	a, b := string(from), string(to)
	c.todo = append(c.todo, func(m map[string]string) {
		maps.DeleteFunc(m, func(k, _ string) bool { return a <= k && k < b })
	})
	return nil
}

// Size implements memstate.Changes.
func (c *changes) Size() int { return len(c.todo) }

// Commit implements memstate.Changes.
func (c *changes) Commit() error {
	for _, do := range c.todo {
		do(c.store.records)
	}
	c.todo = nil
	return nil
}

// content is what a store held at a moment.
type content map[string]string

// Scan implements memstate.Frozen.
func (m content) Scan(from, to []byte, do func(key, record []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if string(from) <= k && k < string(to) {
			if err := do([]byte(k), []byte(m[k])); err != nil {
				return err
			}
		}
	}
	return nil
}

// Get implements memstate.Frozen.
func (m content) Get(keys [][]byte, do func(i int, record []byte) error) error {
	for i, k := range keys {
		if r, ok := m[string(k)]; ok {
			if err := do(i, []byte(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close implements memstate.Frozen.
func (content) Close() error { return nil }

var (
	_ memstate.Store   = (*Store)(nil)
	_ memstate.Changes = (*changes)(nil)
	_ memstate.Frozen  = content(nil)
)
