package updateagg

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/operator/changelog"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// changes are the groups that have been written to since they were told, each with its
// accumulators from before, one behind the other.
type changes struct {
	noted  stamps
	slots  []int32
	before []*state.Column
	told   []bool // the group was told before
	after  []*state.Column
}

// note keeps what the groups of the batch are before it.
func (a *Aggregate) note(s *space, existed bool) {
	p := &a.pending
	if p.noted.epoch == 0 {
		p.noted.begin(0)
	}
	p.noted.reach(s.rows.Len())
	from := len(p.slots)
	for _, slot := range a.batch.slots {
		if p.noted.first(slot) {
			p.slots = append(p.slots, slot)
		}
	}
	fresh, values := p.slots[from:], s.rows.Values()
	gather(p.before, values, fresh)
	for _, slot := range fresh {
		p.told = append(p.told, existed || !a.global && values[a.rows].Int64[slot] > 0)
	}
}

// tell emits the changes.
func (a *Aggregate) tell() error {
	p, s := &a.pending, a.only
	most := a.ctx.BatchRows
	if a.spec.UpdateBefore {
		most = max(1, most/2) // of an update both halves are in one batch
	}
	for from := 0; from < len(p.slots); from += most {
		if err := a.tellSome(s, from, min(from+most, len(p.slots))); err != nil {
			return err
		}
	}
	var gone []int32
	if a.retracting && !a.global {
		rows := s.rows.Values()[a.rows].Int64
		for _, slot := range p.slots {
			if n := rows[slot]; n == 0 || n < 0 && a.spec.KeepMillis > 0 {
				gone = append(gone, slot)
			}
		}
	}
	p.slots, p.told = p.slots[:0], p.told[:0]
	clip(p.before)
	p.noted.begin(0)
	a.since = 0
	return a.forget(s, gone)
}

// told are the results of some groups before and after.
type told struct {
	keys, before, after []arrow.Array
	n                   int
}

func (t *told) release() {
	compute.ReleaseAll(t.keys)
	compute.ReleaseAll(t.before)
	compute.ReleaseAll(t.after)
}

// tellSome emits what has become of the groups [from, to) of the pending ones.
func (a *Aggregate) tellSome(s *space, from, to int) (err error) {
	p := &a.pending
	t := told{n: to - from}
	defer t.release()
	if p.after == nil {
		if p.after, err = columnsOf(a.acc.Columns()); err != nil {
			return err
		}
	}
	clip(p.after)
	gather(p.after, s.rows.Values(), p.slots[from:to])
	if t.after, err = a.results(p.after, 0, t.n); err != nil {
		return err
	}
	some := false
	for _, was := range p.told[from:to] {
		some = some || was
	}
	var changed []bool
	if some {
		if t.before, err = a.results(p.before, from, to); err != nil {
			return err
		}
		if changed, err = a.differ(&t); err != nil {
			return err
		}
	}
	inserts, updates, deletes := a.sort(p.told[from:to], changed)
	if len(inserts)+len(updates)+len(deletes) == 0 {
		return nil
	}
	if !a.global {
		if t.keys, err = a.takeKeys(s.rows, p.slots[from:to]); err != nil {
			return err
		}
	}
	return a.emitChanges(&t, inserts, updates, deletes)
}

// sort says what has become of groups, by their positions.
func (a *Aggregate) sort(told, changed []bool) (inserts, updates, deletes []int32) {
	rows := a.pending.after[a.rows].Int64
	for i, was := range told {
		is := a.global || rows[i] > 0
		switch {
		case is && !was:
			inserts = append(inserts, int32(i))
		case is && changed[i]:
			updates = append(updates, int32(i))
		case was && !is:
			deletes = append(deletes, int32(i))
		}
	}
	return inserts, updates, deletes
}

// results finishes calls, that of the number of rows apart.
func (a *Aggregate) results(values []*state.Column, from, to int) ([]arrow.Array, error) {
	out, err := a.acc.Results(a.ctx.Alloc, values, from, to)
	if err != nil {
		return nil, err
	}
	last := len(out) - 1
	out[last].Release()
	return out[:last], nil
}

func (a *Aggregate) emitChanges(t *told, inserts, updates, deletes []int32) error {
	var parts []changelog.Part
	defer func() {
		for _, p := range parts {
			compute.ReleaseAll(p.Columns)
		}
	}()
	add := func(kind stream.RowKind, results []arrow.Array, picked []int32) error {
		if len(picked) == 0 {
			return nil
		}
		if len(picked) == t.n {
			picked = nil
		}
		p := changelog.Part{Kind: kind, Rows: t.n}
		if picked != nil {
			p.Rows = len(picked)
		}
		for _, columns := range [][]arrow.Array{t.keys, results} {
			for _, c := range columns {
				taken, err := compute.Take(a.ctx.Alloc, c, picked)
				if err != nil {
					compute.ReleaseAll(p.Columns)
					return err
				}
				p.Columns = append(p.Columns, taken)
			}
		}
		parts = append(parts, p)
		return nil
	}
	err := add(stream.Delete, t.before, deletes)
	if err == nil && a.spec.UpdateBefore {
		err = add(stream.UpdateBefore, t.before, updates)
	}
	if err == nil {
		err = add(stream.UpdateAfter, t.after, updates)
	}
	if err == nil {
		err = add(stream.Insert, t.after, inserts)
	}
	if err != nil {
		return err
	}
	b, err := changelog.Batch(a.ctx.Alloc, a.arrow, parts...)
	if err != nil || b == nil {
		return err
	}
	return a.ctx.Output.Emit(b)
}

// tellNothing emits the results of no rows and keeps them as told.
func (a *Aggregate) tellNothing() error {
	slot, err := a.onlySlot(a.only)
	if err != nil {
		return err
	}
	results, err := a.results(a.only.rows.Values(), int(slot), int(slot)+1)
	if err != nil {
		return err
	}
	defer compute.ReleaseAll(results)
	b, err := changelog.Batch(a.ctx.Alloc, a.arrow, changelog.Part{Kind: stream.Insert, Columns: results, Rows: 1})
	if err != nil {
		return err
	}
	return a.ctx.Output.Emit(b)
}

// differ flags the groups whose results are not the same before and after.
func (a *Aggregate) differ(t *told) ([]bool, error) {
	changed := make([]bool, t.n)
	for i := range t.after {
		if err := differIn(changed, t.before[i], t.after[i]); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// differIn flags the rows in which two columns of results, both plain, differ.
func differIn(changed []bool, x, y arrow.Array) error {
	if compared(x.DataType()) {
		switch x.DataType().ID() {
		case arrow.FLOAT32, arrow.FLOAT64:
			v, _ := compute.Reals(x, nil, nil)
			w, _ := compute.Reals(y, nil, nil)
			for i := range changed {
				changed[i] = changed[i] || v[i] != w[i] && (v[i] == v[i] || w[i] == w[i])
			}
		case arrow.DECIMAL128:
			v, _ := compute.Wides(x, nil, nil)
			w, _ := compute.Wides(y, nil, nil)
			flag(changed, v, w)
		default:
			v, _ := compute.Integers(x, nil, nil)
			w, _ := compute.Integers(y, nil, nil)
			flag(changed, v, w)
		}
		flagNulls(changed, x, y)
		return nil
	}
	if x.DataType().ID() == arrow.MAP { // has no order; what is written counts as changed
		for i := range changed {
			changed[i] = true
		}
		return nil
	}
	c, err := compute.NewComparer(x, y, compute.Order{})
	if err != nil {
		return err
	}
	for i := range changed {
		changed[i] = changed[i] || c.Compare(i, i) != 0
	}
	return nil
}

// compared reports whether columns of a type are compared as numbers. What they hold at
// nulls is zero, for results are made from zeroed columns or not compared there.
func compared(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.STRING, arrow.BINARY, arrow.LARGE_STRING, arrow.LARGE_BINARY, arrow.LIST, arrow.MAP, arrow.STRUCT, arrow.NULL:
		return false
	default:
		return true
	}
}

func flag[T int64 | decimal128.Num](changed []bool, v, w []T) {
	for i := range changed {
		changed[i] = changed[i] || v[i] != w[i]
	}
}

// flagNulls corrects what values at nulls say.
func flagNulls(changed []bool, x, y arrow.Array) {
	if x.NullN() == 0 && y.NullN() == 0 {
		return
	}
	for i := range changed {
		if x.IsNull(i) != y.IsNull(i) {
			changed[i] = true
		}
	}
}

// columnsOf makes empty columns.
func columnsOf(s datatype.Schema) ([]*state.Column, error) {
	out := make([]*state.Column, len(s))
	for i, f := range s {
		c, err := hashtable.NewColumn(f.Type)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// clip empties columns.
func clip(columns []*state.Column) {
	for _, c := range columns {
		clear(c.Bytes)
		c.Int64, c.Float64, c.Dec128, c.Bytes, c.Valid = c.Int64[:0], c.Float64[:0], c.Dec128[:0], c.Bytes[:0], c.Valid[:0]
	}
}

// gather appends slots of values to columns.
func gather(to, values []*state.Column, slots []int32) {
	for i, c := range to {
		from := values[i]
		if c.Type.Nullable {
			c.Valid = pick(c.Valid, from.Valid, slots)
		} else {
			c.Valid = append(c.Valid, make([]bool, len(slots))...) // nobody reads what results call valid anyway
		}
		switch hashtable.StorageOf(c.Type) {
		case hashtable.Integer:
			c.Int64 = pick(c.Int64, from.Int64, slots)
		case hashtable.Real:
			c.Float64 = pick(c.Float64, from.Float64, slots)
		case hashtable.Wide:
			c.Dec128 = pick(c.Dec128, from.Dec128, slots)
		default:
			c.Bytes = pick(c.Bytes, from.Bytes, slots)
		}
	}
}

func pick[T any](to, values []T, slots []int32) []T {
	at := len(to)
	if need := at + len(slots); cap(to) < need {
		bigger := make([]T, at, max(need, 2*cap(to)))
		copy(bigger, to)
		to = bigger
	}
	to = to[:at+len(slots)]
	for i, s := range slots {
		to[at+i] = values[s]
	}
	return to
}
