package local

import (
	"context"
	"errors"
	"os"
	"path"

	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/fs"
)

// staged is a file being written under a staged name; writer and recoverable
// share it.
type staged struct {
	l    *FileSystem
	path string // the target, as the caller gave it
	name string // the staged file's name on the disk
	f    *os.File
	size int64
	err  error // the first failure; later writes and Commit report it
	done bool  // committed, sealed or aborted
}

func (l *FileSystem) stage(ctx context.Context, p string) (*staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	target := l.name(p)
	if st, err := l.disk.Stat(target); err == nil && st.IsDir() {
		return nil, fs.ErrIsDir
	}
	dir := path.Dir(target)
	if err := l.makeDir(dir); err != nil {
		return nil, err
	}
	name := path.Join(dir, fs.StagedName(path.Base(target)))
	f, err := l.disk.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &staged{l: l, path: p, name: name, f: f}, nil
}

func (s *staged) Write(b []byte) (int, error) {
	if s.done {
		return 0, fs.Wrap("write", s.path, fs.ErrClosed)
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.f.Write(b)
	s.size += int64(n)
	s.err = fs.Wrap("write", s.path, err)
	return n, s.err
}

// ready checks that the staged file can go on to op.
func (s *staged) ready(ctx context.Context, op string) error {
	if s.done {
		return fs.Wrap(op, s.path, fs.ErrClosed)
	}
	if s.err != nil {
		return s.err
	}
	return fs.Wrap(op, s.path, ctx.Err())
}

func (s *staged) Abort(context.Context) error {
	if s.done {
		return nil
	}
	s.done = true
	_ = s.f.Close() // the data is thrown away; a failed Commit may have closed it
	if err := s.l.disk.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fs.Wrap("abort", s.path, err)
	}
	return nil
}

// writer publishes at Commit.
type writer struct {
	staged
	exclusive bool
}

// Create implements fs.FileSystem.
func (l *FileSystem) Create(ctx context.Context, p string, opts fs.CreateOptions) (fs.Writer, error) {
	if opts.IfNotExists { // fail early; Commit decides
		if _, err := l.Stat(ctx, p); err == nil {
			return nil, fs.Wrap("create", p, fs.ErrExist)
		}
	}
	s, err := l.stage(ctx, p)
	if err != nil {
		return nil, fs.Wrap("create", p, err)
	}
	return &writer{staged: *s, exclusive: opts.IfNotExists}, nil
}

func (w *writer) Commit(ctx context.Context) error {
	if err := w.ready(ctx, "commit"); err != nil {
		return err
	}
	if err := errors.Join(w.f.Sync(), w.f.Close()); err != nil {
		w.err = fs.Wrap("commit", w.path, err)
		return w.err
	}
	if err := failpoint.Hit(failpoint.FileCommit); err != nil {
		w.err = fs.Wrap("commit", w.path, err)
		return w.err
	}
	target := w.l.name(w.path)
	publish := w.l.disk.Rename
	if w.exclusive {
		publish = w.l.disk.Link
	}
	if err := publish(w.name, target); err != nil {
		w.err = fs.Wrap("commit", w.path, err)
		return w.err
	}
	w.done = true
	var unlinked error
	if w.exclusive {
		unlinked = w.l.disk.Remove(w.name)
	}
	return fs.Wrap("commit", w.path, errors.Join(unlinked, w.l.syncDir(path.Dir(target))))
}
