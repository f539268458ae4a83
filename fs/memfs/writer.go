package memfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/internal/token"
)

// staged is an unfinished file; its bytes count against the limit.
type staged struct {
	m    *FileSystem
	path string
	data []byte
	err  error // the first failed write; later ones and Commit report it
	done bool
}

// stage checks that a file may be begun at p. The caller holds no lock.
func (m *FileSystem) stage(ctx context.Context, p string, mustBeNew bool) (*staged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.lookup(ctx, p)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err == nil && mustBeNew:
		return nil, fs.ErrExist
	case err == nil && c == nil:
		return nil, fs.ErrIsDir
	}
	if err := m.checkParents(p); err != nil {
		return nil, err
	}
	return &staged{m: m, path: p}, nil
}

func (s *staged) Write(b []byte) (int, error) {
	if s.done {
		return 0, fs.Wrap("write", s.path, fs.ErrClosed)
	}
	if s.err != nil {
		return 0, s.err
	}
	s.m.mu.Lock()
	err := s.m.charge(len(b))
	s.m.mu.Unlock()
	if err != nil {
		s.err = fs.Wrap("write", s.path, err)
		return 0, s.err
	}
	s.data = append(s.data, b...)
	return len(b), nil
}

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
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.bytes -= int64(len(s.data))
	s.data = nil
	return nil
}

// writer publishes at Commit.
type writer struct {
	*staged
	exclusive bool
}

// Create implements fs.FileSystem.
func (m *FileSystem) Create(ctx context.Context, p string, opts fs.CreateOptions) (fs.Writer, error) {
	s, err := m.stage(ctx, p, opts.IfNotExists)
	if err != nil {
		return nil, fs.Wrap("create", p, err)
	}
	return &writer{staged: s, exclusive: opts.IfNotExists}, nil
}

func (w *writer) Commit(ctx context.Context) error {
	if err := w.ready(ctx, "commit"); err != nil {
		return err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	c, err := w.m.lookup(ctx, w.path)
	switch {
	case err == nil && w.exclusive:
		return fs.Wrap("commit", w.path, fs.ErrExist)
	case err == nil && c == nil:
		return fs.Wrap("commit", w.path, fs.ErrIsDir)
	}
	if err := w.m.checkParents(w.path); err != nil {
		return fs.Wrap("commit", w.path, err)
	}
	w.done = true
	w.m.publish(key(w.path), w.data)
	return nil
}

// recoverable keeps its persisted bytes as a visible, staged file beside the
// target; bytes written since are its own.
type recoverable struct {
	*staged
	key       string // of the staged file
	persisted int
}

// CreateRecoverable implements fs.Recoverer.
func (m *FileSystem) CreateRecoverable(ctx context.Context, p string) (fs.RecoverableWriter, error) {
	s, err := m.stage(ctx, p, false)
	if err != nil {
		return nil, fs.Wrap("create", p, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial++
	name := fmt.Sprintf("%s%s-%08x", fs.StagedPrefix, path.Base(key(p)), m.serial)
	return &recoverable{staged: s, key: path.Join(path.Dir(key(p)), name)}, nil
}

func (w *recoverable) Persist(ctx context.Context) ([]byte, error) {
	return w.sync(ctx, "persist", token.Resume)
}

func (w *recoverable) Seal(ctx context.Context) ([]byte, error) {
	b, err := w.sync(ctx, "seal", token.Publish)
	w.done = w.done || err == nil
	return b, err
}

func (w *recoverable) sync(ctx context.Context, op string, kind token.Kind) ([]byte, error) {
	if err := w.ready(ctx, op); err != nil {
		return nil, err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	data := bytes.Clone(w.data)
	w.m.publish(w.key, data)
	w.m.bytes += int64(w.persisted) // publish gave back the version before, whose bytes are still in data
	w.persisted = len(data)
	return token.Token{Kind: kind, Length: int64(len(data)), Path: w.path, Staged: w.key}.Encode(), nil
}

func (w *recoverable) Abort(context.Context) error {
	if w.done {
		return nil
	}
	w.done = true
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.bytes -= int64(len(w.data) - w.persisted)
	w.m.drop(w.key)
	return nil
}

// Resume implements fs.Recoverer.
func (m *FileSystem) Resume(ctx context.Context, tok []byte) (fs.RecoverableWriter, error) {
	t, err := decode(ctx, tok, token.Resume)
	if err != nil {
		return nil, fs.Wrap("resume", t.Path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.visible[t.Staged]
	if !ok {
		return nil, fs.Wrap("resume", t.Path, fs.ErrNotExist)
	}
	if int64(len(c.data)) < t.Length {
		return nil, fs.Wrap("resume", t.Path, io.ErrUnexpectedEOF)
	}
	data := bytes.Clone(c.data[:t.Length])
	m.publish(t.Staged, data)
	m.bytes += t.Length
	s := &staged{m: m, path: t.Path, data: data[:t.Length:t.Length]}
	return &recoverable{staged: s, key: t.Staged, persisted: len(data)}, nil
}

// Publish implements fs.Recoverer.
func (m *FileSystem) Publish(ctx context.Context, tok []byte) error {
	t, err := decode(ctx, tok, token.Publish)
	if err != nil {
		return fs.Wrap("publish", t.Path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.visible[t.Staged]; ok {
		if n := int64(len(c.data)); n != t.Length {
			return fs.Wrap("publish", t.Path, fmt.Errorf("%d bytes were sealed, %d are there", t.Length, n))
		}
		m.move(t.Staged, key(t.Path))
		return nil
	}
	if c, ok := m.visible[key(t.Path)]; !ok || int64(len(c.data)) != t.Length {
		return fs.Wrap("publish", t.Path, fs.ErrNotExist)
	}
	return nil
}

// Discard implements fs.Recoverer.
func (m *FileSystem) Discard(ctx context.Context, tok []byte) error {
	t, err := token.Decode(tok)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fs.Wrap("discard", t.Path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(t.Staged)
	delete(m.durable, t.Staged)
	return nil
}

func decode(ctx context.Context, tok []byte, kind token.Kind) (token.Token, error) {
	if err := ctx.Err(); err != nil {
		return token.Token{}, err
	}
	return token.DecodeKind(tok, kind)
}
