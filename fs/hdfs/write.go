package hdfs

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/hdfs/internal/namenode"
)

// replayBytes is how much of a part is kept to write it again when its datanodes
// fail. The namenode hands out dead ones for minutes, and they show at the first
// byte.
const replayBytes = 256 << 10

// staged is a file being written as parts, DIR/.tm-X/1, 2, ...; writer and
// recoverable share it.
//
// A part is one block, so that the library never asks for a second one while the
// first is not replicated, which it cannot do again. A part that is closed is
// durable.
type staged struct {
	c    *cluster
	path string // the target, as the caller gave it
	name string // the target's name in the cluster
	dir  string // the staged directory

	parts int   // that are complete
	size  int64 // of what Write took
	part  *part // being written, or nil
	err   error // the first failure; later calls report it
	done  bool  // committed, sealed or aborted
}

// part is the open last part.
type part struct {
	*hdfs.FileWriter
	cl   *client
	size int64
	head []byte // all of it, while that is little; then nil
	room int64  // to the end of the block
}

func (h *FileSystem) stage(ctx context.Context, p string, mustBeNew bool) (*staged, error) {
	c, name, err := h.locate(ctx, p)
	if err != nil {
		return nil, err
	}
	st, err := c.stat(ctx, name)
	switch {
	case err == nil && mustBeNew: // fail early; Commit decides
		return nil, fs.ErrExist
	case err == nil && st.IsDir():
		return nil, fs.ErrIsDir
	case err != nil && !missing(err):
		return nil, err
	}
	if strings.Contains(name, ":") {
		return nil, fmt.Errorf("%w: hdfs allows no colon in a name", fs.ErrInvalid)
	}
	s := &staged{c: c, path: p, name: name, dir: path.Join(path.Dir(name), fs.StagedName(path.Base(name)))}
	return s, c.makeDir(ctx, s.dir)
}

// Write implements io.Writer.
func (s *staged) Write(b []byte) (int, error) {
	if s.done {
		return 0, fs.Wrap("write", s.path, fs.ErrClosed)
	}
	if s.err != nil {
		return 0, s.err
	}
	written := 0
	for len(b) > 0 {
		n, err := s.write(b)
		written += n
		s.size += int64(n)
		if err != nil {
			s.err = wrap("write", s.path, err)
			return written, s.err
		}
		b = b[n:]
	}
	return written, nil
}

// write puts what fits of b into the open part, and closes one that is full.
func (s *staged) write(b []byte) (int, error) {
	ctx := context.Background() // the retries have their limit
	if s.part == nil {
		if err := s.begin(ctx); err != nil {
			return 0, err
		}
	}
	b = b[:min(int64(len(b)), s.part.room, replayBytes)]
	if s.part.size+int64(len(b)) > replayBytes {
		s.part.head = nil
	} else if s.part.size == int64(len(s.part.head)) {
		s.part.head = append(s.part.head, b...)
	}
	err := s.part.put(b)
	s.c.s.counts.BytesWritten.Add(uint64(len(b)))
	s.part.size += int64(len(b))
	s.part.room -= int64(len(b))
	if err != nil {
		if err = s.replay(ctx, err); err != nil {
			return 0, err
		}
	}
	if s.part.room == 0 {
		return len(b), s.end(ctx)
	}
	return len(b), nil
}

func (p *part) put(b []byte) error {
	return p.cl.transfer(func() error {
		_, err := p.Write(b)
		return err
	})
}

// begin opens the next part. What an earlier try left under its name goes first.
func (s *staged) begin(ctx context.Context) error {
	name := s.partName(s.parts + 1)
	return s.c.call(ctx, func(cl *client, again bool) error {
		if again {
			if err := cl.Client.Remove(name); err != nil && !missing(err) {
				return err
			}
		}
		replication, blockSize := s.c.blocks(cl)
		fw, err := cl.CreateFile(name, replication, blockSize, 0o644)
		if err != nil {
			return err
		}
		s.c.hold(cl)
		s.part = &part{FileWriter: fw, cl: cl, room: blockSize, head: []byte{}}
		return nil
	})
}

func (s *staged) partName(n int) string { return fmt.Sprintf("%s/%d", s.dir, n) }

// replay writes the open part again, with other datanodes, after cause. A part of
// which too much is gone is lost, and the file with it.
func (s *staged) replay(ctx context.Context, cause error) error {
	head, size := s.part.head, s.part.size
	s.drop(ctx)
	if int64(len(head)) != size {
		return failure.Wrap(failure.Transient, fmt.Errorf("datanodes failed after %d bytes of a block, it must be written again: %w", size, cause))
	}
	return s.c.retry(ctx, func(bool) error {
		if err := s.begin(ctx); err != nil {
			return err
		}
		s.part.head, s.part.size, s.part.room = head, size, s.part.room-size
		if err := s.part.put(head); err != nil {
			s.drop(ctx)
			return failure.Wrap(failure.Transient, err)
		}
		return nil
	})
}

// drop gives up the open part. Its name goes too: it would stay open under the
// client's lease.
func (s *staged) drop(ctx context.Context) {
	if s.part == nil {
		return
	}
	_ = s.part.Close() // ends the library's goroutines; the data is thrown away
	_ = s.c.call(ctx, func(cl *client, _ bool) error { return cl.Client.Remove(s.partName(s.parts + 1)) })
	s.c.release(s.part.cl)
	s.part = nil
}

// end completes the open part, which makes it durable.
func (s *staged) end(ctx context.Context) error {
	const tries = 5
	for try := 1; s.part != nil; try++ {
		err := s.c.completed(ctx, s.part)
		if err == nil {
			s.c.release(s.part.cl)
			s.part = nil
			s.parts++
			return nil
		}
		if try == tries {
			return failure.Wrap(failure.Transient, err)
		}
		if err := s.replay(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// completed closes a part. Where the namenode went away after the datanodes had
// all of it, another one is told.
func (c *cluster) completed(ctx context.Context, p *part) error {
	if p.size == 0 {
		return c.closePart(ctx, p)
	}
	u, err := namenode.NewUnfinished(p.cl.Client, p.FileWriter)
	if err != nil {
		return err
	}
	if err = c.closePart(ctx, p); !broken(err) && !transient(err) || u.Closed() != p.size {
		return err
	}
	c.drop(p.cl)
	return c.call(ctx, func(cl *client, _ bool) error {
		done, err := u.Complete(cl.Client)
		if err == nil && !done {
			return failure.Wrap(failure.Transient, hdfs.ErrReplicating)
		}
		return err
	})
}

// closePart closes a part, again and again while its replicas are not there: the
// library asks only once.
func (c *cluster) closePart(ctx context.Context, p *part) error {
	const first, most = time.Millisecond, 100 * time.Millisecond
	end := time.Now().Add(c.s.Retry)
	for pause := first; ; pause = min(2*pause, most) {
		err := p.cl.transfer(p.Close)
		if !hdfs.IsErrReplicating(err) || time.Now().After(end) {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// ready checks that the file can go on to op.
func (s *staged) ready(ctx context.Context, op string) error {
	if s.done {
		return fs.Wrap(op, s.path, fs.ErrClosed)
	}
	if s.err != nil {
		return s.err
	}
	return fs.Wrap(op, s.path, ctx.Err())
}

// finish completes the last part; a file without a byte has one too.
func (s *staged) finish(ctx context.Context) error {
	if s.parts == 0 && s.part == nil {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	return s.end(ctx)
}

// Abort implements fs.Writer and fs.RecoverableWriter.
func (s *staged) Abort(ctx context.Context) error {
	if s.done {
		return nil
	}
	s.done = true
	ctx = context.WithoutCancel(ctx)
	s.drop(ctx)
	return wrap("abort", s.path, s.c.removeAll(ctx, s.dir))
}

// publish joins the complete parts of a staged directory into the first and gives
// it the target's name; then the directory goes.
func (c *cluster) publish(ctx context.Context, dir string, parts int, size int64, target string, replace bool) error {
	first := dir + "/1"
	var rest []string
	for n := 2; n <= parts; n++ {
		rest = append(rest, fmt.Sprintf("%s/%d", dir, n))
	}
	if err := c.concat(ctx, first, rest, size); err != nil {
		return err
	}
	st, err := c.stat(ctx, first)
	if err != nil {
		return err
	}
	if st.Size() != size {
		return fmt.Errorf("%d bytes were written, %d are there", size, st.Size())
	}
	if there, err := c.stat(ctx, target); err == nil && there.IsDir() {
		return fs.ErrIsDir
	}
	if err := c.rename(ctx, st, first, target, replace); err != nil {
		return err
	}
	return c.removeAll(ctx, dir)
}

// concat appends parts to the file first, unless that has its size already: then
// it was done by a try whose answer was lost.
func (c *cluster) concat(ctx context.Context, first string, parts []string, size int64) error {
	if len(parts) == 0 {
		return nil
	}
	return c.call(ctx, func(cl *client, _ bool) error {
		if st, err := cl.Stat(first); err != nil || st.Size() == size {
			return err
		}
		return namenode.Concat(cl.Client, first, parts)
	})
}

// writer publishes at Commit.
type writer struct {
	staged
	exclusive bool
}

// Create implements fs.FileSystem.
func (h *FileSystem) Create(ctx context.Context, p string, opts fs.CreateOptions) (fs.Writer, error) {
	s, err := h.stage(ctx, p, opts.IfNotExists)
	if err != nil {
		return nil, wrap("create", p, err)
	}
	return &writer{staged: *s, exclusive: opts.IfNotExists}, nil
}

// Commit implements fs.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if err := w.ready(ctx, "commit"); err != nil {
		return err
	}
	err := w.finish(ctx)
	if err == nil {
		err = w.c.publish(ctx, w.dir, w.parts, w.size, w.name, !w.exclusive)
	}
	if err != nil {
		w.err = wrap("commit", w.path, err)
		return w.err
	}
	w.done = true
	return nil
}
