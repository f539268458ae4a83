package match

import (
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

const (
	// maxNodes bounds a compiled pattern.
	maxNodes = 1 << 14
	// accept is the node behind the pattern.
	accept = int32(0)
)

// node is one of an NFA: it takes a row as a variable, or it goes two ways.
type node struct {
	variable int32 // -1: first and second without a row
	first    int32
	second   int32
	// greedy: the second way is left out where a row could be taken on the first.
	greedy bool
}

// automaton is a compiled pattern.
type automaton struct {
	nodes []node
	start int32
	// next are, by node, the variables that may take the next row.
	next [][]int32
	// accepts are the nodes from which the end is reached without another row.
	accepts []bool
}

func compile(p *jobgraph.Pattern, variables int) (*automaton, error) {
	a := &automaton{nodes: []node{{variable: -1}}}
	var err error
	if a.start, err = a.repeated(p, accept, variables); err != nil {
		return nil, err
	}
	for n := range a.nodes {
		next, accepts := a.reach(int32(n))
		a.next, a.accepts = append(a.next, next), append(a.accepts, accepts)
	}
	if a.accepts[a.start] {
		return nil, failure.Errorf(failure.InvalidSQL, "the pattern matches no rows at all")
	}
	return a, nil
}

// optional reports whether p, once, may match no rows.
func optional(p *jobgraph.Pattern) bool {
	some := func(part *jobgraph.Pattern) bool { return part.Least > 0 && !optional(part) }
	switch p.Kind {
	case jobgraph.PatternKind_PATTERN_VARIABLE:
		return false
	case jobgraph.PatternKind_PATTERN_ALTERNATION:
		return slices.ContainsFunc(p.Parts, func(part *jobgraph.Pattern) bool { return !some(part) })
	}
	return !slices.ContainsFunc(p.Parts, some)
}

func (a *automaton) add(n node) (int32, error) {
	if len(a.nodes) == maxNodes {
		return 0, failure.Errorf(failure.InvalidSQL, "the pattern has more than %d parts when repetitions are written out", maxNodes)
	}
	a.nodes = append(a.nodes, n)
	return int32(len(a.nodes) - 1), nil
}

// repeated compiles p with its repetitions, after which then follows.
func (a *automaton) repeated(p *jobgraph.Pattern, then int32, variables int) (at int32, err error) {
	if (p.Least != 1 || p.Most != 1) && optional(p) {
		return 0, failure.Errorf(failure.InvalidSQL, "a pattern that may match no rows is repeated")
	}
	at = then
	switch {
	case p.Most < 0:
		if at, err = a.fork(p, then, then); err != nil {
			return 0, err
		}
		body, err := a.once(p, at, variables)
		if err != nil {
			return 0, err
		}
		a.lead(p, at, body)
	default:
		for range p.Most - int64(p.Least) {
			body, err := a.once(p, at, variables)
			if err != nil {
				return 0, err
			}
			if at, err = a.fork(p, body, then); err != nil {
				return 0, err
			}
		}
	}
	for range p.Least {
		if at, err = a.once(p, at, variables); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// fork goes on with the body of p or behind it, in the order that p prefers.
func (a *automaton) fork(p *jobgraph.Pattern, body, then int32) (int32, error) {
	at, err := a.add(node{variable: -1, greedy: !p.Reluctant, first: then, second: then})
	if err == nil {
		a.lead(p, at, body)
	}
	return at, err
}

// lead sets the body of a fork.
func (a *automaton) lead(p *jobgraph.Pattern, fork, body int32) {
	if p.Reluctant {
		a.nodes[fork].second = body
	} else {
		a.nodes[fork].first = body
	}
}

// once compiles p without its repetitions.
func (a *automaton) once(p *jobgraph.Pattern, then int32, variables int) (at int32, err error) {
	switch p.Kind {
	case jobgraph.PatternKind_PATTERN_VARIABLE:
		if int(p.Variable) >= variables {
			return 0, failure.Errorf(failure.Internal, "pattern variable %d of %d", p.Variable, variables)
		}
		return a.add(node{variable: int32(p.Variable), first: then})
	case jobgraph.PatternKind_PATTERN_SEQUENCE:
		at = then
		for _, part := range slices.Backward(p.Parts) {
			if at, err = a.repeated(part, at, variables); err != nil {
				return 0, err
			}
		}
		return at, nil
	case jobgraph.PatternKind_PATTERN_ALTERNATION:
		return a.either(len(p.Parts), func(i int) (int32, error) { return a.repeated(p.Parts[i], then, variables) })
	case jobgraph.PatternKind_PATTERN_PERMUTATION:
		return a.permuted(p.Parts, then, variables)
	}
	return 0, failure.Errorf(failure.Internal, "a pattern of kind %v", p.Kind)
}

// either tries n ways, the first one first.
func (a *automaton) either(n int, way func(int) (int32, error)) (int32, error) {
	at := int32(-1)
	for i := n - 1; i >= 0; i-- {
		body, err := way(i)
		if err != nil {
			return 0, err
		}
		if at < 0 {
			at = body
		} else if at, err = a.add(node{variable: -1, first: body, second: at}); err != nil {
			return 0, err
		}
	}
	if at < 0 {
		return 0, failure.Errorf(failure.Internal, "a pattern without parts")
	}
	return at, nil
}

// permuted tries the parts in every order, in that of their places.
func (a *automaton) permuted(parts []*jobgraph.Pattern, then int32, variables int) (int32, error) {
	if len(parts) == 0 {
		return then, nil
	}
	return a.either(len(parts), func(i int) (int32, error) {
		rest := slices.Delete(slices.Clone(parts), i, i+1)
		after, err := a.permuted(rest, then, variables)
		if err != nil {
			return 0, err
		}
		return a.repeated(parts[i], after, variables)
	})
}

// reach is what may take a row next, from a node on, and whether none is needed.
func (a *automaton) reach(from int32) (next []int32, accepts bool) {
	seen := map[int32]bool{}
	var visit func(int32)
	visit = func(at int32) {
		if seen[at] {
			return
		}
		seen[at] = true
		n := a.nodes[at]
		switch {
		case at == accept:
			accepts = true
		case n.variable >= 0:
			if !slices.Contains(next, n.variable) {
				next = append(next, n.variable)
			}
		default:
			visit(n.first)
			visit(n.second)
		}
	}
	visit(from)
	return next, accepts
}

// move is one way on: the row as a variable, then a node.
type move struct {
	variable int32
	to       int32
}

// walk finds the ways on from a node, the preferred ones first, where holds says which
// variables the row may be.
type walk struct {
	*automaton
	holds []int32 // by variable; -1: not
	moves []move
	seen  []bool // by node, false between uses
	trail []int32
}

func newWalk(a *automaton, variables int) *walk {
	return &walk{automaton: a, holds: make([]int32, variables), seen: make([]bool, len(a.nodes))}
}

func (w *walk) from(at int32) []move {
	w.moves = w.moves[:0]
	w.visit(at)
	for _, n := range w.trail {
		w.seen[n] = false
	}
	w.trail = w.trail[:0]
	return w.moves
}

// visit reports whether the row is taken from a node on. A node that was looked at
// before, on a preferred way, gives nothing new.
func (w *walk) visit(at int32) bool {
	if at == accept || w.seen[at] {
		return false
	}
	w.seen[at] = true
	w.trail = append(w.trail, at)
	n := &w.nodes[at]
	if n.variable >= 0 {
		if w.holds[n.variable] < 0 {
			return false
		}
		w.moves = append(w.moves, move{n.variable, n.first})
		return true
	}
	taken := w.visit(n.first)
	if taken && n.greedy {
		return true
	}
	return w.visit(n.second) || taken
}
