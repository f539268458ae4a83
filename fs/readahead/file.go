package readahead

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/fs"
)

const (
	// TailBytes is how much of a file's end is fetched and kept when any of it is
	// read: there formats have their footers.
	TailBytes = 64 << 10
	// stepBytes is the size of the blocks that are read ahead of a reader of small
	// pieces; there are two of them.
	stepBytes    = 4 << 20
	maxFileBytes = 64 << 20 // read ahead in one file and not used yet
)

// Options say what a File reads.
type Options struct {
	// Size is the length of the file.
	Size int64
	// Tail are the last bytes of the file where they are known already.
	Tail []byte
	// Fetch fills p with the bytes at off. It is called concurrently.
	Fetch func(ctx context.Context, p []byte, off int64) error
	// PartBytes is the size of the pieces in which more than two of them are
	// fetched at the same time.
	PartBytes int64
	// Pool is the memory.
	Pool *Pool
}

// File reads one file. Its methods may be called concurrently; their errors are
// those of Fetch and of the context, io.EOF and fs.ErrClosed.
type File struct {
	o      Options
	ctx    context.Context // the opener's: fs.File says that it bounds reads
	cancel context.CancelFunc
	tasks  sync.WaitGroup // fetches of blocks

	mu     sync.Mutex
	closed bool
	blocks []*block // not used up yet
	held   int64    // bytes of blocks
	last   int64    // where the last read ended
}

// block is a range that is fetched before it is asked for.
type block struct {
	off, end int64
	tail     bool          // not of the pool, and kept until Close
	done     chan struct{} // closed when data or err is there
	data     []byte
	err      error

	users   int  // who look at data; guarded by File.mu, as the next
	dropped bool // not in File.blocks any more
}

var _ fs.Prefetcher = (*File)(nil)

// New returns the file; the context bounds all of its reads. The caller closes it.
func New(ctx context.Context, o Options) *File {
	f := &File{o: o, last: -1}
	f.ctx, f.cancel = context.WithCancel(ctx)
	if n := int64(len(o.Tail)); n > 0 {
		known := &block{off: o.Size - n, end: o.Size, tail: true, done: make(chan struct{}), data: o.Tail}
		close(known.done)
		f.blocks, f.held = append(f.blocks, known), n
	}
	return f
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if err := f.alive(); err != nil {
		return 0, err
	}
	var end error
	if rest := max(f.o.Size-off, 0); int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	done := 0
	for done < len(p) {
		n, err := f.some(p[done:], off+int64(done))
		done += n
		if err != nil {
			if errors.Is(f.alive(), fs.ErrClosed) {
				err = fs.ErrClosed
			}
			return done, err
		}
	}
	return done, end
}

func (f *File) alive() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	return f.ctx.Err()
}

// some reads the first bytes of p, as many as lie in one place.
func (f *File) some(p []byte, off int64) (int, error) {
	b, end := f.find(off, int64(len(p)))
	if b == nil {
		p = p[:end-off]
		return len(p), f.direct(p, off)
	}
	select {
	case <-b.done:
	case <-f.ctx.Done():
		f.leave(b, false)
		return 0, f.ctx.Err()
	}
	n := 0
	if b.err == nil {
		n = copy(p, b.data[off-b.off:])
	}
	f.leave(b, b.err != nil || !b.tail && off+int64(n) == b.end)
	return n, b.err
}

// find returns the block that holds the byte at off, which the caller leaves; or
// nil and how far may be read without one. It notices readers that go from front
// to back in small steps, and reads ahead of them.
func (f *File) find(off, length int64) (*block, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	inOrder := off == f.last
	end := min(off+length, f.o.Size)
	if tail := max(f.o.Size-TailBytes, 0); off >= tail && f.covering(off) == nil && !f.closed {
		f.start(&block{off: tail, end: f.o.Size, tail: true, data: make([]byte, f.o.Size-tail)})
	} else if inOrder && length < stepBytes {
		for at, limit := off, min(off+2*stepBytes, f.o.Size); at < limit; {
			b := f.covering(at)
			if b == nil && !f.begin(at, min(at+stepBytes, f.o.Size)) {
				break
			}
			at = f.covering(at).end
		}
	}
	if b := f.covering(off); b != nil {
		b.users++
		f.last = min(end, b.end)
		return b, 0
	}
	for _, b := range f.blocks {
		if b.off > off {
			end = min(end, b.off)
		}
	}
	f.last = end
	return nil, end
}

func (f *File) covering(off int64) *block {
	for _, b := range f.blocks {
		if b.off <= off && off < b.end {
			return b
		}
	}
	return nil
}

// leave ends the caller's use of a block, which is forgotten when it is used up.
func (f *File) leave(b *block, used bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.users--
	if used {
		f.drop(b)
	}
	f.free(b)
}

// drop takes a block out of the file; f.mu is held.
func (f *File) drop(b *block) {
	if i := slices.Index(f.blocks, b); i >= 0 {
		f.blocks = slices.Delete(f.blocks, i, i+1)
		f.held -= b.end - b.off
		b.dropped = true
	}
}

// free gives a dropped block's memory back when nobody looks at it; f.mu is held.
func (f *File) free(b *block) {
	if b.dropped && b.users == 0 && b.data != nil && !b.tail {
		f.o.Pool.give(b.data)
		b.data = nil
	}
}

// Prefetch implements fs.Prefetcher: it begins to fetch a range that will be read
// soon, unless that needs more memory than there is for it.
func (f *File) Prefetch(off, length int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := min(off+length, f.o.Size)
	part := f.o.PartBytes
	if n := end - off; n <= 2*part {
		part = n
	}
	for off >= 0 && off < end && f.covering(off) == nil {
		next := min(off+part, end)
		if !f.begin(off, next) {
			return
		}
		off = next
	}
}

// begin starts to fetch a block up to end, or to where the next one begins; f.mu
// is held.
func (f *File) begin(off, end int64) bool {
	for _, b := range f.blocks {
		if b.off > off {
			end = min(end, b.off)
		}
	}
	if f.closed || f.ctx.Err() != nil || f.held+end-off > maxFileBytes {
		return false
	}
	data := f.o.Pool.take(end - off)
	if data == nil {
		return false
	}
	f.start(&block{off: off, end: end, data: data})
	return true
}

// start fetches into a new block's memory; f.mu is held. The fetch is one of the
// block's users.
func (f *File) start(b *block) {
	b.done, b.users = make(chan struct{}), 1
	f.blocks = append(f.blocks, b)
	f.held += b.end - b.off
	f.tasks.Go(func() {
		b.err = f.fetch(b.data, b.off)
		close(b.done)
		f.leave(b, false)
	})
}

func (f *File) fetch(p []byte, off int64) error {
	leave, err := f.o.Pool.Enter(f.ctx)
	if err != nil {
		return err
	}
	defer leave()
	return f.o.Fetch(f.ctx, p, off)
}

// direct fetches without a block, a large range as several at the same time.
func (f *File) direct(p []byte, off int64) error {
	part := int(f.o.PartBytes)
	if len(p) <= 2*part {
		return f.fetch(p, off)
	}
	var wg sync.WaitGroup
	errs := make([]error, (len(p)+part-1)/part)
	for i := range errs {
		wg.Go(func() {
			from := i * part
			errs[i] = f.fetch(p[from:min(from+part, len(p))], off+int64(from))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close ends the fetches and waits for them. The second time it says fs.ErrClosed.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return fs.ErrClosed
	}
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.tasks.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.blocks) > 0 {
		b := f.blocks[0]
		f.drop(b)
		f.free(b)
	}
	return nil
}
