package over

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// frames are the rows [from, to) that each row of a section sees; from <= to.
type frames struct {
	unit     jobgraph.FrameUnit
	first    *jobgraph.FrameBound
	last     *jobgraph.FrameBound
	from, to []int32

	fromBuf, toBuf []int32
	ints           []int64
	reals          []float64
	absent         []bool
}

func newFrames(f *jobgraph.Frame) *frames {
	return &frames{unit: f.Unit, first: f.From, last: f.To}
}

// fromStart and toEnd tell frames that begin or end with the partition.
func (f *frames) fromStart() bool {
	return f.first.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING
}

func (f *frames) toEnd() bool {
	return f.last.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING
}

// bind finds the frames of a section.
func (f *frames) bind(s *section) {
	if f.unit == jobgraph.FrameUnit_FRAME_RANGE {
		f.from, f.fromBuf = f.rangeBound(s, f.first, false, f.fromBuf)
		f.to, f.toBuf = f.rangeBound(s, f.last, true, f.toBuf)
	} else {
		f.from, f.fromBuf = f.rowBound(s, f.first, false, f.fromBuf)
		f.to, f.toBuf = f.rowBound(s, f.last, true, f.toBuf)
	}
	for i := range f.from {
		if f.from[i] > f.to[i] { // only where both ends are at the same side of the row: to is f's own
			f.to[i] = f.from[i]
		}
	}
}

// shed gives up the buffers.
func (f *frames) shed() {
	f.fromBuf, f.toBuf, f.ints, f.reals, f.absent = nil, nil, nil, nil, nil
	f.from, f.to = nil, nil
}

// ready is how many rows have frames whose ends are known.
func (f *frames) ready(s *section) int {
	if !s.open {
		return s.rows
	}
	if f.toEnd() && s.foreseen == nil {
		return s.lastStart()
	}
	n := min(f.known(s, f.first, f.from, false), f.known(s, f.last, f.to, true))
	return max(n, s.lastStart())
}

// known is how many rows of an open section have a bound, at one of the ends of
// frames, that rows to come do not move.
func (f *frames) known(s *section, b *jobgraph.FrameBound, at []int32, end bool) int {
	switch {
	case b.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING || b.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return s.rows
	case f.unit != jobgraph.FrameUnit_FRAME_RANGE:
		if b.Kind == jobgraph.BoundKind_BOUND_FOLLOWING {
			return int(max(int64(s.rows)-b.Offset, 0))
		}
		return s.rows
	case b.Kind == jobgraph.BoundKind_BOUND_CURRENT_ROW && !end:
		return s.rows
	}
	if b.Months {
		return s.firstAt(at)
	}
	i := s.rows
	for i > 0 && int(at[i-1]) == s.rows {
		i--
	}
	return i
}

// keep is the first row that frames of row next, and of rows that follow it,
// need; frames from the partition's start need only their end.
func (f *frames) keep(s *section, next int) int {
	i := min(next, s.rows-1)
	switch {
	case f.fromStart() && f.last.Months:
		return int(max(f.keepMonths(s, f.last, i, true)-1, s.start[i]))
	case f.first.Months:
		return int(f.keepMonths(s, f.first, i, false))
	case f.fromStart():
		return int(max(f.to[i]-1, s.start[i]))
	}
	return int(f.from[i])
}

// rowBound is where frames of rows begin, or the rows after their ends.
func (f *frames) rowBound(s *section, b *jobgraph.FrameBound, end bool, buf []int32) (at, next []int32) {
	shift := b.Offset
	switch b.Kind {
	case jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING:
		return s.start, buf
	case jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return s.end, buf
	case jobgraph.BoundKind_BOUND_PRECEDING:
		shift = -shift
	case jobgraph.BoundKind_BOUND_CURRENT_ROW:
		shift = 0
	}
	shift = min(max(shift, -math.MaxInt32), math.MaxInt32)
	if end {
		shift++
	}
	out := resize(buf, s.rows)
	for i := range out {
		out[i] = int32(min(max(int64(i)+shift, int64(s.start[i])), int64(s.end[i])))
	}
	return out, out
}

// rangeBound is rowBound for frames by values of the order column.
func (f *frames) rangeBound(s *section, b *jobgraph.FrameBound, end bool, buf []int32) (at, next []int32) {
	switch b.Kind {
	case jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING:
		return s.start, buf
	case jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return s.end, buf
	case jobgraph.BoundKind_BOUND_CURRENT_ROW:
		if end {
			return s.peersAfter, buf
		}
		return s.peers, buf
	}
	out := resize(buf, s.rows)
	if b.Months {
		f.monthBound(s, b, end, out)
		return out, out
	}
	key := s.record.Column(s.order[0].Column)
	descending := s.order[0].Order.Descending
	// Values ascend in the order's direction once they are negated for DESC; a
	// bound before the row is then always a smaller value.
	before := b.Kind == jobgraph.BoundKind_BOUND_PRECEDING
	if id := valueType(key); id == arrow.FLOAT32 || id == arrow.FLOAT64 {
		shift := b.Real
		if before {
			shift = -shift
		}
		v := f.realValues(key, descending)
		slide(s, f.absent, v, func(x float64) float64 { return x + shift }, end, out)
		return out, out
	}
	shift := b.Offset
	if before {
		shift = -shift
	}
	v := f.integerValues(key, descending)
	slide(s, f.absent, v, func(x int64) int64 { return addSaturated(x, shift) }, end, out)
	return out, out
}

// realValues are the order's values, ascending; NaN counts as absent, for it has
// no distance from anything.
func (f *frames) realValues(key arrow.Array, descending bool) []float64 {
	f.absences(key)
	v, next := compute.Reals(key, nil, f.reals)
	if len(v) > 0 && (len(next) == 0 || &next[0] != &v[0]) {
		next = append(next[:0], v...)
	}
	f.reals = next
	for i, x := range next {
		if x != x {
			f.absent[i] = true
		}
		if descending {
			next[i] = -x
		}
	}
	return next
}

func (f *frames) integerValues(key arrow.Array, descending bool) []int64 {
	f.absences(key)
	v, next := compute.Integers(key, nil, f.ints)
	if !descending {
		f.ints = next
		return v
	}
	if len(v) > 0 && (len(next) == 0 || &next[0] != &v[0]) {
		next = append(next[:0], v...)
	}
	f.ints = next
	for i := range next {
		next[i] = ^next[i] // reverses the order without overflow
	}
	return next
}

// absences flags the rows of key without a value.
func (f *frames) absences(key arrow.Array) {
	f.absent = resize(f.absent, key.Len())
	clear(f.absent)
	if key.NullN() > 0 {
		for i := range f.absent {
			f.absent[i] = key.IsNull(i)
		}
	}
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
func slide[T int64 | float64](s *section, absent []bool, v []T, bound func(T) T, end bool, out []int32) {
	at := int32(0)
	for i := range out {
		if i == 0 || s.start[i] != s.start[i-1] {
			at = s.start[i]
			for at < s.end[i] && absent[at] {
				at++
			}
		}
		if absent[i] {
			out[i] = s.peers[i]
			if end {
				out[i] = s.peersAfter[i]
			}
			continue
		}
		limit := bound(v[i])
		for at < s.end[i] && !absent[at] && (v[at] < limit || end && v[at] == limit) {
			at++
		}
		out[i] = at
	}
}

func valueType(a arrow.Array) arrow.Type {
	if d, ok := a.DataType().(*arrow.DictionaryType); ok {
		return d.ValueType.ID()
	}
	return a.DataType().ID()
}
