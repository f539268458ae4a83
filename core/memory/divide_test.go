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
		{1 << 20, 491520, 393216},
		{32 << 20, 15728640, 12582912},
		{64 << 20, 36372480, 29097984},
		{100 << 20, 71761920, 57409536},
		{500 << 20, 470810624, 423493632},
		{16 << 30, 17126391808, 16067330048},
	} {
		heap, ledger := memory.Divide(c.size)
		if heap != c.heap || ledger != c.ledger {
			t.Errorf("of %d: heap %d, ledger %d, want %d and %d", c.size, heap, ledger, c.heap, c.ledger)
		}
	}
}
