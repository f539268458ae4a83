package fuzz

import "strings"

// dialect chooses the text of a node.
type dialect int

const (
	_ dialect = iota
	ours
	duck
)

// class says which nodes may stand in for each other when a statement shrinks.
type class int

const (
	fixed class = iota // nothing may stand in
	aQuery
	aSource
	aBool
	anInt
	aDecimal
	aDouble
	aText
	aDate
	aTimestamp
)

// node is a piece of a statement. A plain node's texts have $0 to $9 where its
// kids stand; a list is its kids with sep between them and lead before the
// first, and nothing without kids. Kids of a list may be left out down to min.
type node struct {
	ours, duck string // duck "" means as ours
	kids       []*node
	class      class

	list      bool
	lead, sep string
	min       int
}

// plain is a node with the same text in both dialects.
func plain(c class, text string, kids ...*node) *node {
	return &node{class: c, ours: text, kids: kids}
}

// two is a node whose text differs between the dialects.
func two(c class, here, there string, kids ...*node) *node {
	return &node{class: c, ours: here, duck: there, kids: kids}
}

func list(lead, sep string, least int, kids ...*node) *node {
	return &node{list: true, lead: lead, sep: sep, min: least, kids: kids}
}

// maybe is a piece that can be left out; nil leaves it out at once.
func maybe(n *node) *node {
	if n == nil {
		return list("", "", 0)
	}
	return list("", "", 0, n)
}

func (n *node) text(d dialect) string {
	var b strings.Builder
	n.write(&b, d)
	return b.String()
}

func (n *node) write(b *strings.Builder, d dialect) {
	if n.list {
		for i, kid := range n.kids {
			if i == 0 {
				b.WriteString(n.lead)
			} else {
				b.WriteString(n.sep)
			}
			kid.write(b, d)
		}
		return
	}
	text := n.ours
	if d == duck && n.duck != "" {
		text = n.duck
	}
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return
		}
		n.kids[after[0]-'0'].write(b, d)
		text = after[1:]
	}
}

// every calls visit for the node and all below it, parents first, each once.
func (n *node) every(visit func(*node)) {
	seen := map[*node]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		visit(n)
		for _, kid := range n.kids {
			walk(kid)
		}
	}
	walk(n)
}

// moves are the ways to make the statement smaller in one step, the boldest
// first. Each is done and gives how to take it back.
func (n *node) moves() (moves []func() (undo func())) {
	n.every(func(at *node) {
		if at.list {
			for i := range at.kids {
				if len(at.kids) > at.min {
					moves = append(moves, at.without(i))
				}
			}
			return
		}
		if at.class == fixed || len(at.kids) == 0 {
			return
		}
		if small := smallest[at.class]; small != "" {
			moves = append(moves, at.become(plain(at.class, small)))
		}
		at.every(func(below *node) {
			if below != at && below.class == at.class {
				moves = append(moves, at.become(below))
			}
		})
	})
	return moves
}

// smallest stands in for a whole expression.
var smallest = map[class]string{
	aBool: "TRUE", anInt: "1", aDecimal: "1.5", aDouble: "CAST(1 AS DOUBLE)", aText: "'a'", aDate: "DATE '2024-01-01'",
	aTimestamp: "TIMESTAMP '2024-01-01 00:00:00'",
}

func (n *node) without(i int) func() func() {
	return func() func() {
		before := n.kids
		if i >= len(before) || len(before) <= n.min {
			return nil
		}
		n.kids = append(append([]*node{}, before[:i]...), before[i+1:]...)
		return func() { n.kids = before }
	}
}

func (n *node) become(other *node) func() func() {
	return func() func() {
		before := *n
		*n = *other
		return func() { *n = before }
	}
}
