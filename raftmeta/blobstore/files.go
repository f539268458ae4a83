package blobstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

const unfinished = "new-"

// Files are the blobs of one master in its directory. It is what a master serves to
// others: it asks nobody. All methods may be called concurrently.
type Files struct {
	root  *os.Root
	limit int
	// fault, in tests, fails a step.
	fault func(step string) error
}

var _ Peer = (*Files)(nil)

// openFiles makes dir if needed and removes what an earlier life left unfinished.
func openFiles(dir string, limit int) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failure.Errorf(failure.Fatal, "make blob directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failure.Errorf(failure.Fatal, "open blob directory: %w", err)
	}
	f := &Files{root: root, limit: limit, fault: func(string) error { return nil }}
	err = f.each(func(e fs.DirEntry) error {
		if strings.HasPrefix(e.Name(), unfinished) {
			return root.Remove(e.Name())
		}
		return nil
	})
	if err != nil {
		return nil, failure.Wrap(failure.Fatal, errors.Join(fmt.Errorf("clean blob directory: %w", err), root.Close()))
	}
	return f, nil
}

func (f *Files) each(visit func(fs.DirEntry) error) error {
	if err := f.fault("list"); err != nil {
		return err
	}
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	entries, err := dir.ReadDir(-1)
	err = errors.Join(err, dir.Close())
	for _, e := range entries {
		if err == nil {
			err = visit(e)
		}
	}
	return err
}

// isName says whether a name is one of a blob, and so a safe name of a file.
func isName(n raftmeta.BlobName) bool {
	b, err := hex.DecodeString(string(n))
	return err == nil && len(b) == 32 && strings.ToLower(string(n)) == string(n)
}

// Put keeps data under its name, durably, when it returns.
func (f *Files) Put(ctx context.Context, name raftmeta.BlobName, data []byte) error {
	if err := f.fits(data); err != nil {
		return err
	}
	if err := name.Check(data); err != nil {
		return err
	}
	if _, err := f.Get(ctx, name); err == nil {
		if err := f.step("touch", func() error { return f.touch(name) }); err == nil {
			return nil
		}
	}
	if err := f.write(name, data); err != nil {
		return failure.Errorf(failure.Fatal, "write blob %.12s: %w", string(name), err)
	}
	return nil
}

func (f *Files) fits(data []byte) error {
	if len(data) > f.limit {
		return failure.Errorf(failure.Fatal, "%w: %d bytes, the limit is %d", raftmeta.ErrBlobTooLarge, len(data), f.limit)
	}
	return nil
}

func (f *Files) step(name string, perform func() error) error {
	if err := f.fault(name); err != nil {
		return err
	}
	return perform()
}

func (f *Files) touch(name raftmeta.BlobName) error {
	now := time.Now()
	return f.root.Chtimes(string(name), now, now)
}

// write makes the file under another name first.
func (f *Files) write(name raftmeta.BlobName, data []byte) (err error) {
	temporary := unfinished + rand.Text()
	var file *os.File
	err = f.step("create", func() (err error) {
		file, err = f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = f.step("write", func() error {
		_, err := file.Write(data)
		return err
	})
	if err == nil {
		err = f.step("sync", file.Sync)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.step("rename", func() error { return f.root.Rename(temporary, string(name)) })
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(temporary))
	}
	return f.step("sync directory", f.syncDir)
}

func (f *Files) syncDir() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Get reads a blob: raftmeta.ErrNotFound if there is none, ErrCorrupt if its file is damaged.
func (f *Files) Get(_ context.Context, name raftmeta.BlobName) ([]byte, error) {
	if !isName(name) {
		return nil, failure.Errorf(failure.NotFound, "%w: %.80q is no name of a blob", raftmeta.ErrNotFound, string(name))
	}
	data, err := f.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.Errorf(failure.NotFound, "%w: blob %.12s", raftmeta.ErrNotFound, string(name))
	}
	if err != nil {
		return nil, failure.Errorf(failure.Fatal, "read blob %.12s: %w", string(name), err)
	}
	return data, name.Check(data)
}

func (f *Files) read(name raftmeta.BlobName) ([]byte, error) {
	if err := f.fault("read"); err != nil {
		return nil, err
	}
	file, err := f.root.Open(string(name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, int64(f.limit)+1))
	return data, errors.Join(err, file.Close())
}

// collect removes blobs that are not used and were put before some time.
func (f *Files) collect(ctx context.Context, used func(raftmeta.BlobName) bool, before time.Time) error {
	return f.each(func(e fs.DirEntry) error {
		name := raftmeta.BlobName(e.Name())
		if !isName(name) || used(name) {
			return ctx.Err()
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
			return ctx.Err()
		}
		if err == nil {
			err = f.step("remove", func() error { return f.root.Remove(e.Name()) })
		}
		return errors.Join(err, ctx.Err())
	})
}
