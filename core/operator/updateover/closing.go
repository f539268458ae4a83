package updateover

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/operator/groups"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

const (
	// firedPartitions is how many partitions are worked off at a time.
	firedPartitions = 1 << 12
	// monthMillis is as long as no month is longer.
	monthMillis = 31 * 24 * int64(time.Hour/time.Millisecond)
)

// endsHere refuses calls whose values depend on rows to come.
func endsHere(c *jobgraph.OverCall) error {
	end := c.Frame.GetTo().GetKind()
	switch {
	case ranks(c.Call.Function):
		return nil
	case c.Call.Function == "PERCENT_RANK" || c.Call.Function == "CUME_DIST" || c.Call.Function == "NTILE",
		end == jobgraph.BoundKind_BOUND_FOLLOWING, end == jobgraph.BoundKind_BOUND_UNBOUNDED_FOLLOWING:
		return failure.Errorf(failure.InvalidSQL, "%s over rows that are still to come is not supported where rows are told once", c.Call.Function)
	}
	return nil
}

// reach is how far frames reach back from a row.
type reach struct {
	rows   int64
	units  int64 // of the closing column, as it is stored
	months int64
	all    bool
}

func (r *reach) add(f *jobgraph.Frame) {
	from := f.From
	switch {
	case from.Kind == jobgraph.BoundKind_BOUND_UNBOUNDED_PRECEDING:
		r.all = true
	case from.Kind != jobgraph.BoundKind_BOUND_PRECEDING:
	case f.Unit == jobgraph.FrameUnit_FRAME_ROWS:
		r.rows = max(r.rows, from.Offset)
	case from.Months:
		r.months = max(r.months, from.Offset)
	default:
		r.units = max(r.units, from.Offset)
	}
}

// millis is how much time that is at most, for times of type t.
func (r *reach) millis(t datatype.Type) int64 {
	m := min(r.months, math.MaxInt64/4/monthMillis) * monthMillis
	if r.units > 0 {
		whole := compute.Millis(t, r.units)
		if compute.Millis(t, r.units-1) == whole { // and a part of one
			whole++
		}
		m = max(m, min(whole, math.MaxInt64/4))
	}
	return m
}

// timeType is the type of the closing column.
func (o *Over) timeType() datatype.Type { return o.in[o.spec.Closing.Column].Type }

// closes is the time at which rows of a time close, in milliseconds.
func (o *Over) closes(v int64) int64 {
	at, after := compute.Millis(o.timeType(), v), o.spec.Closing.AfterMillis
	if sum := at + after; (sum > at) == (after > 0) { // no overflow
		return sum
	}
	return at
}

// closed says that a row of a time is told, once w has been reached.
func (o *Over) closed(v int64, w stream.Watermark) bool {
	return w > stream.MinWatermark && o.closes(v) <= int64(w)
}

// restore finds the rows that wait in restored state.
func (o *Over) restore() error {
	o.waiting = groups.Waiting{}
	lists := o.rows.Lists()
	return o.rows.Each(func(v state.View, from, to int) error {
		first, next := lists.Chains()
		times := lists.Fixed()[o.spec.Closing.Column].Int64
		slots := make([]int32, 0, to-from)
		for x := from; x < to; x++ {
			slots = append(slots, int32(x))
			for r := first[x]; r >= 0; r = next[r] {
				o.waiting.Add(o.closes(times[r]), int32(x)) // also of told ones, which are to be forgotten
			}
		}
		return o.charge(o.carried.held(v.Values(), slots))
	})
}

// wait keeps rows until their time is closed; late ones are left out.
func (o *Over) wait(b *stream.Batch, added []int32) error {
	c := b.Column(int(o.spec.Closing.Column))
	v, _ := compute.Integers(c, added, nil)
	valid := compute.Validity(c, added, nil)
	sel, times := make([]int32, 0, len(v)), make([]int64, 0, len(v))
	for i, t := range v {
		if valid != nil && !valid[i] {
			return failure.Errorf(failure.BadData, "time column %s is null in a row", b.Record.ColumnName(int(o.spec.Closing.Column)))
		}
		r := int32(i)
		if added != nil {
			r = added[i]
		}
		if o.closed(t, o.fired) {
			o.late.Add(r)
			continue
		}
		sel, times = append(sel, r), append(times, t)
	}
	if err := o.late.Emit(b, o.fired); err != nil {
		return err
	}
	slots, _, err := o.keep(b, sel)
	if err != nil {
		return err
	}
	for i, x := range slots {
		o.waiting.Add(o.closes(times[i]), x)
	}
	return nil
}

// waits reports whether rows of a partition wait.
func (o *Over) waits(slot int32) bool {
	if o.spec.Closing == nil {
		return false
	}
	lists := o.rows.Lists()
	first, next := lists.Chains()
	times := lists.Fixed()[o.spec.Closing.Column].Int64
	for r := first[slot]; r >= 0; r = next[r] {
		if !o.closed(times[r], o.fired) {
			return true
		}
	}
	return false
}

// Watermark implements operator.Operator: it tells the rows whose time is closed.
func (o *Over) Watermark(w stream.Watermark) error {
	if o.spec.Closing == nil || w <= o.fired {
		return nil
	}
	for some := range slices.Chunk(o.waiting.Due(w), firedPartitions) {
		if err := o.fire(some, w); err != nil {
			return fmt.Errorf("updating over: %w", err)
		}
	}
	o.fired = w
	return nil
}

// due are the rows of partitions that are told, and where they are.
type due struct {
	rows    []int32 // of the lists
	groups  []int64
	at      []int32 // among the rows that are computed
	sorted  []int32 // in what they were sorted by
	columns []arrow.Array
}

// fire tells the rows of partitions that w closes.
func (o *Over) fire(slots []int32, w stream.Watermark) error {
	s, lists := o.sorter, o.rows.Lists()
	s.Gather(lists, slots)
	o.leaveWaiting(lists, slots, w)
	order, sorted, err := s.Sort(o.ctx.Alloc, lists)
	if err != nil {
		return err
	}
	defer sorted.Release()
	times := lists.Fixed()[o.spec.Closing.Column].Int64
	rows := make([]int32, len(order))
	var d due
	for i, at := range order {
		rows[i] = s.Rows[at]
		if !o.closed(times[rows[i]], o.fired) {
			d.rows, d.groups = append(d.rows, rows[i]), append(d.groups, s.Groups[at])
			d.at, d.sorted = append(d.at, int32(i)), append(d.sorted, at)
		}
	}
	if len(d.rows) > 0 {
		if err := o.tellDue(&d, rows, slots, sorted); err != nil {
			return err
		}
	}
	o.prune(order, slots, w)
	return nil
}

// leaveWaiting narrows the gathered rows to those that w closes; partitions with others
// wait on.
func (o *Over) leaveWaiting(lists state.Lists, slots []int32, w stream.Watermark) {
	s, n := o.sorter, 0
	times := lists.Fixed()[o.spec.Closing.Column].Int64
	for i, r := range s.Rows {
		if !o.closed(times[r], w) {
			o.waiting.Add(o.closes(times[r]), slots[s.Groups[i]])
			continue
		}
		s.Rows[n], s.Groups[n] = r, s.Groups[i]
		n++
	}
	s.Rows, s.Groups = s.Rows[:n], s.Groups[:n]
}

// tellDue emits rows that are due with their values, in the order of time.
func (o *Over) tellDue(d *due, rows, slots []int32, sorted arrow.RecordBatch) (err error) {
	out := make([]arrow.Array, len(o.arrow.Fields()))
	defer func() {
		for _, c := range out {
			if c != nil {
				c.Release()
			}
		}
	}()
	if d.columns, err = o.take(o.rows.Lists(), d.rows); err != nil {
		return err
	}
	copy(out, d.columns)
	if err := o.computeDue(d, rows, out); err != nil {
		return err
	}
	if err := o.carry(d, slots, sorted, out); err != nil {
		return err
	}
	all := operator.NewBatch(o.arrow, out, len(d.rows))
	defer all.Release()
	order, err := rowsort.Permutation(all.Record, []rowsort.Key{{Column: int(o.spec.Closing.Column)}})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(order, o.ctx.BatchRows) {
		part, err := compute.TakeRecord(o.ctx.Alloc, all.Record, some)
		if err != nil {
			return err
		}
		if err := o.ctx.Output.Emit(stream.NewBatch(part)); err != nil {
			return err
		}
	}
	return nil
}

// computeDue computes calls over the rows that frames reach, for those that are due.
func (o *Over) computeDue(d *due, rows []int32, out []arrow.Array) error {
	if len(o.computed.Calls) == 0 {
		return nil
	}
	columns, err := o.take(o.rows.Lists(), rows)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(columns)
	results, err := o.compute(columns, len(rows))
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(results)
	for i, c := range results {
		if out[len(o.in)+o.places[i]], err = compute.Take(o.ctx.Alloc, c, d.at); err != nil {
			return err
		}
	}
	return nil
}

// prune forgets the told rows that no frame reaches any more, and partitions that are
// left with nothing.
func (o *Over) prune(order, slots []int32, w stream.Watermark) {
	if o.reach.all {
		return
	}
	s, lists := o.sorter, o.rows.Lists()
	millis := o.reach.millis(o.timeType())
	times := lists.Fixed()[o.spec.Closing.Column].Int64
	var gone, seen []int32
	behind, before := int64(0), int64(-1) // rows of the partition after the one at hand
	for _, at := range slices.Backward(order) {
		if g := s.Groups[at]; g != before {
			behind, before = 0, g
			seen = append(seen, slots[g])
		}
		closes := o.closes(times[s.Rows[at]])
		switch {
		case behind < o.reach.rows:
		case millis > 0 && (int64(w) < math.MinInt64+millis || closes > int64(w)-millis):
			o.waiting.Add(min(closes, math.MaxInt64-millis)+millis, slots[before])
		default:
			gone = append(gone, s.Rows[at])
		}
		behind++
	}
	lists.RemoveRows(gone)
	if o.carried.any() {
		return
	}
	first, _ := lists.Chains()
	o.remove(slices.DeleteFunc(seen, func(x int32) bool { return first[x] >= 0 }))
}
