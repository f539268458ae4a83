package hashtable

import (
	"fmt"
	"unsafe"

	"github.com/tidemill/tidemill/core/stream"
)

// ledger charges what a table and its parts hold.
type ledger struct {
	account stream.Account // nil: nothing is charged
	used    int64
}

func (l *ledger) grow(n int64) error {
	if l.account != nil {
		if err := l.account.Grow(n); err != nil {
			return fmt.Errorf("hash table of %d bytes grows by %d: %w", l.used, n, err)
		}
	}
	l.used += n
	return nil
}

func (l *ledger) shrink(n int64) {
	if l.account != nil {
		l.account.Shrink(n)
	}
	l.used -= n
}

// release gives everything back.
func (l *ledger) release() { l.shrink(l.used) }

// room returns s with capacity for n more elements. While it copies, both
// slices are charged.
func room[T any](l *ledger, s []T, n int) ([]T, error) {
	if cap(s)-len(s) >= n {
		return s, nil
	}
	var t T
	size := int64(unsafe.Sizeof(t))
	want := max(len(s)+n, min(2*cap(s), cap(s)+1<<22), 64)
	if err := l.grow(int64(want) * size); err != nil {
		return s, err
	}
	bigger := make([]T, len(s), want)
	copy(bigger, s)
	l.shrink(int64(cap(s)) * size)
	return bigger, nil
}
