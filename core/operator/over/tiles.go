package over

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// numbers is an argument column of whole numbers; one where there is none.
type numbers struct {
	column arrow.Array
	v      []int64
}

func newNumbers(c *jobgraph.OverCall, i int, s *section) numbers {
	if i >= len(c.Call.Args) {
		return numbers{}
	}
	column := s.record.Column(int(c.Call.Args[i]))
	v, _ := compute.Integers(column, nil, nil)
	return numbers{column: column, v: v}
}

func (n numbers) at(row int) (v int64, ok bool) {
	if n.column == nil {
		return 1, true
	}
	if n.column.IsNull(row) {
		return 0, false
	}
	return n.v[row], true
}

// tiles is NTILE: the first tiles of a partition are one row longer.
type tiles struct {
	call  *jobgraph.OverCall
	mem   memory.Allocator
	s     *section
	count numbers
}

func (t *tiles) bind(s *section) error {
	t.s, t.count = s, newNumbers(t.call, 0, s)
	return nil
}

func (t *tiles) ready() int {
	if t.s.open && t.s.foreseen == nil {
		return t.s.lastStart()
	}
	return t.s.rows
}

func (t *tiles) keep(next int) int { return next }

func (t *tiles) values(from, to int) (arrow.Array, error) {
	b := array.NewInt64Builder(t.mem)
	defer b.Release()
	b.Reserve(to - from)
	for i := from; i < to; i++ {
		n, ok := t.count.at(i)
		if !ok || n < 1 {
			return nil, failure.Errorf(failure.BadData, "NTILE wants at least one tile, not %d", n)
		}
		row, size := t.s.number(i), t.s.size(i)
		short := size / n
		long := size % n * (short + 1) // rows in tiles of short+1
		if row < long {
			b.UnsafeAppend(row/(short+1) + 1)
		} else {
			b.UnsafeAppend(size%n + (row-long)/short + 1)
		}
	}
	return b.NewArray(), nil
}

func (t *tiles) drop(int, int) error { return nil }
func (t *tiles) free()               { t.s, t.count = nil, numbers{} }
func (t *tiles) shed()               {}
func (t *tiles) release()            {}
