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
	// Of state, which nobody is to wait for while it grows:
	phased bool
	grown  int // slices so far
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

// Tight is an account that may say that what it charges should not grow much: slices are
// then lengthened by a small part, not doubled.
type Tight interface {
	// Tight is asked before a slice grows.
	Tight() bool
}

// tightPart is by which part of itself a slice grows where the account is tight.
const tightPart = 16

func (l *ledger) tight() bool {
	t, ok := l.account.(Tight)
	return ok && t.Tight()
}

// phases is how many slices differ in how much they grow: those of a table are equally long,
// and would all be copied during one batch.
const phases = 16

// more is by how much a slice of capacity n grows, unless it needs more: what it has, or three
// quarters of that and more where they are phased.
func (l *ledger) more(n int) int {
	more := min(n, 1<<22)
	if l.tight() {
		more = n / tightPart
	}
	if l.phased {
		l.grown++
	}
	return more - l.phase(more/4)
}

// phase is the part of n that a slice grows by more or less than others, where they differ.
func (l *ledger) phase(n int) int {
	if !l.phased {
		return 0
	}
	return n / phases * (l.grown % phases)
}

// room returns s with capacity for n more elements. While it copies, both
// slices are charged.
func room[T any](l *ledger, s []T, n int) ([]T, error) {
	if cap(s)-len(s) >= n {
		return s, nil
	}
	var t T
	size := int64(unsafe.Sizeof(t))
	more := l.more(cap(s))
	want := max(len(s)+n, cap(s)+more, 64)
	if want > cap(s)+more { // room that was asked for, of which each slice gets as much
		want += l.phase(want / phases)
	}
	if err := l.grow(int64(want) * size); err != nil {
		return s, err
	}
	bigger := make([]T, len(s), want)
	copy(bigger, s)
	l.shrink(int64(cap(s)) * size)
	return bigger, nil
}
