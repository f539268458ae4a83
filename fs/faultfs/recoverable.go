package faultfs

import (
	"context"
	"errors"

	"github.com/tidemill/tidemill/fs"
)

// SyncDir implements fs.DirSyncer where the wrapped file system does, and is
// errors.ErrUnsupported elsewhere.
func (f *FileSystem) SyncDir(ctx context.Context, dir string) error {
	return f.call(SyncDir, dir, func() error {
		if s, ok := f.inner.(fs.DirSyncer); ok {
			return s.SyncDir(ctx, dir)
		}
		return fs.Wrap("sync", dir, errors.ErrUnsupported)
	})
}

// Recoverer answers fs.RecovererOf for the wrapped file system.
func (f *FileSystem) Recoverer() (fs.Recoverer, bool) {
	inner, ok := fs.RecovererOf(f.inner)
	if !ok {
		return nil, false
	}
	return &recoverer{f: f, inner: inner}, true
}

type recoverer struct {
	f     *FileSystem
	inner fs.Recoverer
}

func (r *recoverer) CreateRecoverable(ctx context.Context, p string) (w fs.RecoverableWriter, err error) {
	err = r.f.call(Create, p, func() error {
		w, err = r.inner.CreateRecoverable(ctx, p)
		return err
	})
	return r.wrap(ctx, w, p, err)
}

func (r *recoverer) Resume(ctx context.Context, token []byte) (w fs.RecoverableWriter, err error) {
	err = r.f.call(Resume, "", func() error {
		w, err = r.inner.Resume(ctx, token)
		return err
	})
	return r.wrap(ctx, w, "", err)
}

func (r *recoverer) wrap(ctx context.Context, w fs.RecoverableWriter, p string, err error) (fs.RecoverableWriter, error) {
	if err != nil {
		if w != nil {
			_ = w.Abort(ctx) // the injected failure hides a success
		}
		return nil, err
	}
	return &recoverable{inner: w, f: r.f, path: p}, nil
}

func (r *recoverer) Publish(ctx context.Context, token []byte) error {
	return r.f.call(Publish, "", func() error { return r.inner.Publish(ctx, token) })
}

func (r *recoverer) Discard(ctx context.Context, token []byte) error {
	return r.f.call(Discard, "", func() error { return r.inner.Discard(ctx, token) })
}

type recoverable struct {
	inner fs.RecoverableWriter
	f     *FileSystem
	path  string
}

func (w *recoverable) Write(b []byte) (n int, err error) {
	err = w.f.call(Write, w.path, func() error {
		n, err = w.inner.Write(b)
		return err
	})
	return n, err
}

func (w *recoverable) Persist(ctx context.Context) (token []byte, err error) {
	err = w.f.call(Persist, w.path, func() error {
		token, err = w.inner.Persist(ctx)
		return err
	})
	return token, err
}

func (w *recoverable) Seal(ctx context.Context) (token []byte, err error) {
	err = w.f.call(Seal, w.path, func() error {
		token, err = w.inner.Seal(ctx)
		return err
	})
	return token, err
}

func (w *recoverable) Abort(ctx context.Context) error {
	return w.f.call(Abort, w.path, func() error { return w.inner.Abort(ctx) })
}
