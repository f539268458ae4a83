package task

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/route"
)

// deploy opens exchanges, makes the operators, restores and opens them.
func (t *Task) deploy() error {
	t.flush, t.tick = time.NewTimer(time.Hour), time.NewTimer(tickEvery)
	t.flush.Stop()
	t.chain = &chain{task: t, watermark: stream.MinWatermark}
	if err := t.openRoutes(); err != nil {
		return err
	}
	if err := t.openGates(); err != nil {
		return err
	}
	if t.d.Restore.GetFinished() {
		return nil
	}
	if err := t.makeLinks(); err != nil {
		return err
	}
	// From the last to the first, so that whatever an operator does in Open finds
	// those behind it open.
	for i := len(t.chain.links) - 1; i >= 0; i-- {
		if err := t.openLink(t.chain.links[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) openRoutes() error {
	self := t.d.Attempt.Subtask.Index
	for i, e := range t.d.Out {
		exchange := id.Exchange(e.Exchange.Id)
		if err := t.declare(e, t.d.Parallelism, e.Peers); err != nil {
			return err
		}
		w, err := t.env.Shuffle.Writer(t.ctx, t.d.Job, exchange, self, t.d.Attempt.N)
		if err != nil {
			return err
		}
		if patient, ok := w.(shuffle.PatientWriter); ok {
			patient.WhileWaiting(t.pressed, t.yield)
		}
		keys := make([]int, len(e.Exchange.Keys))
		for i, k := range e.Exchange.Keys {
			keys[i] = int(k)
		}
		r, err := route.New(&timedWriter{Writer: w, task: t, output: int32(i)}, route.Options{
			Distribution: distribution(e), Partitions: e.partitions(t.d.Parallelism, e.Peers),
			Lane: self, Keys: keys, KeyGroups: t.d.KeyGroups,
			Alloc:      t.account.Child(fmt.Sprintf("exchange %d", exchange), 0).Allocator(),
			TargetRows: t.d.Options.BatchRows, TargetBytes: t.bufferBytes(),
		})
		if err != nil {
			_ = w.Close()
			return fmt.Errorf("exchange %d: %w", exchange, err)
		}
		t.chain.routes = append(t.chain.routes, r)
	}
	return nil
}

// bufferBytes is the size at which a partition's buffer is sent.
func (t *Task) bufferBytes() int64 {
	if n := t.d.Options.bufferBytes; n > 0 {
		return min(n, stream.TargetBytes)
	}
	return stream.TargetBytes
}

func (t *Task) openGates() error {
	for _, e := range t.d.In {
		if err := t.declare(e, e.Peers, t.d.Parallelism); err != nil {
			return err
		}
		g, err := openGate(t.ctx, t, e)
		if err != nil {
			return fmt.Errorf("exchange %d: %w", e.Exchange.Id, err)
		}
		t.gates = append(t.gates, g)
	}
	if err := t.assignRestored(); err != nil {
		return err
	}
	t.open = len(t.gates)
	t.time, t.alignment = eventtime.NewCombiner(len(t.gates)), checkpoint.NewAlignment(len(t.gates))
	return nil
}

// declare opens an exchange; whichever of its tasks comes first does it.
func (t *Task) declare(e Edge, producers, consumers int) error {
	s, err := schemas(e.Exchange.Schema)
	if err != nil {
		return fmt.Errorf("exchange %d: %w", e.Exchange.Id, err)
	}
	return t.env.Shuffle.Open(t.ctx, shuffle.Spec{
		Job: t.d.Job, Exchange: id.Exchange(e.Exchange.Id), Schema: s[0],
		Lanes: producers, Partitions: e.partitions(producers, consumers),
		Paired: distribution(e).Paired(), Everywhere: distribution(e) == shuffle.Broadcast,
		Retention: shuffle.Retention(e.Exchange.Retention), BudgetBytes: t.d.Options.ExchangeBudget,
		Term: t.d.Term, Placement: e.Placement,
	})
}

// partitions is how many the exchange has.
func (e Edge) partitions(producers, consumers int) int {
	if e.Partitions > 0 {
		return e.Partitions
	}
	return route.Partitions(distribution(e), producers, consumers)
}

// distribution and retention have the same numbers in the job graph and in the
// contract of the exchange; a test holds them together.
func distribution(e Edge) shuffle.Distribution {
	return shuffle.Distribution(e.Exchange.Distribution)
}

func (t *Task) makeLinks() error {
	var fields [][]*jobgraph.Field
	for _, e := range t.d.In {
		fields = append(fields, e.Exchange.Schema)
	}
	in, err := schemas(fields...)
	if err != nil {
		return err
	}
	for i, spec := range t.d.Vertex.Chain {
		out, err := schemas(spec.Output)
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Name, err)
		}
		op, err := t.newOperator(spec, in, out[0])
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Name, err)
		}
		t.addLink(i, spec, op)
		in = []datatype.Schema{out[0]}
	}
	if t.d.Options.Timed {
		t.chain.clock = newClock(len(t.chain.links), t.env.Now)
	}
	head := t.chain.links[0].operator
	t.source, _ = head.(operator.Source)
	t.selector, _ = head.(operator.InputSelector)
	if (t.source == nil) == (len(t.gates) == 0) {
		return fmt.Errorf("%s: %d inputs at the head of the chain", t.d.Vertex.Chain[0].Name, len(t.gates))
	}
	return nil
}

func (t *Task) addLink(i int, spec *jobgraph.Operator, op operator.Operator) {
	l := &link{chain: t.chain, index: i, spec: spec, operator: op, watermark: stream.MinWatermark}
	l.snapshotter, _ = op.(operator.Snapshotter)
	l.finisher, _ = op.(operator.Finisher)
	l.later, _ = op.(later)
	l.ticker, _ = op.(operator.Ticker)
	l.spiller, _ = op.(operator.Spiller)
	l.delayer, _ = op.(operator.Delayer)
	l.holder, _ = op.(operator.Holder)
	l.sink = spec.GetSink() != nil
	for _, before := range t.chain.links {
		l.sides += len(before.spec.Sides)
	}
	t.chain.links = append(t.chain.links, l)
}

func (t *Task) openLink(l *link) error {
	account := t.account.Child(l.spec.Name, 0)
	l.account = account
	l.spill = t.env.Spill.Space(l.spec.Name, t.metrics.spill)
	ctx := &operator.Context{
		Context: t.ctx, Attempt: t.d.Attempt, Parallelism: t.d.Parallelism, Name: l.spec.Name,
		Output: outlet{t.chain, l.index + 1}, Sides: len(l.spec.Sides), Memory: account, Alloc: account.Allocator(),
		Contend: func() *memory.Share { return l.contend(account) }, Spill: l.spill,
		Borrow:    func() *memory.Loan { return l.borrow(account) },
		BatchRows: t.d.Options.BatchRows, Log: t.log.With("operator", l.spec.Name),
	}
	if err := t.restore(l, ctx); err != nil {
		return l.wrap(err)
	}
	if err := l.operator.Open(ctx); err != nil {
		return l.wrap(err)
	}
	l.look() // what was restored may have been all
	return nil
}

// restore makes the operator's keyed state, if it has any, and gives it and the
// operator what the checkpoint holds for it.
func (t *Task) restore(l *link, ctx *operator.Context) error {
	saved := savedOf(t.d.Restore, l.spec)
	ctx.Restored = saved.GetStates()
	if !t.d.Streaming || !keepsState(l.spec) {
		return nil
	}
	own, err := t.d.ownGroups()
	if err != nil {
		return err
	}
	chain := checkpoint.Chain{Handles: saved.GetHandles(), Shares: saved.GetShares(), Own: own}
	backend, rest, err := t.resume(l, chain)
	if backend == nil && err == nil {
		backend, err = t.newState(own, ctx)
	}
	if err != nil {
		return err
	}
	l.state, ctx.State = backend, backend
	l.evictor, _ = backend.(state.Evictor)
	if len(chain.Handles) == 0 {
		return nil
	}
	into := rearranged(backend, saved.GetRearranged())
	if saved.GetForeign() {
		l.keyed.lost.Store(true) // nothing of this job's is built on files of another
		into = struct{ state.Backend }{into}
	} else {
		l.keyed.chain = chain
	}
	return t.env.Snapshots.Restore(t.ctx, rest, t.d.KeyGroups, into)
}

// resume takes what was restored ahead for an operator, if anything was, and returns what is
// still to be restored of a chain.
func (t *Task) resume(l *link, chain checkpoint.Chain) (state.Backend, checkpoint.Chain, error) {
	one := t.env.Standby.take(l.spec.Uid, chain.Own)
	if one == nil {
		return nil, chain, nil
	}
	log := t.log.With("job", t.d.Job, "attempt", t.d.Attempt, "operator", l.spec.Name)
	rest, err := one.adapt(chain, t.d.KeyGroups, l.account)
	if err != nil {
		log.Info("state was restored ahead in vain", "error", err)
		return nil, chain, one.backend.Close()
	}
	log.Info("state was restored ahead", "pieces", len(chain.Handles), "since", len(rest.Handles))
	return one.backend, rest, nil
}
