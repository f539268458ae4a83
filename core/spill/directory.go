package spill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/tidemill/tidemill/core/failure"
)

const (
	prefix   = "tidemill-"
	lockName = "lock"
)

// Directory is a process's place for spilled data.
type Directory struct {
	path  string
	root  *os.Root
	lock  *os.File
	layer layer
	limit int64
	used  atomic.Int64
	names atomic.Uint64
}

// Open makes a directory below parent, which is the system's directory for
// temporary files if empty. Files of its spaces may take limit bytes in all; zero
// means no limit. What processes that died have left in parent is removed.
func Open(parent string, limit int64) (*Directory, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	sweep(parent)
	// Until it is locked, it has a name that nobody sweeps.
	path, err := os.MkdirTemp(parent, "."+prefix)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "make a directory for spilled data (option io.tmp.dir): %w", err)
	}
	d := &Directory{path: path, limit: limit}
	if err := d.open(); err != nil {
		return nil, errors.Join(failure.Errorf(failure.Transient, "open directory for spilled data: %w", err), d.Close())
	}
	return d, nil
}

func (d *Directory) open() (err error) {
	if d.lock, err = os.OpenFile(filepath.Join(d.path, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := tryLock(d.lock); err != nil {
		return err
	}
	final := filepath.Join(filepath.Dir(d.path), strings.TrimPrefix(filepath.Base(d.path), "."))
	if err := os.Rename(d.path, final); err != nil {
		return err
	}
	d.path = final
	if d.root, err = os.OpenRoot(d.path); err != nil {
		return err
	}
	d.layer = disk{d.root}
	return nil
}

// sweep removes the directories whose lock nobody holds. What cannot be looked at
// is another user's and stays.
func sweep(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, prefix+"*", lockName))
	for _, name := range found {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil {
			_ = os.RemoveAll(filepath.Dir(name))
		}
		_ = f.Close()
	}
}

// Root is the directory, for those who manage files in it themselves.
func (d *Directory) Root() *os.Root { return d.root }

// Path is where the directory is.
func (d *Directory) Path() string { return d.path }

// Used is the number of bytes reserved.
func (d *Directory) Used() int64 { return d.used.Load() }

// Level is the number of bytes reserved, and the limit of it; zero is none.
func (d *Directory) Level() (used, limit int64) { return d.used.Load(), d.limit }

// Close removes the directory with all that is in it.
func (d *Directory) Close() error {
	if d == nil {
		return nil
	}
	var errs []error
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	errs = append(errs, os.RemoveAll(d.path))
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove directory for spilled data: %w", err)
	}
	return nil
}

// Reserve takes n bytes of the directory's limit, for files of its spaces and for
// those that others keep below Root.
func (d *Directory) Reserve(n int64) error {
	if used := d.used.Add(n); d.limit > 0 && used > d.limit {
		d.used.Add(-n)
		return failure.Errorf(failure.Fatal, "data on disk takes %d bytes of %d, %d more wanted; raise io.tmp.limit", used-n, d.limit, n)
	}
	return nil
}

// Give gives n reserved bytes back.
func (d *Directory) Give(n int64) { d.used.Add(-n) }
