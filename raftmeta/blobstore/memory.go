package blobstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// Memory is raftmeta.Blobs of a master that is alone and keeps nothing: for embedded runs.
type Memory struct {
	opts Options

	mu    sync.Mutex
	blobs map[raftmeta.BlobName]remembered
}

type remembered struct {
	data []byte
	put  time.Time // last
}

var _ raftmeta.Blobs = (*Memory)(nil)

// NewMemory returns an empty store; peers in the options mean nothing.
func NewMemory(opts Options) *Memory {
	return &Memory{opts: opts.complete(), blobs: map[raftmeta.BlobName]remembered{}}
}

// Put implements raftmeta.Blobs.
func (m *Memory) Put(ctx context.Context, data []byte) (raftmeta.BlobName, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(data) > m.opts.MaxBytes {
		return "", failure.Errorf(failure.Fatal, "%w: %d bytes, the limit is %d", raftmeta.ErrBlobTooLarge, len(data), m.opts.MaxBytes)
	}
	name := raftmeta.NameOf(data)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[name] = remembered{data: slices.Clone(data), put: time.Now()}
	return name, nil
}

// Get implements raftmeta.Blobs.
func (m *Memory) Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[name]
	if !ok {
		return nil, failure.Errorf(failure.NotFound, "%w: blob %.12s", raftmeta.ErrNotFound, string(name))
	}
	return slices.Clone(b.data), nil
}

// Collect implements raftmeta.Blobs; used is not called while others wait.
func (m *Memory) Collect(ctx context.Context, used func(raftmeta.BlobName) bool) error {
	before := time.Now().Add(-m.opts.MinAge)
	m.mu.Lock()
	var old []raftmeta.BlobName
	for name, b := range m.blobs {
		if b.put.Before(before) {
			old = append(old, name)
		}
	}
	m.mu.Unlock()
	for _, name := range old {
		if !used(name) {
			m.drop(name, before)
		}
	}
	return ctx.Err()
}

// drop deletes a blob unless it was put again.
func (m *Memory) drop(name raftmeta.BlobName, before time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[name].put.Before(before) {
		delete(m.blobs, name)
	}
}
