package updateagg

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// router sorts the rows of a batch by namespace.
type router struct {
	routes []routed
	last   int
	ints   []int64
	sel    []int32 // of the batch
	hashes []uint64
}

// routed are the rows of one namespace.
type routed struct {
	ns     int64
	sel    []int32
	hashes []uint64
}

// at returns the rows of a namespace; batches mostly stay in one.
func (r *router) at(ns int64) *routed {
	if r.last >= 0 && r.routes[r.last].ns == ns {
		return &r.routes[r.last]
	}
	for i := range r.routes {
		if r.routes[i].ns == ns {
			r.last = i
			return &r.routes[i]
		}
	}
	if r.last = len(r.routes); r.last < cap(r.routes) {
		r.routes = r.routes[:r.last+1]
	} else {
		r.routes = append(r.routes, routed{})
	}
	one := &r.routes[r.last]
	one.ns, one.sel, one.hashes = ns, one.sel[:0], one.hashes[:0]
	return one
}

// route takes the rows of b into the groups of their namespaces and leaves late ones out.
func (a *Aggregate) route(b *stream.Batch) error {
	r := &a.batch
	times := b.Column(a.closing)
	if valid := compute.Validity(times, r.sel, nil); valid != nil {
		for _, v := range valid {
			if !v {
				return failure.Errorf(failure.BadData, "closing column %s is null in a row", b.Record.ColumnName(a.closing))
			}
		}
	}
	to := &r.routes
	to.routes, to.last = to.routes[:0], -1
	var v []int64
	v, to.ints = compute.Integers(times, r.sel, to.ints)
	to.sel, to.hashes = r.sel, r.hashes
	for i, t := range v {
		ns := compute.Millis(a.closeType, t)
		if a.isClosed(ns, a.closed) {
			a.late.Add(rowAt(r.sel, i))
			continue
		}
		one := to.at(ns)
		one.sel, one.hashes = append(one.sel, rowAt(r.sel, i)), append(one.hashes, r.hashes[i])
	}
	defer func() { r.sel, r.hashes = to.sel, to.hashes }()
	for i := range to.routes {
		one := &to.routes[i]
		s, err := a.space(one.ns)
		if err != nil {
			return err
		}
		if r.sel, r.hashes = one.sel, one.hashes; len(one.sel) == b.PhysicalRows() {
			r.sel = nil
		}
		if err := a.apply(s, len(one.sel)); err != nil {
			return err
		}
	}
	return a.late.Emit(b, a.closed)
}

// isClosed reports whether watermark w says that rows of a namespace come no more.
func (a *Aggregate) isClosed(ns int64, w stream.Watermark) bool {
	if w == stream.MaxWatermark || w == stream.MinWatermark {
		return w == stream.MaxWatermark
	}
	at := ns + a.after
	if a.after > 0 && at < ns {
		at = math.MaxInt64
	}
	return at <= int64(w)
}

// close tells the groups that w closes, in the order of their namespaces, and drops
// them.
func (a *Aggregate) close(w stream.Watermark) error {
	if w <= a.closed {
		return nil
	}
	for _, ns := range a.table.Namespaces() {
		if !a.isClosed(ns, w) {
			continue
		}
		if err := a.tellSpace(ns); err != nil {
			return err
		}
		a.drop(ns)
	}
	a.closed = w
	return nil
}

func (a *Aggregate) drop(ns int64) {
	a.table.Drop(ns)
	for _, t := range a.values {
		if t != nil {
			t.Drop(ns)
		}
	}
	if s := a.spaces[ns]; s != nil {
		a.ctx.Memory.Shrink(s.charged)
		delete(a.spaces, ns)
	}
}

// tellSpace emits the groups of a namespace.
func (a *Aggregate) tellSpace(ns int64) error {
	s, err := a.space(ns)
	if err != nil {
		return err
	}
	return s.rows.Each(func(v state.View, from, to int) error {
		for ; from < to; from += a.ctx.BatchRows {
			if err := a.tellFinal(v, from, min(from+a.ctx.BatchRows, to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// tellFinal emits those of the groups [from, to) that have rows.
func (a *Aggregate) tellFinal(v state.View, from, to int) error {
	var picked []int32
	for i, n := range v.Values()[a.rows].Int64[from:to] {
		if n > 0 {
			picked = append(picked, int32(i))
		}
	}
	if len(picked) == 0 {
		return nil
	}
	columns, err := v.Keys(from, to)
	defer func() { compute.ReleaseAll(columns) }()
	if err != nil {
		return err
	}
	results, err := a.results(v.Values(), from, to)
	if err != nil {
		return err
	}
	columns = append(columns, results...)
	if len(picked) < to-from {
		if err := takeAll(a, columns, picked); err != nil {
			return err
		}
	}
	return a.ctx.Output.Emit(operator.NewBatch(a.arrow, columns, len(picked)))
}

// takeAll replaces columns by some of their rows.
func takeAll(a *Aggregate, columns []arrow.Array, rows []int32) error {
	for i, c := range columns {
		taken, err := compute.Take(a.ctx.Alloc, c, rows)
		if err != nil {
			return err
		}
		c.Release()
		columns[i] = taken
	}
	return nil
}
