package hdfs

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

const (
	idleReaders = 4 // of one file that keep their connection for the next read
	maxSkip     = 64 << 10
)

// guarded reads a file through the library, which knows the handshakes of data
// that is authenticated or encrypted. Each read has a reader of its own; some stay,
// for the next read that begins where theirs ended.
type guarded struct {
	f *file

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

func newGuarded(f *file) *guarded { return &guarded{f: f} }

// read fills b from one reader, which goes on past a datanode that dies.
func (g *guarded) read(ctx context.Context, b []byte, off int64) (n int, err error) {
	r, err := g.take(ctx, off)
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
	g.f.cluster.s.counts.BytesRead.Add(uint64(n))
	if err != nil {
		if unreachable(err) {
			g.f.cluster.drop(r.cl)
		}
		// Whatever it was, a replica, a token or a list of blocks that is too
		// old, a new reader may find better.
		return n, errors.Join(failure.Wrap(failure.Transient, err), g.end(r))
	}
	return n, g.keep(r)
}

// take returns the reader that stands nearest before off, or a new one. One that
// stands elsewhere is no better than a new one but saves a call.
func (g *guarded) take(ctx context.Context, off int64) (*reader, error) {
	g.mu.Lock()
	best := -1
	for i, r := range g.idle {
		if best < 0 || near(r.off, off) < near(g.idle[best].off, off) {
			best = i
		}
	}
	if best >= 0 {
		r := g.idle[best]
		g.idle = append(g.idle[:best], g.idle[best+1:]...)
		g.mu.Unlock()
		return r, nil
	}
	g.mu.Unlock()
	return g.open(ctx)
}

// near is what a reader that stands at from skips to reach off.
func near(from, off int64) int64 {
	if d := off - from; d >= 0 && d <= maxSkip {
		return d
	}
	return maxSkip + 1
}

func (g *guarded) open(ctx context.Context) (*reader, error) {
	c := g.f.cluster
	cl, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	c.s.counts.Requests.Add(1)
	var fr *hdfs.FileReader
	err = cl.link.during(ctx, func() (err error) {
		fr, err = cl.Open(g.f.inode)
		return err
	})
	if cl.link.isSevered() {
		c.abandon(cl)
	}
	if err == nil && fr.Stat().Size() < g.f.info.Size {
		err = fs.ErrChanged
	}
	if missing(err) {
		err = fs.ErrChanged
	}
	if err != nil {
		if broken(err) {
			c.drop(cl)
		}
		c.release(cl)
		return nil, err
	}
	return &reader{FileReader: fr, cl: cl}, nil
}

// keep leaves a reader to the next read, unless there are enough.
func (g *guarded) keep(r *reader) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.idle) == idleReaders {
		return g.end(r)
	}
	g.idle = append(g.idle, r)
	return nil
}

func (g *guarded) end(r *reader) error {
	defer g.f.cluster.release(r.cl)
	return r.Close()
}

// close ends the readers that are kept.
func (g *guarded) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	var errs []error
	for _, r := range g.idle {
		errs = append(errs, g.end(r))
	}
	g.idle = nil
	return errors.Join(errs...)
}
