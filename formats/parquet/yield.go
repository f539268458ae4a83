package parquet

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/formats"
)

// position is where a reader is.
type position struct {
	group, next int
	left        int64
	rows        []rowRange
	stats       formats.ReadStats
}

func (r *reader) position() position {
	return position{group: r.group, next: r.next, left: r.left, rows: r.rows, stats: r.stats}
}

// Yield implements formats.Yielder: it gives back what it holds of the row group.
// Where the last Read failed, its rows come again.
func (r *reader) Yield() {
	if r.closed {
		return
	}
	if r.failed {
		was := r.before
		r.group, r.next, r.left, r.rows, r.stats = was.group, was.next, was.left, was.rows, was.stats
		r.releasePending()
	}
	r.suspended = true
	r.releaseState()
	r.failed = false
}

// releaseState gives back all but pending batches.
func (r *reader) releaseState() {
	for _, d := range r.decoders {
		d.close()
	}
	r.decoders, r.sources = nil, nil
	r.releaseGroup()
	if r.failed {
		r.alloc.freeRest()
	}
}

func (r *reader) releasePending() {
	for _, b := range r.pending {
		b.Release()
	}
	r.pending = nil
}

// resume returns to where the reader was before Yield.
func (r *reader) resume() error {
	if err := r.openDecoders(); err != nil {
		return err
	}
	if r.left > 0 {
		if err := r.start(r.group); err != nil {
			return err
		}
		done := r.file.meta.groups[r.group].rows - r.left
		for _, d := range r.decoders {
			d.skip(int(done))
		}
	}
	r.suspended = false
	return nil
}

// recorder is the reader's allocator. It knows what was allocated since begin, so
// that what a decoder held when it was refused more is not lost.
type recorder struct {
	memory.Allocator
	mu     sync.Mutex
	noting bool
	live   map[*byte][]byte
}

var _ dirtyAllocator = (*recorder)(nil)

func (a *recorder) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.live)
	a.noting = true
}

// end forgets it: it is handed out.
func (a *recorder) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.live)
	a.noting = false
}

// freeRest frees what was allocated since begin and nobody has freed.
func (a *recorder) freeRest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.live {
		a.Allocator.Free(b)
	}
	clear(a.live)
}

func (a *recorder) note(b []byte) []byte {
	if cap(b) > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.noting {
			a.live[&b[:1][0]] = b
		}
	}
	return b
}

func (a *recorder) forget(b []byte) {
	if cap(b) > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.live, &b[:1][0])
	}
}

// Allocate implements memory.Allocator.
func (a *recorder) Allocate(size int) []byte { return a.note(a.Allocator.Allocate(size)) }

// AllocateDirty is Allocate for bytes that are all written before they are read.
func (a *recorder) AllocateDirty(size int) []byte {
	if d, ok := a.Allocator.(dirtyAllocator); ok {
		return a.note(d.AllocateDirty(size))
	}
	return a.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (a *recorder) Reallocate(size int, b []byte) []byte {
	moved := a.Allocator.Reallocate(size, b)
	a.forget(b)
	return a.note(moved)
}

// Free implements memory.Allocator.
func (a *recorder) Free(b []byte) {
	a.forget(b)
	a.Allocator.Free(b)
}

var _ formats.Yielder = (*reader)(nil)
