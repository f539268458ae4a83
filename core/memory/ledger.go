package memory

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/stream"
)

// DefaultPoolBytes bounds the idle buffers of a ledger whose options do not.
const DefaultPoolBytes = 64 << 20

// Options are the settings of a ledger.
type Options struct {
	// Limit is the most bytes that may be charged at a time; it must be positive.
	Limit int64
	// Option is the name of the configuration key that sets Limit, for messages;
	// empty means worker.memory.size.
	Option string
	// PoolBytes bounds the idle buffers that are kept for reuse; zero means
	// DefaultPoolBytes, but at most an eighth of Limit; negative keeps none.
	PoolBytes int64
	// Patience is how long a charge waits for accounts that can spill to make room
	// while nothing is given back; zero means DefaultPatience, negative not at all.
	Patience time.Duration
}

// Ledger is the root of a worker's accounts.
type Ledger struct {
	root       *Account
	pool       *pool
	contenders atomic.Int64 // accounts that can spill; see Share
	lent       atomic.Int64 // accounts that give back; see Loan
	patience   time.Duration
	queue      queue
}

// New returns a ledger on which nothing is charged.
func New(o Options) (*Ledger, error) {
	if o.Limit <= 0 {
		return nil, fmt.Errorf("memory limit %d: must be positive", o.Limit)
	}
	keep := o.PoolBytes
	if keep == 0 {
		keep = min(DefaultPoolBytes, o.Limit/8)
	}
	l := &Ledger{pool: newPool(max(keep, 0)), patience: cmp.Or(o.Patience, DefaultPatience)}
	l.queue.shares, l.queue.loans = map[*Share]struct{}{}, map[*Loan]struct{}{}
	l.root = &Account{name: "worker", ledger: l, limit: o.Limit, option: cmp.Or(o.Option, "worker.memory.size")}
	return l, nil
}

// Child opens an account directly below the ledger; see Account.Child.
func (l *Ledger) Child(name string, limit int64) *Account { return l.root.Child(name, limit) }

// Used is the number of bytes charged by accounts; idle buffers do not count.
func (l *Ledger) Used() int64 { return l.root.used.Load() - l.pool.idle.Load() }

// Idle is the number of bytes of buffers that are kept for reuse.
func (l *Ledger) Idle() int64 { return l.pool.idle.Load() }

// Peak is the most that Used and Idle together have been; it never exceeds Limit.
func (l *Ledger) Peak() int64 { return l.root.peak.Load() }

// Limit is the ledger's limit.
func (l *Ledger) Limit() int64 { return l.root.limit }

// Trim drops all idle buffers and returns how many bytes that were.
func (l *Ledger) Trim() int64 {
	n := l.pool.trim()
	l.give(n)
	return n
}

// Account is a named share of a ledger. It needs no closing: it is gone when
// nothing is charged to it and nobody holds it.
type Account struct {
	name   string
	parent *Account
	ledger *Ledger
	limit  int64 // 0: none of its own
	option string
	until  context.Context // see Until; nil: that of the parent
	spills atomic.Bool     // a contender's
	lent   atomic.Bool     // a loan's
	during func()          // see Meanwhile; nil: that of the parent
	used   atomic.Int64
	peak   atomic.Int64
	// prepaid is charged to the ledger for the next charges of a loan's account.
	prepaid atomic.Int64
}

var _ stream.Account = (*Account)(nil)

// Child opens an account whose bytes count here, too. A limit of zero means none
// of its own.
func (a *Account) Child(name string, limit int64) *Account {
	return &Account{name: name, parent: a, ledger: a.ledger, limit: limit, option: a.option}
}

// RaisedBy names the configuration key that sets the account's own limit; it is
// told when the limit is hit. Call it before the account is used. It returns a.
func (a *Account) RaisedBy(option string) *Account {
	a.option = option
	return a
}

// Path is the names from the ledger's first level down to the account.
func (a *Account) Path() string {
	if a.parent == nil || a.parent.parent == nil {
		return a.name
	}
	return a.parent.Path() + "/" + a.name
}

// Used is the number of bytes charged to the account and those below it.
func (a *Account) Used() int64 { return a.used.Load() }

// Peak is the most that Used has been.
func (a *Account) Peak() int64 { return a.peak.Load() }

// Limit is the account's own limit, or zero.
func (a *Account) Limit() int64 { return a.limit }

// Most is the most that can ever be charged to the account: the least limit of it and
// those above.
func (a *Account) Most() int64 {
	most := a.ledger.root.limit
	for at := a; at != nil; at = at.parent {
		if at.limit > 0 {
			most = min(most, at.limit)
		}
	}
	return most
}

// Grow charges n bytes here and on all accounts above, or returns an
// *ExhaustedError and charges nothing.
func (a *Account) Grow(n int64) error {
	if err := a.growBelowRoot(n); err != nil {
		return err
	}
	if err := a.ledger.growRoot(a, n); err != nil {
		a.shrinkBelowRoot(n)
		return err
	}
	return nil
}

// Shrink gives n charged bytes back.
func (a *Account) Shrink(n int64) {
	a.shrinkBelowRoot(n)
	a.ledger.give(n)
}

// Move hangs the account, with what is charged to it, below another one of its ledger, and
// lifts its own limit; or it is refused there and stays. Nobody uses it meanwhile.
func (a *Account) Move(to *Account) error {
	n := a.Used()
	if err := to.growBelowRoot(n); err != nil {
		return err
	}
	a.parent.shrinkBelowRoot(n)
	a.parent, a.limit = to, 0
	return nil
}

// growBelowRoot charges every account from a up to the ledger's, which it leaves.
func (a *Account) growBelowRoot(n int64) error {
	for at := a; at.parent != nil; at = at.parent {
		if at.charge(n) {
			continue
		}
		for undo := a; undo != at; undo = undo.parent {
			undo.used.Add(-n)
		}
		return at.refuse(a, n)
	}
	return nil
}

func (a *Account) shrinkBelowRoot(n int64) {
	for at := a; at.parent != nil; at = at.parent {
		at.used.Add(-n)
	}
}

func (l *Ledger) growRoot(asker *Account, n int64) error {
	if takePrepaid(&asker.prepaid, n) {
		return nil
	}
	if l.root.chargeTo(n, l.room(asker)) {
		return nil
	}
	if l.Trim() > 0 && l.root.chargeTo(n, l.room(asker)) {
		return nil
	}
	ok, err := l.await(asker, n)
	if ok {
		return nil
	}
	refused := l.root.refuse(asker, n)
	refused.Cancelled = err
	return refused
}

func (a *Account) charge(n int64) bool { return a.chargeTo(n, a.limit) }

// chargeTo adds n within limit, zero being none. It never goes above, not even for
// a moment, so that nobody else is refused for a charge that fails.
func (a *Account) chargeTo(n, limit int64) bool {
	for {
		used := a.used.Load()
		next := used + n
		if limit > 0 && next > limit {
			return false
		}
		if !a.used.CompareAndSwap(used, next) {
			continue
		}
		for peak := a.peak.Load(); next > peak && !a.peak.CompareAndSwap(peak, next); {
			peak = a.peak.Load()
		}
		return true
	}
}

func (a *Account) refuse(asker *Account, n int64) *ExhaustedError {
	return &ExhaustedError{Account: asker.Path(), Wanted: n, Limited: a.Path(), Used: a.used.Load(), Limit: a.limit, Option: a.option}
}
