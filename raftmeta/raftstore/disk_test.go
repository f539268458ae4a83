package raftstore_test

// A disk in memory that forgets what was not synced: a write takes time, and a crash falls
// before it or after it, so that what was not acknowledged may be there or not.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

type disk struct {
	latency func() time.Duration // of half a write; nil means none

	mu    sync.Mutex
	life  int
	logs  map[uint64]raft.Log
	keys  map[string][]byte
	saved *saved // the latest snapshot
	full  bool   // writes fail
}

type saved struct {
	meta raft.SnapshotMeta
	data []byte
}

func newDisk(latency func() time.Duration) *disk {
	return &disk{latency: latency, logs: map[uint64]raft.Log{}, keys: map[string][]byte{}}
}

// mount starts a life: the one before can write no more.
func (d *disk) mount() raftstore.Storage {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	m := &mount{disk: d, life: d.life}
	return raftstore.Storage{Log: m, Snapshots: m}
}

// crash ends the life.
func (d *disk) crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
}

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

var (
	errCrashed = errors.New("crashed")
	errNoSpace = errors.New("no space left on device")
)

// mount is one life's view of a disk.
type mount struct {
	disk *disk
	life int
}

// write performs a write that takes its time, half of it before it is durable.
func (m *mount) write(perform func(d *disk)) error {
	m.wait()
	m.disk.mu.Lock()
	life, full := m.disk.life, m.disk.full
	if life == m.life && !full {
		perform(m.disk)
	}
	m.disk.mu.Unlock()
	switch {
	case life != m.life:
		return errCrashed
	case full:
		return errNoSpace
	}
	m.wait()
	return nil
}

func (m *mount) wait() {
	if m.disk.latency != nil {
		<-time.After(m.disk.latency()) // the bubble's clock
	}
}

func (m *mount) read(perform func(d *disk)) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	perform(m.disk)
}

func (m *mount) Close() error { return nil }

func (m *mount) edges() (first, last uint64) {
	m.read(func(d *disk) {
		for i := range d.logs {
			if first == 0 || i < first {
				first = i
			}
			last = max(last, i)
		}
	})
	return first, last
}

func (m *mount) FirstIndex() (uint64, error) {
	first, _ := m.edges()
	return first, nil
}

func (m *mount) LastIndex() (uint64, error) {
	_, last := m.edges()
	return last, nil
}

func (m *mount) GetLog(index uint64, l *raft.Log) error {
	err := raft.ErrLogNotFound
	m.read(func(d *disk) {
		if found, ok := d.logs[index]; ok {
			*l, err = found, nil
		}
	})
	return err
}

func (m *mount) StoreLog(l *raft.Log) error { return m.StoreLogs([]*raft.Log{l}) }

func (m *mount) StoreLogs(logs []*raft.Log) error {
	return m.write(func(d *disk) {
		for _, l := range logs {
			c := *l
			c.Data = bytes.Clone(l.Data)
			d.logs[l.Index] = c
		}
	})
}

func (m *mount) DeleteRange(first, last uint64) error {
	return m.write(func(d *disk) {
		for i := range d.logs {
			if i >= first && i <= last {
				delete(d.logs, i)
			}
		}
	})
}

func (m *mount) Set(key, value []byte) error {
	return m.write(func(d *disk) { d.keys[string(key)] = bytes.Clone(value) })
}

var errNoKey = errors.New("not found")

func (m *mount) Get(key []byte) (value []byte, err error) {
	err = errNoKey
	m.read(func(d *disk) {
		if v, ok := d.keys[string(key)]; ok {
			value, err = bytes.Clone(v), nil
		}
	})
	return value, err
}

func (m *mount) SetUint64(key []byte, v uint64) error { return m.Set(key, fmt.Append(nil, v)) }

func (m *mount) GetUint64(key []byte) (v uint64, err error) {
	b, err := m.Get(key)
	if err == nil {
		_, err = fmt.Sscan(string(b), &v)
	}
	return v, err
}

// taking is a snapshot under way; it replaces the last one when it is closed.
type taking struct {
	bytes.Buffer
	meta raft.SnapshotMeta
	to   *mount
}

func (m *mount) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &taking{to: m, meta: raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d-%d", term, index, m.life), Index: index, Term: term,
		Configuration: c, ConfigurationIndex: at,
	}}, nil
}

func (t *taking) ID() string    { return t.meta.ID }
func (t *taking) Cancel() error { return nil }

func (t *taking) Close() error {
	t.meta.Size = int64(t.Len())
	return t.to.write(func(d *disk) { d.saved = &saved{meta: t.meta, data: t.Bytes()} })
}

func (m *mount) List() (list []*raft.SnapshotMeta, err error) {
	m.read(func(d *disk) {
		if d.saved != nil {
			meta := d.saved.meta
			list = append(list, &meta)
		}
	})
	return list, nil
}

func (m *mount) Open(id string) (meta *raft.SnapshotMeta, r io.ReadCloser, err error) {
	err = fmt.Errorf("snapshot %s: %w", id, errNoKey)
	m.read(func(d *disk) {
		if d.saved != nil && d.saved.meta.ID == id {
			c := d.saved.meta
			meta, r, err = &c, io.NopCloser(bytes.NewReader(d.saved.data)), nil
		}
	})
	return meta, r, err
}
