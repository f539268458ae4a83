package hdfs

import (
	"context"
	iofs "io/fs"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/fs"
)

// List implements fs.FileSystem. One directory at a time is held in memory.
func (h *FileSystem) List(ctx context.Context, dir string, opts fs.ListOptions, visit func(fs.Info) error) error {
	c, name, err := h.locate(ctx, dir)
	if err != nil {
		return wrap("list", dir, err)
	}
	st, err := c.stat(ctx, name)
	if err != nil {
		return wrap("list", dir, err)
	}
	if !st.IsDir() {
		return visit(infoOf(dir, st))
	}
	l := lister{cluster: c, opts: opts, visit: visit}
	entries, err := l.read(ctx, name)
	if err != nil {
		return wrap("list", dir, err)
	}
	return l.list(ctx, dir, name, entries)
}

type lister struct {
	*cluster
	opts  fs.ListOptions
	visit func(fs.Info) error
}

// list visits the entries of a directory: p as the caller names it, name as the
// namenode does.
func (l *lister) list(ctx context.Context, p, name string, entries []iofs.FileInfo) error {
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fs.Wrap("list", p, err)
		}
		if !l.opts.Staged && fs.Staged(e.Name()) {
			continue
		}
		below := fs.Join(p, e.Name())
		if !e.IsDir() || !l.opts.Recursive {
			if err := l.visit(infoOf(below, e)); err != nil {
				return err
			}
			continue
		}
		nameBelow := strings.TrimSuffix(name, "/") + "/" + e.Name()
		inner, err := l.read(ctx, nameBelow)
		if missing(err) {
			continue // vanished since it was listed
		}
		if err != nil {
			return wrap("list", below, err)
		}
		if err := l.list(ctx, below, nameBelow, inner); err != nil {
			return err
		}
	}
	return nil
}

// read returns a directory's entries ordered by the bytes of the paths that will
// be visited: in a recursive listing a directory stands where its files do, so
// "a/x" comes after "a-b".
func (l *lister) read(ctx context.Context, name string) (entries []iofs.FileInfo, err error) {
	err = l.call(ctx, func(cl *client, _ bool) error {
		entries, err = cl.ReadDir(name)
		return err
	})
	key := func(e iofs.FileInfo) string {
		if l.opts.Recursive && e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b iofs.FileInfo) int { return strings.Compare(key(a), key(b)) })
	return entries, err
}
