package faultfs

import (
	"context"
	"path"
	"sync"

	"github.com/tidemill/tidemill/fs"
)

// Op names an operation that can fail.
type Op uint8

// The operations. Read, Close and the writers' ones are those of the files and
// writers that the file system handed out.
const (
	Invalid Op = iota
	Open
	Read
	Close
	Create
	Write
	Commit
	Abort
	Stat
	List
	Rename
	Remove
	RemoveAll
	SyncDir
	Persist
	Seal
	Resume
	Publish
	Discard
)

var opNames = [...]string{
	"invalid", "open", "read", "close", "create", "write", "commit", "abort", "stat", "list",
	"rename", "remove", "remove all", "sync dir", "persist", "seal", "resume", "publish", "discard",
}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return opNames[Invalid]
}

// Rule makes calls fail.
type Rule struct {
	// Op is the operation that fails.
	Op Op
	// Path is a path.Match pattern that the whole path must match; empty
	// matches every path. Rename matches by its first path, the operations
	// with tokens have the path "".
	Path string
	// Skip is the number of matching calls that pass before the first fails.
	Skip int
	// Times is the number of calls that fail; zero means all.
	Times int
	// After lets the call take effect and fails then.
	After bool
	// Err is the cause; it comes wrapped with operation and path.
	Err error
}

// FileSystem injects faults into another file system.
type FileSystem struct {
	inner fs.FileSystem

	mu     sync.Mutex
	rules  []*Rule
	counts map[Op]int
}

var _ fs.FileSystem = (*FileSystem)(nil)

// New wraps inner, without rules.
func New(inner fs.FileSystem) *FileSystem {
	return &FileSystem{inner: inner, counts: map[Op]int{}}
}

// Inject adds a rule; of several that match a call the first one added counts.
func (f *FileSystem) Inject(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &r)
}

// Heal drops all rules.
func (f *FileSystem) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count returns how often op was called.
func (f *FileSystem) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// call runs one operation through the rules.
func (f *FileSystem) call(op Op, p string, do func() error) error {
	after, err := f.fault(op, p)
	if err != nil && !after {
		return fs.Wrap(op.String(), p, err)
	}
	if own := do(); own != nil {
		return own
	}
	return fs.Wrap(op.String(), p, err)
}

func (f *FileSystem) fault(op Op, p string) (after bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	for i, r := range f.rules {
		if r.Op != op || (r.Path != "" && !matches(r.Path, p)) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			return false, nil
		}
		if r.Times > 0 {
			if r.Times--; r.Times == 0 {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			}
		}
		return r.After, r.Err
	}
	return false, nil
}

func matches(pattern, p string) bool {
	ok, _ := path.Match(pattern, p) // a malformed pattern matches nothing
	return ok
}

// Open implements fs.FileSystem.
func (f *FileSystem) Open(ctx context.Context, p string) (opened fs.File, err error) {
	err = f.call(Open, p, func() error {
		opened, err = f.inner.Open(ctx, p)
		return err
	})
	if err != nil {
		if opened != nil {
			_ = opened.Close() // the injected failure hides a success
		}
		return nil, err
	}
	return &file{File: opened, f: f, path: p}, nil
}

// Create implements fs.FileSystem.
func (f *FileSystem) Create(ctx context.Context, p string, opts fs.CreateOptions) (w fs.Writer, err error) {
	err = f.call(Create, p, func() error {
		w, err = f.inner.Create(ctx, p, opts)
		return err
	})
	if err != nil {
		if w != nil {
			_ = w.Abort(ctx)
		}
		return nil, err
	}
	return &writer{inner: w, f: f, path: p}, nil
}

// Stat implements fs.FileSystem.
func (f *FileSystem) Stat(ctx context.Context, p string) (info fs.Info, err error) {
	err = f.call(Stat, p, func() error {
		info, err = f.inner.Stat(ctx, p)
		return err
	})
	return info, err
}

// List implements fs.FileSystem.
func (f *FileSystem) List(ctx context.Context, dir string, opts fs.ListOptions, visit func(fs.Info) error) error {
	return f.call(List, dir, func() error { return f.inner.List(ctx, dir, opts, visit) })
}

// Rename implements fs.FileSystem.
func (f *FileSystem) Rename(ctx context.Context, from, to string) error {
	return f.call(Rename, from, func() error { return f.inner.Rename(ctx, from, to) })
}

// Remove implements fs.FileSystem.
func (f *FileSystem) Remove(ctx context.Context, p string) error {
	return f.call(Remove, p, func() error { return f.inner.Remove(ctx, p) })
}

// RemoveAll implements fs.FileSystem.
func (f *FileSystem) RemoveAll(ctx context.Context, p string) error {
	return f.call(RemoveAll, p, func() error { return f.inner.RemoveAll(ctx, p) })
}

type file struct {
	fs.File
	f    *FileSystem
	path string
}

func (r *file) ReadAt(b []byte, off int64) (n int, err error) {
	err = r.f.call(Read, r.path, func() error {
		n, err = r.File.ReadAt(b, off)
		return err
	})
	return n, err
}

func (r *file) Close() error { return r.f.call(Close, r.path, r.File.Close) }

type writer struct {
	inner fs.Writer
	f     *FileSystem
	path  string
}

func (w *writer) Write(b []byte) (n int, err error) {
	err = w.f.call(Write, w.path, func() error {
		n, err = w.inner.Write(b)
		return err
	})
	return n, err
}

func (w *writer) Commit(ctx context.Context) error {
	return w.f.call(Commit, w.path, func() error { return w.inner.Commit(ctx) })
}

func (w *writer) Abort(ctx context.Context) error {
	return w.f.call(Abort, w.path, func() error { return w.inner.Abort(ctx) })
}
