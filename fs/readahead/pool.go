package readahead

import (
	"context"
	"slices"
	"sync"
)

// DefaultLimit is the memory of a Pool whose owner has no better number.
const DefaultLimit = 256 << 20

const (
	maxIdle    = 32 << 20  // of memory that no block uses is kept for the next ones
	grain      = 256 << 10 // memory comes in multiples of it, so that it fits again
	maxFetches = 32        // at the same time
)

// Pool is the memory that the files of a process read ahead into, and their
// places on the line. Any goroutine may use it.
type Pool struct {
	limit int64
	line  chan struct{} // one entry for each fetch under way

	mu   sync.Mutex
	used int64    // by blocks
	idle [][]byte // for the next blocks; counts to the limit
	rest int64    // bytes of idle
}

// NewPool returns a pool of at most limit bytes; 0 takes DefaultLimit.
func NewPool(limit int64) *Pool {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Pool{limit: limit, line: make(chan struct{}, maxFetches)}
}

// Held returns the bytes of memory that the pool holds now.
func (p *Pool) Held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used + p.rest
}

// take returns n bytes of any content, or nil when there is no memory for them.
func (p *Pool) take(n int64) []byte {
	size := (n + grain - 1) / grain * grain
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, b := range p.idle {
		if int64(cap(b)) >= n && int64(cap(b)) <= 2*size && (best < 0 || cap(b) < cap(p.idle[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := p.idle[best]
		p.idle = slices.Delete(p.idle, best, best+1)
		p.rest -= int64(cap(b))
		p.used += int64(cap(b))
		return b[:n]
	}
	if p.used+size > p.limit {
		return nil
	}
	for p.used+p.rest+size > p.limit {
		p.rest -= int64(cap(p.idle[0]))
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.used += size
	return make([]byte, n, size)
}

// give takes back what take returned; nobody looks at it any more.
func (p *Pool) give(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= int64(cap(b))
	if p.rest+int64(cap(b)) <= maxIdle {
		p.idle = append(p.idle, b)
		p.rest += int64(cap(b))
	}
}

// Enter waits for a place for one more fetch or store; leave gives it back.
func (p *Pool) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.line <- struct{}{}:
		return func() { <-p.line }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
