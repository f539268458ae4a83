package local

import (
	"context"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// pipe is a partition of retention none or checkpoint: what is sent is merged over lanes
// at once, under the lock, and lies in out until the reader takes it. Entries of a
// lane that alignment blocks wait in that lane's held queue.
type pipe struct {
	id        id.Partition
	base      uint32 // the first lane that writes it
	budget    int64
	guarantee int64
	ready     chan struct{} // capacity one; the reader's

	mu         sync.Mutex
	lanes      []pipeLane
	out        queue
	used       int64 // credit held by out and held
	alignment  *checkpoint.Alignment
	time       *eventtime.Combiner
	ended      int // lanes
	reader     uint32
	hasReader  bool
	readerGone bool  // nobody reads any more: what comes is released
	wasRead    bool  // something has been taken
	err        error // set when the exchange is dropped
	replay     *replay
}

type pipeLane struct {
	attempt uint32
	ended   bool
	held    queue
	used    int64
	// fixed is set once a part of the lane cannot be taken back: it was read, or
	// moved time or an alignment.
	fixed bool
	wake  chan struct{} // of a writer that waits for credit
	// taken is the credit that the attempt has been given back; watch is signalled
	// when it grows, or the attempt is fenced. Nil: nobody watches.
	taken int64
	watch chan<- struct{}
}

func newPipe(p id.Partition, spec shuffle.Spec, o Options) *pipe {
	lanes, base := spec.Lanes, uint32(0)
	if spec.Paired {
		lanes, base = 1, p.Index
	}
	made := &pipe{
		id: p, base: base, budget: spec.BudgetBytes, guarantee: o.LaneGuarantee,
		ready:     make(chan struct{}, 1),
		lanes:     make([]pipeLane, lanes),
		alignment: checkpoint.NewAlignment(lanes),
		time:      eventtime.NewCombiner(lanes),
	}
	if spec.Retention == shuffle.RetainCheckpoint {
		made.replay = newReplay(o)
		made.marked(0)
	}
	return made
}

// open lets an attempt write the lane. What an earlier attempt sent is taken
// back; where it cannot be, the attempt is refused.
func (p *pipe) open(lane, attempt uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	lane -= p.base
	l := &p.lanes[lane]
	switch {
	case p.err != nil:
		return p.err
	case attempt < l.attempt:
		return shuffle.ErrFenced
	case attempt > l.attempt && (l.fixed || p.replay != nil && l.used > 0):
		return fmt.Errorf("attempt %d follows one that has been read: the region must restart as a whole", attempt)
	}
	if attempt > l.attempt {
		mine := func(e entry) bool { return e.lane == lane }
		freed := p.out.remove(mine) + l.held.remove(mine)
		p.used -= freed
		l.used -= freed
		signal(l.watch)
		l.taken, l.watch = 0, nil
	}
	l.attempt = attempt
	signal(l.wake) // the fenced one, to learn of it
	l.wake = nil
	return nil
}

// send appends rows, waiting for credit. It owns b.
func (p *pipe) send(ctx context.Context, w *writer, b *stream.Batch, bytes int64) error {
	for {
		wait, err := p.offer(w, b, bytes)
		if err == nil && wait {
			if err = w.waiting.Await(ctx, w.wake); err == nil {
				continue
			}
			p.stopWaiting(w)
		}
		if err != nil {
			b.Release()
		}
		return err
	}
}

// offer appends rows if there is credit; otherwise w is woken when there may be.
func (p *pipe) offer(w *writer, b *stream.Batch, bytes int64) (wait bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(w); err != nil {
		return false, err
	}
	l := &p.lanes[w.lane-p.base]
	if p.readerGone || l.ended {
		b.Release()
		l.gave(bytes)
		return false, nil
	}
	if !p.admits(l, bytes) {
		l.wake = w.wake
		return true, nil
	}
	p.used += bytes
	l.used += bytes
	p.arrive(entry{element: stream.Data(b), lane: w.lane - p.base, bytes: bytes})
	return false, nil
}

// unreadBudget is what writers of this process may use of a partition's budget before
// anything was read: a join that still makes its build side has no use for more, and the
// sooner the scan that writes waits the more rows it drops by the build side's keys.
const unreadBudget = 256 << 10

// admits gives credit: within the partition's budget, or the lane's guarantee,
// or, a batch larger than that, alone. A producer elsewhere has its whole window from
// the beginning.
func (p *pipe) admits(l *pipeLane, bytes int64) bool {
	budget := p.budget
	if !p.wasRead && l.watch == nil {
		budget = min(budget, unreadBudget)
	}
	return p.used+bytes <= budget || l.used+bytes <= p.guarantee || l.used == 0
}

// stopWaiting ends a writer's wait for credit.
func (p *pipe) stopWaiting(w *writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := &p.lanes[w.lane-p.base]; l.wake == w.wake {
		l.wake = nil
	}
}

// control appends an element without rows.
func (p *pipe) control(w *writer, e stream.Element) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(w); err != nil {
		return err
	}
	if lane := w.lane - p.base; !p.readerGone && !p.lanes[lane].ended {
		p.arrive(entry{element: e, lane: lane})
	}
	return nil
}

// finish ends the lane.
func (p *pipe) finish(w *writer) error {
	return p.control(w, stream.Element{Kind: stream.EndOfInput})
}

func (p *pipe) check(w *writer) error {
	if p.err != nil {
		return p.err
	}
	if w.attempt < p.lanes[w.lane-p.base].attempt {
		return shuffle.ErrFenced
	}
	return nil
}

// arrive takes an entry of a lane: it passes, or waits behind the lane's barrier.
func (p *pipe) arrive(e entry) {
	held := &p.lanes[e.lane].held
	switch kind := e.element.Kind; {
	case !p.alignment.Blocked(int(e.lane)):
		p.pass(e)
		p.drain()
	case kind == stream.WatermarkElem || isStatus(kind):
		held.pushControl(e)
	default:
		held.push(e)
	}
	if p.out.n > 0 {
		signal(p.ready)
	}
}

// drain passes what lanes held, as far as they are not blocked any more.
func (p *pipe) drain() {
	for progress := true; progress; {
		progress = false
		for i := range p.lanes {
			held := &p.lanes[i].held
			for held.n > 0 && !p.alignment.Blocked(i) {
				p.pass(held.pop())
				progress = true
			}
		}
	}
}

// pass merges an entry of a lane that is not blocked into what the reader gets.
func (p *pipe) pass(e entry) {
	lane := int(e.lane)
	e.number = p.replay.keep(e)
	if e.element.Kind == stream.DataElement {
		p.out.push(e)
		return
	}
	p.lanes[lane].fixed = true
	switch e.element.Kind {
	case stream.WatermarkElem:
		p.tell(p.time.Advance(lane, e.element.Watermark))
	case stream.IdleElement, stream.ActiveElement:
		p.tell(p.time.SetIdle(lane, e.element.Kind == stream.IdleElement))
	case stream.BarrierElement:
		if s := p.step(p.alignment.Barrier(lane, e.element.Barrier)); s.Outcome == checkpoint.Aligned {
			p.marked(s.Barrier.Checkpoint)
		}
	case stream.EndOfInput:
		p.ended++
		p.lanes[lane].ended = true
		s := p.step(p.alignment.Finish(lane))
		p.tell(p.time.Finish(lane))
		if p.ended == len(p.lanes) {
			p.out.push(entry{element: e.element})
		}
		if s.Outcome == checkpoint.Aligned {
			p.marked(s.Barrier.Checkpoint)
		}
	}
}

// step passes a barrier on that has come on all lanes.
func (p *pipe) step(s checkpoint.Step) checkpoint.Step {
	if s.Outcome == checkpoint.Aligned {
		p.out.push(entry{element: stream.Element{Kind: stream.BarrierElement, Barrier: s.Barrier}})
	}
	return s
}

func (p *pipe) tell(c eventtime.Change) {
	if c.ToActive {
		p.out.pushControl(entry{element: stream.Element{Kind: stream.ActiveElement}})
	}
	if c.Advanced {
		p.out.pushControl(entry{element: stream.Advance(c.Watermark)})
	}
	if c.ToIdle {
		p.out.pushControl(entry{element: stream.Element{Kind: stream.IdleElement}})
	}
}

// take removes the next entry for the reader.
func (p *pipe) take(attempt uint32) (stream.Element, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return stream.Element{}, false, p.err
	case attempt < p.reader:
		return stream.Element{}, false, shuffle.ErrFenced
	case p.out.n == 0:
		return stream.Element{}, false, nil
	}
	e := p.out.pop()
	p.wasRead = true
	if e.element.Kind == stream.DataElement {
		l := &p.lanes[e.lane]
		l.fixed = true
		if e.bytes > 0 {
			l.used -= e.bytes
			l.gave(e.bytes)
			p.used -= e.bytes
			p.replay.gave(e.number)
			p.wakeWriters()
		}
	}
	return e.element, true, nil
}

// wakeWriters wakes those that may have credit now; they ask again.
func (p *pipe) wakeWriters() {
	for i := range p.lanes {
		l := &p.lanes[i]
		if l.wake != nil && (p.used < p.budget || l.used < p.guarantee) {
			signal(l.wake)
			l.wake = nil
		}
	}
}

// attach makes attempt the partition's reader.
func (p *pipe) attach(attempt uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.hasReader && attempt <= p.reader:
		return shuffle.ErrFenced
	case p.hasReader && (p.wasRead || p.readerGone):
		return fmt.Errorf("attempt %d follows one that has read: the region must restart as a whole", attempt)
	}
	p.reader, p.hasReader = attempt, true
	signal(p.ready) // the fenced one learns of it, the new one looks
	return nil
}

// detach is the reader's end: nothing is kept for it any more, unless another one may
// begin again.
func (p *pipe) detach(attempt uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if attempt == p.reader && p.err == nil && (p.replay == nil || p.replay.off) {
		p.readerGone = true
		p.discard()
	}
}

// drop ends everything with err.
func (p *pipe) drop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		p.discard()
		if p.replay != nil {
			p.replay.giveUp()
		}
		signal(p.ready)
	}
}

func (p *pipe) discard() {
	all := func(entry) bool { return true }
	p.out.remove(all)
	p.used = 0
	for i := range p.lanes {
		l := &p.lanes[i]
		l.held.remove(all)
		l.gave(l.used)
		l.used = 0
		signal(l.wake)
		l.wake = nil
	}
}

// gave tells the writer that it has credit back.
func (l *pipeLane) gave(bytes int64) {
	l.taken += bytes
	signal(l.watch)
}

// watchLane has watch signalled as pipeLane says.
func (p *pipe) watchLane(w *writer, watch chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := &p.lanes[w.lane-p.base]; l.attempt == w.attempt {
		l.watch = watch
	}
}

// given is the credit that the writer was given back.
func (p *pipe) given(w *writer) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.check(w) != nil {
		return 0
	}
	return p.lanes[w.lane-p.base].taken
}

// refuses is why nothing more is taken of the writer.
func (p *pipe) refuses(w *writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.check(w)
}

// signal wakes who waits on a channel of capacity one; nil has nobody.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
