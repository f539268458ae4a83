package shuffle

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/stream"
)

// Retention says how long a partition keeps what was written.
type Retention uint8

// The retentions, see the package comment.
const (
	InvalidRetention Retention = iota
	RetainNone
	RetainCheckpoint
	RetainJob
)

// String is the retention's name in plans and options.
func (r Retention) String() string {
	switch r {
	case RetainNone:
		return "none"
	case RetainCheckpoint:
		return "checkpoint"
	case RetainJob:
		return "job"
	default:
		return fmt.Sprintf("retention %d", uint8(r))
	}
}

// Distribution says which partition a row goes to.
type Distribution uint8

// The distributions. Merge is Singleton that keeps the lanes' common order.
const (
	InvalidDistribution Distribution = iota
	Forward                          // lane i to partition i
	Hash                             // by key group of the key columns
	Broadcast                        // to all
	Rebalance                        // batches in turn
	Range                            // by bounds on the order columns
	Singleton                        // all to partition 0
	Merge
	Custom
)

var distributionNames = [...]string{
	"invalid", "forward", "hash", "broadcast", "rebalance", "range", "singleton", "merge", "custom",
}

// String is the distribution's name in plans.
func (d Distribution) String() string {
	if int(d) < len(distributionNames) {
		return distributionNames[d]
	}
	return fmt.Sprintf("distribution %d", uint8(d))
}

// Paired reports whether lane i writes partition i alone; see Spec.Paired.
func (d Distribution) Paired() bool { return d == Forward || d == Merge }

// Spec describes an exchange to the service.
type Spec struct {
	Job        id.Job
	Exchange   id.Exchange
	Schema     datatype.Schema
	Lanes      int // producer subtasks
	Partitions int // consumer subtasks
	Retention  Retention
	// Paired says that lane i writes partition i and no other (forward, merge): a
	// partition then hears of its own lane only, and does not wait for others' ends
	// and barriers. Lanes and Partitions are the same number.
	Paired bool
	// Everywhere says that every batch is for all partitions (broadcast). It is sent
	// once, to partition 0; whoever keeps it keeps it once, and each reader in its
	// process is given a reference to the same rows. Not together with Paired.
	Everywhere bool
	// BudgetBytes bounds what each partition holds in memory for its reader;
	// zero means the service's default.
	BudgetBytes int64
	// Term is the job master's. An exchange that is opened under a higher one begins
	// anew: what was kept under the lower one is dropped. A lower one is ErrFenced.
	Term id.Term
	// Placement says which servers keep it; the zero value: this process.
	Placement Placement
}

// Server is a process that keeps partitions. Its ID names one life of it: after a
// restart it is another server, for what it kept is gone.
type Server struct {
	ID      string
	Host    string // servers and clients with the same one reach each other by Socket
	Socket  string // path of a unix socket; empty: there is none
	Address string // host:port; empty: it is reached by Socket alone
}

// Placement says where an exchange is. A pipelined one lives where it is read: each
// partition has its server, in the process of its consumer. A stored one lives where
// it was written: each lane has its server, on the host of its producer, so that an
// attempt is committed in one place and a lost server costs its own lanes only.
type Placement struct {
	// Version orders placements of one exchange under one term: a higher one replaces
	// what a server or client knew, a lower one is ignored.
	Version uint32
	Servers []Server
	At      []uint32 // by partition or, stored, by lane: an index into Servers
	// Ticket is what the servers want to see (core/security).
	Ticket []byte
}

// Local reports whether everything is in this process.
func (p Placement) Local() bool { return len(p.Servers) == 0 }

// Errors that callers tell apart with errors.Is. Each arrives wrapped with the
// exchange, lane or partition it concerns.
var (
	ErrFenced   = errors.New("fenced by a newer attempt")
	ErrLostRace = errors.New("another attempt of the lane has won")
	ErrReleased = errors.New("exchange was dropped")
	ErrDataLoss = errors.New("partition does not hold what its manifest says")
)

// Manifest says what one attempt wrote into one lane.
type Manifest struct {
	Lane       uint32
	Attempt    uint32
	Partitions []PartitionTotals // by partition
}

// PartitionTotals counts what a lane holds for a partition. Digest is the sum of
// the rows' hashes, the same in any order; zero where it is not computed.
type PartitionTotals struct {
	Rows, Bytes, Digest uint64
}

// Service keeps exchanges. All methods may be called concurrently.
type Service interface {
	// Open declares an exchange; declaring it again with the same spec is no
	// error, with another one is.
	Open(ctx context.Context, spec Spec) error
	// Writer opens a lane for an attempt and fences earlier attempts. With
	// retention none, a new attempt of a lane that has been read from is refused:
	// its region must restart as a whole.
	Writer(ctx context.Context, job id.Job, ex id.Exchange, lane, attempt uint32) (Writer, error)
	// Reader opens a partition for a consumer's attempt and fences earlier ones.
	Reader(ctx context.Context, job id.Job, ex id.Exchange, partition, attempt uint32) (Reader, error)
	// Drop forgets an exchange and frees its memory and files; open writers and
	// readers fail with ErrReleased. Dropping what is not there is no error.
	Drop(ctx context.Context, job id.Job, ex id.Exchange) error
}

// Writer is one attempt's end of a lane. One goroutine uses it.
type Writer interface {
	// Send appends a batch to a partition, to all of them where the spec says
	// Everywhere; it blocks for credit. It owns b, and compacts a selection. Of what goes
	// wrong at another process a later call tells, at the latest Finish.
	Send(ctx context.Context, partition uint32, b *stream.Batch) error
	// Broadcast appends a watermark, barrier, idle or active element to every
	// partition, after all rows sent before; it may block for credit.
	Broadcast(ctx context.Context, e stream.Element) error
	// Finish ends the lane and returns what was written. Nothing may be called
	// afterwards but Close.
	Finish(ctx context.Context) (Manifest, error)
	// Close gives the lane up unless it was finished. It never blocks.
	Close() error
}

// PatientWriter is a Writer that has its producer do something while it waits.
type PatientWriter interface {
	// WhileWaiting has Send call do, in the caller's goroutine, when wanted was
	// signalled and Send has waited for credit for some time since. It is called once,
	// before Send.
	WhileWaiting(wanted <-chan struct{}, do func())
}

// Reader is one consumer's end of a partition. One goroutine uses it.
type Reader interface {
	// Poll returns the next element without blocking; false means nothing is
	// there yet. After EndOfInput it is not called again.
	Poll() (stream.Element, bool, error)
	// Ready is signalled (it is a channel of capacity one) when Poll may have
	// something after it returned false. It is the same channel for the reader's
	// life.
	Ready() <-chan struct{}
	// Close ends reading and frees what was not read, where retention allows.
	Close() error
}

// Replayer is a Service that keeps exchanges of retention checkpoint, in this process.
type Replayer interface {
	// Completed says that a checkpoint of a job is complete: what came before its barrier
	// is kept no longer.
	Completed(job id.Job, c id.Checkpoint)
	// Rewind brings a partition of an exchange back to where it was behind the barrier of
	// a checkpoint, or with 0 to its beginning: its next reader gets what came since
	// once more, in the same order, but for lanes that are written again. No reader, and no
	// attempt of those lanes, is at work. It may be repeated. An error says that what came
	// since is not kept: the region has to restart as a whole.
	Rewind(job id.Job, ex id.Exchange, c id.Checkpoint, part Rewound) error
}

// Rewound is a partition that is read again, with the attempt of its next reader.
type Rewound struct {
	Partition uint32
	Reader    uint32
	Lanes     []LaneAttempt // that are written again, each from this attempt on
}

// LaneAttempt is an attempt of a lane.
type LaneAttempt struct{ Lane, Attempt uint32 }

// SatisfiedReader is a Reader that can be told, before it is closed, that nobody needs what
// it has not read, nor will read again what it has.
type SatisfiedReader interface{ Enough() }
