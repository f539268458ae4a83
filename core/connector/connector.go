package connector

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/core/stream"
)

// Table is what DDL or a file name says of a table.
type Table struct {
	Name       string            // full name, for messages
	Options    map[string]string // the WITH clause, 'connector' included
	Schema     datatype.Schema   // physical columns; empty: ask Describe
	Partitions []string          // partition columns, part of Schema
	PrimaryKey []string          // as declared; columns of Schema
	// Rejects are the options of the WITH clause that say what becomes of records that are no
	// rows. They are none of the connector's, which are told by ReaderEnv.Reject.
	Rejects map[string]string
}

// Description is what the planner learns of a table. Negative numbers are
// unknown.
type Description struct {
	Schema     datatype.Schema
	Partitions []string
	Bounded    bool
	// NarrowRows: a wanted column may be a ROW with only some of the table's fields, and
	// those that are left out cost nothing.
	NarrowRows bool
	// Rejects: readers make use of ReaderEnv.Reject.
	Rejects bool
	// Changes are the kinds of rows that readers return, by the table's primary key; none
	// told: Inserts. Of Upserts, which may begin with any of them, rows of a key come in their
	// order from one split, as inserts, updates-after and deletes.
	Changes Changes
	// ManySplits: readers are SplitReaders, and event times may differ from split to split.
	ManySplits  bool
	Rows, Bytes int64
	Files       int64
	// Version changes whenever the rows of what is described may have changed; empty:
	// unknown.
	Version         string
	TotalPartitions int64                        // table partitions that exist
	MatchPartitions int64                        // of those, what the predicate leaves
	Columns         map[string]predicate.Summary // bounds over all files, where cheap
}

// Connector makes the halves of sources and sinks of one kind. It is safe for
// concurrent use. A connector that only reads, or only writes, refuses the other
// with an error of class InvalidSQL.
type Connector interface {
	// Name is the value of the 'connector' option.
	Name() string
	// Describe inspects a table; pred, which may be nil, tells what of it matters.
	// Unknown or missing options are errors that name the option.
	Describe(ctx context.Context, t Table, pred *predicate.Predicate) (Description, error)
	// Enumerator starts the coordinator's half; restored is what its Snapshot
	// returned, nil for a fresh start.
	Enumerator(ctx context.Context, s SourceSpec, restored []byte) (Enumerator, error)
	// Reader starts a subtask's half.
	Reader(ctx context.Context, s SourceSpec, env ReaderEnv) (Reader, error)
	// Writer starts a subtask's half of a sink.
	Writer(ctx context.Context, s SinkSpec, env WriterEnv) (Writer, error)
	// Committer starts the coordinator's half of a sink.
	Committer(ctx context.Context, s SinkSpec) (Committer, error)
}

// OptionChecker is the ability of a Connector to check the options of a table that is
// being defined, without looking at what there is.
type OptionChecker interface {
	// CheckOptions returns an error of class InvalidSQL that names the wrong option, or
	// the missing one.
	CheckOptions(t Table) error
}

// ChangelogSink is the ability of a Connector whose sinks take more than inserts.
type ChangelogSink interface {
	// Accepts tells which changes of rows a writer of the table takes. Connectors that
	// are no ChangelogSink take Inserts.
	Accepts(t Table) Changes
}

// Publisher is the ability of a Connector whose sinks show what they write only once it is
// published: when the checkpoint that has it is complete, or the job has ended.
type Publisher interface {
	// Publishes tells whether sinks of the table do.
	Publishes(t Table) bool
}

// Changes are the kinds of rows that a sink takes.
type Changes uint8

// The kinds. Of Upserts the table has a primary key: rows come as inserts, updates-after
// and deletes, each of which replaces what was of its key; of a delete the key alone need
// be right. Of Retractions every row that is replaced is taken back before, by all its
// columns.
const (
	InvalidChanges Changes = iota
	Inserts
	Upserts
	Retractions
)

// String is the kind in a word.
func (c Changes) String() string {
	switch c {
	case Inserts:
		return "inserts"
	case Upserts:
		return "upserts"
	case Retractions:
		return "retractions"
	default:
		return "invalid"
	}
}

// SourceSpec says what to read.
type SourceSpec struct {
	Table       Table
	Columns     datatype.Schema // wanted columns, in output order
	Predicate   *predicate.Predicate
	Limit       int64 // rows that suffice; 0: all
	Parallelism int
}

// Split is a piece of a source. Data carries, besides what is to be read, how
// far it has been read: a reader's snapshot returns splits.
type Split struct {
	ID    string
	Data  []byte
	Bytes int64 // estimate; 0: unknown
}

// LaterError is Next's answer where there is no split now, but may be one later.
type LaterError struct {
	After time.Duration // when to ask again
}

// Error implements error.
func (e *LaterError) Error() string { return fmt.Sprintf("no split for the next %v", e.After) }

// Enumerator hands out splits. One goroutine uses it.
type Enumerator interface {
	// Next returns a split for a subtask, or false when there will never be one
	// again for it. A *LaterError leaves others their turn meanwhile.
	Next(ctx context.Context, subtask int) (Split, bool, error)
	// Return takes back splits of a failed attempt.
	Return(splits []Split)
	// Snapshot is the enumerator's position, splits not yet handed out included.
	Snapshot() ([]byte, error)
	Close() error
}

// ReaderEnv is what a reader is given.
type ReaderEnv struct {
	Subtask   int
	Alloc     memory.Allocator
	Account   stream.Account // of what it keeps besides Arrow buffers; nil: nobody counts
	Metrics   *metric.Scope  // may be nil
	BatchRows int
	Now       func() time.Time // processing time
	// SlowSplits: a split takes a while to come, since somebody far away is asked for it.
	SlowSplits bool
	// Filters are over the wanted columns; the rows that they drop are asked for by
	// nobody. A reader need not look at them. They come only where nobody asks for a
	// Snapshot: which rows are dropped may be another matter the next time.
	Filters []predicate.RowFilter
	// Reject takes records that are no rows, where the reader would else fail. It is called
	// within Poll, after which they count as read: a snapshot is behind them. Poll may return
	// batches without rows then, so that not too many are told at once. nil: it fails.
	Reject func(Rejected)
}

// Rejected is a record that is no row of the wanted columns.
type Rejected struct {
	Place string // where it is: file:line, or topic, partition and offset
	Err   error  // what is wrong with it
	Data  []byte // the record; valid until the call returns
}

// Reader turns splits into batches of SourceSpec.Columns. One goroutine uses it;
// work of its own goroutines shows through Ready.
type Reader interface {
	// Add gives the reader one more split.
	Add(s Split) error
	// Poll returns a batch that the caller owns. Without one, wait says whether
	// the reader waits for its own work or the clock (then Ready is signalled),
	// or needs another split.
	Poll(ctx context.Context) (b *stream.Batch, wait Wait, err error)
	// Ready is signalled when Poll may have something again.
	Ready() <-chan struct{}
	// Snapshot returns the splits in hand with their positions: reading them again
	// gives exactly the rows that no Poll has returned yet.
	Snapshot() ([]Split, error)
	Close() error
}

// EarlyReader is the ability of a Reader to make use of a split before it needs it.
type EarlyReader interface {
	// Early reports whether the reader wants its next split now. It is asked before
	// each Poll and answers at once.
	Early() bool
}

// YieldingReader is the ability of a Reader to give back the memory it holds of what
// it is reading, and to get it again by reading that once more. It is used like the
// Reader, between calls of Poll.
type YieldingReader interface {
	// Yields reports whether what is being read can be read again.
	Yields() bool
	// Yield gives the memory back; the next Poll goes on behind the last batch. After
	// a Poll that failed for want of memory it makes Poll possible again, if Yields.
	Yield()
}

// SplitReader is the ability of a Reader to tell its splits apart, so that each has a
// watermark of its own. It is used like the Reader.
type SplitReader interface {
	// Of is the split that the last batch Poll returned is of; a batch is of one split.
	Of() string
	// Splits are those in hand, of which rows may come. A split that is not there any more
	// has ended.
	Splits() []string
	// Pause has Poll return nothing of these splits, and of all others again.
	Pause(splits map[string]bool)
}

// Looker is the ability of a Connector to find the rows of keys.
type Looker interface {
	// Lookup starts a subtask's access to the table. keys are columns of s.Columns.
	Lookup(ctx context.Context, s SourceSpec, keys []int, env LookupEnv) (Lookup, error)
}

// LookupEnv is what a Lookup is given.
type LookupEnv struct {
	Subtask   int
	Alloc     memory.Allocator
	Account   stream.Account // of what it keeps besides Arrow buffers
	BatchRows int
	Now       func() time.Time
}

// Lookup finds rows. One goroutine uses it.
type Lookup interface {
	// Find returns the rows of n keys, none of which is null, as one batch of
	// SourceSpec.Columns that the caller owns, and of each of its rows, ascending, the
	// place of its key in keys.
	Find(ctx context.Context, keys []arrow.Array, n int) (rows arrow.RecordBatch, of []int32, err error)
	Close() error
}

// Wait says why Poll returned no batch.
type Wait uint8

// The reasons. NoWait comes with a batch.
const (
	NoWait Wait = iota
	ForData
	ForSplit
)

// SinkSpec says what to write.
type SinkSpec struct {
	Job             id.Job
	Table           Table
	Columns         datatype.Schema
	Overwrite       bool
	StaticPartition map[string]string
	Bounded         bool
}

// WriterEnv is what a writer is given.
type WriterEnv struct {
	Attempt  id.Attempt
	Alloc    memory.Allocator
	Account  stream.Account // of what it keeps besides Arrow buffers; nil: nobody counts
	Restored [][]byte       // what Snapshot returned
}

// Committable names staged output; Data is the connector's.
type Committable struct {
	Data        []byte
	Rows, Bytes int64
	Files       int64
}

// Writer stages rows. One goroutine uses it.
type Writer interface {
	// Write takes a batch; it owns b, also when it fails.
	Write(ctx context.Context, b *stream.Batch) error
	// Prepare flushes and returns what the current checkpoint, or the end of
	// input, makes ready to publish; later rows belong to the next one.
	Prepare(ctx context.Context) ([]Committable, error)
	// Snapshot is the writer's own state after Prepare, nil for none.
	Snapshot() ([]byte, error)
	// Close discards what was not prepared.
	Close() error
}

// TimedWriter is the ability of a Writer to make use of event time. It is used like the
// Writer.
type TimedWriter interface {
	// Advance says that no rows before w, in Unix milliseconds, are to be expected any more.
	Advance(w int64) error
}

// Sweeper is the ability of a Committer to remove what a job has staged and nobody has
// heard of, because the process that staged it is gone.
type Sweeper interface {
	// Sweep comes at the end of a job, when none of its attempts runs and nothing more will
	// be published.
	Sweep(ctx context.Context) error
}

// Committer publishes committables. One goroutine uses it.
type Committer interface {
	// Commit publishes, all or nothing as seen by readers where the target allows;
	// the same committables may come again, also after a failure, which therefore
	// discards none of them. final says that the job's output is complete with them.
	Commit(ctx context.Context, checkpoint id.Checkpoint, c []Committable, final bool) error
	// Abort removes the staged files of committables that will not be published, and
	// undoes what a failed Commit has published of them.
	Abort(ctx context.Context, c []Committable) error
	Close() error
}
