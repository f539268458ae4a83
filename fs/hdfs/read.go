package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

const (
	maxReaders  = 16 // of one file at once
	idleReaders = 4  // of one file that keep their connection for the next read
	maxSkip     = 64 << 10
)

// Open implements fs.FileSystem.
func (h *FileSystem) Open(ctx context.Context, p string) (fs.File, error) {
	c, name, err := h.locate(ctx, p)
	if err != nil {
		return nil, wrap("open", p, err)
	}
	st, err := c.stat(ctx, name)
	if err == nil && st.IsDir() {
		err = fs.ErrIsDir
	}
	if err != nil {
		return nil, wrap("open", p, err)
	}
	return &file{
		ctx: ctx, cluster: c, info: infoOf(p, st), turns: make(chan struct{}, maxReaders),
		// By its number, the name may come to mean another file.
		inode: fmt.Sprintf("/.reserved/.inodes/%d", fileID(st)),
	}, nil
}

// file is an open file. Each read has a reader of its own; some stay, for the
// next read that begins where theirs ended.
type file struct {
	ctx     context.Context // the opener's: fs.File says that it bounds reads
	cluster *cluster
	info    fs.Info
	inode   string
	turns   chan struct{} // holds one for each reader at work

	mu     sync.Mutex
	idle   []*reader
	closed bool
}

// reader is one stream of a file's bytes, used by one goroutine at a time.
type reader struct {
	*hdfs.FileReader
	cl  *client
	off int64
}

func (f *file) Size() int64   { return f.info.Size }
func (f *file) Info() fs.Info { return f.info }

// ReadAt implements io.ReaderAt. What fails for the moment at every replica is
// tried again.
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	switch err := f.ready(); {
	case err != nil:
		return 0, fs.Wrap("read", f.info.Path, err)
	case off < 0:
		return 0, fs.Wrap("read", f.info.Path, errors.New("negative offset"))
	case len(b) == 0:
		return 0, nil
	case off >= f.info.Size:
		return 0, io.EOF
	}
	var end error
	if rest := f.info.Size - off; int64(len(b)) > rest {
		b, end = b[:rest], io.EOF
	}
	select {
	case f.turns <- struct{}{}:
		defer func() { <-f.turns }()
	case <-f.ctx.Done():
		return 0, fs.Wrap("read", f.info.Path, f.ctx.Err())
	}
	n := 0
	err := f.cluster.retry(f.ctx, func(bool) error {
		read, err := f.read(b[n:], off+int64(n))
		n += read
		return err
	})
	if err != nil {
		return n, wrap("read", f.info.Path, err)
	}
	return n, end
}

func (f *file) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	return f.ctx.Err()
}

// read fills b from one reader, which goes on past a datanode that dies.
func (f *file) read(b []byte, off int64) (n int, err error) {
	r, err := f.take(off)
	if err != nil {
		return 0, err
	}
	err = r.cl.transfer(func() error {
		if r.off != off { // seeking to where it stands would connect anew
			if _, err := r.Seek(off, io.SeekStart); err != nil {
				return err
			}
		}
		n, err = io.ReadFull(r, b)
		return err
	})
	r.off = off + int64(n)
	f.cluster.s.counts.BytesRead.Add(uint64(n))
	if err != nil {
		if unreachable(err) {
			f.cluster.drop(r.cl)
		}
		// Whatever it was, a replica, a token or a list of blocks that is too
		// old, a new reader may find better.
		return n, errors.Join(failure.Wrap(failure.Transient, err), f.end(r))
	}
	return n, f.keep(r)
}

// take returns the reader that stands nearest before off, or a new one. One that
// stands elsewhere is no better than a new one but saves a call.
func (f *file) take(off int64) (*reader, error) {
	f.mu.Lock()
	best := -1
	for i, r := range f.idle {
		if best < 0 || near(r.off, off) < near(f.idle[best].off, off) {
			best = i
		}
	}
	if best >= 0 {
		r := f.idle[best]
		f.idle = append(f.idle[:best], f.idle[best+1:]...)
		f.mu.Unlock()
		return r, nil
	}
	f.mu.Unlock()
	return f.open()
}

// near is what a reader that stands at from skips to reach off.
func near(from, off int64) int64 {
	if d := off - from; d >= 0 && d <= maxSkip {
		return d
	}
	return maxSkip + 1
}

func (f *file) open() (*reader, error) {
	cl, err := f.cluster.acquire(f.ctx)
	if err != nil {
		return nil, err
	}
	f.cluster.s.counts.Requests.Add(1)
	fr, err := cl.Open(f.inode)
	if err == nil && fr.Stat().Size() < f.info.Size {
		err = fs.ErrChanged
	}
	if missing(err) {
		err = fs.ErrChanged
	}
	if err != nil {
		if broken(err) {
			f.cluster.drop(cl)
		}
		f.cluster.release(cl)
		return nil, err
	}
	return &reader{FileReader: fr, cl: cl}, nil
}

// keep leaves a reader to the next read, unless there are enough.
func (f *file) keep(r *reader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.idle) == idleReaders {
		return f.end(r)
	}
	f.idle = append(f.idle, r)
	return nil
}

func (f *file) end(r *reader) error {
	defer f.cluster.release(r.cl)
	return r.Close()
}

// Close implements io.Closer; reads that are on their way end as they will.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	var errs []error
	for _, r := range f.idle {
		errs = append(errs, f.end(r))
	}
	f.idle = nil
	return wrap("close", f.info.Path, errors.Join(errs...))
}
