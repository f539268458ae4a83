package memstate

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Store is where keys lie that have left memory: records by key, in order. The backend's
// task uses it, and Frozen on another goroutine.
type Store interface {
	// Get hands out the records of those of keys, which ascend, that there are, by
	// position. A record is valid during the call.
	Get(keys [][]byte, do func(i int, record []byte) error) error
	// Change begins changes that are made together.
	Change() Changes
	// Freeze is what there is now, until it is closed, which may be after the store was.
	Freeze() (Frozen, error)
	// Close ends the store; what it holds goes away once nothing frozen is left.
	Close() error
}

// Changes are made by Commit, or not at all. Keys and records may be changed after they
// were given.
type Changes interface {
	Set(key, record []byte) error
	Delete(key []byte) error
	DeleteRange(from, to []byte) error // to is not in it
	Size() int                         // in bytes
	Commit() error
}

// Frozen is what a store held at a moment.
type Frozen interface {
	// Scan hands out keys from from to below to, in order, and their records, both valid
	// during the call.
	Scan(from, to []byte, do func(key, record []byte) error) error
	// Get is Store's.
	Get(keys [][]byte, do func(i int, record []byte) error) error
	Close() error
}

// tier is what a backend has where memory is not all.
type tier struct {
	store  Store
	budget int64
	// cycle counts snapshots: records say in which one they were written.
	cycle uint32
	// failed is what went wrong where no error could be returned.
	failed error
	// busy: tables may have grown since Crowded looked.
	busy bool
	// enough is what keys take that cannot leave memory, if that is more than the budget.
	enough int64
	clock  uint64 // counts evictions
	notes  uint64 // counts notes
	stats  Traffic
}

// Traffic is how often keys were found in memory and not.
type Traffic struct {
	Asked   int64 // keys that were looked up
	Hits    int64 // of these, in memory
	Read    int64 // of these, read from the store
	Evicted int64 // keys that left memory
	Written int64 // of these, those that had to be written
}

// NewTiered is New of state whose evictable tables take about budget bytes of memory; the
// rest of them is in store, which the backend closes.
func NewTiered(groups int, owned keygroup.Range, alloc memory.Allocator, account stream.Account, store Store, budget int64) *Backend {
	b := New(groups, owned, alloc, &meter{Account: account, half: budget / 2})
	b.tier = &tier{store: store, budget: budget, cycle: 1}
	return b
}

// meter is an account that is tight once half of a budget is used: what doubled then would
// go beyond it.
type meter struct {
	stream.Account
	used, half int64
}

// Grow implements stream.Account.
func (m *meter) Grow(n int64) error {
	err := m.Account.Grow(n)
	if err == nil {
		m.used += n
	}
	return err
}

// Shrink implements stream.Account.
func (m *meter) Shrink(n int64) {
	m.used -= n
	m.Account.Shrink(n)
}

// Tight implements hashtable.Tight.
func (m *meter) Tight() bool { return m.used > m.half }

// Traffic is what has gone to and from the store so far.
func (b *Backend) Traffic() Traffic {
	if b.tier == nil {
		return Traffic{}
	}
	return b.tier.stats
}

// fail notes an error for the next call that can return one.
func (t *tier) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

// What is known of a slot.
const (
	inUse     uint8 = 1 << iota
	isStored        // the store has a record of the key
	isChanged       // which is not what the slot holds
	oneHit          // the least of two bits that count how often the key was asked for
	hitBits   = 3 * oneHit
	isLeaving = hitBits + oneHit // chosen to leave memory
)

// cold is what a namespace knows of keys that are, or may be, in the store.
type cold struct {
	flags   []uint8  // by slot
	lives   []uint32 // by slot: how many keys have left it
	away    int64    // keys that are in the store only
	stored  int64    // records
	changed int64    // records that were written since the last snapshot and are part of the next
	notes   [][]byte // keys of the notes that name them
	filter  filter
	hand    hand
	adopted bool   // away and stored are estimates: there may be records although they say none
	used    uint64 // the tier's clock when keys were asked for last

	fresh, asked []int32 // scratch: positions
}

// holds says that the store may have records.
func (c *cold) holds() bool { return c.adopted || c.stored > 0 }

// lacks says that keys may be in the store only.
func (c *cold) lacks() bool { return c.adopted || c.away > 0 }

// reach makes room for slots below n.
func (c *cold) reach(n int) {
	if old := len(c.flags); old < n {
		more := max(n, min(2*old, old+1<<20)) - old
		c.flags, c.lives = append(c.flags, make([]uint8, more)...), append(c.lives, make([]uint32, more)...)
	}
}

// release gives up what was charged.
func (c *cold) release(account stream.Account) {
	c.filter.release(account)
	c.hand.release(account)
}

// leave notes that keys leave their slots.
func (c *cold) leave(slots []int32) {
	for _, x := range slots {
		c.flags[x] = 0
		c.lives[x]++
	}
}

// recordKey is the first byte of keys.
const recordKey = 'r'

const (
	spacePrefix = 1 + 2 + 8
	hashPrefix  = spacePrefix + 8
)

// appendSpace appends the beginning of the keys of a namespace:
//
//	'r' | table (2) | namespace (8) | hash (8) | key columns    a record
//	                                           | 0xFF | number (8)    a note
//
// Key groups are ranges of hashes, so that the keys of a stretch of groups lie together.
func appendSpace(b []byte, table uint16, ns int64) []byte {
	b = append(b, recordKey)
	b = binary.BigEndian.AppendUint16(b, table)
	return binary.BigEndian.AppendUint64(b, uint64(ns)^1<<63)
}

// after is the first key behind those that begin with prefix.
func after(prefix []byte) []byte {
	out := append([]byte(nil), prefix...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return nil // never: prefixes begin with a letter
}

// bounds are the keys of a namespace that lie in groups.
func (t *table) bounds(ns int64, groups keygroup.Range) (from, to []byte) {
	from = appendSpace(nil, t.spec.ID, ns)
	if to = after(from); int(groups.Last) < t.backend.groups {
		to = binary.BigEndian.AppendUint64(append([]byte(nil), from...), firstHash(groups.Last, t.backend.groups))
	}
	return binary.BigEndian.AppendUint64(from, firstHash(groups.First, t.backend.groups)), to
}

// firstHash is the least hash of a group.
func firstHash(g keygroup.Group, groups int) uint64 {
	return (uint64(g)<<32 + uint64(groups) - 1) / uint64(groups) << 32
}

func hashOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[spacePrefix:]) }

// tiered says that keys of the table may leave memory: of one that is being restored, for
// it is not known yet what will become of it.
func (t *table) tiered() bool { return t.backend.tier != nil && (!t.opened || t.spec.Evictable) }

// forgetStored deletes the records of a namespace.
func (s *space) forgetStored() error {
	c := s.cold
	if c == nil || !c.holds() && len(c.notes) == 0 {
		return nil
	}
	prefix := appendSpace(nil, s.table.spec.ID, s.ns)
	change := s.table.backend.tier.store.Change()
	if err := change.DeleteRange(prefix, after(prefix)); err != nil {
		return err
	}
	if err := change.Commit(); err != nil {
		return fmt.Errorf("forget namespace %d: %w", s.ns, err)
	}
	c.stored, c.away, c.changed, c.notes, c.adopted = 0, 0, 0, nil, false
	return nil
}

var (
	_ state.Evictor   = (*Backend)(nil)
	_ hashtable.Tight = (*meter)(nil)
)
