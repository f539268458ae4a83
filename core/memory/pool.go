package memory

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tidemill/tidemill/core/invariant"
)

// Alignment is what every buffer's address is a multiple of, as Arrow recommends.
const Alignment = 64

// Poison fills freed buffers under the build tag `invariants`.
const Poison = 0xDB

// Size classes are 64, 128, 192, 256, 384, 512, 768, ...: every power of two and
// the middle between it and the next, up to maxClassBytes. At most a third of a
// buffer is waste. Larger buffers have no class and are not kept.
const (
	minClassBits  = 6
	maxClassBits  = 23
	classes       = 2*(maxClassBits-minClassBits) + 1
	maxClassBytes = 1 << maxClassBits
)

// classOf returns the smallest class that holds size and its bytes.
func classOf(size int) (class, bytes int) {
	if size <= 1<<minClassBits {
		return 0, 1 << minClassBits
	}
	top := bits.Len(uint(size - 1)) // 1<<top is the next power of two at or above size
	if middle := 3 << (top - 2); size <= middle && top > minClassBits+1 {
		return 2*(top-minClassBits) - 1, middle
	}
	return 2 * (top - minClassBits), 1 << top
}

// pool keeps idle buffers by class, at most limit bytes of them.
type pool struct {
	limit int64
	idle  atomic.Int64
	lists [classes]freeList
}

type freeList struct {
	mu      sync.Mutex
	buffers [][]byte
	_       [32]byte // lists that tasks use at once lie in cache lines of their own
}

func newPool(limit int64) *pool { return &pool{limit: limit} }

// get returns an idle buffer of the class with its full capacity, or nil.
func (p *pool) get(class int) []byte {
	list := &p.lists[class]
	list.mu.Lock()
	n := len(list.buffers)
	if n == 0 {
		list.mu.Unlock()
		return nil
	}
	b := list.buffers[n-1]
	list.buffers[n-1] = nil
	list.buffers = list.buffers[:n-1]
	list.mu.Unlock()
	p.idle.Add(-int64(cap(b)))
	return b
}

// put keeps a buffer, or answers false when the pool is full.
func (p *pool) put(class int, b []byte) bool {
	n := int64(cap(b))
	if p.idle.Add(n) > p.limit {
		p.idle.Add(-n)
		return false
	}
	list := &p.lists[class]
	list.mu.Lock()
	if invariant.Enabled && slices.ContainsFunc(list.buffers, func(o []byte) bool { return unsafe.SliceData(o) == unsafe.SliceData(b) }) {
		list.mu.Unlock()
		invariant.Broken("a buffer of %d bytes was freed twice", n)
	}
	list.buffers = append(list.buffers, b)
	list.mu.Unlock()
	return true
}

// trim drops everything and returns how many bytes that were.
func (p *pool) trim() (dropped int64) {
	for i := range p.lists {
		list := &p.lists[i]
		list.mu.Lock()
		for _, b := range list.buffers {
			dropped += int64(cap(b))
		}
		list.buffers = nil
		list.mu.Unlock()
	}
	p.idle.Add(-dropped)
	return dropped
}

// fresh makes a zeroed, aligned buffer of exactly that capacity.
func fresh(bytes int) []byte {
	b := make([]byte, bytes)
	if offset(b) == 0 {
		return b
	}
	b = make([]byte, bytes+Alignment)
	skip := (Alignment - offset(b)) % Alignment
	return b[skip : skip+bytes : skip+bytes]
}

func offset(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % Alignment) }
