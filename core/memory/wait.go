package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultPatience is how long a charge waits while nothing is given back.
const DefaultPatience = 5 * time.Second

// An account that can spill and uses less than this part of the limit has next to
// nothing to spill, and waits this part of the patience.
const (
	nextToNothing = 16
	spentPart     = 5
)

// A loan that holds something waits a small part of the patience, for somebody to
// spill, before it gives back what it holds; then, holding nothing, for several
// times the patience. Those who can make room are told at once when somebody waits
// and every pressEvery from then on.
const (
	loanPart       = 50
	prepayPatience = 4
	pressEvery     = 20 * time.Millisecond
)

// reserve is the part of the limit that only accounts that can spill may use
// while there are any: spilling takes memory, and must not wait for it.
func (l *Ledger) reserve() int64 { return l.root.limit / 8 }

// room is how far asker may fill the ledger. Where there are loans, the first half of
// the reserve is for the work on what they have brought: who holds a loan does that
// work, too, and cannot give it back meanwhile.
func (l *Ledger) room(asker *Account) int64 {
	lent := l.lent.Load() > 0
	switch {
	case asker.spills.Load() || l.contenders.Load() == 0 && !lent:
		return l.root.limit
	case lent && !asker.lent.Load():
		return l.root.limit - l.reserve()/2
	}
	return l.root.limit - l.reserve()
}

// queue is who waits for room.
type queue struct {
	waiting atomic.Int64
	mu      sync.Mutex
	freed   chan struct{} // closed when something was given back; nil: nobody listens
	shares  map[*Share]struct{}
	loans   map[*Loan]struct{}
}

// listen returns a channel that is closed when something is given back.
func (q *queue) listen() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed == nil {
		q.freed = make(chan struct{})
	}
	return q.freed
}

func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// contended is the sum of what contenders use, and the most that one does.
func (q *queue) contended() (sum, most int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.shares {
		used := s.Used()
		sum, most = sum+used, max(most, used)
	}
	return sum, most
}

// patienceOf is how long an account waits for room: those that cannot spill, and
// those for which one that uses more than twice as much is to spill, the ledger's
// patience. One that has next to nothing, for it has just spilled it, waits a part
// of that for whoever gives something back. Others are to spill at once, so the
// largest never waits.
func (l *Ledger) patienceOf(a *Account) time.Duration {
	if a.lent.Load() {
		return l.patience / loanPart
	}
	if !a.spills.Load() {
		return l.patience
	}
	spent := l.patience / spentPart
	if l.lent.Load() > 0 { // they do give something back
		spent = l.patience
	}
	mine, most := l.queue.besides(a)
	switch {
	case mine < most/2:
		return l.patience
	case mine < l.root.limit/nextToNothing:
		return spent
	}
	return 0
}

// besides is what a, which is a contender, uses, and the most that another one does.
func (q *queue) besides(a *Account) (mine, most int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.shares {
		if s.account == a {
			mine = s.Used()
			continue
		}
		most = max(most, s.Used())
	}
	return mine, most
}

// press tells contenders and loans whose tasks sleep that somebody waits.
func (q *queue) press() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.shares {
		tell(s.pressed)
	}
	for o := range q.loans {
		tell(o.pressed)
	}
}

// tell signals a channel that has room for one; nil has nobody.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// await charges the root as soon as contenders and loans have made room. It gives up
// when nothing is given back for as long as the asker's patience, and when the
// asker's context ends, which is the error.
func (l *Ledger) await(asker *Account, n int64) (bool, error) {
	if n > l.room(asker) || l.contenders.Load() == 0 && l.lent.Load() == 0 {
		return false, nil
	}
	return l.awaitFor(asker, n, func() time.Duration { return l.patienceOf(asker) })
}

func (l *Ledger) awaitFor(asker *Account, n int64, patienceNow func() time.Duration) (bool, error) {
	patience := patienceNow()
	if patience <= 0 {
		return false, nil
	}
	ctx := asker.context()
	l.queue.waiting.Add(1)
	defer l.queue.waiting.Add(-1)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	again := time.NewTicker(pressEvery)
	defer again.Stop()
	for {
		freed := l.queue.listen() // before the attempt, so that nothing is missed
		l.Trim()
		if l.root.chargeTo(n, l.room(asker)) {
			return true, nil
		}
		if patience = patienceNow(); patience <= 0 {
			return false, nil
		}
		l.queue.press()
		select {
		case <-again.C:
			asker.meanwhile()
		case <-freed:
			timer.Reset(patience)
		case <-timer.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// give takes n bytes off the root, for those who wait.
func (l *Ledger) give(n int64) {
	l.root.used.Add(-n)
	if n > 0 && l.queue.waiting.Load() > 0 {
		l.queue.wake()
	}
}

// Until says whose end ends the waiting of a and of accounts below it for room.
// Call it before the account is used. It returns a.
func (a *Account) Until(ctx context.Context) *Account {
	a.until = ctx
	return a
}

func (a *Account) context() context.Context {
	for at := a; at != nil; at = at.parent {
		if at.until != nil {
			return at.until
		}
	}
	return context.Background()
}

// Meanwhile has do called now and then, in the goroutine that charges, while a charge
// of a or an account below it waits for room; loans are left out. do may give
// something back.
// Call it before the account is used. It returns a.
func (a *Account) Meanwhile(do func()) *Account {
	a.during = do
	return a
}

func (a *Account) meanwhile() {
	if a.lent.Load() {
		return
	}
	for at := a; at != nil; at = at.parent {
		if at.during != nil {
			at.during()
			return
		}
	}
}
