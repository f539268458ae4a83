package optimizer

import (
	"math"
	"math/bits"
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// maxJoinLeaves bounds the inputs of one join tree that are put into order.
const maxJoinLeaves = 64

// existsColumns is where the columns of semi and anti joined inputs are numbered
// from: they are not among the tree's.
const existsColumns = 1 << 24

// leafSet is a set of leaves of a join tree, one bit each.
type leafSet uint64

func (s leafSet) count() int { return bits.OnesCount64(uint64(s)) }

// leaf is one input of a join tree.
type leaf struct {
	node  plan.Node
	kind  plan.JoinKind // Inner; or Semi, Anti: it only filters others
	start int           // its first column in the tree
	rows  float64
	width float64 // bytes of a row
	wants leafSet // of a filtering leaf: the leaves that its condition is about
}

// term is a conjunct of what the tree is joined on.
type term struct {
	cond expr.Expr
	// by is the leaf whose semi or anti join the term decides, whichever columns it
	// is about; none of an inner join's.
	by leafSet
}

// condition is a term that some leaves must be joined for.
type condition struct {
	term   expr.Expr
	leaves leafSet
	// equal says that it compares a column of one leaf with one of another.
	equal       bool
	left, right int     // the columns
	domain      float64 // how many values they may have
	base        float64 // rows of the smaller table that they are from
	share       float64 // of a term that is no equality: of rows for which it is true
}

// joinTree is the inputs of adjacent inner, semi and anti joins, and what they are
// joined on, over all their columns in a row.
type joinTree struct {
	leaves     []leaf
	width      int
	hidden     int // columns of filtering leaves
	conditions []condition
	terms      []term
	like       *plan.Join
}

// flatten takes n apart and returns where its output columns are in the tree.
func (t *joinTree) flatten(n plan.Node) []int {
	switch n := n.(type) {
	case *plan.Join:
		switch n.Kind {
		case plan.Inner:
			cols := append(t.flatten(n.Left), t.flatten(n.Right)...)
			t.addTerms(n.Residual, cols, 0)
			return cols
		case plan.Semi, plan.Anti:
			cols := t.flatten(n.Left)
			first := existsColumns + t.hidden
			t.hidden += len(n.Right.Schema())
			by := leafSet(1) << len(t.leaves)
			t.leaves = append(t.leaves, leaf{node: n.Right, kind: n.Kind, start: first})
			t.addTerms(n.Residual, slices.Concat(cols, numbered(first, len(n.Right.Schema()))), by)
			return cols
		}
	case *plan.Project:
		if cols, ok := t.throughNames(n); ok {
			return cols
		}
	}
	t.leaves = append(t.leaves, leaf{node: n, kind: plan.Inner, start: t.width})
	cols := numbered(t.width, len(n.Schema()))
	t.width += len(cols)
	return cols
}

// throughNames flattens a projection of a join that only passes columns.
func (t *joinTree) throughNames(n *plan.Project) ([]int, bool) {
	join, ok := movable(n.Input)
	if !ok || !onlyNames(n) {
		return nil, false
	}
	in := t.flatten(join)
	cols := make([]int, len(n.Exprs))
	for i, e := range n.Exprs {
		cols[i] = in[e.(*expr.Column).Index]
	}
	return cols, true
}

// onlyNames reports whether a projection only passes columns.
func onlyNames(n *plan.Project) bool {
	return !slices.ContainsFunc(n.Exprs, func(e expr.Expr) bool {
		_, ok := e.(*expr.Column)
		return !ok
	})
}

func (t *joinTree) addTerms(cond expr.Expr, cols []int, by leafSet) {
	for _, c := range plan.Conjuncts(cond) {
		t.terms = append(t.terms, term{plan.Renumber(c, func(i int) int { return cols[i] }), by})
	}
}

func numbered(first, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = first + i
	}
	return out
}

// owner is the leaf that a column of the tree is from.
func (t *joinTree) owner(column int) int {
	for i, l := range t.leaves {
		if column >= l.start && column < l.start+len(l.node.Schema()) {
			return i
		}
	}
	panic("column of no leaf")
}

// measure estimates leaves and conditions.
func (t *joinTree) measure() {
	for i := range t.leaves {
		l := &t.leaves[i]
		l.rows = plan.Rows(l.node)
		l.wants = 0
		l.width = math.Max(1, plan.Bytes(l.node)/math.Max(1, l.rows))
	}
	t.conditions = t.conditions[:0]
	for _, term := range t.terms {
		t.conditions = append(t.conditions, t.condition(term))
	}
	for i := range t.leaves {
		if t.leaves[i].kind == plan.Inner {
			continue
		}
		self := leafSet(1) << i
		for _, c := range t.conditions {
			if c.leaves&self != 0 {
				t.leaves[i].wants |= c.leaves &^ self
			}
		}
	}
}

func (t *joinTree) condition(of term) condition {
	c := condition{term: of.cond, share: 1}
	plan.EachColumn(of.cond, func(col *expr.Column) { c.leaves |= 1 << t.owner(col.Index) })
	two := c.leaves.count() == 2
	c.leaves |= of.by
	call, ok := of.cond.(*expr.Call)
	if ok && call.Function == "=" && two && c.leaves.count() == 2 {
		l, okLeft := call.Args[0].(*expr.Column)
		r, okRight := call.Args[1].(*expr.Column)
		if okLeft && okRight {
			c.equal, c.left, c.right = true, l.Index, r.Index
			left, right := t.statistics(l.Index), t.statistics(r.Index)
			c.domain, c.base = plan.Domain(left, right), math.Min(left.Base, right.Base)
			return c
		}
	}
	c.share = plan.Selectivity(&plan.Values{}, []expr.Expr{of.cond})
	return c
}

func (t *joinTree) statistics(column int) plan.Statistics {
	l := t.leaves[t.owner(column)]
	return plan.ColumnStatistics(l.node, column-l.start)
}
