package raftmeta

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Member is a master that takes part in the replication.
type Member struct {
	ID      string // for ever
	Address string // of its log transport
	Voter   bool   // it counts for majorities; a new one does once it has caught up
	// Lost is since when the leader, which alone can tell, has not heard of it; zero: it has.
	Lost time.Time
}

// Cluster is a Store whose masters may come and go.
type Cluster interface {
	Store
	// Members lists the masters, as of the last change that this one knows.
	Members(ctx context.Context) ([]Member, error)
	// Join adds a master, which must be running, or gives one that is known a new
	// address. It returns when the change is committed; ErrNotLeader as in Get. One that
	// has everything that Join would do is no error. Class Conflict says that another
	// master is at the address, or one of another cluster; after other errors it may be
	// there without a vote, and joining it again goes on.
	Join(ctx context.Context, m Member) error
	// Remove takes a master out; one that is not there is no error. The last one cannot
	// be removed.
	Remove(ctx context.Context, id string) error
}

// BlobName names a blob by its content: the SHA-256 in hexadecimal.
type BlobName string

// NameOf is the name of data.
func NameOf(data []byte) BlobName {
	sum := sha256.Sum256(data)
	return BlobName(hex.EncodeToString(sum[:]))
}

// Check fails with ErrCorrupt unless data is what the name says.
func (n BlobName) Check(data []byte) error {
	if got := NameOf(data); got != n {
		return failure.Wrap(failure.Fatal, fmt.Errorf("blob %.12s: %w: its content is %.12s", string(n), ErrCorrupt, string(got)))
	}
	return nil
}

// ErrBlobTooLarge says that a blob is beyond the limit.
var ErrBlobTooLarge = errors.New("blob too large")

// Blobs keeps values too large for the log: content-addressed and immutable. A blob is
// durable on a majority of the masters before Put returns, so an entry that names it
// may be written then; a master that lacks it fetches it from another one. All methods
// may be called concurrently.
type Blobs interface {
	// Put stores data, which it does not keep, and returns its name. Storing it again is
	// no error.
	Put(ctx context.Context, data []byte) (BlobName, error)
	// Get returns a blob, or ErrNotFound. The result is the caller's.
	Get(ctx context.Context, name BlobName) ([]byte, error)
	// Collect deletes what this master keeps of blobs that used does not report and that
	// are older than some minutes, so that one whose entry is being written stays.
	Collect(ctx context.Context, used func(BlobName) bool) error
}
