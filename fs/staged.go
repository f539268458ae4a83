package fs

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
)

// maxStagedBase bounds how much of a file's name stands in the name of its staged data.
const maxStagedBase = 100

// StagedName is a fresh name for the unpublished data of a file of that name, in the
// same directory.
func StagedName(base string) string {
	return StagedPrefix + base[:min(len(base), maxStagedBase)] + "-" + rand.Text()
}

// Sweep removes what is staged below dir for files whose names begin with prefix, which
// is shorter than what StagedName keeps. Nobody may write such files any more. A dir
// that does not exist is no error.
func Sweep(ctx context.Context, fsys FileSystem, dir, prefix string) error {
	var found []string
	err := fsys.List(ctx, dir, ListOptions{Recursive: true, Staged: true}, func(i Info) error {
		inside := strings.TrimPrefix(i.Path, dir)
		at := strings.Index(inside, "/"+StagedPrefix+prefix)
		if at < 0 {
			return nil
		}
		end := strings.IndexByte(inside[at+1:], '/') // staged data may be a directory
		path := i.Path
		if end >= 0 {
			path = dir + inside[:at+1+end]
		}
		if len(found) == 0 || found[len(found)-1] != path {
			found = append(found, path)
		}
		return nil
	})
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	for _, path := range found {
		err = errors.Join(err, fsys.RemoveAll(ctx, path))
	}
	return err
}
