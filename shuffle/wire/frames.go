package wire

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// frames is what gRPC reads HTTP/2 frames into. Its own pool zeroes each buffer that it
// lends, which is a pass over all that arrives; the reader overwrites them anyway.
type frames struct {
	pool sync.Pool // of *[]byte of frameBytes
}

// frameBytes is the largest frame that gRPC sends or accepts.
const frameBytes = 16 << 10

var _ mem.BufferPool = (*frames)(nil)

// Frames returns a pool for the gRPC ends of a process.
func Frames() mem.BufferPool { return &frames{} }

// Get implements mem.BufferPool.
func (f *frames) Get(n int) *[]byte {
	if n > frameBytes {
		b := make([]byte, n)
		return &b
	}
	if b, ok := f.pool.Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, frameBytes)
	return &b
}

// Put implements mem.BufferPool.
func (f *frames) Put(b *[]byte) {
	if cap(*b) == frameBytes {
		f.pool.Put(b)
	}
}
