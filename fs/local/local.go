package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// FileSystem is the local file system; it implements fs.FileSystem,
// fs.Recoverer and fs.DirSyncer.
type FileSystem struct {
	disk   disk
	rooted bool
}

var (
	_ fs.FileSystem = (*FileSystem)(nil)
	_ fs.Recoverer  = (*FileSystem)(nil)
	_ fs.DirSyncer  = (*FileSystem)(nil)
)

// Options configures a local file system; the zero value is the whole machine,
// with relative paths seen from the working directory.
type Options struct {
	// Root, when set, is an existing directory that no path can leave; a
	// leading slash of a path then means this directory.
	Root string
}

// New returns a local file system. With a root it holds a descriptor until
// Close.
func New(opts Options) (*FileSystem, error) {
	if opts.Root == "" {
		return &FileSystem{disk: machine{}}, nil
	}
	root, err := os.OpenRoot(opts.Root)
	if err != nil {
		return nil, fs.Wrap("open root", opts.Root, err)
	}
	return &FileSystem{disk: root, rooted: true}, nil
}

// Close releases the root; open files stay usable.
func (l *FileSystem) Close() error {
	if root, ok := l.disk.(*os.Root); ok {
		return root.Close()
	}
	return nil
}

// name turns a path of the contract into one for the disk.
func (l *FileSystem) name(p string) string {
	if l.rooted {
		p = strings.TrimLeft(p, "/")
	}
	if p == "" {
		return "."
	}
	return path.Clean(p)
}

// Open implements fs.FileSystem.
func (l *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, fs.Wrap("open", p, err)
	}
	st, err := l.disk.Stat(l.name(p))
	if err == nil && st.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 { // opening one waits for a writer, whatever the context does
		return nil, fs.Wrap("open", p, failure.Errorf(failure.Usage, "a pipe, not a file"))
	}
	f, err := l.disk.OpenFile(l.name(p), os.O_RDONLY, 0)
	if err != nil {
		return nil, fs.Wrap("open", p, missing(err))
	}
	st, err = f.Stat()
	if err == nil && st.IsDir() {
		err = fs.ErrIsDir
	}
	if err != nil {
		_ = f.Close() // nothing was written; the first error is the one to tell
		return nil, fs.Wrap("open", p, err)
	}
	return &file{ctx: ctx, f: f, info: infoOf(p, st)}, nil
}

// Stat implements fs.FileSystem.
func (l *FileSystem) Stat(ctx context.Context, p string) (fs.Info, error) {
	if err := ctx.Err(); err != nil {
		return fs.Info{}, fs.Wrap("stat", p, err)
	}
	st, err := l.disk.Stat(l.name(p))
	if err != nil {
		return fs.Info{}, fs.Wrap("stat", p, missing(err))
	}
	return infoOf(p, st), nil
}

// Rename implements fs.FileSystem.
func (l *FileSystem) Rename(ctx context.Context, from, to string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("rename", from, err)
	}
	err := l.rename(l.name(from), l.name(to))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrIsDir) {
		return fs.Wrap("rename to", to, err)
	}
	return fs.Wrap("rename", from, err)
}

func (l *FileSystem) rename(from, to string) error {
	st, err := l.disk.Stat(from)
	if err != nil {
		return err
	}
	if there, err := l.disk.Stat(to); err == nil && (st.IsDir() || there.IsDir()) {
		return fs.ErrExist
	}
	if err := l.makeDir(path.Dir(to)); err != nil {
		return err
	}
	if err := l.disk.Rename(from, to); err != nil {
		return err
	}
	if err := l.syncDir(path.Dir(to)); err != nil || path.Dir(to) == path.Dir(from) {
		return err
	}
	return l.syncDir(path.Dir(from))
}

// Remove implements fs.FileSystem.
func (l *FileSystem) Remove(ctx context.Context, p string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("remove", p, err)
	}
	if st, err := l.disk.Stat(l.name(p)); err == nil && st.IsDir() {
		return fs.Wrap("remove", p, fs.ErrIsDir)
	}
	return fs.Wrap("remove", p, missing(l.disk.Remove(l.name(p))))
}

// RemoveAll implements fs.FileSystem.
func (l *FileSystem) RemoveAll(ctx context.Context, p string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("remove", p, err)
	}
	if n := l.name(p); n == "." || n == "/" {
		return fs.Wrap("remove", p, errors.New("refusing to remove the root"))
	}
	return fs.Wrap("remove", p, l.disk.RemoveAll(l.name(p)))
}

// SyncDir implements fs.DirSyncer.
func (l *FileSystem) SyncDir(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("sync", dir, err)
	}
	return fs.Wrap("sync", dir, l.syncDir(l.name(dir)))
}

func (l *FileSystem) syncDir(dir string) error {
	d, err := l.disk.OpenFile(dir, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes dir and what it lies in, and makes new entries durable.
func (l *FileSystem) makeDir(dir string) error {
	st, err := l.disk.Stat(dir)
	if err == nil && !st.IsDir() {
		return &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := path.Dir(dir)
	if parent != dir {
		if err := l.makeDir(parent); err != nil {
			return err
		}
	}
	if err := l.disk.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return l.syncDir(parent)
}

// missing turns "a part of the path is a file" into ErrNotExist, which is what
// it means to a reader and what stores without directories say.
func missing(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

func infoOf(p string, st iofs.FileInfo) fs.Info {
	info := fs.Info{Path: p, ModTime: st.ModTime(), Dir: st.IsDir()}
	if info.Dir {
		return info
	}
	info.Size = st.Size()
	var inode uint64
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		inode = sys.Ino
	}
	info.ETag = fmt.Sprintf("%x-%x-%x", inode, st.ModTime().UnixNano(), st.Size())
	return info
}

// file is an open local file; ReadAt is one pread.
type file struct {
	ctx  context.Context // the opener's: fs.File says that it bounds reads
	f    *os.File
	info fs.Info
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, fs.Wrap("read", f.info.Path, err)
	}
	n, err := f.f.ReadAt(b, off)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, fs.Wrap("read", f.info.Path, err)
}

func (f *file) Size() int64   { return f.info.Size }
func (f *file) Info() fs.Info { return f.info }
func (f *file) Close() error  { return fs.Wrap("close", f.info.Path, f.f.Close()) }
