package security

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tidemill/tidemill/core/failure"
)

// maxFileBytes bounds the files that are read here: certificates, keys and tokens.
const maxFileBytes = 64 << 10

// makeDir creates a directory that only its owner may enter, and opens it.
func makeDir(path string) (*os.Root, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return os.OpenRoot(path)
}

// create writes a new file that only its owner reads. It is there whole or not at
// all; one that exists stays and is fs.ErrExist.
func create(root *os.Root, name string, data []byte) error {
	return put(root, name, data, root.Link)
}

// replace is create that takes the place of a file that exists.
func replace(root *os.Root, name string, data []byte) error {
	return put(root, name, data, root.Rename)
}

func put(root *os.Root, name string, data []byte, publish func(from, to string) error) (err error) {
	staged := "." + name + "-" + rand.Text()
	f, err := root.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(staged) }() // a rename has taken it away
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return publish(staged, name)
}

// read reads a small file. A secret one is refused if others than its owner may read
// it: then it may be known.
func read(root *os.Root, name string, secret bool) ([]byte, error) {
	path := filepath.Join(root.Name(), name)
	f, err := root.Open(name)
	if err != nil {
		return nil, missing(path, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, failure.Errorf(failure.Usage, "%s is not a file", path)
	}
	if open := info.Mode().Perm() & 0o077; secret && open != 0 {
		return nil, failure.Errorf(failure.Unauthorized,
			"%s is a secret, but others than its owner may use it (mode %#o): make a new one, or chmod 600 if nobody has read it", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFileBytes {
		return nil, failure.Errorf(failure.Usage, "%s has more than %d bytes: it is something else", path, maxFileBytes)
	}
	return data, nil
}

// missing classifies the error of opening a file.
func missing(path string, err error) error {
	class := failure.Fatal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class = failure.NotFound
	case errors.Is(err, fs.ErrPermission):
		class = failure.Unauthorized
	}
	return failure.Wrap(class, fmt.Errorf("open %s: %w", path, err))
}
