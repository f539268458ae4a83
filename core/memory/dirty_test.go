package memory_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/memory"
)

// A dirty buffer is one like others: charged, kept when it is freed, and cleared for
// whoever asks for zeroes next.
func TestAllocateDirty(t *testing.T) {
	l := ledger(t, memory.Options{Limit: 1 << 30})
	account := l.Child("x", 0)
	m := account.Allocator().(*memory.Allocator)
	for _, size := range []int{0, 100, 4096, 9 << 20} {
		b := m.AllocateDirty(size)
		if len(b) != size || account.Used() != int64(cap(b)) {
			t.Fatalf("size %d: len %d cap %d, charged %d", size, len(b), cap(b), account.Used())
		}
		for i := range b {
			b[i] = 0xff
		}
		m.Free(b)
		for i, v := range m.Allocate(size) {
			if v != 0 {
				t.Fatalf("size %d: byte %d of a buffer used before is %x", size, i, v)
			}
		}
		account = l.Child("y", 0)
		m = account.Allocator().(*memory.Allocator)
	}
}
