package physical

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/hashtable"
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
	join   *jobgraph.Join
	build  int  // column of the build side
	whole  bool // each subtask of the join has all keys
	scan   *plan.Scan
	column int // of the scan
}

// findKeys notes the runtime filters of a join's keys. Nothing may be emitted for
// probe rows without a partner.
func (b *builder) findKeys(spec *jobgraph.Join, probe, built plan.Node, whole bool) {
	if b.o.Streaming || b.o.NoRuntimeFilters {
		return
	}
	left, right := probe.Schema(), built.Schema()
	for i := range spec.LeftKeys {
		l, r := int(spec.LeftKeys[i]), int(spec.RightKeys[i])
		if !sameIntegers(left[l].Type, right[r].Type) {
			continue
		}
		domain := plan.Domain(plan.ColumnStatistics(probe, l), plan.ColumnStatistics(built, r))
		if plan.Rows(built) >= keepsBelow*domain {
			continue
		}
		if scan, column := b.origin(probe, l); scan != nil {
			b.keys = append(b.keys, keyFilter{join: spec, build: r, whole: whole, scan: scan, column: column})
		}
	}
}

// sameIntegers reports whether values of both types are equal where their integers
// are.
func sameIntegers(a, b datatype.Type) bool {
	return a.Kind == b.Kind && a.Scale == b.Scale && a.Precision == b.Precision &&
		hashtable.StorageOf(a) == hashtable.Integer && hashtable.StorageOf(b) == hashtable.Integer
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
		f.join.Filters = append(f.join.Filters, &jobgraph.KeyFilter{Id: uint32(i), Column: uint32(f.build), Whole: f.whole})
		source.KeyFilters = append(source.KeyFilters, &jobgraph.KeyFilter{Id: uint32(i), Column: uint32(f.column), Whole: f.whole})
	}
}
