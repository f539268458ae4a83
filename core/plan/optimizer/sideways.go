package optimizer

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// reducesTo is to what share of its groups a filter must be expected to bring an
// aggregate before it is worth to compute the filter twice.
const reducesTo = 0.25

// sideways lets an aggregate skip groups that no row of a join can ask for: where
// a group key must equal a column of a filtered table (x = (SELECT MIN(y) FROM t
// WHERE t.k = f.k) with few f), rows of other keys are dropped before they are
// grouped, by a semi join with that table. This is the magic-set rewrite of
// Mumick and others, for keys of one column and tables that are cheap to read
// twice.
func (t *joinTree) sideways() {
	for i := range t.leaves {
		l := &t.leaves[i]
		for column := range l.node.Schema() {
			agg, key, ok := groupKey(l.node, column)
			if !ok {
				continue
			}
			from := t.filterFor(i, l.start+column, plan.Rows(agg))
			if from < 0 {
				continue
			}
			other := t.leaves[t.owner(from)]
			l.node = onlyGroups(l.node, column, key, other.node, from-other.start)
			break
		}
	}
}

// groupKey follows a column down to the grouping column of an aggregate.
func groupKey(n plan.Node, column int) (agg *plan.Aggregate, key int, ok bool) {
	switch n := n.(type) {
	case *plan.Project:
		if c, isColumn := n.Exprs[column].(*expr.Column); isColumn {
			return groupKey(n.Input, c.Index)
		}
	case *plan.Filter:
		return groupKey(n.Input, column)
	case *plan.Aggregate:
		if column < len(n.Keys) && len(n.Calls) > 0 {
			return n, n.Keys[column], true
		}
	}
	return nil, 0, false
}

// filterFor finds a column that equals the given one in each row of the join and
// is of a leaf that is cheap, filtered, and leaves few of the groups; -1: none.
func (t *joinTree) filterFor(self, column int, groups float64) int {
	best, bestRows := -1, groups*reducesTo
	for _, c := range t.equalTo(column) {
		o := t.owner(c)
		l := t.leaves[o]
		if o == self || l.kind == plan.Anti || !filteredScan(l.node) {
			continue
		}
		if rows := plan.Rows(l.node); rows < bestRows && rows < reducesTo*plan.ColumnStatistics(l.node, c-l.start).Base {
			best, bestRows = c, rows
		}
	}
	return best
}

// equalTo are the columns that equality conditions connect with a column.
func (t *joinTree) equalTo(column int) []int {
	reached := []int{column}
	seen := map[int]bool{column: true}
	for i := 0; i < len(reached); i++ {
		for _, c := range t.conditions {
			if !c.equal {
				continue
			}
			for _, pair := range [][2]int{{c.left, c.right}, {c.right, c.left}} {
				if pair[0] == reached[i] && !seen[pair[1]] && !t.rejects(pair[1]) {
					seen[pair[1]] = true
					reached = append(reached, pair[1])
				}
			}
		}
	}
	return reached[1:]
}

// rejects reports whether a column is of an anti joined leaf: that rows are equal
// to it says nothing about those that stay.
func (t *joinTree) rejects(column int) bool { return t.leaves[t.owner(column)].kind == plan.Anti }

// filteredScan reports whether n reads one table, perhaps filtered: to read it
// twice costs little beside a join, and gives the same rows.
func filteredScan(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Scan, *plan.Values:
		return true
	case *plan.Filter:
		return deterministic(n.Cond) && filteredScan(n.Input)
	case *plan.Project:
		return !slices.ContainsFunc(n.Exprs, func(e expr.Expr) bool { return !deterministic(e) }) && filteredScan(n.Input)
	}
	return false
}

// onlyGroups puts a semi join below the aggregate that groupKey found.
func onlyGroups(n plan.Node, column, key int, by plan.Node, byColumn int) plan.Node {
	if agg, ok := n.(*plan.Aggregate); ok {
		in := agg.Input
		right := &plan.Project{
			Place: agg.Place, Input: by, Names: []string{by.Schema()[byColumn].Name},
			Exprs: []expr.Expr{plan.Column(by.Schema(), byColumn)},
		}
		left := plan.Column(in.Schema(), key)
		other := plan.Renumber(right.Exprs[0], func(int) int { return len(in.Schema()) })
		same := &expr.Call{Function: "=", Args: []expr.Expr{left, other}, T: datatype.Of(datatype.Boolean)}
		return agg.WithInputs(&plan.Join{Place: agg.Place, Left: in, Right: right, Kind: plan.Semi, Residual: same})
	}
	if p, ok := n.(*plan.Project); ok {
		column = p.Exprs[column].(*expr.Column).Index
	}
	return n.WithInputs(onlyGroups(n.Inputs()[0], column, key, by, byColumn))
}
