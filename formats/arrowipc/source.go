package arrowipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

const fileMagic = "ARROW1"

// source is an opened file or stream.
type source struct {
	in     formats.Input
	bytes  *counted
	alloc  *tracked
	schema *arrow.Schema
	file   *ipc.FileReader // nil for a stream
	count  int             // the file's record batches
	stream *ipc.Reader
}

// openSource reads the schema. A nil allocator is Go's heap.
func openSource(ctx context.Context, in formats.Input, alloc memory.Allocator) (s *source, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if alloc == nil {
		alloc = memory.DefaultAllocator
	}
	s = &source{in: in, bytes: &counted{in: in}, alloc: &tracked{Allocator: alloc, limit: limitOf(in.Size)}}
	err = s.guard(func() error {
		var head [len(fileMagic)]byte
		if n, err := s.bytes.ReadAt(head[:], 0); n < len(head) {
			return fmt.Errorf("too short: %w", err)
		}
		section := io.NewSectionReader(s.bytes, 0, in.Size)
		if string(head[:]) == fileMagic {
			if err := s.checkFile(); err != nil {
				return err
			}
			if s.file, err = ipc.NewFileReader(section, ipc.WithAllocator(s.alloc)); err == nil {
				s.schema, s.count = s.file.Schema(), s.file.NumRecords()
			}
			return err
		}
		if err := s.checkStream(); err != nil {
			return err
		}
		if s.stream, err = ipc.NewReader(section, ipc.WithAllocator(s.alloc), ipc.WithDelayReadSchema(false)); err == nil {
			s.schema = s.stream.Schema()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.alloc.keep()
	return s, nil
}

// guard runs a call into arrow-go. Its error is the input's if that failed, else
// bad data; after an error, memory that the call left behind is freed.
func (s *source) guard(call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the decoder gave up: %v", v)
		}
		switch {
		case err == nil || errors.Is(err, io.EOF) && s.bytes.err == nil && s.schema != nil:
			return
		case s.bytes.err != nil:
			err = fmt.Errorf("read %s: %w", s.in.Path, s.bytes.err)
		default:
			err = failure.Errorf(failure.BadData, "%s: not a readable Arrow file: %w", s.in.Path, err)
		}
		s.alloc.freeAll()
	}()
	return call()
}

// batch returns record batch i of a file, or the next of a stream.
func (s *source) batch(i int) (b arrow.RecordBatch, err error) {
	err = s.guard(func() error {
		if s.file != nil {
			b, err = s.file.RecordBatchAt(i)
			return err
		}
		if b, err = s.stream.Read(); err == nil {
			b.Retain()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.alloc.keep()
	return b, nil
}

func (s *source) close() {
	defer func() { _ = recover() }() // closing what is corrupt must not fail the job
	if s.file != nil {
		_ = s.file.Close()
	}
	if s.stream != nil {
		s.stream.Release()
	}
}

// counted counts bytes and remembers an error that is not the file's end.
type counted struct {
	in   formats.Input
	read int64
	err  error
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.in.ReadAt(p, off)
	c.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && c.err == nil {
		c.err = err
	}
	return n, err
}

// tracked knows what was allocated since the last keep, so that it can be freed
// when decoding fails in between. It refuses sizes that the file cannot fill:
// arrow-go believes what a compressed buffer says of its own length.
//
// Who was handed a batch frees its buffers at any time and on any goroutine, hence
// the lock.
type tracked struct {
	memory.Allocator
	limit int64

	mu    sync.Mutex
	live  map[*byte][]byte
	freed map[*byte][]byte // by freeAll: arrow-go may free it once more when it is closed
}

// limitOf is the largest buffer that a file of that size may ask for.
func limitOf(size int64) int64 { return min(size, maxBuffer/maxRatio)*maxRatio + 1<<20 }

const (
	maxRatio  = 1 << 10
	maxBuffer = 2 << 30
)

func (t *tracked) check(n int) {
	if n < 0 || int64(n) > t.limit {
		panic(fmt.Sprintf("buffer of %d bytes, the limit for this file is %d", n, t.limit))
	}
}

func (t *tracked) Allocate(n int) []byte {
	t.check(n)
	b := t.Allocator.Allocate(n)
	t.add(b)
	return b
}

func (t *tracked) Reallocate(n int, b []byte) []byte {
	t.check(n)
	t.drop(b)
	b = t.Allocator.Reallocate(n, b)
	t.add(b)
	return b
}

func (t *tracked) Free(b []byte) {
	if t.drop(b) {
		t.Allocator.Free(b)
	}
}

func (t *tracked) add(b []byte) {
	if cap(b) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = map[*byte][]byte{}
	}
	t.live[&b[:1][0]] = b
}

// drop forgets b and tells whether it is still to be freed.
func (t *tracked) drop(b []byte) bool {
	if cap(b) == 0 {
		return true
	}
	first := &b[:1][0]
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.live, first)
	return t.freed[first] == nil
}

// keep leaves all that lives to its owners.
func (t *tracked) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live = nil
}

// freeAll frees what has no owner yet.
func (t *tracked) freeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.live {
		t.Allocator.Free(b)
	}
	t.freed, t.live = t.live, nil
}
