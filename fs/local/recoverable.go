package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/internal/token"
)

// recoverable is a staged file that outlives the process.
type recoverable struct{ staged }

// CreateRecoverable implements fs.Recoverer.
func (l *FileSystem) CreateRecoverable(ctx context.Context, p string) (fs.RecoverableWriter, error) {
	s, err := l.stage(ctx, p)
	if err != nil {
		return nil, fs.Wrap("create", p, err)
	}
	return &recoverable{*s}, nil
}

func (w *recoverable) Persist(ctx context.Context) ([]byte, error) {
	return w.sync(ctx, "persist", token.Resume)
}

func (w *recoverable) Seal(ctx context.Context) ([]byte, error) {
	b, err := w.sync(ctx, "seal", token.Publish)
	if err != nil {
		return nil, err
	}
	w.done = true
	return b, fs.Wrap("seal", w.path, w.f.Close())
}

// sync makes the file and its name durable and returns the token for it.
func (w *recoverable) sync(ctx context.Context, op string, kind token.Kind) ([]byte, error) {
	if err := w.ready(ctx, op); err != nil {
		return nil, err
	}
	if err := errors.Join(w.f.Sync(), w.l.syncDir(path.Dir(w.name))); err != nil {
		w.err = fs.Wrap(op, w.path, err)
		return nil, w.err
	}
	return token.Token{Kind: kind, Length: w.size, Path: w.path, Staged: w.name}.Encode(), nil
}

// Resume implements fs.Recoverer.
func (l *FileSystem) Resume(ctx context.Context, tok []byte) (fs.RecoverableWriter, error) {
	t, err := l.decode(ctx, tok, token.Resume)
	if err != nil {
		return nil, fs.Wrap("resume", t.Path, err)
	}
	f, err := l.cut(t)
	if err != nil {
		return nil, fs.Wrap("resume", t.Path, err)
	}
	return &recoverable{staged{l: l, path: t.Path, name: t.Staged, f: f, size: t.Length}}, nil
}

// cut opens a staged file, tears off what was written after the token and
// stands at its end.
func (l *FileSystem) cut(t token.Token) (*os.File, error) {
	f, err := l.disk.OpenFile(t.Staged, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() < t.Length {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = f.Truncate(t.Length)
	}
	if err == nil {
		_, err = f.Seek(t.Length, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Publish implements fs.Recoverer.
func (l *FileSystem) Publish(ctx context.Context, tok []byte) error {
	t, err := l.decode(ctx, tok, token.Publish)
	if err != nil {
		return fs.Wrap("publish", t.Path, err)
	}
	target := l.name(t.Path)
	st, err := l.disk.Stat(t.Staged)
	if errors.Is(err, fs.ErrNotExist) {
		return fs.Wrap("publish", t.Path, l.published(target, t.Length))
	}
	if err == nil && st.Size() != t.Length {
		err = fmt.Errorf("%d bytes were sealed, %d are there", t.Length, st.Size())
	}
	if err != nil {
		return fs.Wrap("publish", t.Path, err)
	}
	err = l.disk.Rename(t.Staged, target)
	if errors.Is(err, fs.ErrNotExist) { // somebody else was faster
		return fs.Wrap("publish", t.Path, l.published(target, t.Length))
	}
	if err != nil {
		return fs.Wrap("publish", t.Path, err)
	}
	return fs.Wrap("publish", t.Path, l.syncDir(path.Dir(target)))
}

// published reports whether a file whose staged name is gone is the one that
// was sealed, as far as its length tells.
func (l *FileSystem) published(target string, length int64) error {
	st, err := l.disk.Stat(target)
	if err != nil {
		return err
	}
	if st.Size() != length {
		return fs.ErrNotExist
	}
	return l.syncDir(path.Dir(target)) // the rename may have been seen, not synced
}

// Discard implements fs.Recoverer.
func (l *FileSystem) Discard(ctx context.Context, tok []byte) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("discard", "", err)
	}
	t, err := token.Decode(tok)
	if err == nil {
		err = l.checkStaged(t)
	}
	if err == nil {
		err = l.disk.Remove(t.Staged)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fs.Wrap("discard", t.Path, err)
}

func (l *FileSystem) decode(ctx context.Context, tok []byte, kind token.Kind) (token.Token, error) {
	if err := ctx.Err(); err != nil {
		return token.Token{}, err
	}
	t, err := token.DecodeKind(tok, kind)
	if err != nil {
		return token.Token{}, err
	}
	return t, l.checkStaged(t)
}

// checkStaged refuses a token whose staged file is not beside its target: it
// was not made here, and must not make us touch other files.
func (l *FileSystem) checkStaged(t token.Token) error {
	dir, name := path.Split(t.Staged)
	if path.Clean("./"+dir) != path.Clean("./"+path.Dir(l.name(t.Path))) || !fs.Staged(name) {
		return fs.ErrToken
	}
	return nil
}
