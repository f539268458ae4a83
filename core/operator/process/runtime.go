package process

import (
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/stream"
)

// The tables of timers; those of declared state come behind.
const (
	eventTable      = 1
	processingTable = 2
	firstTable      = 256
)

// Runtime is what a function works with. It belongs to the task's goroutine, like the
// function. What goes wrong with state is a panic with a StateError.
type Runtime struct {
	ctx   *operator.Context
	keys  keys
	sides int // how many side outputs there are

	backend           state.Backend // nil before it is needed
	own               state.Backend // where the job keeps no state
	event, processing *timers
	tables            []*Table
	ids               map[uint16]string
	sealed            bool // nothing more is declared

	shared   map[string]Shared
	restored []map[string][]byte

	watermark stream.Watermark
	now       int64 // of the last look at the clock; 0: there was none
	charged   int64 // for what lies outside tables
}

// Shared is state that belongs to no key. One goroutine uses it.
type Shared interface {
	// Snapshot returns what the subtask has.
	Snapshot() ([]byte, error)
	// Restore takes its part of what all former subtasks had, in their order. It is
	// called once, also with nothing.
	Restore(former [][]byte, subtask, parallelism int) error
}

// Alloc is the operator's allocator.
func (r *Runtime) Alloc() memory.Allocator { return r.ctx.Alloc }

// BatchRows is the most rows of a batch that is emitted.
func (r *Runtime) BatchRows() int { return r.ctx.BatchRows }

// Subtask is which one of how many this is.
func (r *Runtime) Subtask() (index, parallelism int) {
	return int(r.ctx.Attempt.Subtask.Index), r.ctx.Parallelism
}

// Log is the operator's log.
func (r *Runtime) Log() *slog.Logger { return r.ctx.Log }

// Watermark is how far event time has come.
func (r *Runtime) Watermark() stream.Watermark { return r.watermark }

// Now is processing time in Unix milliseconds, as the task saw it last.
func (r *Runtime) Now() int64 { return r.now }

// Keys are the key columns of the rows or timers in hand, borrowed.
func (r *Runtime) Keys() []arrow.Array { return r.keys.arrays }

// KeySchema is the columns of keys; none where the operator has no keys.
func (r *Runtime) KeySchema() datatype.Schema { return r.keys.schema }

// Heads are the physical rows where each of the keys in hand is first, by its number.
func (r *Runtime) Heads() []int32 { return r.keys.heads }

// Select takes the key of the row, or timer, at a place among the selected ones in hand,
// and returns its number.
func (r *Runtime) Select(place int) int32 {
	if len(r.keys.arrays) == 0 {
		return 0
	}
	r.keys.current = r.keys.numbers[place]
	return r.keys.current
}

// Emit passes a batch on, which it owns: to the main output with side 0.
func (r *Runtime) Emit(side int, b *stream.Batch) error {
	if side == 0 {
		return r.ctx.Output.Emit(b)
	}
	out, ok := r.ctx.Output.(operator.SideOutput)
	if !ok || side > r.sides {
		b.Release()
		return failure.Errorf(failure.Internal, "there is no side output %d", side)
	}
	return out.EmitSide(side, b)
}

// SetTimer sets, or takes back, a timer of the key in hand; one that is set twice fires
// once.
func (r *Runtime) SetTimer(t Timer, set bool) {
	key := r.keys.key()
	which := r.event
	if t.Domain == ProcessingTime {
		which = r.processing
	}
	which.note(key, t.At, set)
}

// Share declares state that belongs to no key, and restores it. Only Open may call it.
func (r *Runtime) Share(name string, s Shared) error {
	if _, taken := r.shared[name]; taken || r.sealed {
		return failure.Errorf(failure.UserCode, "state %s is declared twice, or too late", name)
	}
	var former [][]byte
	for _, parts := range r.restored {
		if data, ok := parts[name]; ok {
			former = append(former, data)
		}
	}
	index, parallelism := r.Subtask()
	if err := s.Restore(former, index, parallelism); err != nil {
		return fmt.Errorf("restore state %s: %w", name, err)
	}
	r.shared[name] = s
	return nil
}

// open makes the timers of an operator with keys.
func (r *Runtime) open() (err error) {
	r.keys.current = -1
	if len(r.keys.columns) == 0 {
		return nil
	}
	if r.backend = r.ctx.State; r.backend == nil {
		r.own = memstate.New(1, keygroup.Range{Last: 1}, r.ctx.Alloc, r.ctx.Memory)
		r.backend = r.own
	}
	if r.event, err = newTimers(r, EventTime, eventTable); err != nil {
		return err
	}
	r.processing, err = newTimers(r, ProcessingTime, processingTable)
	return err
}

// tableID is the number of a declared table: by its name, so that others may come and go.
func (r *Runtime) tableID(name string) (uint16, error) {
	if len(r.keys.columns) == 0 || r.sealed {
		return 0, failure.Errorf(failure.UserCode, "state %s: keyed state is declared by Open of a function over a keyed stream", name)
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	n := uint16(h.Sum32()%(1<<16-firstTable)) + firstTable
	if other, taken := r.ids[n]; taken {
		if other == name {
			return 0, failure.Errorf(failure.UserCode, "state %s is declared twice", name)
		}
		return 0, failure.Errorf(failure.UserCode, "states %s and %s have the same number: rename one", other, name)
	}
	r.ids[n] = name
	return n, nil
}

// begin takes the rows of a batch, or timers, in hand.
func (r *Runtime) begin(keys []arrow.Array, sel []int32, n int) error {
	return r.keys.begin(keys, sel, n, r.ctx.Memory)
}

// end writes what was held back until the end of a batch.
func (r *Runtime) end() error {
	var errs []error
	for _, t := range r.tables {
		t.end()
	}
	for _, t := range []*timers{r.event, r.processing} {
		if t != nil {
			errs = append(errs, t.write())
		}
	}
	r.keys.none()
	return errors.Join(errs...)
}

// expire forgets what has lived its time.
func (r *Runtime) expire() error {
	for _, t := range r.tables {
		if err := t.expire(); err != nil {
			return fmt.Errorf("state %s: %w", t.name, err)
		}
	}
	return nil
}

// charge moves the charge for what lies outside tables.
func (r *Runtime) charge(by int64) {
	if _, evictor := r.backend.(state.Evictor); evictor {
		return // it counts itself what it has in memory
	}
	if by = max(by, -r.charged); by > 0 { // what was restored is not charged here
		must(r.ctx.Memory.Grow(by))
	} else {
		r.ctx.Memory.Shrink(-by)
	}
	r.charged += by
}

func (r *Runtime) close() {
	r.ctx.Memory.Shrink(r.charged)
	r.charged = 0
	if r.own != nil {
		_ = r.own.Close()
	}
}

// bigint and bytes are the types of what operators keep for themselves.
var (
	bigint = datatype.Of(datatype.BigInt).NotNull()
	bytes  = datatype.Of(datatype.Varbinary)
)

// insert adds x to a sorted list, once.
func insert(list []int64, x int64) []int64 {
	i, found := slices.BinarySearch(list, x)
	if found {
		return list
	}
	return slices.Insert(list, i, x)
}
