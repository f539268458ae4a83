package s3

import "slices"

const (
	// aheadBytes is the size of the blocks that are read ahead of a reader of
	// small pieces; there are two of them.
	aheadBytes = 4 << 20
)

// block is a range that is being fetched before it is asked for.
type block struct {
	off, end int64
	done     chan struct{} // closed when data or err is there
	data     []byte
	err      error
}

// Prefetch implements fs.Prefetcher: it begins to fetch a range that will be read
// soon, unless that needs more memory than there is for it.
func (o *file) Prefetch(off, length int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	end := min(off+length, o.tailAt)
	part := o.fs.opts.PartBytes
	if n := end - off; n <= 2*part {
		part = n
	}
	for off >= 0 && off < end && o.covering(off) == nil {
		next := min(off+part, end)
		if !o.begin(off, next) {
			return
		}
		off = next
	}
}

// begin starts to fetch a block; o.mu is held.
func (o *file) begin(off, end int64) bool {
	if o.closed || o.ctx.Err() != nil || o.held+end-off > maxFileBlocks || !o.fs.reserve(end-off) {
		return false
	}
	b := &block{off: off, end: end, done: make(chan struct{})}
	o.blocks = append(o.blocks, b)
	o.held += end - off
	o.tasks.Go(func() {
		defer close(b.done)
		data := make([]byte, end-off)
		if b.err = o.fs.fetch(o.ctx, o, data, off); b.err == nil {
			b.data = data
		}
	})
	return true
}

// find returns the block that holds the byte at off; or nil and how far may be
// read without one. It notices readers that go from front to back in small
// steps, and reads ahead of them.
func (o *file) find(off, length int64) (*block, int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	inOrder := off == o.last
	end := min(off+length, o.tailAt)
	o.last = end
	if inOrder && length < aheadBytes {
		for at, limit := off, min(off+2*aheadBytes, o.tailAt); at < limit; {
			b := o.covering(at)
			if b == nil && !o.begin(at, min(at+aheadBytes, o.tailAt)) {
				break
			}
			at = o.covering(at).end
		}
	}
	if b := o.covering(off); b != nil {
		o.last = min(end, b.end)
		return b, 0
	}
	for _, b := range o.blocks {
		if b.off > off {
			end = min(end, b.off)
		}
	}
	o.last = end
	return nil, end
}

func (o *file) covering(off int64) *block {
	for _, b := range o.blocks {
		if b.off <= off && off < b.end {
			return b
		}
	}
	return nil
}

// drop forgets a block that was read to its end.
func (o *file) drop(b *block) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.blocks, b); i >= 0 {
		o.blocks = slices.Delete(o.blocks, i, i+1)
		o.held -= b.end - b.off
		o.fs.unreserve(b.end - b.off)
	}
}
