package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
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
// Conflict; a log that cannot be read whole is ErrCorrupt.
func DirStorage(dir string) (Storage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "make metadata directory: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, hclog.NewNullLogger())
	if err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "open metadata snapshots in %s: %w", dir, err)
	}
	log, err := openLog(filepath.Join(dir, "raft.db"))
	if errors.Is(err, bbolt.ErrTimeout) {
		return Storage{}, failure.Errorf(failure.Conflict, "metadata directory %s is in use by another process", dir)
	}
	if err != nil {
		return Storage{}, failure.Errorf(failure.Fatal, "open metadata log in %s: %w", dir, err)
	}
	return Storage{Log: log, Snapshots: snapshots}, nil
}

// openLog opens a log and reads it once. If bbolt panics before it has opened the file,
// the lock of that stays until the process ends.
func openLog(path string) (log *checkedLog, err error) {
	err = safely(func() error {
		if err := checkPages(path); err != nil {
			return err
		}
		bolt, err := raftboltdb.New(raftboltdb.Options{
			Path:        path,
			BoltOptions: &bbolt.Options{Timeout: lockTimeout},
		})
		var system syscall.Errno
		if err != nil && !errors.Is(err, bbolt.ErrTimeout) && !errors.As(err, &system) {
			err = fmt.Errorf("%w: %w", raftmeta.ErrCorrupt, err) // it is about the content
		}
		if err != nil {
			return err
		}
		log = &checkedLog{bolt}
		return log.readAll()
	})
	if err != nil && log != nil {
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		return nil, err
	}
	return log, nil
}

// safely turns what bbolt does with damaged pages into an error: it panics at those that
// make no sense, and faults where a file that was cut short is mapped.
func safely(perform func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", raftmeta.ErrCorrupt, p)
		}
	}()
	return perform()
}

// checkedLog adds a checksum to each entry, in the field that Raft leaves to the
// application, and to each stable value, at its end; and it survives damaged pages.
type checkedLog struct{ bolt *raftboltdb.BoltStore }

var _ LogStore = (*checkedLog)(nil)

func sumOf(l *raft.Log) []byte {
	b := binary.LittleEndian.AppendUint64(nil, l.Index)
	b = binary.LittleEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	return binary.LittleEndian.AppendUint32(nil, checksum(append(b, l.Data...)))
}

// StoreLog implements raft.LogStore.
func (c *checkedLog) StoreLog(l *raft.Log) error { return c.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (c *checkedLog) StoreLogs(logs []*raft.Log) error {
	summed := make([]*raft.Log, len(logs))
	for i, l := range logs {
		s := *l
		s.Extensions = sumOf(l)
		summed[i] = &s
	}
	return safely(func() error { return c.bolt.StoreLogs(summed) })
}

// GetLog implements raft.LogStore.
func (c *checkedLog) GetLog(index uint64, l *raft.Log) error {
	err := safely(func() error { return c.bolt.GetLog(index, l) })
	if err == nil && (l.Index != index || !bytes.Equal(l.Extensions, sumOf(l))) {
		err = fmt.Errorf("%w: entry %d", raftmeta.ErrCorrupt, index)
	}
	l.Extensions = nil
	return err
}

// FirstIndex implements raft.LogStore.
func (c *checkedLog) FirstIndex() (i uint64, err error) {
	err = safely(func() error { i, err = c.bolt.FirstIndex(); return err })
	return i, err
}

// LastIndex implements raft.LogStore.
func (c *checkedLog) LastIndex() (i uint64, err error) {
	err = safely(func() error { i, err = c.bolt.LastIndex(); return err })
	return i, err
}

// DeleteRange implements raft.LogStore.
func (c *checkedLog) DeleteRange(first, last uint64) error {
	return safely(func() error { return c.bolt.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (c *checkedLog) Set(key, value []byte) error {
	value = binary.LittleEndian.AppendUint32(bytes.Clone(value), sumOfValue(key, value))
	return safely(func() error { return c.bolt.Set(key, value) })
}

func sumOfValue(key, value []byte) uint32 { return checksum(append(bytes.Clone(key), value...)) }

// Get implements raft.StableStore.
func (c *checkedLog) Get(key []byte) (value []byte, err error) {
	err = safely(func() error { value, err = c.bolt.Get(key); return err })
	if err != nil {
		return nil, err
	}
	n := len(value) - 4
	if n < 0 || binary.LittleEndian.Uint32(value[n:]) != sumOfValue(key, value[:n]) {
		return nil, fmt.Errorf("%w: value of %s", raftmeta.ErrCorrupt, key)
	}
	return value[:n], nil
}

// SetUint64 implements raft.StableStore.
func (c *checkedLog) SetUint64(key []byte, value uint64) error {
	return c.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (c *checkedLog) GetUint64(key []byte) (uint64, error) {
	b, err := c.Get(key)
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("%w: value of %s", raftmeta.ErrCorrupt, key)
	}
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// Close implements io.Closer.
func (c *checkedLog) Close() error { return safely(c.bolt.Close) }

// readAll reads every entry; there is none missing between the first and the last.
func (c *checkedLog) readAll() error {
	first, err := c.FirstIndex()
	if err != nil {
		return err
	}
	last, err := c.LastIndex()
	if err != nil {
		return err
	}
	for i := first; i <= last && first > 0; i++ {
		var l raft.Log
		if err := c.GetLog(i, &l); err != nil {
			if !errors.Is(err, raftmeta.ErrCorrupt) {
				err = fmt.Errorf("%w: entry %d: %w", raftmeta.ErrCorrupt, i, err)
			}
			return err
		}
	}
	return nil
}
