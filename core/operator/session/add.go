package session

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// run is rows of a batch that are one session among themselves.
type run struct {
	key        int32
	start, end int64 // of its rows: the first time, the last one
	from, to   int   // of the sorted rows
	slot       int32 // of the session that it is in
}

// work holds what is needed for a batch.
type work struct {
	times  []int64 // by selected row, milliseconds
	ints   []int64
	hashes []uint64
	keys   []int32 // by selected row
	rows   []int32 // physical, by key and time
	runs   []run
	begun  []int // runs that begin a session
	slots  []int32
	// absorbed sessions, and those that take them in
	absorbed, into []int32
	forgotten      []int32
}

// Process implements operator.Operator.
func (a *Aggregate) Process(_ int, b *stream.Batch) error {
	defer b.Release()
	if b.Len() == 0 {
		return nil
	}
	if err := a.readTimes(b); err != nil {
		return err
	}
	for from := 0; from < b.Len(); {
		to, alone := from, a.lateAlone(from)
		for to < b.Len() && a.lateAlone(to) == alone && (!alone || to == from) {
			to++
		}
		if err := a.add(b, from, to); err != nil {
			return fmt.Errorf("session: %w", err)
		}
		from = to
	}
	return a.late.Emit(b, a.fired)
}

// readTimes reads the event times of a batch.
func (a *Aggregate) readTimes(b *stream.Batch) error {
	w, c := &a.work, b.Column(a.time)
	if valid := compute.Validity(c, b.Sel, nil); valid != nil {
		for _, ok := range valid {
			if !ok {
				return failure.Errorf(failure.BadData, "session: event time column %s is null in a row", b.Record.ColumnName(a.time))
			}
		}
	}
	var v []int64
	v, w.ints = compute.Integers(c, b.Sel, w.ints)
	w.times = w.times[:0]
	for _, t := range v {
		w.times = append(w.times, compute.Millis(a.timeType, t))
	}
	return nil
}

// lateAlone says that a row would be late if no session were there to take it.
func (a *Aggregate) lateAlone(i int) bool { return passed(a.end(a.work.times[i]), a.fired) }

// add takes the selected rows [from, to), of which none is late alone, or just one.
func (a *Aggregate) add(b *stream.Batch, from, to int) error {
	keys, release, err := a.keyColumns(b)
	if err != nil {
		return err
	}
	defer release()
	if err := a.divide(b, keys, from, to); err != nil {
		return err
	}
	a.place()
	if err := a.absorb(); err != nil {
		return err
	}
	if err := a.begin(b, keys); err != nil {
		return err
	}
	w := &a.work
	w.slots = w.slots[:0]
	var rows []int32
	values := a.rows.Values()
	for i := range w.runs {
		r := &w.runs[i]
		if r.slot < 0 {
			continue
		}
		at := r.slot
		values[startColumn].Int64[at] = min(values[startColumn].Int64[at], r.start)
		values[lastColumn].Int64[at] = max(values[lastColumn].Int64[at], r.end)
		rows = append(rows, w.rows[r.from:r.to]...)
		for range r.to - r.from {
			w.slots = append(w.slots, at)
		}
	}
	if len(rows) > 0 {
		if err := a.acc.Add(values[accumulators:], b.Record.Columns(), rows, w.slots); err != nil {
			return err
		}
	}
	a.index.forget(w.forgotten)
	return a.charge(a.acc.Grown())
}

// keyColumns are the key columns of a batch; without keys a constant.
func (a *Aggregate) keyColumns(b *stream.Batch) (keys []arrow.Array, release func(), err error) {
	for _, k := range a.keys {
		keys = append(keys, b.Column(k))
	}
	if len(keys) > 0 {
		return keys, func() {}, nil
	}
	zero, err := compute.Constant(a.ctx.Alloc, bigint, int64(0), b.PhysicalRows())
	if err != nil {
		return nil, nil, err
	}
	return []arrow.Array{zero}, zero.Release, nil
}

// divide sorts rows by key and time and cuts them into runs.
func (a *Aggregate) divide(b *stream.Batch, keys []arrow.Array, from, to int) error {
	w := &a.work
	sel := make([]int32, to-from)
	for i := range sel {
		if sel[i] = int32(from + i); b.Sel != nil {
			sel[i] = b.Sel[from+i]
		}
	}
	w.hashes = compute.HashColumns(keys, sel, w.hashes)
	if cap(w.keys) < len(sel) {
		w.keys = make([]int32, len(sel))
	}
	w.keys = w.keys[:len(sel)]
	if err := a.index.resolve(keys, sel, w.hashes, w.keys); err != nil {
		return err
	}
	order, err := a.sort(w.times[from:to])
	if err != nil {
		return err
	}
	w.rows, w.runs = w.rows[:0], w.runs[:0]
	for i, o := range order {
		k, t := w.keys[o], w.times[from+int(o)]
		w.rows = append(w.rows, sel[o])
		if n := len(w.runs); n > 0 && w.runs[n-1].key == k && t <= a.end(w.runs[n-1].end) {
			w.runs[n-1].end, w.runs[n-1].to = t, i+1
			continue
		}
		w.runs = append(w.runs, run{key: k, start: t, end: t, from: i, to: i + 1, slot: -1})
	}
	return nil
}

// sort orders rows by their keys' slots and times.
func (a *Aggregate) sort(times []int64) ([]int32, error) {
	keys, at := array.NewInt32Builder(a.ctx.Alloc), array.NewInt64Builder(a.ctx.Alloc)
	defer keys.Release()
	defer at.Release()
	keys.AppendValues(a.work.keys, nil)
	at.AppendValues(times, nil)
	columns := []arrow.Array{keys.NewArray(), at.NewArray()}
	defer compute.ReleaseAll(columns)
	schema := arrow.NewSchema([]arrow.Field{{Name: "key", Type: arrow.PrimitiveTypes.Int32}, {Name: "time", Type: arrow.PrimitiveTypes.Int64}}, nil)
	record := array.NewRecordBatch(schema, columns, int64(len(times)))
	defer record.Release()
	return rowsort.Permutation(record, []rowsort.Key{{Column: 0}, {Column: 1}})
}

// place finds the session of each run: one that it touches, or a new one. Late runs get
// none.
func (a *Aggregate) place() {
	w, x := &a.work, &a.index
	w.begun, w.absorbed, w.into, w.forgotten = w.begun[:0], w.absorbed[:0], w.into[:0], w.forgotten[:0]
	a.rows.Touch(a.targets())
	start, last := a.rows.Values()[startColumn].Int64, a.rows.Values()[lastColumn].Int64
	for i := range w.runs {
		r := &w.runs[i]
		var more []int32
		for s := x.first[r.key]; s >= 0 && r.start <= a.end(last[s]); s = x.next[s] {
			if start[s] > a.end(r.end) {
				continue
			}
			if r.slot >= 0 {
				more = append(more, r.slot)
			}
			r.slot = s
		}
		switch {
		case r.slot >= 0:
			for _, s := range more {
				w.absorbed, w.into = append(w.absorbed, s), append(w.into, r.slot)
				last[r.slot] = max(last[r.slot], last[s])
				x.remove(s)
			}
			start[r.slot], last[r.slot] = min(start[r.slot], r.start), max(last[r.slot], r.end)
		case passed(a.end(r.end), a.fired):
			a.late.AddAll(w.rows[r.from:r.to])
			w.forgotten = append(w.forgotten, r.key)
		default:
			w.begun = append(w.begun, i)
		}
	}
}

// targets are the sessions that runs can be in: those of their keys.
func (a *Aggregate) targets() []int32 {
	var out []int32
	key := int32(-1)
	for _, r := range a.work.runs { // by key
		if r.key == key {
			continue
		}
		key = r.key
		for s := a.index.first[key]; s >= 0; s = a.index.next[s] {
			out = append(out, s)
		}
	}
	return out
}

// absorb merges sessions that are bridged, and forgets them.
func (a *Aggregate) absorb() error {
	w := &a.work
	if len(w.absorbed) == 0 {
		return nil
	}
	values := a.rows.Values()[accumulators:]
	taken := make([]arrow.Array, 0, len(values))
	defer func() { compute.ReleaseAll(taken) }()
	for _, c := range values {
		for _, s := range w.absorbed {
			c.Valid[s] = c.Valid[s] || !c.Type.Nullable // as accumulators may leave it
		}
		t, err := hashtable.TakeValues(a.ctx.Alloc, c, w.absorbed)
		if err != nil {
			return err
		}
		taken = append(taken, t)
	}
	if err := a.acc.Merge(values, taken, nil, w.into); err != nil {
		return err
	}
	if err := a.charge(a.acc.Grown()); err != nil {
		return err
	}
	a.uncharge(held(values, w.absorbed))
	a.rows.Remove(w.absorbed)
	return nil
}

// held is how many bytes accumulators of sessions hold outside the table.
func held(values []*state.Column, sessions []int32) int64 {
	n := int64(0)
	for _, c := range values {
		if c.Bytes == nil {
			continue
		}
		for _, s := range sessions {
			n += int64(len(c.Bytes[s]))
		}
	}
	return n
}

// begin makes the sessions that runs begin.
func (a *Aggregate) begin(b *stream.Batch, keys []arrow.Array) error {
	w := &a.work
	if len(w.begun) == 0 {
		return nil
	}
	rows, slots := make([]int32, len(w.begun)), make([]int32, len(w.begun))
	names := array.NewInt64Builder(a.ctx.Alloc)
	defer names.Release()
	for i, r := range w.begun {
		rows[i] = w.rows[w.runs[r].from]
		names.Append(w.runs[r].start)
	}
	columns := make([]arrow.Array, 0, len(keys)+1)
	defer func() { compute.ReleaseAll(columns) }()
	for _, k := range keys {
		c, err := compute.Take(a.ctx.Alloc, k, rows)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	columns = append(columns, names.NewArray())
	if err := a.rows.Resolve(columns, nil, compute.HashRouted(columns, len(keys), nil, nil), slots); err != nil {
		return err
	}
	if err := a.index.grow(a.rows.Len()); err != nil {
		return err
	}
	values := a.rows.Values()
	for i, s := range slots {
		r := &w.runs[w.begun[i]]
		r.slot = s
		for c, v := range [...]int64{startColumn: r.start, lastColumn: r.end} {
			values[c].Int64[s], values[c].Valid[s] = v, true
		}
		a.index.add(s, r.key, values[startColumn].Int64)
		a.index.expire(s, a.end(r.end))
	}
	return nil
}
