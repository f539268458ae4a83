package raftmeta

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/id"
)

// Bucket names a set of keys of one kind, such as "jobs". A package that keeps
// things in the store declares its own as constants.
type Bucket string

// Revision counts the transactions that changed the store.
type Revision uint64

// Expectations of a write other than a revision.
const (
	// Absent expects that the key does not exist.
	Absent Revision = 0
	// Any expects nothing.
	Any Revision = ^Revision(0)
)

// Entry is one key with its value, as it was at Revision. Value belongs to the
// store: it may be kept and must not be changed.
type Entry struct {
	Bucket   Bucket
	Key      string
	Value    []byte
	Revision Revision
}

// Store is the replicated store as one master sees it. All methods may be
// called concurrently; once the context is done they return its error, and
// after Close ErrClosed.
type Store interface {
	// Get returns the entry, or ErrNotFound. ErrNotLeader means that this
	// master cannot know the present state.
	Get(ctx context.Context, bucket Bucket, key string) (Entry, error)

	// List returns the entries of a bucket whose keys begin with prefix,
	// sorted by key, all as of the revision returned. ErrNotLeader as in Get.
	List(ctx context.Context, bucket Bucket, prefix string) ([]Entry, Revision, error)

	// Apply performs a transaction, all of it or nothing, and returns the
	// revision that its writes have; without writes, the present one. A
	// failed expectation is a *ConflictError, a stale term ErrFenced, and
	// ErrNotLeader means that nothing happened. After ErrUnknown, or when the
	// context ends, the transaction may have happened or may yet happen.
	Apply(ctx context.Context, txn Txn) (Revision, error)

	// Watch follows the changes of a bucket's keys that begin with prefix,
	// from the first one later than after. It works on every master, so
	// what it says may be late. The caller closes the watcher.
	Watch(ctx context.Context, bucket Bucket, prefix string, after Revision) (Watcher, error)

	// Leadership blocks until who leads differs from known, and returns it.
	// With the zero Leadership it returns once a leader is known.
	Leadership(ctx context.Context, known Leadership) (Leadership, error)

	// Close leaves the cluster, ends watchers with ErrClosed, and returns
	// when nothing of the store runs any more. The second call does nothing.
	Close() error
}

// Leadership says who leads.
type Leadership struct {
	// Leading is true on the master that leads and has seen everything that
	// earlier leaders acknowledged.
	Leading bool
	// Term is the fencing number of this master's leadership; zero unless
	// Leading.
	Term id.Term
	// Leader is the id of the leading master, on every master; empty if none is known.
	Leader string
	// Address is that of its log transport, as in Member; empty where the leader is alone
	// without a network.
	Address string
}

// Watcher delivers changes in the order of their revisions. One goroutine
// calls Next; Close may be called by any other and more than once.
type Watcher interface {
	// Next blocks for the next event. It fails with the context's error,
	// after which it may be called again, or with ErrClosed for good.
	Next(ctx context.Context) (Event, error)
	// Close gives the watcher's buffer back.
	Close()
}

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventInvalid EventKind = iota
	// EventPut is a written entry.
	EventPut
	// EventDelete is a removed entry: Entry has no value and the revision of
	// the removal.
	EventDelete
	// EventResync says that events up to Entry.Revision are not remembered.
	// The receiver lists again and passes over events that are not later
	// than the list's revision; only Entry.Bucket and Entry.Revision are set.
	EventResync
)

func (k EventKind) String() string {
	switch k {
	case EventPut:
		return "put"
	case EventDelete:
		return "delete"
	case EventResync:
		return "resync"
	}
	return "invalid"
}

// Event is one change.
type Event struct {
	Kind  EventKind
	Entry Entry
}

func (e Event) String() string {
	return fmt.Sprintf("%v %s/%s@%d %q", e.Kind, e.Entry.Bucket, e.Entry.Key, e.Entry.Revision, e.Entry.Value)
}
