package partition

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/shuffle"
)

// far is a reader's way to the objects of the remote tier: the one that it reads now, and
// what of it was fetched at once. One goroutine uses it.
type far struct {
	object *object
	file   fs.File        // nil: not open
	ahead  *memory.Buffer // nil: nothing
	from   int64          // where ahead begins
}

const (
	// aheadBytes is what is fetched at once where a partition has so much: requests to
	// object stores take tens of milliseconds each.
	aheadBytes = 4 << 20
	// farTries is how often a range is asked for. File systems have tried again themselves.
	farTries = 3
)

// read fills data with a block of a partition. What is lost is shuffle.ErrDataLoss; other
// errors may pass.
func (f *far) read(s *Store, o *object, partition uint32, offset int64, data []byte) error {
	if f.object != o {
		f.close()
		f.object = o
	}
	if f.ahead != nil && offset >= f.from && offset+int64(len(data)) <= f.from+int64(f.ahead.Len()) {
		copy(data, f.ahead.Bytes()[offset-f.from:])
		return nil
	}
	f.forget()
	length := fetched(offset, o.ends[partition])
	if length <= int64(len(data)) {
		return f.fetch(s, offset, data)
	}
	ahead, err := s.room(int(length))
	if err != nil { // little memory: only what is wanted now
		return f.fetch(s, offset, data)
	}
	if err := f.fetch(s, offset, ahead.Bytes()); err != nil {
		ahead.Release()
		return err
	}
	f.ahead, f.from = ahead, offset
	copy(data, ahead.Bytes())
	if p, ok := f.file.(fs.Prefetcher); ok && offset+length < o.ends[partition] {
		p.Prefetch(offset+length, fetched(offset+length, o.ends[partition]))
	}
	return nil
}

// fetched is how much is fetched at once from offset on. The end of a partition comes with what
// is before it: file systems read ahead of who asks for little after little, and here that
// would be of another partition.
func fetched(offset, end int64) int64 {
	if left := end - offset; left < 2*aheadBytes {
		return left
	}
	return aheadBytes
}

func (f *far) fetch(s *Store, offset int64, data []byte) (err error) {
	for range farTries {
		if err = f.try(s, offset, data); err == nil {
			return nil
		}
		f.hangUp()
		switch {
		case s.ctx.Err() != nil:
			return shuffle.ErrReleased
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrChanged), errors.Is(err, io.EOF):
			return fmt.Errorf("%w: %w", shuffle.ErrDataLoss, err)
		}
	}
	return failure.Wrap(failure.Transient, err)
}

func (f *far) try(s *Store, offset int64, data []byte) (err error) {
	if f.file == nil {
		if f.file, err = s.openObject(f.object); err != nil {
			f.file = nil
			return err
		}
	}
	n, err := f.file.ReadAt(data, offset)
	if n == len(data) {
		return nil
	}
	return fmt.Errorf("read %d bytes at %d of %s: %w", len(data), offset, f.object.info.Path, err)
}

func (s *Store) openObject(o *object) (fs.File, error) {
	files := s.tier.mover.options.FS
	if known, ok := files.(fs.InfoOpener); ok {
		return known.OpenInfo(s.ctx, o.info)
	}
	return files.Open(s.ctx, o.info.Path)
}

func (f *far) forget() {
	if f.ahead != nil {
		f.ahead.Release()
		f.ahead = nil
	}
}

func (f *far) hangUp() {
	if f.file != nil {
		_ = f.file.Close() // of reading
		f.file = nil
	}
}

// close gives everything back; far may be used again.
func (f *far) close() {
	f.forget()
	f.hangUp()
	f.object = nil
}
