package memory

import (
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Loan is an account of one who can give back all that it uses and get it again
// later by doing its work once more, such as a scan what it holds of a row group.
// It is refused before anybody else, and hardly waits while it holds something: it
// gives back instead, and waits for all of it with Prepay. One goroutine uses a
// loan. A nil loan is that of one with nobody to share with.
type Loan struct {
	account *Account
	pressed chan<- struct{}
	ended   bool
}

// Borrow makes a an account whose owner gives back what is asked for. c, which has
// room for one, is told when somebody waits: the owner is to ask Wanted then.
func (a *Account) Borrow(c chan<- struct{}) *Loan {
	l, loan := a.ledger, &Loan{account: a, pressed: c}
	a.lent.Store(true)
	l.lent.Add(1)
	l.queue.mu.Lock()
	l.queue.loans[loan] = struct{}{}
	l.queue.mu.Unlock()
	return loan
}

// Wanted reports whether somebody waits for what the loan holds.
func (o *Loan) Wanted() bool {
	return o != nil && !o.ended && o.account.Used() > 0 && o.account.ledger.queue.waiting.Load() > 0
}

// Used is what is charged to the account.
func (o *Loan) Used() int64 {
	if o == nil {
		return 0
	}
	return o.account.Used()
}

// Prepay waits until n bytes are free and keeps them for the account's next charges,
// in place of what was kept before. The owner has given back what it could. The
// error is an *ExhaustedError, where so much can never be free, or nothing was given
// back for several times the ledger's patience, or the account's context has ended.
func (o *Loan) Prepay(n int64) error {
	o.Settle()
	a, l := o.account, o.account.ledger
	if n > l.room(a) {
		return failure.Wrap(failure.Fatal, l.root.refuse(a, n))
	}
	if !l.root.chargeTo(n, l.room(a)) {
		if ok, err := l.awaitFor(a, n, func() time.Duration { return l.patience * prepayPatience }); !ok {
			refused := l.root.refuse(a, n)
			refused.Cancelled = err
			return failure.Wrap(failure.Fatal, refused)
		}
	}
	a.prepaid.Store(n)
	return nil
}

// Settle gives back what is left of what Prepay keeps.
func (o *Loan) Settle() {
	if o != nil {
		if n := o.account.prepaid.Swap(0); n > 0 {
			o.account.ledger.give(n)
		}
	}
}

// End makes the account one like any other. The second time it does nothing.
func (o *Loan) End() {
	if o == nil || o.ended {
		return
	}
	o.ended = true
	o.Settle()
	l := o.account.ledger
	o.account.lent.Store(false)
	l.lent.Add(-1)
	l.queue.mu.Lock()
	delete(l.queue.loans, o)
	l.queue.mu.Unlock()
	l.queue.wake()
}

// takePrepaid pays n bytes out of what is kept, all or nothing.
func takePrepaid(kept *atomic.Int64, n int64) bool {
	for {
		have := kept.Load()
		if have < n {
			return false
		}
		if kept.CompareAndSwap(have, have-n) {
			return true
		}
	}
}
