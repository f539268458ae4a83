package pebblestate

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system of a Pebble: it counts bytes, asks the disk's limit, and makes
// of the first error of a write the end of the store, of which Pebble knows nothing.
type guard struct {
	vfs.FS
	dir           string
	disk          Disk // nil: no limit
	read, written atomic.Int64
	lost          atomic.Pointer[error]

	mu    sync.Mutex
	sizes map[string]int64 // reserved, by name
}

func newGuard(fs vfs.FS, dir string, disk Disk) *guard {
	return &guard{FS: fs, dir: dir, disk: disk, sizes: map[string]int64{}}
}

// err is what has ended the store, nil while it is well.
func (g *guard) err() error {
	if p := g.lost.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends the store.
func (g *guard) fail(err error) {
	if err != nil {
		g.lost.CompareAndSwap(nil, &err)
	}
}

// swallow notes an error, and says that there was none.
func (g *guard) swallow(err error) error {
	g.fail(err)
	return nil
}

// grow reserves bytes of a file.
func (g *guard) grow(name string, n int64) error {
	if g.disk == nil {
		return nil
	}
	if err := g.disk.Reserve(n); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sizes[name] += n
	return nil
}

// give gives the bytes of a file back.
func (g *guard) give(name string) {
	if g.disk == nil {
		return
	}
	g.mu.Lock()
	n := g.sizes[name]
	delete(g.sizes, name)
	g.mu.Unlock()
	g.disk.Give(n)
}

func (g *guard) giveAll() {
	for name := range g.sizes {
		g.give(name)
	}
}

// Create implements vfs.FS.
func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.err() == nil {
		f, err := g.FS.Create(name, c)
		if err == nil {
			return &guarded{File: f, guard: g, name: name}, nil
		}
		g.fail(err)
	}
	return &guarded{guard: g, name: name}, nil
}

// ReuseForWrite implements vfs.FS; nothing is used again.
func (g *guard) ReuseForWrite(_, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.Create(name, c)
}

// Open implements vfs.FS.
func (g *guard) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &guarded{File: f, guard: g, name: name}, nil
}

// OpenReadWrite implements vfs.FS.
func (g *guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	if err != nil {
		return nil, err
	}
	return &guarded{File: f, guard: g, name: name}, nil
}

// OpenDir implements vfs.FS.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guarded{File: f, guard: g, name: name}, nil
}

// Link implements vfs.FS.
func (g *guard) Link(from, to string) error { return g.swallow(g.FS.Link(from, to)) }

// Rename implements vfs.FS.
func (g *guard) Rename(from, to string) error { return g.swallow(g.FS.Rename(from, to)) }

// Remove implements vfs.FS.
func (g *guard) Remove(name string) error {
	err := g.FS.Remove(name)
	if err == nil || os.IsNotExist(err) {
		g.give(name)
		return err
	}
	return g.swallow(err)
}

// RemoveAll implements vfs.FS.
func (g *guard) RemoveAll(name string) error { return g.swallow(g.FS.RemoveAll(name)) }

// Unwrap implements vfs.FS.
func (g *guard) Unwrap() vfs.FS { return g.FS }

// guarded is a file; one without File is not there. Pebble writes it front to back, one
// block of 4 KB at a time, and reads it once it is closed: what is written is put together.
type guarded struct {
	vfs.File
	guard   *guard
	name    string
	pending []byte // written, but not to File
}

// writeBytes is how much is written at a time.
const writeBytes = 128 << 10

// well says that the file is still written to.
func (f *guarded) well() bool { return f.File != nil && f.guard.err() == nil }

// Write implements vfs.File.
func (f *guarded) Write(b []byte) (int, error) {
	if !f.well() {
		return len(b), nil
	}
	err := f.guard.grow(f.name, int64(len(b)))
	if err == nil {
		f.pending = append(f.pending, b...)
		if len(f.pending) >= writeBytes {
			err = f.flush()
		}
	}
	f.guard.written.Add(int64(len(b)))
	return len(b), f.guard.swallow(err)
}

// flush writes what is pending.
func (f *guarded) flush() error {
	if len(f.pending) == 0 {
		return nil
	}
	_, err := f.File.Write(f.pending)
	f.pending = f.pending[:0]
	return err
}

// WriteAt implements vfs.File.
func (f *guarded) WriteAt(b []byte, at int64) (int, error) {
	if !f.well() {
		return len(b), nil
	}
	err := f.flush()
	if err == nil {
		_, err = f.File.WriteAt(b, at)
	}
	return len(b), f.guard.swallow(err)
}

// Read implements vfs.File.
func (f *guarded) Read(b []byte) (int, error) {
	if f.File == nil {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := f.File.Read(b)
	f.guard.read.Add(int64(n))
	return n, err
}

// ReadAt implements vfs.File.
func (f *guarded) ReadAt(b []byte, at int64) (int, error) {
	if f.File == nil {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := f.File.ReadAt(b, at)
	f.guard.read.Add(int64(n))
	return n, err
}

// Preallocate implements vfs.File: space is taken when it is written.
func (f *guarded) Preallocate(int64, int64) error { return nil }

// Stat implements vfs.File.
func (f *guarded) Stat() (vfs.FileInfo, error) {
	if f.File == nil {
		return nil, os.ErrNotExist
	}
	if f.well() {
		f.guard.fail(f.flush())
	}
	return f.File.Stat()
}

// Sync implements vfs.File. What the process does not outlive need not be on the disk.
func (f *guarded) Sync() error { return nil }

// SyncData implements vfs.File.
func (f *guarded) SyncData() error { return nil }

// SyncTo implements vfs.File.
func (f *guarded) SyncTo(int64) (bool, error) { return false, nil }

// Prefetch implements vfs.File.
func (f *guarded) Prefetch(from, n int64) error {
	if f.File == nil {
		return nil
	}
	return f.File.Prefetch(from, n)
}

// Fd implements vfs.File.
func (f *guarded) Fd() uintptr {
	if f.File == nil {
		return vfs.InvalidFd
	}
	return f.File.Fd()
}

// Close implements vfs.File.
func (f *guarded) Close() error {
	if f.File == nil {
		return nil
	}
	if f.well() {
		f.guard.fail(f.flush())
	}
	f.pending = nil
	return f.guard.swallow(f.File.Close())
}

var (
	_ vfs.FS   = (*guard)(nil)
	_ vfs.File = (*guarded)(nil)
)
