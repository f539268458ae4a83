package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

const (
	// filesAtOnce is how many files Gather copies at a time.
	filesAtOnce = 4
	// removeTimeout bounds the removal of what was half copied.
	removeTimeout = time.Minute
)

// Gather copies what a manifest names by URIs (Store.Locate) into a directory of its own:
//
//	<dir>/MANIFEST
//	<dir>/state/<n>-<name>      of each file the pieces that the manifest names
//
// Checksums are verified on the way. The manifest comes last and names files relative to
// itself, so the directory may be moved, also to another file system; it is returned. After
// an error nothing stays there, and it may be tried again. A directory that holds something
// else is refused.
func Gather(ctx context.Context, r *fs.Registry, m *checkpoint.Manifest, dir string) (*checkpoint.Manifest, error) {
	if r == nil {
		return nil, failure.Errorf(failure.Usage, "there is no file system for savepoints")
	}
	to, inside, err := r.Resolve(dir)
	if err != nil {
		return nil, failure.Wrap(failure.Usage, err)
	}
	g := &gathering{registry: r, to: to, dir: inside, copies: map[string]*copied{}}
	if there, err := g.before(ctx, m); there != nil || err != nil {
		return there, err
	}
	out, err := g.run(ctx, m)
	if err == nil {
		return out, nil
	}
	after, stop := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer stop()
	// The manifest first: it may be there although its writer was told otherwise.
	bad := to.Remove(after, path.Join(inside, manifestName))
	if errors.Is(bad, fs.ErrNotExist) {
		bad = nil
	}
	if bad = cmp.Or(bad, to.RemoveAll(after, inside)); bad != nil {
		err = errors.Join(err, bad)
	}
	return nil, fmt.Errorf("copy checkpoint %d to %s: %w", m.GetCheckpoint(), dir, err)
}

// gathering is one copy of a checkpoint.
type gathering struct {
	registry *fs.Registry
	to       fs.FileSystem
	dir      string
	copies   map[string]*copied // by where they come from
}

// copied is the copy of one file.
type copied struct {
	from    string
	name    string               // relative to the manifest
	pieces  []*checkpoint.Handle // one for each that is named, as they lie in from
	offsets map[int64]int64
}

// before looks whether an earlier try has done it all.
func (g *gathering) before(ctx context.Context, m *checkpoint.Manifest) (*checkpoint.Manifest, error) {
	name := path.Join(g.dir, manifestName)
	data, err := fs.ReadFile(ctx, g.to, name, maxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var there *checkpoint.Manifest
	if err == nil {
		there, err = checkpoint.Decode(data)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", name, err)
	case !bytes.Equal(there.GetJob(), m.GetJob()) || there.GetCheckpoint() != m.GetCheckpoint():
		return nil, failure.Errorf(failure.Conflict, "%s is of another checkpoint: name another directory", name)
	}
	return there, nil
}

func (g *gathering) run(ctx context.Context, m *checkpoint.Manifest) (*checkpoint.Manifest, error) {
	m = proto.CloneOf(m)
	checkpoint.EachHandle(m, g.add)
	if err := g.copyAll(ctx); err != nil {
		return nil, err
	}
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		c := g.copies[h.GetPath()]
		h.Path, h.Offset = c.name, c.offsets[h.GetOffset()]
	})
	data, err := checkpoint.Encode(m)
	if err != nil {
		return nil, err
	}
	return m, fs.WriteFile(ctx, g.to, path.Join(g.dir, manifestName), data, fs.CreateOptions{})
}

// add notes a piece; several subtasks may name one.
func (g *gathering) add(h *checkpoint.Handle) {
	c := g.copies[h.GetPath()]
	if c == nil {
		_, base := fs.Split(h.GetPath())
		c = &copied{from: h.GetPath(), name: fmt.Sprintf("state/%d-%s", len(g.copies), base), offsets: map[int64]int64{}}
		g.copies[h.GetPath()] = c
	}
	if _, known := c.offsets[h.GetOffset()]; !known {
		c.offsets[h.GetOffset()] = 0
		c.pieces = append(c.pieces, h)
	}
}

// copyAll copies several files at a time, until one fails.
func (g *gathering) copyAll(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	turns := make(chan struct{}, filesAtOnce)
	var copying sync.WaitGroup
	for _, from := range slices.Sorted(maps.Keys(g.copies)) {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		c := g.copies[from]
		copying.Go(func() {
			if err := g.copy(ctx, c); err != nil {
				stop(fmt.Errorf("state file %s: %w", c.from, err))
			}
			<-turns
		})
	}
	copying.Wait()
	return context.Cause(ctx)
}

// copy copies the header of a file and the pieces that are named.
func (g *gathering) copy(ctx context.Context, c *copied) error {
	fsys, inside, err := g.registry.Resolve(c.from)
	if err != nil {
		return err
	}
	from, err := fsys.Open(ctx, inside)
	if err != nil {
		return err
	}
	defer from.Close()
	w, err := g.to.Create(ctx, path.Join(g.dir, c.name), fs.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = w.Abort(context.WithoutCancel(ctx)) }()
	if err := copyHeader(from, w); err != nil {
		return err
	}
	slices.SortFunc(c.pieces, func(a, b *checkpoint.Handle) int { return cmp.Compare(a.GetOffset(), b.GetOffset()) })
	data, at := memory.NewResizableBuffer(memory.DefaultAllocator), int64(headerBytes)
	defer data.Release()
	for _, h := range c.pieces {
		err := readPiece(from, h, data)
		if err == nil {
			_, err = w.Write(data.Bytes())
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", h.GetOffset(), err)
		}
		c.offsets[h.GetOffset()] = at
		at += h.GetLength()
	}
	return w.Commit(ctx)
}

func copyHeader(from fs.File, to io.Writer) error {
	header := make([]byte, headerBytes)
	if _, err := from.ReadAt(header, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %d bytes", checkpoint.ErrCorrupt, from.Size())
		}
		return err
	}
	_, err := to.Write(header)
	return err
}

// readPiece reads what a handle names into a buffer, and verifies it.
func readPiece(f fs.File, h *checkpoint.Handle, into *memory.Buffer) error {
	if h.GetOffset() < headerBytes || h.GetLength() < 0 || h.GetLength() > f.Size()-h.GetOffset() {
		return fmt.Errorf("%w: %d bytes of a file of %d", checkpoint.ErrCorrupt, h.GetLength(), f.Size())
	}
	into.ResizeNoShrink(int(h.GetLength()))
	if _, err := f.ReadAt(into.Bytes(), h.GetOffset()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if checkpoint.Checksum(into.Bytes()) != h.GetCrc32C() {
		return fmt.Errorf("%w: checksum differs", checkpoint.ErrCorrupt)
	}
	return nil
}
