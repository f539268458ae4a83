package memfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/fs"
)

// FileSystem is an in-memory file system; it implements fs.FileSystem,
// fs.Recoverer and fs.DirSyncer. A leading slash of a path means nothing.
type FileSystem struct {
	opts Options

	mu      sync.Mutex
	visible map[string]*content
	durable map[string]*content
	bytes   int64 // of visible contents and unfinished writers
	serial  uint64
}

var (
	_ fs.FileSystem = (*FileSystem)(nil)
	_ fs.Recoverer  = (*FileSystem)(nil)
	_ fs.DirSyncer  = (*FileSystem)(nil)
)

// Options configures a file system in memory.
type Options struct {
	// LimitBytes is how much it holds before writes fail with ENOSPC; zero
	// means 1 GiB.
	LimitBytes int64
	// Now gives modification times; nil means time.Now.
	Now func() time.Time
}

// content is one immutable version of a file.
type content struct {
	data    []byte
	modTime time.Time
	etag    string
}

// New returns an empty file system.
func New(opts Options) *FileSystem {
	if opts.LimitBytes == 0 {
		opts.LimitBytes = 1 << 30
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &FileSystem{opts: opts, visible: map[string]*content{}, durable: map[string]*content{}}
}

// Crash returns what a crash of the host right now would leave: published and
// persisted files, without unfinished ones, and with files whose removal was
// not synced. The receiver goes on unaffected.
func (m *FileSystem) Crash() *FileSystem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := New(m.opts)
	after.visible, after.durable = maps.Clone(m.durable), maps.Clone(m.durable)
	after.serial = m.serial
	for _, c := range after.visible {
		after.bytes += int64(len(c.data))
	}
	return after
}

// key is the form of a path by which the maps are indexed.
func key(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// Open implements fs.FileSystem.
func (m *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.lookup(ctx, p)
	if err != nil {
		return nil, fs.Wrap("open", p, err)
	}
	if c == nil {
		return nil, fs.Wrap("open", p, fs.ErrIsDir)
	}
	return &file{ctx: ctx, r: bytes.NewReader(c.data), info: c.info(p)}, nil
}

// Stat implements fs.FileSystem.
func (m *FileSystem) Stat(ctx context.Context, p string) (fs.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.lookup(ctx, p)
	if err != nil {
		return fs.Info{}, fs.Wrap("stat", p, err)
	}
	return c.info(p), nil
}

// lookup returns the content at p, nil for a directory.
func (m *FileSystem) lookup(ctx context.Context, p string) (*content, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c, ok := m.visible[key(p)]; ok {
		return c, nil
	}
	if !m.isDir(key(p)) {
		return nil, fs.ErrNotExist
	}
	return nil, nil
}

func (m *FileSystem) isDir(k string) bool {
	if k == "" {
		return true
	}
	for f := range m.visible {
		if strings.HasPrefix(f, k+"/") {
			return true
		}
	}
	return false
}

// info describes the content under the path p; nil is a directory.
func (c *content) info(p string) fs.Info {
	if c == nil {
		return fs.Info{Path: p, Dir: true}
	}
	return fs.Info{Path: p, Size: int64(len(c.data)), ModTime: c.modTime, ETag: c.etag}
}

// List implements fs.FileSystem. It visits what was there when it was called.
func (m *FileSystem) List(ctx context.Context, dir string, opts fs.ListOptions, visit func(fs.Info) error) error {
	m.mu.Lock()
	c, err := m.lookup(ctx, dir)
	infos := m.below(dir, opts)
	m.mu.Unlock()
	if err != nil {
		return fs.Wrap("list", dir, err)
	}
	if c != nil {
		return visit(c.info(dir))
	}
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return fs.Wrap("list", dir, err)
		}
		if err := visit(info); err != nil {
			return err
		}
	}
	return nil
}

func (m *FileSystem) below(dir string, opts fs.ListOptions) []fs.Info {
	prefix := key(dir)
	if prefix != "" {
		prefix += "/"
	}
	found := map[string]fs.Info{}
	for k, c := range m.visible {
		rel, ok := strings.CutPrefix(k, prefix)
		if !ok || (!opts.Staged && slices.ContainsFunc(strings.Split(rel, "/"), fs.Staged)) {
			continue
		}
		if first, _, deeper := strings.Cut(rel, "/"); deeper && !opts.Recursive {
			rel, c = first, nil
		}
		p := fs.Join(dir, rel)
		found[p] = c.info(p)
	}
	infos := slices.Collect(maps.Values(found))
	slices.SortFunc(infos, func(a, b fs.Info) int { return strings.Compare(a.Path, b.Path) })
	return infos
}

// Rename implements fs.FileSystem.
func (m *FileSystem) Rename(ctx context.Context, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.lookup(ctx, from)
	if err != nil {
		return fs.Wrap("rename", from, err)
	}
	there, err := m.lookup(ctx, to)
	if err == nil && (c == nil || there == nil) {
		return fs.Wrap("rename to", to, fs.ErrExist)
	}
	if err := m.checkParents(to); err != nil {
		return fs.Wrap("rename to", to, err)
	}
	if c != nil {
		m.move(key(from), key(to))
		return nil
	}
	if strings.HasPrefix(key(to), key(from)+"/") {
		return fs.Wrap("rename", from, syscall.EINVAL)
	}
	for _, k := range slices.Sorted(maps.Keys(m.visible)) {
		if rel, ok := strings.CutPrefix(k, key(from)+"/"); ok {
			m.move(k, key(to)+"/"+rel)
		}
	}
	return nil
}

// move renames one file, visibly and durably.
func (m *FileSystem) move(from, to string) {
	c := m.visible[from]
	if from == to {
		return
	}
	m.drop(to)
	m.visible[to], m.durable[to] = c, c
	delete(m.visible, from)
	delete(m.durable, from)
}

// drop removes a file from view.
func (m *FileSystem) drop(k string) {
	if c, ok := m.visible[k]; ok {
		m.bytes -= int64(len(c.data))
		delete(m.visible, k)
	}
}

// checkParents refuses a path below a file.
func (m *FileSystem) checkParents(p string) error {
	for dir := path.Dir(key(p)); dir != "."; dir = path.Dir(dir) {
		if _, ok := m.visible[dir]; ok {
			return syscall.ENOTDIR
		}
	}
	return nil
}

// Remove implements fs.FileSystem.
func (m *FileSystem) Remove(ctx context.Context, p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.lookup(ctx, p)
	if err == nil && c == nil {
		err = fs.ErrIsDir
	}
	if err != nil {
		return fs.Wrap("remove", p, err)
	}
	m.drop(key(p))
	return nil
}

// RemoveAll implements fs.FileSystem.
func (m *FileSystem) RemoveAll(ctx context.Context, p string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("remove", p, err)
	}
	if key(p) == "" {
		return fs.Wrap("remove", p, fmt.Errorf("refusing to remove the root"))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.visible {
		if k == key(p) || strings.HasPrefix(k, key(p)+"/") {
			m.drop(k)
		}
	}
	return nil
}

// SyncDir implements fs.DirSyncer.
func (m *FileSystem) SyncDir(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("sync", dir, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.durable {
		if _, ok := m.visible[k]; !ok && key(path.Dir(k)) == key(dir) {
			delete(m.durable, k)
		}
	}
	return nil
}

// publish makes data the content of k, visibly and durably. Its bytes are
// charged already.
func (m *FileSystem) publish(k string, data []byte) {
	m.drop(k)
	m.serial++
	c := &content{data: data, modTime: m.opts.Now(), etag: fmt.Sprintf("%x", m.serial)}
	m.visible[k], m.durable[k] = c, c
}

// charge takes n more bytes from the limit.
func (m *FileSystem) charge(n int) error {
	if m.bytes+int64(n) > m.opts.LimitBytes {
		return syscall.ENOSPC
	}
	m.bytes += int64(n)
	return nil
}

// file is an open file: a view of one immutable content.
type file struct {
	ctx    context.Context // the opener's: fs.File says that it bounds reads
	r      *bytes.Reader
	info   fs.Info
	mu     sync.Mutex
	closed bool
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return 0, fs.Wrap("read", f.info.Path, fs.ErrClosed)
	}
	if err := f.ctx.Err(); err != nil {
		return 0, fs.Wrap("read", f.info.Path, err)
	}
	n, err := f.r.ReadAt(b, off)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, fs.Wrap("read", f.info.Path, err)
}

func (f *file) Size() int64   { return f.info.Size }
func (f *file) Info() fs.Info { return f.info }

func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fs.Wrap("close", f.info.Path, fs.ErrClosed)
	}
	f.closed = true
	return nil
}
