package memory

import (
	"math"
	"sync/atomic"
)

// Share is one spillable operator's part of a ledger for which several contend.
// A contender may use whatever is free; once the ledger is past its mark, those
// above their fair part give way. One goroutine uses a share, beside Fair and
// Over of others. A nil share is that of an operator with nobody to contend with:
// it is never over.
type Share struct {
	account *Account
	held    atomic.Int64
	left    atomic.Bool
}

// mark is how much of the limit may be charged before contenders give way.
func (l *Ledger) mark() int64 { return l.root.limit / 4 * 3 }

// Contend registers a as an account that can spill.
func (a *Account) Contend() *Share {
	a.ledger.contenders.Add(1)
	return &Share{account: a}
}

// Over reports whether the ledger is past three quarters of its limit while the
// contender uses more than its fair part: it is to spill until the answer is
// false or nothing is left to spill. It is cheap enough to ask for each batch.
func (s *Share) Over() bool {
	if s == nil {
		return false
	}
	l := s.account.ledger
	mark := l.mark()
	return l.Used() > mark && s.Used() > mark/max(l.contenders.Load(), 1)
}

// Fair is how many bytes the contender may count on now.
func (s *Share) Fair() int64 {
	if s == nil {
		return math.MaxInt64
	}
	l := s.account.ledger
	return l.mark() / max(l.contenders.Load(), 1)
}

// Used is what the contender uses: what is charged to its account and what it
// said with Hold.
func (s *Share) Used() int64 {
	if s == nil {
		return 0
	}
	return s.account.Used() + s.held.Load()
}

// Hold says that the contender keeps n bytes more, or less, that are charged to
// others: batches it was given. It charges nothing.
func (s *Share) Hold(n int64) {
	if s != nil {
		s.held.Add(n)
	}
}

// Leave ends the contention; the second time it does nothing.
func (s *Share) Leave() {
	if s != nil && !s.left.Swap(true) {
		s.account.ledger.contenders.Add(-1)
	}
}
