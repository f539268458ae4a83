package memory

import (
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/invariant"
)

// Allocator is an Arrow allocator that charges an account. All methods may be
// called concurrently. What one allocator of a ledger allocated must be freed by
// the same one, which Arrow's buffers do.
type Allocator struct{ account *Account }

var _ memory.Allocator = (*Allocator)(nil)

// Allocator returns an Arrow allocator that charges a. It panics with an
// *ExhaustedError where the account refuses; see Recover.
func (a *Account) Allocator() memory.Allocator { return &Allocator{account: a} }

// Allocate returns size zeroed bytes, aligned to Alignment.
func (m *Allocator) Allocate(size int) []byte {
	b, used := m.allocate(size)
	if used {
		clear(b)
	}
	return b
}

// AllocateDirty is Allocate for a caller that writes every byte before anybody reads
// it: they hold what they held.
func (m *Allocator) AllocateDirty(size int) []byte {
	b, _ := m.allocate(size)
	return b
}

// allocate says whether the bytes were used before; else they are zero.
func (m *Allocator) allocate(size int) (b []byte, used bool) {
	if size == 0 {
		return []byte{}, false
	}
	if size > maxClassBytes {
		return m.allocateLarge(size), false
	}
	class, bytes := classOf(size)
	m.must(m.account.growBelowRoot(int64(bytes)))
	// An idle buffer is charged to the ledger already.
	if b := m.account.ledger.pool.get(class); b != nil {
		return b[:size], true
	}
	m.growRoot(int64(bytes))
	return fresh(bytes)[:size], false
}

func (m *Allocator) allocateLarge(size int) []byte {
	bytes := (size + Alignment - 1) / Alignment * Alignment
	m.must(m.account.growBelowRoot(int64(bytes)))
	m.growRoot(int64(bytes))
	return fresh(bytes)[:size]
}

// Reallocate returns a buffer of size bytes that begins with the content of b;
// bytes beyond it are zero. b is not to be used afterwards.
func (m *Allocator) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) && size > cap(b)/2 {
		grown := b[:size]
		if size > len(b) {
			clear(grown[len(b):])
		}
		return grown
	}
	moved := m.Allocate(size)
	copy(moved, b)
	m.Free(b)
	return moved
}

// Free gives a buffer back.
func (m *Allocator) Free(b []byte) {
	bytes := cap(b)
	if bytes == 0 {
		return
	}
	b = b[:bytes]
	if invariant.Enabled {
		invariant.Check(offset(b) == 0, "a buffer of %d bytes was not allocated here", bytes)
		for i := range b {
			b[i] = Poison
		}
	}
	m.account.shrinkBelowRoot(int64(bytes))
	l := m.account.ledger
	if bytes <= maxClassBytes {
		if class, exact := classOf(bytes); exact == bytes && l.queue.waiting.Load() == 0 && l.pool.put(class, b) {
			return
		}
	}
	l.give(int64(bytes))
}

// Charge charges the account for bytes of the heap that were not allocated here but
// belong to the same work, and panics like Allocate; a negative number gives back.
func (m *Allocator) Charge(bytes int) {
	if bytes < 0 {
		m.account.Shrink(int64(-bytes))
		return
	}
	m.must(m.account.Grow(int64(bytes)))
}

// growRoot charges the ledger for what the accounts below it are charged.
func (m *Allocator) growRoot(bytes int64) {
	if err := m.account.ledger.growRoot(m.account, bytes); err != nil {
		m.account.shrinkBelowRoot(bytes)
		m.must(err)
	}
}

func (m *Allocator) must(err error) {
	if err != nil {
		panic(err)
	}
}
