package physical

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
)

// Scans of batch jobs are told which rows nobody asks for: those for which a
// condition of the filter above is not true, and those whose key a join turns out not
// to find. Both the filter and the join stay.

// giveConditions gives the scan below a filter the conditions that it may evaluate
// before it reads its other columns, those first that are estimated to drop most.
func (b *builder) giveConditions(n *plan.Filter) {
	scan, ok := n.Input.(*plan.Scan)
	if !ok || b.o.Streaming || scan.Limit > 0 {
		return
	}
	var groups [][]expr.Expr // by columns
	for _, e := range expr.Conjuncts(n.Cond) {
		columns := expr.Columns(e)
		if len(columns) == 0 || len(columns) == len(scan.Columns) || !expr.Total(e) {
			continue
		}
		same := slices.IndexFunc(groups, func(g []expr.Expr) bool { return slices.Equal(expr.Columns(g...), columns) })
		if same < 0 {
			same, groups = len(groups), append(groups, nil)
		}
		groups[same] = append(groups[same], e)
	}
	slices.SortStableFunc(groups, func(x, y []expr.Expr) int {
		return cmp.Compare(plan.Selectivity(scan, x), plan.Selectivity(scan, y))
	})
	made := b.sources[scan]
	for _, g := range groups {
		made[len(made)-1].RowFilters = append(made[len(made)-1].RowFilters, expr.ToProto(expr.And(g...)))
	}
}

// keepsBelow is the share of a key's values that a build side must be estimated to
// keep less of for its keys to be worth telling.
const keepsBelow = 0.5

// keyFilter is a runtime filter that a join could make and a scan could use.
type keyFilter struct {
	join    *jobgraph.Join
	build   []uint32 // columns of the build side
	whole   bool     // each subtask of the join has all keys
	scan    *plan.Scan
	columns []uint32 // of the scan
}

// findKeys notes the runtime filters of a join's keys. Nothing may be emitted for
// probe rows without a partner.
func (b *builder) findKeys(spec *jobgraph.Join, probe, built plan.Node, whole bool) {
	if b.o.Streaming || b.o.NoRuntimeFilters {
		return
	}
	var tuples []*keyTuple // by scan
	for i := range spec.LeftKeys {
		l, r := int(spec.LeftKeys[i]), int(spec.RightKeys[i])
		scan, column := b.origin(probe, l)
		if scan == nil {
			continue
		}
		at := slices.IndexFunc(tuples, func(t *keyTuple) bool { return t.scan == scan })
		if at < 0 {
			at, tuples = len(tuples), append(tuples, &keyTuple{keyFilter: keyFilter{join: spec, whole: whole, scan: scan}, domain: 1})
		}
		of, in := plan.ColumnStatistics(probe, l), plan.ColumnStatistics(built, r)
		domain := plan.Domain(of, in)
		tuples[at].add(r, column, domain, min(of.Base, in.Base))
		if plan.DistinctValues(built, r) < keepsBelow*domain {
			tuples[at].single = true
			b.keys = append(b.keys, keyFilter{join: spec, build: []uint32{uint32(r)}, whole: whole, scan: scan, columns: []uint32{uint32(column)}})
		}
	}
	for _, t := range tuples {
		if len(t.columns) > 1 && !t.single && plan.Rows(built) < keepsBelow*min(t.domain, t.base) {
			b.keys = append(b.keys, t.keyFilter)
		}
	}
}

// keyTuple is those columns of a key that come from one scan. Together they are a
// filter where none of them is one by itself: whether it would add to that is not
// known.
type keyTuple struct {
	keyFilter
	single bool    // a column is a filter by itself
	domain float64 // combinations of its columns' values
	base   float64 // rows of the smaller table: there are no more combinations
}

func (t *keyTuple) add(build, column int, domain, base float64) {
	t.build, t.columns = append(t.build, uint32(build)), append(t.columns, uint32(column))
	if t.domain *= domain; len(t.columns) == 1 || base < t.base {
		t.base = base
	}
}

// origin follows a column to the scan it comes from, as long as dropping rows there
// by that column's value drops the rows of n with that value and no others. At a
// subplan with several readers it ends: not all of them have the join behind.
func (b *builder) origin(n plan.Node, column int) (*plan.Scan, int) {
	if s := b.shared[n]; s != nil && s.readers > 1 {
		return nil, 0
	}
	switch n := n.(type) {
	case *plan.Scan:
		if n.Limit == 0 {
			return n, column
		}
	case *plan.Filter:
		return b.origin(n.Input, column)
	case *plan.Project:
		if c, ok := n.Exprs[column].(*expr.Column); ok {
			return b.origin(n.Input, c.Index)
		}
	case *plan.Aggregate:
		if column < len(n.Keys) {
			return b.origin(n.Input, n.Keys[column])
		}
	case *plan.Join:
		width := len(n.Left.Schema())
		switch {
		case n.Kind == plan.Inner && column >= width:
			return b.origin(n.Right, column-width)
		case column < width && n.Kind != plan.Right && n.Kind != plan.Full:
			return b.origin(n.Left, column)
		}
	}
	return nil, 0
}

// attachKeys gives both ends of each filter its number. A scan that stands in the
// plan twice has none: what one place drops the other may need.
func (b *builder) attachKeys() {
	for i, f := range b.keys {
		if len(b.sources[f.scan]) != 1 {
			continue
		}
		source := b.sources[f.scan][0]
		f.join.Filters = append(f.join.Filters, &jobgraph.KeyFilter{Id: uint32(i), Columns: f.build, Whole: f.whole})
		source.KeyFilters = append(source.KeyFilters, &jobgraph.KeyFilter{Id: uint32(i), Columns: f.columns, Whole: f.whole})
	}
}
