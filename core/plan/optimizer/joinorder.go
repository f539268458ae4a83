package optimizer

import (
	"math"
	"math/bits"
	"slices"

	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

const (
	// maxExactJoins is up to how many leaves all orders are looked at: of n leaves
	// that is 3 to the power of n pairs of sets.
	maxExactJoins = 10
	// What a row costs, relative to one that is put out; a built one the more the
	// wider it is.
	buildCost    = 2.5
	buildWidth   = 32.0 // bytes that cost as much as a row put out
	exchangeCost = 1.0
	probeCost    = 1.0
)

// orderJoins rebuilds each tree of inner, semi and anti joins in the order that
// the estimates say is the cheapest: dynamic programming over connected sets of
// inputs (Moerkotte and Neumann's plan classes, without hypergraphs), for large
// trees the cheapest pair first. The smaller side of a join is built.
func orderJoins(n plan.Node) plan.Node {
	join, ok := movable(n)
	if !ok || tooManyLeaves(n) {
		return plan.MapInputs(n, orderJoins)
	}
	t := &joinTree{like: join}
	cols := t.flatten(join)
	t.measure()
	t.sideways()
	for i := range t.leaves {
		t.leaves[i].node = orderJoins(t.leaves[i].node)
	}
	t.measure()
	best := t.search()
	if best == nil {
		return plan.MapInputs(n, orderJoins)
	}
	node, place := t.build(best)
	have := node.Schema()
	out := &plan.Project{Place: join.Place, Input: plan.Where(node, t.rest(place)), Names: join.Schema().Names()}
	for _, c := range cols {
		out.Exprs = append(out.Exprs, plan.Column(have, place[c]))
	}
	return out
}

// tooManyLeaves reports whether the tree of joins at n is too large to be ordered
// as a whole. It looks no further than that takes.
func tooManyLeaves(n plan.Node) bool {
	left := maxJoinLeaves
	var count func(n plan.Node)
	count = func(n plan.Node) {
		if p, ok := n.(*plan.Project); ok && onlyNames(p) {
			if join, ok := movable(p.Input); ok {
				n = join
			}
		}
		join, ok := movable(n)
		if !ok {
			left--
			return
		}
		if left < 0 {
			return
		}
		if join.Kind == plan.Inner {
			count(join.Right)
		} else {
			left--
		}
		count(join.Left)
	}
	count(n)
	return left < 0
}

// movable are the joins that a tree is made of.
func movable(n plan.Node) (*plan.Join, bool) {
	join, ok := n.(*plan.Join)
	return join, ok && (join.Kind == plan.Inner || join.Kind == plan.Semi || join.Kind == plan.Anti)
}

// rest are the terms of inner joins that no join decides: they are about one leaf
// or none, and could not be pushed down because they are not deterministic.
func (t *joinTree) rest(place map[int]int) []expr.Expr {
	var out []expr.Expr
	for _, c := range t.conditions {
		if c.leaves.count() < 2 && !t.filters(c.leaves) {
			out = append(out, plan.Renumber(c.term, func(i int) int { return place[i] }))
		}
	}
	return out
}

// order is a way to join a set of leaves.
type order struct {
	set          leafSet
	probe, build *order // nil: one leaf
	buildLeft    bool   // build filters probe, which is the one that is built
	rows, width  float64
	cost         float64
}

func (o *order) bytes() float64 { return o.rows * o.width }

// built is what it costs to build the hash table of it.
func (o *order) built() float64 { return o.rows * (buildCost + o.width/buildWidth) }

func (t *joinTree) single(i int) *order {
	l := t.leaves[i]
	return &order{set: 1 << i, rows: l.rows, width: l.width}
}

// search returns the cheapest order of all leaves; nil if the filtering leaves
// leave none.
func (t *joinTree) search() *order {
	parts := make([]*order, len(t.leaves))
	for i := range parts {
		parts[i] = t.single(i)
	}
	if len(parts) <= maxExactJoins {
		if o := t.exact(parts); o != nil {
			return o
		}
	}
	return t.greedy(parts)
}

// exact finds the best order without cross joins; nil if there is none.
func (t *joinTree) exact(parts []*order) *order {
	all := leafSet(1)<<len(parts) - 1
	best := make([]*order, all+1)
	for _, p := range parts {
		best[p.set] = p
	}
	for s := leafSet(1); s <= all; s++ {
		if s.count() < 2 {
			continue
		}
		for a := (s - 1) & s; a > 0; a = (a - 1) & s {
			left, right := best[a], best[s&^a]
			if left == nil || right == nil || a < s&^a && !t.filters(a) && !t.filters(s&^a) {
				continue
			}
			if o := t.pair(left, right); o != nil && t.connected(a, s&^a) && (best[s] == nil || o.cost < best[s].cost) {
				best[s] = o
			}
		}
	}
	return best[all]
}

// greedy joins the pair that costs least until one is left; pairs without a
// condition come last.
func (t *joinTree) greedy(parts []*order) *order {
	parts = append([]*order(nil), parts...)
	for len(parts) > 1 {
		var best *order
		bestLeft, bestRight, bestConnected := 0, 0, false
		for i := range parts {
			for j := range parts {
				if i == j {
					continue
				}
				o := t.pair(parts[i], parts[j])
				if o == nil {
					continue
				}
				connected := t.connected(parts[i].set, parts[j].set)
				if best == nil || connected && !bestConnected || connected == bestConnected && o.cost < best.cost {
					best, bestLeft, bestRight, bestConnected = o, i, j, connected
				}
			}
		}
		if best == nil {
			return nil
		}
		parts[bestLeft] = best
		parts = append(parts[:bestRight], parts[bestRight+1:]...)
	}
	return parts[0]
}

// filters reports whether a set is one semi or anti joined leaf.
func (t *joinTree) filters(s leafSet) bool {
	return s.count() == 1 && t.leaves[bits.TrailingZeros64(uint64(s))].kind != plan.Inner
}

func (t *joinTree) connected(a, b leafSet) bool {
	for _, c := range t.conditions {
		if c.leaves&a != 0 && c.leaves&b != 0 && c.leaves&^(a|b) == 0 {
			return true
		}
	}
	return false
}

// pair joins two sets; nil where a filtering leaf stands on the wrong side or
// without the leaves that it is about.
func (t *joinTree) pair(a, b *order) *order {
	if t.filters(a.set) {
		return nil
	}
	if t.filters(b.set) {
		l := t.leaves[bits.TrailingZeros64(uint64(b.set))]
		if l.wants&^a.set != 0 {
			return nil
		}
		share := t.matches(a, b)
		if l.kind == plan.Anti {
			share = 1 - share
		}
		o := t.costed(&order{set: a.set | b.set, probe: a, build: b, rows: math.Max(1, a.rows*share), width: a.width})
		if t.keyed(a.set, b.set) {
			// The other way round no row may be in two places: both are exchanged.
			cost := a.cost + b.cost + o.rows + a.built() + b.rows*probeCost + (a.rows+b.rows)*exchangeCost
			o.buildLeft, o.cost = cost < o.cost, math.Min(cost, o.cost)
		}
		return o
	}
	o := &order{set: a.set | b.set, probe: a, build: b, width: a.width + b.width}
	if b.built()+a.rows*probeCost > a.built()+b.rows*probeCost {
		o.probe, o.build = b, a
	}
	domain, share := t.between(a.set, b.set)
	o.rows = math.Max(1, a.rows*b.rows/domain*share)
	return t.costed(o)
}

func (t *joinTree) costed(o *order) *order {
	exchanged := 0.0
	if o.build.bytes() > plan.BroadcastBytes { // else it is sent everywhere, and the other side stays
		exchanged = (o.build.rows + o.probe.rows) * exchangeCost
	}
	o.cost = o.probe.cost + o.build.cost + o.rows + o.build.built() + o.probe.rows*probeCost + exchanged
	return o
}

// keyed reports whether an equality joins two sets.
func (t *joinTree) keyed(a, b leafSet) bool {
	return slices.ContainsFunc(t.conditions, func(c condition) bool {
		return c.equal && c.leaves&a != 0 && c.leaves&b != 0 && c.leaves&^(a|b) == 0
	})
}

// matches is the share of a's rows that find a partner in b.
func (t *joinTree) matches(a, b *order) float64 {
	domain, share := t.between(a.set, b.set)
	return plan.MatchShare(b.rows*share, domain)
}

// between is the number of values of the keys by which two sets are joined, and
// the share of pairs that the other conditions leave. Columns that are equal to
// each other already count once.
func (t *joinTree) between(a, b leafSet) (domain, share float64) {
	domain, share = 1, 1
	base, keys := math.Inf(1), 0
	same := map[int]int{}
	root := func(c int) int {
		for {
			up, ok := same[c]
			if !ok {
				return c
			}
			c = up
		}
	}
	for _, c := range t.conditions { // what holds within the sets
		if c.equal && (c.leaves&^a == 0 || c.leaves&^b == 0) && root(c.left) != root(c.right) {
			same[root(c.left)] = root(c.right)
		}
	}
	for _, c := range t.conditions {
		if c.leaves&a == 0 || c.leaves&b == 0 || c.leaves&^(a|b) != 0 {
			continue
		}
		if !c.equal {
			share *= c.share
			continue
		}
		l, r := root(c.left), root(c.right)
		if l == r {
			continue
		}
		same[l] = r
		keys++
		domain *= c.domain
		base = math.Min(base, c.base)
	}
	if keys > 1 {
		domain = math.Max(1, math.Min(domain, base))
	}
	return domain, share
}

// build makes the plan of an order and tells where it has the tree's columns.
func (t *joinTree) build(o *order) (plan.Node, map[int]int) {
	if o.probe == nil {
		l := t.leaves[bits.TrailingZeros64(uint64(o.set))]
		place := map[int]int{}
		for i := range l.node.Schema() {
			place[l.start+i] = i
		}
		return l.node, place
	}
	left, place := t.build(o.probe)
	right, below := t.build(o.build)
	kind, filters := plan.Inner, t.filters(o.build.set)
	if filters {
		kind = t.leaves[bits.TrailingZeros64(uint64(o.build.set))].kind
	}
	both := map[int]int{}
	for c, at := range below {
		both[c] = at + len(left.Schema())
	}
	for c, at := range place {
		both[c] = at
	}
	var on []expr.Expr
	for _, c := range t.conditions {
		// What decides a semi or anti join may be about one side of it, or none.
		if (filters || c.leaves&o.probe.set != 0) && c.leaves&o.build.set != 0 && c.leaves&^o.set == 0 {
			on = append(on, plan.Renumber(c.term, func(i int) int { return both[i] }))
		}
	}
	join := &plan.Join{Place: t.like.Place, Left: left, Right: right, Kind: kind, Residual: plan.AllOf(on), BuildLeft: o.buildLeft}
	if filters {
		return join, place
	}
	return join, both
}
