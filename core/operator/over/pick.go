package over

import (
	"math"

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

func newNumbers(c *jobgraph.OverCall, i int, p *partitions) numbers {
	if i >= len(c.Call.Args) {
		return numbers{}
	}
	column := p.record.Column(int(c.Call.Args[i]))
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
	p     *partitions
	count numbers
	mem   memory.Allocator
}

func newTiles(c *jobgraph.OverCall, p *partitions, mem memory.Allocator) (column, error) {
	return &tiles{p: p, count: newNumbers(c, 0, p), mem: mem}, nil
}

func (t *tiles) values(from, to int) (arrow.Array, error) {
	b := array.NewInt64Builder(t.mem)
	defer b.Release()
	b.Reserve(to - from)
	for i := from; i < to; i++ {
		n, ok := t.count.at(i)
		if !ok || n < 1 {
			return nil, failure.Errorf(failure.BadData, "NTILE wants at least one tile, not %d", n)
		}
		row, size := int64(i)-int64(t.p.start[i]), int64(t.p.end[i]-t.p.start[i])
		short := size / n
		long := size % n * (short + 1)
		if row < long {
			b.UnsafeAppend(row/(short+1) + 1)
		} else {
			b.UnsafeAppend(size%n + (row-long)/short + 1)
		}
	}
	return b.NewArray(), nil
}

func (*tiles) release() {}

// pick takes the value of another row: LAG, LEAD, FIRST_VALUE, LAST_VALUE or
// NTH_VALUE.
type pick struct {
	p        *partitions
	f        *frames
	function string
	mem      memory.Allocator
	from     arrow.Array // the values; with a default, those follow
	n        numbers
	filled   bool // from has defaults behind the values
	valid    []int32
	before   []int32 // how many valid rows come before each row; nil: all are
}

func newPick(c *jobgraph.OverCall, p *partitions, mem memory.Allocator) (column, error) {
	k := &pick{p: p, function: c.Call.Function, mem: mem, n: newNumbers(c, 1, p)}
	value := p.record.Column(int(c.Call.Args[0]))
	switch k.function {
	case "LAG", "LEAD":
	default:
		var err error
		if k.f, err = p.frames(c.Frame); err != nil {
			return nil, err
		}
	}
	if c.IgnoreNulls {
		k.before = make([]int32, p.rows+1)
		for i := range p.rows {
			k.before[i] = int32(len(k.valid))
			if value.IsValid(i) {
				k.valid = append(k.valid, int32(i))
			}
		}
		k.before[p.rows] = int32(len(k.valid))
	}
	if len(c.Call.Args) < 3 {
		value.Retain()
		k.from = value
		return k, nil
	}
	var err error
	k.from, err = compute.Concat(mem, []arrow.Array{value, p.record.Column(int(c.Call.Args[2]))})
	k.filled = true
	return k, err
}

func (k *pick) values(from, to int) (arrow.Array, error) {
	rows := make([]int32, to-from)
	for i := range rows {
		row := from + i
		n, ok := k.n.at(row)
		if rows[i] = -1; !ok {
			continue
		}
		if k.f != nil && n < 1 {
			return nil, failure.Errorf(failure.BadData, "NTH_VALUE counts from 1, not from %d", n)
		}
		rows[i] = k.find(row, n)
		if rows[i] < 0 && k.filled {
			rows[i] = int32(k.p.rows + row)
		}
	}
	return compute.TakeOrNull(k.mem, k.from, rows)
}

// find is the row whose value row takes, or -1.
func (k *pick) find(row int, n int64) int32 {
	n = min(max(n, -math.MaxInt32), math.MaxInt32)
	switch k.function {
	case "LAG":
		return k.neighbour(row, -n)
	case "LEAD":
		return k.neighbour(row, n)
	case "LAST_VALUE":
		return k.nth(row, int64(k.count(k.f.to[row]))-1)
	case "FIRST_VALUE":
		n = 1
	}
	return k.nth(row, int64(k.count(k.f.from[row]))+n-1)
}

// neighbour counts only valid rows, if others are to be ignored.
func (k *pick) neighbour(row int, by int64) int32 {
	if by == 0 {
		return int32(row)
	}
	at := int64(k.count(int32(row))) + by
	if by > 0 {
		at = int64(k.count(int32(row+1))) + by - 1
	}
	if at < int64(k.count(k.p.start[row])) || at >= int64(k.count(k.p.end[row])) {
		return -1
	}
	return k.row(at)
}

// nth is the at-th row, if it is in row's frame.
func (k *pick) nth(row int, at int64) int32 {
	if at < int64(k.count(k.f.from[row])) || at >= int64(k.count(k.f.to[row])) {
		return -1
	}
	return k.row(at)
}

// count is how many rows that count come before row.
func (k *pick) count(row int32) int32 {
	if k.before == nil {
		return row
	}
	return k.before[row]
}

func (k *pick) row(at int64) int32 {
	if k.before == nil {
		return int32(at)
	}
	return k.valid[at]
}

func (k *pick) release() { k.from.Release() }
