package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ReadFile returns the whole content of a small file. One of more than limit
// bytes is an error, not a surprise for the memory.
func ReadFile(ctx context.Context, fsys FileSystem, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if f.Size() > limit {
		err := Wrap("read", path, fmt.Errorf("%d bytes, the limit is %d", f.Size(), limit))
		return nil, errors.Join(err, f.Close())
	}
	data := make([]byte, f.Size())
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) && n == len(data) {
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return data, nil
}

// WriteFile publishes data as a file, all or nothing.
func WriteFile(ctx context.Context, fsys FileSystem, path string, data []byte, opts CreateOptions) error {
	w, err := fsys.Create(ctx, path, opts)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Commit(ctx)
	}
	if err != nil {
		return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return nil
}
