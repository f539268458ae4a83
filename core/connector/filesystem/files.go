package filesystem

import (
	"context"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// file is one file of a table.
type file struct {
	info       fs.Info
	partitions []fs.PartitionValue
}

// list returns the table's files in the order of their paths. That nothing is
// there is an error: a mistyped path must not be an empty table.
func (l location) list(ctx context.Context) ([]file, error) {
	infos, err := l.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.uri, err)
	}
	files := make([]file, len(infos))
	for i, info := range infos {
		files[i] = file{info: info, partitions: fs.ParsePartitions(info.Path)}
	}
	return files, nil
}

func (l location) find(ctx context.Context) ([]fs.Info, error) {
	if fs.HasGlob(l.path) {
		if _, err := l.fsys.Stat(ctx, l.path); err != nil { // a file may be called x[1].csv
			return l.findGlob(ctx)
		}
	}
	info, err := l.fsys.Stat(ctx, l.path)
	if err != nil {
		return nil, err
	}
	if !info.Dir {
		return []fs.Info{info}, nil
	}
	return l.below(ctx, l.path, nil)
}

func (l location) findGlob(ctx context.Context) ([]fs.Info, error) {
	matches, err := fs.Glob(ctx, l.fsys, l.path)
	if err != nil {
		return nil, err
	}
	var found []fs.Info
	for _, m := range matches {
		if !m.Dir {
			found = append(found, m)
			continue
		}
		if found, err = l.below(ctx, m.Path, found); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, failure.Errorf(failure.NotFound, "no file matches")
	}
	return found, nil
}

func (l location) below(ctx context.Context, dir string, found []fs.Info) ([]fs.Info, error) {
	err := l.fsys.List(ctx, dir, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		if !readable(strings.TrimPrefix(i.Path, dir)) {
			return nil
		}
		if len(found) == maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		found = append(found, i)
		return nil
	})
	return found, err
}

// readable reports whether every part of a path below a table counts as data.
func readable(rest string) bool {
	for part := range strings.SplitSeq(rest, "/") {
		if part != "" && !fs.Readable(part) {
			return false
		}
	}
	return true
}

// open opens a file for a format, without asking the store what info says.
func (l location) open(ctx context.Context, info fs.Info) (formats.Input, fs.File, error) {
	var f fs.File
	var err error
	if known, ok := l.fsys.(fs.InfoOpener); ok && info.ETag != "" && info.Size > 0 {
		f, err = known.OpenInfo(ctx, info)
	} else {
		f, err = l.fsys.Open(ctx, info.Path)
	}
	if err != nil {
		return formats.Input{}, nil, err
	}
	scheme, _ := fs.SplitURI(l.uri)
	return formats.Input{Path: info.Path, ReaderAt: f, Size: f.Size(), Memo: l.memos.of(scheme, f.Info())}, f, nil
}
