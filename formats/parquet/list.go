package parquet

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// list is a growing slice on the writer's allocator, so that what a writer
// holds is in the ledger. alloc is set before the first use.
type list[T uint8 | uint16 | int32 | uint32 | uint64] struct {
	alloc memory.Allocator
	raw   []byte
	v     []T
}

// firstListBytes is the least a list allocates.
const firstListBytes = 1 << 10

// reserve makes room for n more values.
func (l *list[T]) reserve(n int) {
	if need := len(l.v) + n; need > cap(l.v) {
		l.move(max(need, 2*cap(l.v)))
	}
}

func (l *list[T]) move(values int) {
	var one [1]T
	size := len(arrow.GetBytes(one[:]))
	have := len(l.v)
	bytes := max(values*size, firstListBytes)
	l.raw = l.alloc.Reallocate(bytes, l.raw)
	whole := bytes / size * size // and no more, though there may be room: only that much moves
	l.v = arrow.GetData[T](l.raw[:whole:whole])[:have]
}

// push appends values.
func (l *list[T]) push(values ...T) {
	l.reserve(len(values))
	l.v = append(l.v, values...)
}

// extend appends n values, whatever their content is, and returns them.
func (l *list[T]) extend(n int) []T {
	l.reserve(n)
	have := len(l.v)
	l.v = l.v[:have+n]
	return l.v[have:]
}

// resize returns n values, whatever their content is.
func (l *list[T]) resize(n int) []T {
	l.v = l.v[:0]
	return l.extend(n)
}

// held is the bytes allocated.
func (l *list[T]) held() int { return cap(l.raw) }

// release frees the memory; the list is empty then, and can be used again.
func (l *list[T]) release() {
	if l.raw != nil {
		l.alloc.Free(l.raw)
	}
	l.raw, l.v = nil, nil
}
