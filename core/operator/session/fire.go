package session

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Watermark implements operator.Operator: it tells the sessions that have ended, by
// their ends, and forgets them.
func (a *Aggregate) Watermark(w stream.Watermark) error {
	if w <= a.fired {
		return nil
	}
	ended := a.ended(w)
	a.fired = w
	if len(ended) == 0 {
		return nil
	}
	for some := range slices.Chunk(ended, a.ctx.BatchRows) {
		if err := a.tell(some); err != nil {
			return fmt.Errorf("session: %w", err)
		}
	}
	a.forget(ended)
	return nil
}

// ended takes the sessions that have ended out of their buckets.
func (a *Aggregate) ended(w stream.Watermark) []int32 {
	x, last := &a.index, a.rows.Values()[lastColumn].Int64
	var due []int64
	for b := range x.buckets {
		if passed(b, w) {
			due = append(due, b)
		}
	}
	slices.Sort(due)
	var out []int32
	for _, b := range due {
		sessions := x.buckets[b]
		delete(x.buckets, b)
		for _, s := range sessions {
			if x.bucket[s] != b { // it was absorbed
				continue
			}
			x.bucket[s] = none
			if end := a.end(last[s]); passed(end, w) {
				out = append(out, s)
			} else {
				x.expire(s, end)
			}
		}
	}
	slices.SortFunc(out, func(s, t int32) int { return cmp.Or(cmp.Compare(last[s], last[t]), cmp.Compare(s, t)) })
	return out
}

// tell emits the results of sessions.
func (a *Aggregate) tell(sessions []int32) (err error) {
	columns := make([]arrow.Array, 0, len(a.output))
	defer func() { compute.ReleaseAll(columns) }()
	if len(a.keys) > 0 {
		keys := make([]int32, len(sessions))
		for i, s := range sessions {
			keys[i] = a.index.key[s]
		}
		if columns, err = a.index.keys.Take(a.ctx.Alloc, keys); err != nil {
			return err
		}
	}
	values := a.rows.Values()
	picked := make([]*state.Column, 0, len(values))
	for _, c := range values[accumulators:] {
		picked = append(picked, pick(c, sessions))
	}
	results, err := a.acc.Results(a.ctx.Alloc, picked, 0, len(sessions))
	if err != nil {
		return err
	}
	columns = append(columns, results...)
	for _, p := range a.properties {
		c, err := a.property(p, a.output[len(columns)].Type.Arrow(), unit(a.output[len(columns)].Type), values, sessions)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	return a.ctx.Output.Emit(operator.NewBatch(a.arrow, columns, len(sessions)))
}

// property is a column of the starts, ends or times of sessions.
func (a *Aggregate) property(p jobgraph.WindowProperty, t arrow.DataType, unit int64, values []*state.Column, sessions []int32) (arrow.Array, error) {
	b := array.NewBuilder(a.ctx.Alloc, t)
	defer b.Release()
	for _, s := range sessions {
		at := values[startColumn].Int64[s]
		switch p {
		case jobgraph.WindowProperty_WINDOW_END:
			at = a.end(values[lastColumn].Int64[s])
		case jobgraph.WindowProperty_WINDOW_TIME:
			at = a.end(values[lastColumn].Int64[s]) - 1
		}
		if err := compute.AppendInteger(b, at*unit); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// pick returns the values of some slots.
func pick(c *state.Column, slots []int32) *state.Column {
	out := hashtable.NullColumn(c.Type, len(slots))
	for i, s := range slots {
		out.Valid[i] = c.Valid[s]
		switch {
		case out.Int64 != nil:
			out.Int64[i] = c.Int64[s]
		case out.Float64 != nil:
			out.Float64[i] = c.Float64[s]
		case out.Dec128 != nil:
			out.Dec128[i] = c.Dec128[s]
		default:
			out.Bytes[i] = c.Bytes[s]
		}
	}
	return out
}

// forget removes sessions.
func (a *Aggregate) forget(sessions []int32) {
	keys := make([]int32, len(sessions))
	for i, s := range slices.Backward(sessions) { // the latest are the first of their keys
		keys[i] = a.index.key[s]
		a.index.remove(s)
	}
	a.index.forget(keys)
	a.uncharge(held(a.rows.Values()[accumulators:], sessions))
	a.rows.Remove(sessions)
}
