package parquet

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// roomy gives more room than was asked for, as allocators with size classes do,
// and moves no more than was asked for.
type roomy struct{}

func (roomy) Allocate(size int) []byte { return make([]byte, size, 2*size+100) }

func (r roomy) Reallocate(size int, b []byte) []byte {
	out := r.Allocate(size)
	copy(out, b)
	return out
}

func (roomy) Free([]byte) {}

var _ memory.Allocator = roomy{}

// A list keeps its values when it grows, whatever room the allocator gives.
func TestListGrows(t *testing.T) {
	l := list[uint64]{alloc: roomy{}}
	for i := range uint64(10_000) {
		l.push(i)
	}
	for i, v := range l.v {
		if v != uint64(i) {
			t.Fatalf("value %d is %d", i, v)
		}
	}
}
