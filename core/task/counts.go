package task

import (
	"time"

	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// OperatorCounts is what one operator of a task has done.
type OperatorCounts struct {
	Rows         uint64 // emitted; of a sink, taken
	Batches      uint64
	SpilledBytes uint64
	PeakBytes    uint64 // of memory
	// Busy is the time that the task's goroutine spent in the operator itself; zero
	// unless Options.Timed is set.
	Busy time.Duration
	// Filters are the runtime filters of a source.
	Filters []operator.FilterCounts
}

// count adds what the link has emitted, or taken if it is a sink.
func (l *link) count(b *stream.Batch) {
	l.rows += uint64(b.Len())
	l.batches++
}

func (l *link) counts() OperatorCounts {
	c := OperatorCounts{Rows: l.rows, Batches: l.batches, Busy: l.chain.clock.of(l.index)}
	if l.account != nil {
		c.SpilledBytes, c.PeakBytes = uint64(l.spill.Written()), uint64(l.account.Peak())
	}
	if f, ok := l.operator.(operator.Filtering); ok {
		c.Filters = f.Filtered()
	}
	return c
}

// later is an operator that leaves out rows which come after their time is over.
type later interface {
	// Late is how many rows that were, since it was opened.
	Late() int64
}

// ahead is an operator that gives rows no say on event time which are too far ahead of
// the clock.
type ahead interface {
	// Future is how many rows that were, since it was opened.
	Future() int64
}

// rejecter is an operator that leaves out records which are no rows.
type rejecter interface {
	// Rejected is how many records that were, since it was opened.
	Rejected() int64
}

// countLate tells the counters of rows that come too late, or too early, and of records that
// were rejected, what has come since the last time.
func (t *Task) countLate() {
	late, early, rejected := uint64(0), uint64(0), uint64(0)
	for _, l := range t.chain.links {
		if l.later != nil {
			late += uint64(l.later.Late())
		}
		if a, ok := l.operator.(ahead); ok {
			early += uint64(a.Future())
		}
		if r, ok := l.operator.(rejecter); ok {
			rejected += uint64(r.Rejected())
		}
	}
	t.metrics.late.Add(late - t.late)
	t.metrics.future.Add(early - t.future)
	t.metrics.rejected.Add(rejected - t.rejected)
	t.late, t.future, t.rejected = late, early, rejected
}

// counted is a Done with the counts of the task; Run's goroutine calls it.
func (t *Task) counted() *Done {
	m := &t.metrics
	done := &Done{RowsIn: m.rowsIn.Value(), RowsOut: m.rowsOut.Value(), BytesIn: m.bytesIn.Value(), SpilledBytes: m.spill.Bytes.Value()}
	if t.chain == nil {
		return done
	}
	t.countLate()
	done.Late, done.Future, done.Rejected = m.late.Value(), m.future.Value(), m.rejected.Value()
	for _, l := range t.chain.links {
		done.Operators = append(done.Operators, l.counts())
	}
	return done
}

// outside is where a clock is while no operator works: the task waits, or gives
// rows to its exchanges.
const outside = -1

// clock adds up how long Run's goroutine is in each operator of the chain. An
// operator that emits is left for the next one until that returns, so that each
// instant counts once. It is read twice a call, never for a row.
type clock struct {
	now   func() time.Time
	since time.Time
	at    int // an operator, or outside
	busy  []time.Duration
}

func newClock(operators int, now func() time.Time) *clock {
	return &clock{now: now, at: outside, busy: make([]time.Duration, operators)}
}

// enter goes to operator i, or outside, and returns where it was. A nil clock
// does nothing.
func (c *clock) enter(i int) (former int) {
	if c == nil {
		return outside
	}
	now := c.now()
	if c.at != outside {
		c.busy[c.at] += now.Sub(c.since)
	}
	former, c.at, c.since = c.at, i, now
	return former
}

func (c *clock) of(i int) time.Duration {
	if c == nil {
		return 0
	}
	return c.busy[i]
}
