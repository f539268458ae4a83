package faultfs

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/fs"
)

// Slow returns fsys with files of which each read takes so much longer, as of a server that
// is far away.
func Slow(fsys fs.FileSystem, latency time.Duration) fs.FileSystem {
	return &slow{fsys, latency}
}

type slow struct {
	fs.FileSystem
	latency time.Duration
}

// Open implements fs.FileSystem.
func (s *slow) Open(ctx context.Context, p string) (fs.File, error) {
	f, err := s.FileSystem.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	return &slowFile{f, s.latency}, nil
}

type slowFile struct {
	fs.File
	latency time.Duration
}

func (f *slowFile) ReadAt(b []byte, off int64) (int, error) {
	time.Sleep(f.latency)
	return f.File.ReadAt(b, off)
}
