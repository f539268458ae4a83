package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Names in a data directory.
const (
	lockFile    = "lock"
	addressFile = "address.json"
	socketFile  = "socket"
)

// directory is a role's data directory while the role holds its lock.
type directory struct {
	path string
	root *os.Root
	lock *os.File
}

// openDirectory makes a directory that its owner alone may enter, and locks it. One that
// another process holds is a Conflict.
func openDirectory(path string) (_ *directory, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, failure.Wrap(failure.Usage, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, failure.Errorf(failure.Usage, "make the data directory: %w", err)
	}
	d := &directory{path: path}
	if d.root, err = os.OpenRoot(path); err != nil {
		return nil, failure.Errorf(failure.Usage, "open the data directory: %w", err)
	}
	if d.lock, err = d.root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		if err = tryLock(d.lock); err != nil {
			err = failure.Errorf(failure.Conflict, "data directory %s is in use by another process", path)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	for _, stale := range []string{addressFile, socketFile} {
		if err := d.root.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("remove what an earlier life left: %w", err), d.close())
		}
	}
	return d, nil
}

// below makes a directory in the directory and returns its path.
func (d *directory) below(name string) (string, error) {
	if err := d.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make %s in the data directory: %w", name, err)
	}
	return filepath.Join(d.path, name), nil
}

// Lock takes a directory for the time until it is closed; one that another process holds
// is a Conflict.
func Lock(dir string) (io.Closer, error) {
	d, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	return lock{d}, nil
}

type lock struct {
	d *directory
}

// Close implements io.Closer.
func (l lock) Close() error { return l.d.close() }

// FoundAt is the address at which the master of a data directory was found first, and
// is known to others; empty: there was none.
func FoundAt(dir string) string {
	text, _ := os.ReadFile(filepath.Join(dir, masterDir, idFile))
	return strings.TrimSpace(string(text))
}

// Address is where a role serves, as it stands in DIR/address.json while it runs.
type Address struct {
	Role    string `json:"role"`
	Name    string `json:"name"` // as `nodes` shows it
	Address string `json:"address"`
	HTTP    string `json:"http,omitempty"` // URL
	PID     int    `json:"pid"`
}

// publish writes where the role serves, whole or not at all.
func (d *directory) publish(a Address) error {
	text, err := json.Marshal(a)
	if err == nil {
		const staged = addressFile + ".new"
		if err = d.root.WriteFile(staged, append(text, '\n'), 0o600); err == nil {
			err = d.root.Rename(staged, addressFile)
		}
	}
	if err != nil {
		return fmt.Errorf("write where the role serves: %w", err)
	}
	return nil
}

// ReadAddress reads where the role of a data directory serves; NotFound: it does not run,
// or not yet.
func ReadAddress(dir string) (Address, error) {
	var a Address
	text, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil {
		return a, failure.Wrap(failure.NotFound, fmt.Errorf("no role serves from %s: %w", dir, err))
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, failure.Errorf(failure.Usage, "read %s: %w", filepath.Join(dir, addressFile), err)
	}
	return a, nil
}

// close gives the lock back.
func (d *directory) close() error {
	if d == nil {
		return nil
	}
	var err error
	if d.lock != nil {
		_ = d.root.Remove(addressFile)
		err = d.lock.Close()
	}
	return errors.Join(err, d.root.Close())
}
