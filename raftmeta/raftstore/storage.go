package raftstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/tidemill/tidemill/core/failure"
)

// LogStore keeps Raft's log, its term and its vote. Whatever it acknowledges
// survives a crash. Raft calls it from one goroutine for writes and from
// several for reads.
type LogStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

// Storage is where one master keeps what Raft needs.
type Storage struct {
	// Log is closed by the store that uses it.
	Log LogStore
	// Snapshots keeps the latest states, so that the log can be cut.
	Snapshots raft.SnapshotStore
}

type memoryLog struct{ *raft.InmemStore }

func (memoryLog) Close() error { return nil }

// MemoryStorage keeps everything in memory. It outlives the store that uses it:
// a second store on the same storage is the restarted first one.
func MemoryStorage() Storage {
	return Storage{Log: memoryLog{raft.NewInmemStore()}, Snapshots: raft.NewInmemSnapshotStore()}
}

// lockTimeout is how long a data directory that another process holds is waited for.
const lockTimeout = 200 * time.Millisecond

// DirStorage keeps the log in dir/raft.db and snapshots in dir/snapshots, and
// makes dir if needed. A dir that another process uses is an error of class
// Conflict.
func DirStorage(dir string) (Storage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "make metadata directory: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, hclog.NewNullLogger())
	if err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "open metadata snapshots in %s: %w", dir, err)
	}
	log, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{Timeout: lockTimeout},
	})
	if errors.Is(err, bbolt.ErrTimeout) {
		return Storage{}, failure.Errorf(failure.Conflict, "metadata directory %s is in use by another process", dir)
	}
	if err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "open metadata log in %s: %w", dir, err)
	}
	return Storage{Log: log, Snapshots: snapshots}, nil
}
