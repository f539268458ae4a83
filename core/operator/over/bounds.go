package over

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rowsort"
)

// partitions are whole partitions with the bounds of each row's partition and of
// its peers, the rows of equal order.
type partitions struct {
	record            arrow.RecordBatch
	rows              int
	order             []rowsort.Key
	start, end        []int32 // of the partition, by row
	peers, peersAfter []int32 // of the peers, by row
}

func divide(record arrow.RecordBatch, partition, order []rowsort.Key) (*partitions, error) {
	p := &partitions{record: record, rows: int(record.NumRows()), order: order}
	if p.rows > math.MaxInt32 {
		return nil, fmt.Errorf("a partition of %d rows", p.rows)
	}
	inPartition, err := rowsort.Comparers(record, record, partition)
	if err != nil {
		return nil, err
	}
	inPeers, err := rowsort.Comparers(record, record, order)
	if err != nil {
		return nil, err
	}
	n := p.rows
	p.start, p.end = make([]int32, n), make([]int32, n)
	p.peers, p.peersAfter = make([]int32, n), make([]int32, n)
	for i := 1; i < n; i++ {
		p.start[i], p.peers[i] = p.start[i-1], p.peers[i-1]
		if rowsort.Compare(inPartition, i-1, i) != 0 {
			p.start[i], p.peers[i] = int32(i), int32(i)
		} else if rowsort.Compare(inPeers, i-1, i) != 0 {
			p.peers[i] = int32(i)
		}
	}
	for i := n - 1; i >= 0; i-- {
		p.end[i], p.peersAfter[i] = int32(i+1), int32(i+1)
		if i+1 < n && p.start[i+1] == p.start[i] {
			p.end[i] = p.end[i+1]
			if p.peers[i+1] == p.peers[i] {
				p.peersAfter[i] = p.peersAfter[i+1]
			}
		}
	}
	return p, nil
}

// frames are the rows [from, to) that each row sees; from <= to.
type frames struct {
	from, to []int32
	whole    bool // always the partition
}

func (p *partitions) frames(f *jobgraph.Frame) (*frames, error) {
	from, to := f.From, f.To
	if from.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING && to.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING {
		return &frames{from: p.start, to: p.end, whole: true}, nil
	}
	at := p.rowBound
	if f.Unit == jobgraph.FrameUnit_FRAME_RANGE {
		at = p.rangeBound
	}
	out := &frames{}
	var err error
	if out.from, err = at(from, false); err != nil {
		return nil, err
	}
	if out.to, err = at(to, true); err != nil {
		return nil, err
	}
	empty := false
	for i := range out.from {
		empty = empty || out.from[i] > out.to[i]
	}
	if !empty {
		return out, nil
	}
	to2 := make([]int32, p.rows)
	for i := range to2 {
		to2[i] = max(out.from[i], out.to[i])
	}
	out.to = to2
	return out, nil
}

// rowBound is where a frame of rows begins, or the row after its end.
func (p *partitions) rowBound(b *jobgraph.FrameBound, end bool) ([]int32, error) {
	shift := b.Offset
	switch b.Kind {
	case jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING:
		return p.start, nil
	case jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return p.end, nil
	case jobgraph.BoundKind_BOUND_PRECEDING:
		shift = -shift
	case jobgraph.BoundKind_BOUND_CURRENT_ROW:
		shift = 0
	}
	shift = min(max(shift, -math.MaxInt32), math.MaxInt32)
	if end {
		shift++
	}
	out := make([]int32, p.rows)
	for i := range out {
		out[i] = int32(min(max(int64(i)+shift, int64(p.start[i])), int64(p.end[i])))
	}
	return out, nil
}

// rangeBound is rowBound for a frame by values of the order column.
func (p *partitions) rangeBound(b *jobgraph.FrameBound, end bool) ([]int32, error) {
	switch b.Kind {
	case jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING:
		return p.start, nil
	case jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return p.end, nil
	case jobgraph.BoundKind_BOUND_CURRENT_ROW:
		if end {
			return p.peersAfter, nil
		}
		return p.peers, nil
	}
	key := p.record.Column(p.order[0].Column)
	// Values ascend in the order's direction once they are negated for DESC; a
	// bound before the row is then always a smaller value.
	before := b.Kind == jobgraph.BoundKind_BOUND_PRECEDING
	if id := valueType(key); id == arrow.FLOAT32 || id == arrow.FLOAT64 {
		v, _ := compute.Reals(key, nil, nil)
		v = append([]float64(nil), v...)
		if p.order[0].Order.Descending {
			for i := range v {
				v[i] = -v[i]
			}
		}
		shift := b.Real
		if before {
			shift = -shift
		}
		return slide(p, key, v, func(x float64) float64 { return x + shift }, end), nil
	}
	v, _ := compute.Integers(key, nil, nil)
	v = append([]int64(nil), v...)
	if p.order[0].Order.Descending {
		for i := range v {
			v[i] = ^v[i] // reverses the order without overflow
		}
	}
	shift := b.Offset
	if before {
		shift = -shift
	}
	return slide(p, key, v, func(x int64) int64 { return addSaturated(x, shift) }, end), nil
}

func addSaturated(x, y int64) int64 {
	sum := x + y
	switch {
	case y > 0 && sum < x:
		return math.MaxInt64
	case y < 0 && sum > x:
		return math.MinInt64
	}
	return sum
}

// slide finds the first row whose value is not below bound(value), or with end
// the first one above it. Rows without a value see each other.
func slide[T int64 | float64](p *partitions, key arrow.Array, v []T, bound func(T) T, end bool) []int32 {
	out := make([]int32, p.rows)
	at := int32(0)
	for i := range out {
		if i == 0 || p.start[i] != p.start[i-1] {
			at = p.start[i]
			for at < p.end[i] && key.IsNull(int(at)) {
				at++
			}
		}
		if key.IsNull(i) {
			out[i] = p.peers[i]
			if end {
				out[i] = p.peersAfter[i]
			}
			continue
		}
		limit := bound(v[i])
		for at < p.end[i] && key.IsValid(int(at)) && (v[at] < limit || end && v[at] == limit) {
			at++
		}
		out[i] = at
	}
	return out
}

func valueType(a arrow.Array) arrow.Type {
	if d, ok := a.DataType().(*arrow.DictionaryType); ok {
		return d.ValueType.ID()
	}
	return a.DataType().ID()
}
