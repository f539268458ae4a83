package optimizer

import (
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// maxOrderedJoins bounds the inputs of one join tree that are put into order;
// choosing among n takes n squared estimates.
const maxOrderedJoins = 24

// orderJoins rebuilds each tree of inner joins: the largest input is probed
// first, then the others follow, always the one that leaves the fewest rows and
// is connected by an equality. The new input is always the build side; where it
// is the larger one the sides are swapped.
func orderJoins(n plan.Node) plan.Node {
	join, ok := n.(*plan.Join)
	if !ok || join.Kind != plan.Inner {
		return plan.MapInputs(n, orderJoins)
	}
	t := &joinTree{}
	t.flatten(join)
	if len(t.leaves) > maxOrderedJoins {
		return plan.MapInputs(n, orderJoins)
	}
	for i := range t.leaves {
		t.leaves[i] = orderJoins(t.leaves[i])
	}
	return t.rebuild(join)
}

// joinTree is the inputs of adjacent inner joins and the conditions over all
// their columns in a row.
type joinTree struct {
	leaves []plan.Node
	starts []int // the first column of each leaf
	width  int
	terms  []expr.Expr
}

func (t *joinTree) flatten(n plan.Node) {
	join, ok := n.(*plan.Join)
	if !ok || join.Kind != plan.Inner {
		t.leaves, t.starts = append(t.leaves, n), append(t.starts, t.width)
		t.width += len(n.Schema())
		return
	}
	first := t.width
	t.flatten(join.Left)
	t.flatten(join.Right)
	for _, c := range plan.Conjuncts(join.Residual) {
		t.terms = append(t.terms, plan.Renumber(c, func(i int) int { return i + first }))
	}
}

// partial is a join of some of the leaves.
type partial struct {
	node  plan.Node
	place []int // of each column of the tree in node, or -1
	terms []expr.Expr
}

func (t *joinTree) start(leaf int) *partial {
	p := &partial{node: t.leaves[leaf], place: make([]int, t.width), terms: t.terms}
	for i := range p.place {
		p.place[i] = -1
	}
	for i := range t.leaves[leaf].Schema() {
		p.place[t.starts[leaf]+i] = i
	}
	return p
}

// join returns p joined with a leaf on the terms that this makes possible.
func (t *joinTree) join(p *partial, leaf int, like *plan.Join) (*partial, bool) {
	right := t.leaves[leaf]
	width := len(p.node.Schema())
	next := &partial{place: append([]int(nil), p.place...)}
	for i := range right.Schema() {
		next.place[t.starts[leaf]+i] = width + i
	}
	var on []expr.Expr
	connected := false
	for _, c := range p.terms {
		if !plan.OnlyColumns(c, func(i int) bool { return next.place[i] >= 0 }) {
			next.terms = append(next.terms, c)
			continue
		}
		moved := plan.Renumber(c, func(i int) int { return next.place[i] })
		_, _, equal := equality(moved, width)
		connected = connected || equal
		on = append(on, moved)
	}
	join := &plan.Join{Place: like.Place, Left: p.node, Right: right, Kind: plan.Inner, Residual: plan.AllOf(on)}
	next.node = join
	if plan.Bytes(right) > plan.Bytes(p.node) {
		next.node = swapped(join)
	}
	return next, connected
}

// swapped is an inner join with its sides exchanged, its columns as before.
func swapped(j *plan.Join) plan.Node {
	left, right := len(j.Left.Schema()), len(j.Right.Schema())
	other := *j
	other.Left, other.Right = j.Right, j.Left
	if j.Residual != nil {
		other.Residual = plan.Renumber(j.Residual, func(i int) int {
			if i < left {
				return i + right
			}
			return i - left
		})
	}
	have := other.Schema()
	p := &plan.Project{Place: j.Place, Input: &other, Names: j.Schema().Names()}
	for i := range left {
		p.Exprs = append(p.Exprs, plan.Column(have, right+i))
	}
	for i := range right {
		p.Exprs = append(p.Exprs, plan.Column(have, i))
	}
	return p
}

func (t *joinTree) rebuild(root *plan.Join) plan.Node {
	left := map[int]bool{}
	largest := 0
	for i, leaf := range t.leaves {
		left[i] = true
		if plan.Bytes(leaf) > plan.Bytes(t.leaves[largest]) {
			largest = i
		}
	}
	p := t.start(largest)
	delete(left, largest)
	for len(left) > 0 {
		leaf, next := t.next(p, left, root)
		p = next
		delete(left, leaf)
	}
	names := root.Schema().Names()
	have := p.node.Schema()
	out := &plan.Project{Place: root.Place, Input: plan.Where(p.node, p.terms), Names: names}
	for i := range names {
		out.Exprs = append(out.Exprs, plan.Column(have, p.place[i]))
	}
	return out
}

// next chooses the leaf to join: connected before not, then fewest rows, then
// the order of the statement.
func (t *joinTree) next(p *partial, left map[int]bool, root *plan.Join) (int, *partial) {
	best, bestRows, bestConnected := -1, 0.0, false
	var chosen *partial
	for i := range t.leaves {
		if !left[i] {
			continue
		}
		candidate, connected := t.join(p, i, root)
		rows := plan.Rows(keys(candidate.node))
		if best < 0 || connected && !bestConnected || connected == bestConnected && rows < bestRows {
			best, bestRows, bestConnected, chosen = i, rows, connected, candidate
		}
	}
	return best, chosen
}
