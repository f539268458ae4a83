package operator

import (
	"context"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/id"
	ledger "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Operator transforms elements. See the package comment for the rules.
type Operator interface {
	// Open prepares the operator; ctx is valid until Close returned.
	Open(ctx *Context) error
	// Process takes a batch of an input, 0 being the first.
	Process(input int, b *stream.Batch) error
	// Watermark says that event time has advanced to w on all inputs.
	Watermark(w stream.Watermark) error
	// EndInput says that nothing more comes on an input.
	EndInput(input int) error
	// Close frees everything. It may be called without Open.
	Close() error
}

// Snapshotter is an operator with something to do at a barrier, or with state
// that is not keyed.
type Snapshotter interface {
	// Snapshot returns the operator's own state, nil for none. Restored, it is
	// handed back in Context.Restored, possibly from several former subtasks.
	Snapshot(b stream.Barrier) ([]byte, error)
	// Completed says that a checkpoint is complete for good; calls may be missing
	// but come in order.
	Completed(checkpoint id.Checkpoint) error
}

// Spread is a Snapshotter whose state goes to every subtask: Context.Restored has what all
// former ones returned, in their order, of which each subtask takes its part.
type Spread interface {
	Snapshotter
	// Everywhere reports whether it does.
	Everywhere() bool
}

// InputSelector is an operator that must read one input before another, such as
// a join its build side.
type InputSelector interface {
	// Wants is the input to read next, or -1 for any. It is asked after each
	// element. An input that is not wanted is not read, and holds its producer by
	// its credits.
	Wants() int
}

// Source is the head of a chain without inputs. The task calls Poll while it
// has nothing else to do.
type Source interface {
	Operator
	// Poll emits at most one batch and says what to expect.
	Poll() (Status, error)
	// Ready is signalled when Poll may have something after it answered Waiting.
	Ready() <-chan struct{}
}

// Filtering is a source whose reader drops rows by runtime filters.
type Filtering interface {
	// Filtered is what each of them has done so far; also after Close.
	Filtered() []FilterCounts
}

// FilterCounts is what a runtime filter has done in a source.
type FilterCounts struct {
	ID       uint32 // jobgraph.KeyFilter's
	Asked    uint64 // rows
	Dropped  uint64 // rows of those asked about
	Excluded uint64 // row groups and files of which no row was read
}

// Status is what a source's Poll answers.
type Status uint8

// The answers.
const (
	InvalidStatus Status = iota
	More                 // call again at once
	Waiting              // nothing now: call again when Ready
	Finished             // nothing will follow
)

// String is the status in a word.
func (s Status) String() string {
	switch s {
	case More:
		return "more"
	case Waiting:
		return "waiting"
	case Finished:
		return "finished"
	default:
		return "invalid"
	}
}

// Output takes what an operator emits.
type Output interface {
	// Emit passes b on; it owns b, also when it fails. It fails also where nothing
	// more is needed or the task was cancelled: the operator returns the error as any
	// other, and is asked for nothing but EndInput and Close afterwards.
	Emit(b *stream.Batch) error
}

// SideOutput is an Output with others beside it; an operator whose spec names sides is
// given one.
type SideOutput interface {
	Output
	// EmitSide passes b on to those that read a side, numbered from 1, as Emit does.
	EmitSide(side int, b *stream.Batch) error
}

// IdleOutput is an Output that also takes idleness and watermarks; sources and
// watermark assigners are given one.
type IdleOutput interface {
	Output
	// Advance emits a watermark; one that does not advance is dropped.
	Advance(w stream.Watermark) error
	// Idle says whether this input is to be left out of watermarks.
	Idle(idle bool) error
}

// Context is what an operator is given at Open. It is valid until Close.
type Context struct {
	context.Context

	Attempt     id.Attempt
	Parallelism int
	// Name is what plans call the operator.
	Name   string
	Output Output
	// Sides is how many side outputs the operator's spec names.
	Sides int
	// State is the operator's keyed state; nil for operators without.
	State state.Backend
	// Restored is what Snapshot returned in the checkpoint that the job restarts
	// from, one element for each former subtask assigned to this one.
	Restored [][]byte
	Memory   stream.Account
	Alloc    memory.Allocator
	// Contend registers Memory as an account that can spill; an operator that can
	// calls it in Open and leaves the share in Close.
	Contend func() *ledger.Share
	// Borrow makes Memory an account that gives back what is asked for; a Yielder
	// calls it in Open and ends the loan in Close. nil: there is nobody to share with.
	Borrow func() *ledger.Loan
	// Spill is where the operator puts what does not fit memory; never nil.
	Spill *spill.Space
	// BatchRows is the most rows to emit in a batch.
	BatchRows int
	Log       *slog.Logger
}

// Finisher is an operator that may need no more input before its inputs end,
// such as a limit that is full. The task asks after each Process; once Done it
// reads no further and ends the inputs.
type Finisher interface {
	Done() bool
}

// Spiller is an operator that can put what it keeps on disk between two elements.
// The task asks it to while its share of memory is over, for it may be the others
// in the chain, or other tasks, who want the memory.
type Spiller interface {
	// Spill puts on disk what can be; it may be nothing.
	Spill() error
}

// Holder is an operator that keeps slots or rows of evictable tables of keyed state
// between elements, such as groups whose changes it has not told yet.
type Holder interface {
	// LetGo forgets them, before keys are moved out of memory; it may emit what is held
	// back because of them.
	LetGo() error
}

// Yielder is a source that can give back the memory it holds of what it is reading.
// The task asks it to while it waits for its output to be taken.
type Yielder interface {
	// Yield gives it back, if somebody waits for memory.
	Yield()
}

// Ticker is an operator that acts on processing time. The task calls Tick
// between elements, at least about every second while nothing comes.
type Ticker interface {
	Tick(now time.Time) error
}

// Delayer is an operator that may tell rows of a time that the watermark has passed.
type Delayer interface {
	// Delayed is how far the watermark goes that follows what was told. The task asks
	// after each Watermark.
	Delayed() stream.Watermark
}
