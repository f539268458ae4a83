package task

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle/route"
)

// link is one operator of the chain. It is the Output of the one before it, and
// source's or watermark assigner's IdleOutput by way of outlet.
type link struct {
	chain    *chain
	index    int
	spec     *jobgraph.Operator
	operator operator.Operator
	state    state.Backend // nil: none
	keyed    keyed
	spill    *spill.Space // nil before Open
	// watermark is what the operator was told last.
	watermark stream.Watermark

	// Optional abilities, nil where the operator has them not.
	snapshotter operator.Snapshotter
	finisher    operator.Finisher
	later       later
	ticker      operator.Ticker
	spiller     operator.Spiller
	holder      operator.Holder
	delayer     operator.Delayer
	evictor     state.Evictor
	share       *memory.Share // nil: does not contend for memory

	account *memory.Account // nil before Open
	sink    bool            // it emits nothing
	sides   int             // how many side outputs the links before it have
	rows    uint64          // emitted; of a sink, taken
	batches uint64
}

// chain is the operators of a task and the routes behind them.
type chain struct {
	task   *Task
	links  []*link
	routes []*route.Router
	// watermark is what the routes were told last.
	watermark stream.Watermark
	idle      bool
	// enough is how many links, from the first on, feed one that needs no more.
	enough int
	clock  *clock // nil: nobody asks for times
}

// errEnough ends what an operator does to feed one that needs no more, such as a
// join the pairs of one batch for a limit.
var errEnough = errors.New("enough")

// unlessEnough is err, but for one that says that the work is not needed.
func unlessEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// outlet is what link i emits into: the operator after it, or the routes.
type outlet struct {
	chain *chain
	next  int
}

var (
	_ operator.IdleOutput = outlet{}
	_ operator.SideOutput = outlet{}
)

// Emit hands b to the next operator, or to the routes. What a source emits is
// what its task has read.
func (o outlet) Emit(b *stream.Batch) error {
	if o.next == 1 && o.chain.task.source != nil {
		o.chain.task.count(b)
	}
	o.chain.links[o.next-1].count(b)
	err := o.chain.task.ctx.Err()
	if o.next <= o.chain.enough {
		err = errEnough
	}
	if err != nil {
		b.Release()
		return err
	}
	if o.next == len(o.chain.links) {
		return o.chain.send(0, b)
	}
	return o.chain.links[o.next].process(0, b)
}

// EmitSide hands b to the routes of a side of the operator.
func (o outlet) EmitSide(side int, b *stream.Batch) error {
	l := o.chain.links[o.next-1]
	l.count(b)
	if err := o.chain.task.ctx.Err(); err != nil {
		b.Release()
		return err
	}
	return o.chain.send(uint32(l.sides+side), b)
}

// Advance tells what follows of a watermark.
func (o outlet) Advance(w stream.Watermark) error { return o.chain.advance(o.next, w) }

// Idle tells the consumers. A chain has one input or source that can be idle, so
// the operators in between need not know.
func (o outlet) Idle(idle bool) error { return o.chain.setIdle(idle) }

func (l *link) process(input int, b *stream.Batch) error {
	if invariant.Enabled {
		invariant.Check(b.Kinds == nil || len(b.Kinds) == b.PhysicalRows(), "%s: %d row kinds for %d rows", l.spec.Name, len(b.Kinds), b.PhysicalRows())
	}
	if l.sink {
		l.count(b)
	}
	former := l.chain.clock.enter(l.index)
	err := l.operator.Process(input, b)
	l.chain.clock.enter(former)
	if err != nil {
		return l.wrap(err)
	}
	l.look()
	return nil
}

// look notes an operator that needs no more input.
func (l *link) look() {
	if l.finisher != nil && l.finisher.Done() {
		l.chain.task.satisfied = true
		l.chain.enough = max(l.chain.enough, l.index)
	}
}

func (l *link) endInput(input int) error {
	former := l.chain.clock.enter(l.index)
	err := l.operator.EndInput(input)
	l.chain.clock.enter(former)
	return l.wrap(err)
}

// contend has the task woken when somebody waits for memory.
func (l *link) contend(account *memory.Account) *memory.Share {
	l.share = account.Contend()
	l.share.Notify(l.chain.task.pressed)
	return l.share
}

// borrow has the source asked for its memory while the task waits for credit.
func (l *link) borrow(account *memory.Account) *memory.Loan {
	return account.Borrow(l.chain.task.pressed)
}

// yield has a source give back what it holds, if it is wanted. No reader is at work
// while the task sends, or waits for memory for anything but the source.
func (t *Task) yield() {
	if y, ok := t.source.(operator.Yielder); ok {
		y.Yield()
	}
}

// relieve has operators spill whose share of memory is over, and keyed state move to disk
// what it has too much of.
func (c *chain) relieve() error {
	for _, l := range c.links {
		if l.evictor != nil && l.evictor.Crowded() {
			if err := l.evict(); err != nil {
				return l.wrap(err)
			}
		}
		if l.spiller != nil && l.share.Over() {
			former := c.clock.enter(l.index)
			err := l.spiller.Spill()
			c.clock.enter(former)
			if err != nil {
				return l.wrap(err)
			}
		}
	}
	return nil
}

// evict moves keyed state to disk, of which the operator keeps no slots then.
func (l *link) evict() error {
	if l.holder != nil {
		former := l.chain.clock.enter(l.index)
		err := l.holder.LetGo()
		l.chain.clock.enter(former)
		if err != nil {
			return err
		}
	}
	return l.evictor.Evict()
}

func (l *link) wrap(err error) error {
	if err == nil {
		return nil
	}
	if _, wrapped := errors.AsType[*operatorError](err); wrapped {
		return err // by a link further down, where it came from
	}
	return &operatorError{name: l.spec.Name, err: err}
}

// operatorError says which operator an error came from.
type operatorError struct {
	name string
	err  error
}

func (e *operatorError) Error() string { return fmt.Sprintf("%s: %v", e.name, e.err) }
func (e *operatorError) Unwrap() error { return e.err }

// advance tells links from on, then the routes, of a watermark. What a link emits
// because of it has gone before.
func (c *chain) advance(from int, w stream.Watermark) error {
	for _, l := range c.links[from:] {
		if w <= l.watermark {
			return nil
		}
		l.watermark = w
		former := c.clock.enter(l.index)
		err := l.operator.Watermark(w)
		c.clock.enter(former)
		if err != nil {
			return l.wrap(err)
		}
		if l.delayer != nil {
			w = min(w, l.delayer.Delayed())
		}
	}
	if w <= c.watermark {
		return nil
	}
	c.watermark = w
	c.task.standing.output.Store(int64(w))
	for _, r := range c.routes {
		if err := r.Advance(c.task.ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (c *chain) setIdle(idle bool) error {
	if c.idle == idle {
		return nil
	}
	c.idle = idle
	e := stream.Element{Kind: stream.ActiveElement}
	if idle {
		e.Kind = stream.IdleElement
	}
	return c.broadcast(e)
}

func (c *chain) broadcast(e stream.Element) error {
	for _, r := range c.routes {
		if err := r.Broadcast(c.task.ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// send gives b to every route of a side; 0 is the main output.
func (c *chain) send(side uint32, b *stream.Batch) error {
	c.task.metrics.rowsOut.Add(uint64(b.Len()))
	defer c.clock.enter(c.clock.enter(outside))
	last := -1 // the route that gets b itself
	for i := range c.routes {
		if c.task.d.Out[i].Exchange.Side != side {
			continue
		}
		if last >= 0 {
			if err := c.routes[last].Emit(c.task.ctx, b.Share()); err != nil {
				b.Release()
				return err
			}
		}
		last = i
	}
	if last < 0 {
		b.Release()
		return nil
	}
	return c.routes[last].Emit(c.task.ctx, b)
}

// pending reports whether rows wait in a route's buffer.
func (c *chain) pending() bool {
	for _, r := range c.routes {
		if r.Pending() {
			return true
		}
	}
	return false
}

func (c *chain) flush() error {
	for _, r := range c.routes {
		if err := r.Flush(c.task.ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *chain) tick(now time.Time) error {
	for _, l := range c.links {
		if l.ticker != nil {
			if err := l.wrap(l.ticker.Tick(now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends the inputs of the head that have not ended, then every link's.
func (c *chain) end(gates []*gate) error {
	for i, g := range gates {
		if !g.ended {
			g.ended = true
			if err := unlessEnough(c.links[0].endInput(i)); err != nil {
				return err
			}
		}
	}
	for i, l := range c.links {
		if i == 0 && len(gates) > 0 {
			continue
		}
		if err := unlessEnough(l.endInput(0)); err != nil {
			return err
		}
	}
	return nil
}

// close closes operators, their state and the routes, whatever has happened.
func (c *chain) close() error {
	var errs []error
	for _, l := range c.links {
		errs = append(errs, l.wrap(l.operator.Close()))
		if l.state != nil {
			errs = append(errs, l.wrap(l.state.Close()))
		}
		if l.spill != nil {
			errs = append(errs, l.wrap(l.spill.Close()))
		}
	}
	for _, r := range c.routes {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
