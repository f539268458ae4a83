package local

import (
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/fs"
)

// List implements fs.FileSystem. One directory at a time is held in memory.
func (l *FileSystem) List(ctx context.Context, dir string, opts fs.ListOptions, visit func(fs.Info) error) error {
	info, err := l.Stat(ctx, dir)
	if err != nil {
		return fs.Wrap("list", dir, err)
	}
	if !info.Dir {
		return visit(info)
	}
	entries, err := l.readDir(dir)
	if err != nil {
		return fs.Wrap("list", dir, err)
	}
	return l.list(ctx, dir, entries, opts, visit)
}

func (l *FileSystem) list(ctx context.Context, dir string, entries []iofs.DirEntry, opts fs.ListOptions, visit func(fs.Info) error) error {
	sortEntries(entries, opts.Recursive)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fs.Wrap("list", dir, err)
		}
		if !opts.Staged && fs.Staged(e.Name()) {
			continue
		}
		p := fs.Join(dir, e.Name())
		err := l.entry(ctx, p, e.IsDir() && opts.Recursive, opts, visit)
		if err != nil {
			return err
		}
	}
	return nil
}

// entry visits one entry of a directory; what vanished since it was read, or
// is a link to nothing, is passed over.
func (l *FileSystem) entry(ctx context.Context, p string, enter bool, opts fs.ListOptions, visit func(fs.Info) error) error {
	if enter {
		entries, err := l.readDir(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fs.Wrap("list", p, err)
		}
		return l.list(ctx, p, entries, opts, visit)
	}
	st, err := l.disk.Stat(l.name(p)) // through a link: readers want the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fs.Wrap("list", p, err)
	}
	if opts.Recursive && st.IsDir() {
		return nil // a linked directory
	}
	return visit(infoOf(p, st))
}

func (l *FileSystem) readDir(dir string) ([]iofs.DirEntry, error) {
	d, err := l.disk.OpenFile(l.name(dir), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	return entries, errors.Join(err, d.Close())
}

// sortEntries orders by the bytes of the paths that will be visited: in a
// recursive listing a directory stands where its files do, so "a/x" comes
// after "a-b".
func sortEntries(entries []iofs.DirEntry, recursive bool) {
	key := func(e iofs.DirEntry) string {
		if recursive && e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b iofs.DirEntry) int { return strings.Compare(key(a), key(b)) })
}
