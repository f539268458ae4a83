package memory_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/memory"
)

// What a process may use is enough for the program, what nobody charges, the ledger
// and the garbage of it; a small number still makes a ledger.
func TestDivide(t *testing.T) {
	for _, c := range []struct{ size, heap, ledger int64 }{
		{1, 0, 1},
		{1 << 20, 512 << 10, 256 << 10},
		{32 << 20, 16 << 20, 8 << 20},
		{64 << 20, 40 << 20, 25 << 20},
		{100 << 20, 76 << 20, 59244544},
		{500 << 20, 476 << 20, 426246144 + 1<<20 - 1<<20},
		{16 << 30, 16<<30 - 24<<20, 15<<30 - 34<<20},
	} {
		heap, ledger := memory.Divide(c.size)
		if heap != c.heap || ledger != c.ledger {
			t.Errorf("of %d: heap %d, ledger %d, want %d and %d", c.size, heap, ledger, c.heap, c.ledger)
		}
	}
}
