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
	pressed chan<- struct{} // see Notify
}

// lump is what others than contenders may want at once, such as a scan that begins
// a row group. A contender in the same task cannot be told to spill then.
const lump = 10 << 20

// leastMark is the part of the limit that contenders may fill in any case, leastSpill
// the part below which nothing is gained by a spill.
const (
	leastMark  = 3
	leastSpill = 128
)

// mark is how much of the limit may be charged before contenders give way: three
// quarters, but so much less that there is a lump between it and where loans stop,
// as far as that leaves a third. Ledgers smaller than a lump are not divided so.
func (l *Ledger) mark() int64 {
	mark := l.root.limit / 4 * 3
	if l.root.limit < lump {
		return mark
	}
	return min(mark, max(l.root.limit-l.reserve()-lump, l.root.limit/leastMark))
}

// Contend registers a as an account that can spill.
func (a *Account) Contend() *Share {
	l, s := a.ledger, &Share{account: a}
	a.spills.Store(true)
	l.contenders.Add(1)
	l.queue.mu.Lock()
	l.queue.shares[s] = struct{}{}
	l.queue.mu.Unlock()
	return s
}

// Notify has c, which has room for one, told when somebody waits for memory: the
// contender is to ask Over then.
func (s *Share) Notify(c chan<- struct{}) {
	q := &s.account.ledger.queue
	q.mu.Lock()
	s.pressed = c
	q.mu.Unlock()
}

// Over reports whether the ledger is past three quarters of its limit while the
// contender uses more than its fair part of what others leave, or that somebody waits for room while the
// contender uses at least half of what any does. It is to spill until the answer
// is false or nothing is left to spill. It is cheap enough to ask for each batch.
func (s *Share) Over() bool {
	if s == nil {
		return false
	}
	l, mine := s.account.ledger, s.Used()
	used, mark, waiting := l.Used(), l.mark(), l.queue.waiting.Load() > 0
	if mine == 0 || used <= mark && !waiting {
		return false
	}
	sum, most := l.queue.contended()
	if waiting {
		return mine >= most/2 && mine >= l.root.limit/leastSpill
	}
	others := max(used-sum, 0)
	return mine > (mark-others)/max(l.contenders.Load(), 1)
}

// Fair is how many bytes the contender may count on now.
func (s *Share) Fair() int64 {
	if s == nil {
		return math.MaxInt64
	}
	l := s.account.ledger
	return l.mark() / max(l.contenders.Load(), 1)
}

// Spare is how many bytes the contender may take now for what it can give back
// whenever it is over: its fair part, or half of what is free, whichever is more.
func (s *Share) Spare() int64 {
	if s == nil {
		return math.MaxInt64
	}
	l := s.account.ledger
	return max(s.Fair()-s.Used(), (l.mark()-l.Used())/2, 0)
}

// Take charges n bytes to the contender's account if they are free right now, and
// returns what it charged, n or nothing: for what makes room and goes on in any case.
func (s *Share) Take(n int64) int64 {
	if s == nil || s.account.growBelowRoot(n) != nil {
		return 0
	}
	l := s.account.ledger
	if l.root.chargeTo(n, l.root.limit) || l.Trim() > 0 && l.root.chargeTo(n, l.root.limit) {
		return n
	}
	s.account.shrinkBelowRoot(n)
	return 0
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
		l := s.account.ledger
		s.account.spills.Store(false)
		l.contenders.Add(-1)
		l.queue.mu.Lock()
		delete(l.queue.shares, s)
		l.queue.mu.Unlock()
		l.queue.wake()
	}
}
