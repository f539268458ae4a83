package s3

import (
	"context"

	"github.com/tidemill/tidemill/fs"
)

// Create implements fs.FileSystem. It asks the server nothing.
func (f *FileSystem) Create(ctx context.Context, p string, opts fs.CreateOptions) (fs.Writer, error) {
	at, err := locateFile(p)
	if err != nil {
		return nil, fail(ctx, "create", p, err)
	}
	u, err := f.newUpload(ctx, at)
	if err != nil {
		return nil, fail(ctx, "create", p, err)
	}
	return &writer{tail: tail{up: u}, opts: opts}, nil
}

// tail cuts what is written into parts and holds the bytes after the last one.
type tail struct {
	up   *upload
	data []byte
	err  error // the first error of a write; it stays
	done bool  // no more writes
}

func (t *tail) Write(b []byte) (int, error) {
	if t.done {
		return 0, fs.Wrap("write", t.up.at.path, fs.ErrClosed)
	}
	written := 0
	for t.err == nil && written < len(b) {
		size := t.up.partBytes()
		n := min(size-len(t.data), len(b)-written)
		t.data = append(t.data, b[written:written+n]...)
		written += n
		if len(t.data) == size {
			t.err = fail(t.up.ctx, "write", t.up.at.path, t.send())
		}
	}
	return written, t.err
}

// send uploads the bytes held, whatever their number.
func (t *tail) send() error {
	data := t.data
	t.data = t.up.fs.buffer(false)
	return t.up.send(data)
}

// writer writes a file that is lost if the process is.
type writer struct {
	tail
	opts      fs.CreateOptions
	published bool
	aborted   bool
}

var _ fs.Writer = (*writer)(nil)

// Commit implements fs.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if w.done {
		return fs.Wrap("commit", w.up.at.path, fs.ErrClosed)
	}
	if w.err != nil {
		return w.err
	}
	w.done = true
	err := w.commit(ctx)
	w.published = err == nil
	return fail(ctx, "commit", w.up.at.path, err)
}

func (w *writer) commit(ctx context.Context) error {
	defer w.up.cancel()
	if w.up.id == "" {
		return w.up.put(ctx, w.data, w.opts.IfNotExists)
	}
	if len(w.data) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.up.wait(ctx); err != nil {
		return err
	}
	return w.up.complete(ctx, w.opts.IfNotExists)
}

// Abort implements fs.Writer.
func (w *writer) Abort(ctx context.Context) error {
	if w.published || w.aborted {
		return nil
	}
	w.done, w.data = true, nil
	err := w.up.abort(ctx)
	w.aborted = err == nil
	return fail(ctx, "abort", w.up.at.path, err)
}
