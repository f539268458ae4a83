package wire

import (
	"runtime"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// loan is what gRPC has of a payload: its parts, until they are written. gRPC does not
// give back all: it drops the data frames of a stream that is gone by then, and those
// that wait in a connection that breaks. What it dropped nobody can reach any more, so
// the garbage collector tells, and the payload is released after all.
type loan struct {
	payload *payload
	parts   atomic.Int64
	dropped runtime.Cleanup
}

var _ mem.BufferPool = (*loan)(nil)

// lend has a number of parts be given back before p is released.
func (p *payload) lend(parts int) *loan {
	p.retain()
	l := &loan{payload: p}
	l.parts.Store(int64(parts))
	l.dropped = runtime.AddCleanup(l, (*payload).release, p)
	return l
}

// Get implements mem.BufferPool; it is never called.
func (l *loan) Get(int) *[]byte { panic("wire: a payload gives no buffers") }

// Put implements mem.BufferPool: gRPC does not need a part any more.
func (l *loan) Put(*[]byte) {
	if l.parts.Add(-1) == 0 {
		l.dropped.Stop()
		l.payload.release()
	}
	runtime.KeepAlive(l)
}
