package hdfs

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/internal/token"
)

// recoverable is a staged file that outlives the process. Its token names the
// staged directory and the number of parts: DIR/.tm-X/3.
type recoverable struct{ staged }

// CreateRecoverable implements fs.Recoverer.
func (h *FileSystem) CreateRecoverable(ctx context.Context, p string) (fs.RecoverableWriter, error) {
	s, err := h.stage(ctx, p, false)
	if err != nil {
		return nil, wrap("create", p, err)
	}
	return &recoverable{*s}, nil
}

// Persist implements fs.RecoverableWriter.
func (w *recoverable) Persist(ctx context.Context) ([]byte, error) {
	if err := w.ready(ctx, "persist"); err != nil {
		return nil, err
	}
	return w.token("persist", token.Resume, w.end(ctx))
}

// Seal implements fs.RecoverableWriter.
func (w *recoverable) Seal(ctx context.Context) ([]byte, error) {
	if err := w.ready(ctx, "seal"); err != nil {
		return nil, err
	}
	b, err := w.token("seal", token.Publish, w.finish(ctx))
	w.done = err == nil
	return b, err
}

func (w *recoverable) token(op string, kind token.Kind, err error) ([]byte, error) {
	if err != nil {
		w.err = wrap(op, w.path, err)
		return nil, w.err
	}
	return token.Token{Kind: kind, Length: w.size, Path: w.path, Staged: w.partName(w.parts)}.Encode(), nil
}

// marked is what a token says.
type marked struct {
	token.Token
	c     *cluster
	name  string // the target
	dir   string // the staged directory
	parts int
}

// open finds the place of a token, whose path names it even when it is refused.
func (h *FileSystem) open(ctx context.Context, t token.Token) (m marked, err error) {
	m.Token = t
	if m.c, m.name, err = h.locate(ctx, t.Path); err != nil {
		return m, err
	}
	dir, last := path.Split(t.Staged)
	m.dir = path.Clean(dir)
	m.parts, err = strconv.Atoi(last)
	// One that was not made here must not make us touch other files.
	if err != nil || m.parts < 0 || path.Dir(m.dir) != path.Dir(m.name) || !strings.HasPrefix(path.Base(m.dir), fs.StagedPrefix) {
		return m, fs.ErrToken
	}
	return m, nil
}

func (h *FileSystem) decode(ctx context.Context, tok []byte, kind token.Kind) (marked, error) {
	if err := ctx.Err(); err != nil {
		return marked{}, err
	}
	t, err := token.DecodeKind(tok, kind)
	if err != nil {
		return marked{Token: t}, err
	}
	return h.open(ctx, t)
}

// sizes returns the sizes of the parts in the staged directory, by their numbers.
func (m marked) sizes(ctx context.Context) (map[int]int64, error) {
	l := lister{cluster: m.c}
	entries, err := l.read(ctx, m.dir)
	sizes := make(map[int]int64, len(entries))
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s is no part", e.Name())
		}
		sizes[n] = e.Size()
	}
	return sizes, err
}

// sum adds up the parts that the token covers; a missing one is ErrNotExist.
func (m marked) sum(sizes map[int]int64) (sum int64, err error) {
	for n := 1; n <= m.parts; n++ {
		size, ok := sizes[n]
		if !ok {
			return 0, fs.ErrNotExist
		}
		sum += size
	}
	return sum, nil
}

// Resume implements fs.Recoverer. Removing the later parts takes no lease, so a
// writer that is gone, or is not but should be, cannot hold it up.
func (h *FileSystem) Resume(ctx context.Context, tok []byte) (fs.RecoverableWriter, error) {
	m, err := h.decode(ctx, tok, token.Resume)
	if err == nil {
		err = m.cut(ctx)
	}
	if err != nil {
		return nil, wrap("resume", m.Path, err)
	}
	return &recoverable{staged{c: m.c, path: m.Path, name: m.name, dir: m.dir, parts: m.parts, size: m.Length}}, nil
}

// cut removes the parts after the token's.
func (m marked) cut(ctx context.Context) error {
	sizes, err := m.sizes(ctx)
	if err != nil {
		return err
	}
	sum, err := m.sum(sizes)
	if err != nil {
		return err
	}
	if sum != m.Length {
		return io.ErrUnexpectedEOF
	}
	for n := range sizes {
		if n <= m.parts {
			continue
		}
		if err := m.c.removeAll(ctx, fmt.Sprintf("%s/%d", m.dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// Publish implements fs.Recoverer.
func (h *FileSystem) Publish(ctx context.Context, tok []byte) error {
	m, err := h.decode(ctx, tok, token.Publish)
	if err == nil {
		err = m.publish(ctx)
	}
	return wrap("publish", m.Path, err)
}

func (m marked) publish(ctx context.Context) error {
	sizes, err := m.sizes(ctx)
	if err != nil && !missing(err) {
		return err
	}
	if _, ok := sizes[1]; !ok {
		return m.published(ctx)
	}
	if sizes[1] != m.Length { // not joined yet
		sum, err := m.sum(sizes)
		if err != nil {
			return err
		}
		if sum != m.Length {
			return fmt.Errorf("%d bytes were sealed, %d are there", m.Length, sum)
		}
	}
	return m.c.publish(ctx, m.dir, m.parts, m.Length, m.name, true)
}

// published reports whether a file whose parts are gone is the one that was
// sealed, as far as its length tells.
func (m marked) published(ctx context.Context) error {
	st, err := m.c.stat(ctx, m.name)
	if err != nil {
		return err
	}
	if st.Size() != m.Length || st.IsDir() {
		return fs.ErrNotExist
	}
	return m.c.removeAll(ctx, m.dir) // the end of an earlier try
}

// Discard implements fs.Recoverer.
func (h *FileSystem) Discard(ctx context.Context, tok []byte) error {
	if err := ctx.Err(); err != nil {
		return fs.Wrap("discard", "", err)
	}
	t, err := token.Decode(tok)
	m := marked{Token: t}
	if err == nil {
		m, err = h.open(ctx, t)
	}
	if err == nil {
		err = m.c.removeAll(ctx, m.dir)
	}
	return wrap("discard", t.Path, err)
}
