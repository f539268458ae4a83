package fuzz

import (
	"fmt"
	"slices"
)

// window is a window function. Where the order decides the result it ends with
// the key.
func (g *generator) window(s *scope) term {
	s = &scope{terms: s.terms, key: s.key}
	partition := list("PARTITION BY ", ", ", 0)
	for range pick(g.Rand, 0, 1, 1, 2) {
		t := s.terms[g.IntN(len(s.terms))]
		// DuckDB takes (PARTITION BY a, a) for the (PARTITION BY a, b) of another column.
		again := slices.ContainsFunc(partition.kids, func(k *node) bool { return k.text(ours) == t.text(ours) })
		if !t.typ.rough && !again {
			partition.kids = append(partition.kids, t.node)
		}
	}
	peers := list(" ORDER BY ", ", ", 1)
	for range 1 + g.IntN(2) {
		if t := s.terms[g.IntN(len(s.terms))]; !t.typ.rough {
			peers.kids = append(peers.kids, g.sorted(t))
		}
	}
	total := list(" ORDER BY ", ", ", 0, slices.Clone(peers.kids)...)
	for _, k := range s.key {
		total.kids = append(total.kids, g.sorted(k))
	}
	total.min = len(total.kids)
	over := plain(fixed, " OVER ($0$1)", partition, total)
	switch g.IntN(5) {
	case 0:
		name := pick(g.Rand, "ROW_NUMBER()", "NTILE(3)")
		return term{node: plain(anInt, name+"$0", over), typ: intType(64, 5), column: true}
	case 1:
		if len(peers.kids) > 0 {
			over = plain(fixed, " OVER ($0$1)", partition, peers)
		}
		name := pick(g.Rand, "RANK()", "DENSE_RANK()")
		return term{node: plain(anInt, name+"$0", over), typ: intType(64, 5), column: true}
	case 2:
		leaf := g.exact(s)
		name := pick(g.Rand, "LAG($0)", "LEAD($0)", "LAG($0, 2)", "LEAD($0, 3)", "LAG($0, 1, $0)")
		return term{node: plain(leaf.typ.class(), name+"$1", leaf.node, over), typ: leaf.typ, column: true}
	case 3:
		leaf := g.exact(s)
		name := pick(g.Rand, "FIRST_VALUE($0)", "LAST_VALUE($0)")
		return term{node: plain(leaf.typ.class(), name+"$1", leaf.node, g.rowsFrame(partition, total)), typ: leaf.typ, column: true}
	default:
		return g.aggregateOf(s, pick(g.Rand, integer, integer, decimal, double, text, date), g.framed(s, partition, total))
	}
}

// qualify keeps the first rows of each part.
func (g *generator) qualify(s *scope) *node {
	partition := list("PARTITION BY ", ", ", 0, g.exact(s).node)
	total := list(" ORDER BY ", ", ", len(s.key))
	for _, k := range s.key {
		total.kids = append(total.kids, g.sorted(k))
	}
	return plain(fixed, fmt.Sprintf(" QUALIFY %s OVER ($0$1) <= %d", pick(g.Rand, "ROW_NUMBER()", "RANK()", "COUNT(*)"), pick(g.Rand, 1, 2, 5)), partition, total)
}

// exact is a term of the scope that is not rough; the key always is.
func (g *generator) exact(s *scope) term {
	if t := s.terms[g.IntN(len(s.terms))]; !t.typ.rough {
		return t
	}
	return s.key[0]
}

func (g *generator) sorted(t term) *node {
	return plain(fixed, "$0"+pick(g.Rand, "", "", " DESC", " NULLS LAST", " DESC NULLS FIRST"), t.node)
}

// framed is OVER with a frame whose rows do not depend on ties.
func (g *generator) framed(s *scope, partition, total *node) *node {
	switch g.IntN(4) {
	case 0:
		return plain(fixed, " OVER ($0$1)", partition, total)
	case 1:
		if leaf, ok := g.leaf(s, integer, func(t typ) bool { return t.size <= 9 && t.bits >= 32 }); ok {
			order := plain(fixed, " ORDER BY $0"+pick(g.Rand, "", " DESC"), leaf.node)
			frame := fmt.Sprintf(" RANGE BETWEEN %s AND %s", pick(g.Rand, "2 PRECEDING", "UNBOUNDED PRECEDING", "CURRENT ROW"), pick(g.Rand, "CURRENT ROW", "3 FOLLOWING", "UNBOUNDED FOLLOWING"))
			return plain(fixed, " OVER ($0$1$2)", partition, order, plain(fixed, frame))
		}
		return g.rowsFrame(partition, total)
	case 2:
		return g.rowsFrame(partition, total)
	default:
		return plain(fixed, " OVER ($0)", partition)
	}
}

// rowsFrame is OVER with a total order and perhaps a frame of rows.
func (g *generator) rowsFrame(partition, total *node) *node {
	frame := fmt.Sprintf(" ROWS BETWEEN %s AND %s", pick(g.Rand, "1 PRECEDING", "UNBOUNDED PRECEDING", "CURRENT ROW", "3 PRECEDING"),
		pick(g.Rand, "CURRENT ROW", "1 FOLLOWING", "UNBOUNDED FOLLOWING"))
	return plain(fixed, " OVER ($0$1$2)", partition, total, maybe(plain(fixed, frame)))
}
