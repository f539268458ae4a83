package task

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// Standing is where a running task stands.
type Standing struct {
	// Input is the least watermark of its inputs, Output what its consumers were told;
	// stream.MinWatermark: there is none yet, and of a source no Input ever.
	Input, Output stream.Watermark
	// EventIdle: its consumers' event time does not wait for it.
	EventIdle bool
	// Idle and Blocked are how long it had nothing to do, and how long it gave rows away or
	// waited until it could.
	Idle, Blocked time.Duration
	// Late and Future are rows that came after their time was over, and rows too far ahead
	// of the clock to have a say on event time.
	Late, Future uint64
	// Rejected are records that are no rows of their table.
	Rejected uint64
	// StateBytes is the memory of operators with keyed state. Where keyed state is on disk,
	// too, Asked counts the keys that were looked up, Hits those of them in memory.
	StateBytes  int64
	Asked, Hits uint64
	Waits       []Wait
}

// WaitKind is what a task waits for.
type WaitKind uint8

// The kinds of waits.
const (
	InvalidWait    WaitKind = iota
	WaitForCredit           // that the consumers of an output take what there is for them
	WaitForBarrier          // the barrier of a checkpoint on an input, while another input is held
	WaitForRows             // rows of a split, whose silence holds event time back
)

// Wait is one thing that a task waits for.
type Wait struct {
	Kind       WaitKind
	Edge       int           // place of the output or input
	Checkpoint id.Checkpoint // WaitForBarrier's
	Split      string        // WaitForRows's; empty: the source does not tell its splits apart
	For        time.Duration // already
}

// leastSilence is how long a split is silent before that counts as waiting for it.
const leastSilence = time.Second

// standing is what Run's goroutine tells of itself to others.
type standing struct {
	input, output atomic.Int64 // watermarks
	// idleSince and blockedSince are in Unix nanoseconds; zero: it is not.
	idleSince, blockedSince atomic.Int64
	blockedOn               atomic.Int32 // output

	mu sync.Mutex
	// What follows is told every tickEvery, and barriers as they come.
	eventIdle   bool
	stateBytes  int64
	asked, hits uint64
	behind      *Wait // For is as of told
	told        time.Time
	barrier     id.Checkpoint // that some inputs have not brought; zero: none
	since       time.Time     // when the first has
	missing     []int         // inputs
}

// trafficker is keyed state that knows how often it found keys in memory.
type trafficker interface{ Traffic() memstate.Traffic }

// behind is a source that knows which split holds event time back.
type behind interface {
	Behind() (split string, quiet time.Duration, ok bool)
}

// tellStanding tells what changes slowly; Run's goroutine calls it.
func (t *Task) tellStanding() {
	bytes, asked, hits := int64(0), uint64(0), uint64(0)
	for _, l := range t.chain.links {
		if l.state == nil {
			continue
		}
		bytes += l.account.Used()
		if x, ok := l.state.(trafficker); ok {
			traffic := x.Traffic()
			asked, hits = asked+uint64(traffic.Asked), hits+uint64(traffic.Hits)
		}
	}
	var late *Wait
	if b, ok := t.source.(behind); ok && t.silent == 0 {
		if split, quiet, ok := b.Behind(); ok && quiet >= leastSilence {
			late = &Wait{Kind: WaitForRows, Split: split, For: quiet}
		}
	}
	s := &t.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eventIdle, s.stateBytes, s.asked, s.hits, s.behind, s.told = t.chain.idle, bytes, asked, hits, late, t.env.Now()
}

// tellAlignment tells which inputs have not brought the barrier that others have; Run's
// goroutine calls it when that may have changed.
func (t *Task) tellAlignment() {
	s := &t.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = s.missing[:0]
	if s.barrier = t.alignment.Pending(); s.barrier == 0 {
		return
	}
	s.since = t.alignedSince
	for i, g := range t.gates {
		if !g.ended && !t.alignment.Blocked(i) {
			s.missing = append(s.missing, i)
		}
	}
}

// Standing says where the task stands. Anybody may call it at any time.
func (t *Task) Standing() Standing {
	s, m := &t.standing, &t.metrics
	now := t.env.Now()
	out := Standing{
		Input: stream.Watermark(s.input.Load()), Output: stream.Watermark(s.output.Load()),
		Late: m.late.Value(), Future: m.future.Value(), Rejected: m.rejected.Value(),
	}
	out.Idle, _ = lasting(m.idle, &s.idleSince, now)
	blocked, present := lasting(m.blocked, &s.blockedSince, now)
	if out.Blocked = blocked; present > 0 {
		out.Waits = append(out.Waits, Wait{Kind: WaitForCredit, Edge: int(s.blockedOn.Load()), For: present})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.EventIdle, out.StateBytes, out.Asked, out.Hits = s.eventIdle, s.stateBytes, s.asked, s.hits
	for _, i := range s.missing {
		out.Waits = append(out.Waits, Wait{Kind: WaitForBarrier, Edge: i, Checkpoint: s.barrier, For: max(0, now.Sub(s.since))})
	}
	if s.behind != nil {
		w := *s.behind
		w.For += max(0, now.Sub(s.told))
		out.Waits = append(out.Waits, w)
	}
	return out
}

// lasting is a time that was counted, with what of it is under way.
func lasting(counted *metric.Counter, since *atomic.Int64, now time.Time) (total, present time.Duration) {
	if began := since.Load(); began != 0 {
		present = max(0, now.Sub(time.Unix(0, began)))
	}
	return time.Duration(counted.Value()) + present, present
}

// show makes gauges of the watermarks and the state for whoever reads the scope.
func (s *standing) show(scope *metric.Scope) {
	seconds := func(w *atomic.Int64) func() float64 {
		return func() float64 { return float64(w.Load()) / 1000 }
	}
	scope.GaugeFunc("tidemill_task_input_watermark_seconds", "Least watermark of the task's inputs, in Unix time; about -9.2e15 while there is none.", seconds(&s.input))
	scope.GaugeFunc("tidemill_task_output_watermark_seconds", "Watermark that the task's consumers were told, in Unix time; about -9.2e15 while there is none.", seconds(&s.output))
	slow := func(read func() float64) func() float64 {
		return func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return read()
		}
	}
	scope.GaugeFunc("tidemill_task_state_memory_bytes", "Memory of the task's operators with keyed state.", slow(func() float64 { return float64(s.stateBytes) }))
	scope.GaugeFunc("tidemill_task_state_keys_asked", "Keys that were looked up so far where keyed state is on disk, too.", slow(func() float64 { return float64(s.asked) }))
	scope.GaugeFunc("tidemill_task_state_keys_hit", "Of these keys, those that were in memory.", slow(func() float64 { return float64(s.hits) }))
}
