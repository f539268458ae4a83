package local

import (
	"slices"
	"sync/atomic"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/eventtime"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
)

// replay is what a pipe of retention checkpoint keeps besides what its reader has not
// taken: every entry that was merged since the barrier of the newest checkpoint that is
// known to be complete, in the order in which it was.
//
//	mark n (complete)                 mark n+1 (under way)
//	   |  rows, watermarks, barriers ... |  rows ...      | what was merged last
//	   first ------------------------------------------- first + entries.n
//
// From a mark the pipe can be brought to where it was: its alignment and its time are
// remembered there, and what follows is merged again, without the lanes that are written
// again.
type replay struct {
	pool  *pool
	most  int64
	first uint64 // the number of the first entry; numbers begin with 1
	// entries have in bytes the credit that they still hold.
	entries queue
	bytes   int64
	marks   []mark // ascending; none: what was kept was given up, until the next barrier
	off     bool   // nobody will read again
	losses  int    // how often it was given up
}

// mark is a position behind the barrier of a checkpoint.
type mark struct {
	checkpoint id.Checkpoint // 0: the beginning
	at         uint64        // the number of the first entry behind it
	alignment  *checkpoint.Alignment
	time       *eventtime.Combiner
	ended      []bool // by lane
}

const (
	// maxMarks bounds the checkpoints that are remembered; those between the first, which
	// is complete, and the latest were given up.
	maxMarks = 16
	// entryBytes is what an entry counts for besides its rows.
	entryBytes = 128
)

// pool is what all pipes of a process may keep.
type pool struct {
	most int64
	used atomic.Int64
}

// take reports whether there is room for bytes, which are taken then.
func (p *pool) take(bytes int64) bool {
	if p.used.Add(bytes) <= p.most {
		return true
	}
	p.used.Add(-bytes)
	return false
}

func newReplay(o Options) *replay {
	return &replay{pool: o.pool, most: o.pool.most / replayPart, first: 1}
}

// replayPart is the share of the process's memory for replay that one pipe may use.
const replayPart = 4

// keep adds an entry that is about to be merged, and returns its number; 0: it is not kept.
func (r *replay) keep(e entry) uint64 {
	if r == nil || len(r.marks) == 0 {
		return 0
	}
	bytes := kept(e)
	if r.bytes+bytes > r.most || !r.pool.take(bytes) {
		r.giveUp()
		return 0
	}
	r.bytes += bytes
	if e.element.Batch != nil {
		e.element.Batch = e.element.Batch.Share()
	}
	r.entries.push(e)
	return r.first + uint64(r.entries.n) - 1
}

func kept(e entry) int64 {
	if e.element.Batch == nil {
		return entryBytes
	}
	return entryBytes + e.element.Batch.Bytes()
}

// gave notes that an entry was read: its credit is given back.
func (r *replay) gave(number uint64) {
	if r != nil && number >= r.first && number-r.first < uint64(r.entries.n) {
		r.entries.at(int(number - r.first)).bytes = 0
	}
}

// giveUp forgets everything: until the next barrier the region restarts as a whole.
func (r *replay) giveUp() {
	r.losses++
	r.release(r.first + uint64(r.entries.n))
	r.marks = nil
}

// release forgets the entries before a number.
func (r *replay) release(number uint64) {
	for r.entries.n > 0 && r.first < number {
		e := r.entries.pop()
		r.first++
		r.pool.used.Add(-kept(e))
		r.bytes -= kept(e)
		e.element.Release()
	}
}

// marked remembers where the pipe is, behind the barrier of a checkpoint.
func (p *pipe) marked(c id.Checkpoint) {
	r := p.replay
	if r == nil || r.off {
		return
	}
	m := mark{
		checkpoint: c, at: r.first + uint64(r.entries.n), alignment: p.alignment.Clone(), time: p.time.Clone(),
		ended: make([]bool, len(p.lanes)),
	}
	for i := range p.lanes {
		m.ended[i] = p.lanes[i].ended
	}
	if len(r.marks) == maxMarks {
		r.marks = slices.Delete(r.marks, 1, 2)
	}
	r.marks = append(r.marks, m)
}

// find is the index of a checkpoint's mark; -1: there is none. A checkpoint whose barrier
// did not come, for all lanes had ended before, has its mark behind everything.
func (p *pipe) find(c id.Checkpoint) int {
	r := p.replay
	at := slices.IndexFunc(r.marks, func(m mark) bool { return m.checkpoint == c })
	if n := len(r.marks); at < 0 && n > 0 && c > r.marks[n-1].checkpoint && p.ended == len(p.lanes) {
		p.marked(c)
		at = len(r.marks) - 1
	}
	return at
}

// completed forgets what comes before the barrier of a checkpoint that is complete.
func (p *pipe) completed(c id.Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replay == nil || p.err != nil {
		return
	}
	if at := p.find(c); at >= 0 {
		p.replay.release(p.replay.marks[at].at)
		p.replay.marks = slices.Delete(p.replay.marks, 0, at)
	}
}

// rewind brings the pipe back behind the barrier of a checkpoint: what came since is merged
// again for the next reader, but for lanes that are written again.
func (p *pipe) rewind(c id.Checkpoint, part shuffle.Rewound) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if err := p.rewindable(part); err != nil {
		return err
	}
	at := -1
	if p.replay != nil {
		at = p.find(c)
	}
	if at < 0 {
		return p.unkept(c)
	}
	m := p.replay.marks[at]
	again := p.takeBack(m, part)
	p.replay.marks = p.replay.marks[:at+1]
	p.alignment, p.time = m.alignment.Clone(), m.time.Clone()
	p.ended = 0
	for i := range p.lanes {
		p.lanes[i].ended = m.ended[i]
		if m.ended[i] {
			p.ended++
		}
	}
	p.hasReader, p.reader, p.readerGone = false, part.Reader, false
	p.tellAnew()
	for _, e := range again {
		p.arrive(e)
	}
	signal(p.ready)
	p.wakeWriters()
	return nil
}

// rewindable refuses an order that comes late, when the region has begun again as a whole:
// newer attempts are at work, or the partition is another one, which nobody has read yet.
func (p *pipe) rewindable(part shuffle.Rewound) error {
	switch {
	case part.Reader < p.reader || p.hasReader && part.Reader == p.reader:
		return shuffle.ErrFenced
	case !p.hasReader && p.reader == 0:
		return failure.Errorf(failure.Conflict, "partition %v was never read", p.id)
	}
	for _, l := range part.Lanes {
		i := int(l.Lane) - int(p.base)
		if i < 0 || i >= len(p.lanes) {
			return failure.Errorf(failure.Internal, "lane %d of %d is rewound", l.Lane, len(p.lanes))
		}
		if l.Attempt < p.lanes[i].attempt {
			return shuffle.ErrFenced
		}
	}
	return nil
}

func (p *pipe) unkept(c id.Checkpoint) error {
	switch {
	case p.replay == nil:
		return failure.Errorf(failure.Conflict, "partition %v is not of retention checkpoint", p.id)
	case p.replay.off:
		return failure.Errorf(failure.Conflict, "partition %v: its reader had enough", p.id)
	default:
		return failure.Errorf(failure.Transient, "partition %v: what came since checkpoint %d is not kept: given up %d times, beyond %d bytes or %d of all partitions", p.id, c, p.replay.losses, p.replay.most, p.replay.pool.most)
	}
}

// takeBack removes what came behind a mark, and returns what of it is to be merged again:
// in the order in which it was, then what had not been merged, lane by lane. Lanes that are
// written again are empty, and have their new attempt.
func (p *pipe) takeBack(m mark, part shuffle.Rewound) (again []entry) {
	r := p.replay
	p.out.remove(func(entry) bool { return true }) // all of it is kept, or came before the mark
	behind := int(r.first + uint64(r.entries.n) - m.at)
	for i := range behind {
		again = append(again, *r.entries.at(i - behind))
	}
	for range behind {
		e := r.entries.popBack()
		r.bytes -= kept(e)
		r.pool.used.Add(-kept(e))
	}
	for i := range p.lanes {
		for held := &p.lanes[i].held; held.n > 0; {
			again = append(again, held.pop())
		}
	}
	for _, w := range part.Lanes {
		l := &p.lanes[w.Lane-p.base]
		again = slices.DeleteFunc(again, func(e entry) bool {
			gone := e.lane == w.Lane-p.base
			if gone {
				e.element.Release()
			}
			return gone
		})
		l.fixed, l.attempt = false, w.Attempt
		signal(l.watch) // the former attempt, to learn of it
		signal(l.wake)
		l.taken, l.watch, l.wake = 0, nil, nil
	}
	p.settle(again)
	return again
}

// settle gives the credit back that entries held which are there no more.
func (p *pipe) settle(left []entry) {
	used := make([]int64, len(p.lanes))
	for _, e := range left {
		used[e.lane] += e.bytes
	}
	for i := range p.lanes {
		l := &p.lanes[i]
		if gone := l.used - used[i]; gone > 0 {
			p.used -= gone
			l.used -= gone
			if l.fixed { // or another attempt writes it, which has sent nothing
				l.gave(gone)
			}
		}
	}
}

// tellAnew tells the next reader where the pipe's time is, and whether it has ended.
func (p *pipe) tellAnew() {
	if w := p.time.Watermark(); w > stream.MinWatermark {
		p.out.push(entry{element: stream.Advance(w)})
	}
	if p.time.Idle() {
		p.out.push(entry{element: stream.Element{Kind: stream.IdleElement}})
	}
	if p.ended == len(p.lanes) {
		p.out.push(entry{element: stream.Element{Kind: stream.EndOfInput}})
	}
}

// enough is the end of a reader that needs nothing more, and never will.
func (p *pipe) enough(attempt uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replay == nil || attempt != p.reader {
		return
	}
	p.replay.giveUp()
	p.replay.off = true
}
