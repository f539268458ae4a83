package over

import (
	"fmt"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// This file finds the bounds of ranges whose distance is months. A month before the
// 28th at 23:00 may come after a month before the 29th at 10:00, so these bounds do
// not ascend with the rows: each is searched for by itself. Their days do ascend.

// months is a distance from values as integerValues returns them.
type months struct {
	by         int64
	of         datatype.Type
	descending bool
}

// checkMonths refuses distances in months from what has none.
func checkMonths(f *jobgraph.Frame, order datatype.Schema) error {
	if !f.From.Months && !f.To.Months {
		return nil
	}
	if f.Unit != jobgraph.FrameUnit_FRAME_RANGE || len(order) != 1 || !order[0].Type.Is(datatype.Date, datatype.Timestamp, datatype.TimestampLTZ) {
		return fmt.Errorf("a distance in months between values that are no times")
	}
	return nil
}

// newMonths is the distance of a bound from values of an array, of a type that
// checkMonths let pass.
func newMonths(b *jobgraph.FrameBound, key arrow.Array, descending bool) months {
	of, _ := datatype.FromArrow(key.DataType(), false) // what it is not is no time
	m := months{by: b.Offset, of: of, descending: descending}
	if (b.Kind == jobgraph.BoundKind_BOUND_PRECEDING) != descending {
		m.by = -m.by
	}
	return m
}

// bound is the value at the distance from v.
func (m months) bound(v int64) int64 {
	if m.descending {
		return ^expr.AddMonths(^v, m.by, m.of)
	}
	return expr.AddMonths(v, m.by, m.of)
}

// least is not above the bound of v, nor above those of values that follow it.
func (m months) least(v int64) int64 {
	bound := m.bound(v)
	if m.of.Kind == datatype.Date {
		return bound
	}
	day := int64(24 * 60 * 60)
	for range datatype.TimestampUnit(m.of.Precision) {
		day *= 1000
	}
	over := bound % day // ^ keeps days whole: it maps one onto another
	if over < 0 {
		over += day
	}
	return bound - over
}

// search returns the first row of row i's partition whose value is not below limit,
// or with end the first one above it.
func search(s *section, absent []bool, v []int64, i int, limit int64, end bool) int32 {
	from, to := int(s.start[i]), int(s.end[i])
	for from < to && absent[from] { // those without a value are at one of the ends
		from++
	}
	for from < to && absent[to-1] {
		to--
	}
	return int32(from + sort.Search(to-from, func(k int) bool { return v[from+k] > limit || !end && v[from+k] == limit }))
}

// monthBound is rangeBound for a distance in months.
func (f *frames) monthBound(s *section, b *jobgraph.FrameBound, end bool, out []int32) {
	key := s.record.Column(s.order[0].Column)
	descending := s.order[0].Order.Descending
	m := newMonths(b, key, descending)
	v := f.integerValues(key, descending)
	for i := range out {
		switch {
		case i > 0 && int(s.peers[i]) != i:
			out[i] = out[i-1]
		case !f.absent[i]:
			out[i] = search(s, f.absent, v, i, m.bound(v[i]), end)
		case end:
			out[i] = s.peersAfter[i]
		default:
			out[i] = s.peers[i]
		}
	}
}

// keepMonths is the first row that the bounds of row i, and of those that follow it,
// may be at.
func (f *frames) keepMonths(s *section, b *jobgraph.FrameBound, i int, end bool) int32 {
	key := s.record.Column(s.order[0].Column)
	descending := s.order[0].Order.Descending
	v := f.integerValues(key, descending)
	if f.absent[i] {
		return s.peers[i]
	}
	return search(s, f.absent, v, i, newMonths(b, key, descending).least(v[i]), end)
}
