package fuzz

import (
	"fmt"
	"strings"
)

// grouped puts rows into groups; what may be selected after it are the keys and
// the aggregates. It may have several grouping sets.
func (g *generator) grouped(s *scope, rows int, sets bool) (group, having *node, out *scope, groups int) {
	out = &scope{}
	group = maybe(nil)
	groups = 1
	var keys []term
	if !chance(g.Rand, 20) {
		for range 1 + g.IntN(3) {
			if key, ok := g.groupKey(s, keys); ok {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) > 0 {
		group = g.groupBy(keys, out, sets)
		out.terms = append(out.terms, keys...)
		groups = rows
	}
	for range 1 + g.IntN(3) {
		out.terms = append(out.terms, g.aggregate(s))
	}
	having = maybe(nil)
	if chance(g.Rand, 25) {
		having = maybe(plain(fixed, " HAVING $0", g.term(out, boolean, 2).node))
	}
	return group, having, out, groups
}

// groupKey is a column, or something that varies with one.
func (g *generator) groupKey(s *scope, before []term) (term, bool) {
	for range 5 {
		k := pick(g.Rand, allKinds...)
		key, ok := g.leaf(s, k, nil)
		if ok && chance(g.Rand, 20) {
			key = g.term(&scope{terms: []term{key}}, key.typ.kind, 1)
		}
		if !ok || !key.column {
			continue
		}
		again := false
		for _, b := range before {
			again = again || b.text(ours) == key.text(ours)
		}
		if !again {
			return key, true
		}
	}
	return term{}, false
}

func (g *generator) groupBy(keys []term, out *scope, several bool) *node {
	nodes := make([]*node, len(keys))
	columns := true
	for i, k := range keys {
		nodes[i] = k.node
		columns = columns && len(k.kids) == 0
	}
	if !columns || !several || !chance(g.Rand, 25) {
		out.key = keys
		return list(" GROUP BY ", ", ", 0, nodes...)
	}
	for i := range keys {
		out.terms = append(out.terms, term{node: plain(anInt, "GROUPING($0)", keys[i].node), typ: intType(64, 1), column: true})
	}
	switch g.IntN(3) {
	case 0:
		return plain(fixed, " GROUP BY ROLLUP ($0)", list("", ", ", 1, nodes...))
	case 1:
		return plain(fixed, " GROUP BY CUBE ($0)", list("", ", ", 1, nodes...))
	}
	sets := list(" GROUP BY GROUPING SETS (", ", ", 1)
	all := list("", ", ", 1, nodes...)
	sets.kids = append(sets.kids, plain(fixed, "($0)", all))
	empty := false
	for range 1 + g.IntN(2) {
		set := list("", ", ", 0)
		for _, n := range nodes {
			if chance(g.Rand, 50) {
				set.kids = append(set.kids, n)
			}
		}
		if len(set.kids) == 0 && empty { // of two empty sets over no rows DuckDB gives one row, the standard two
			continue
		}
		empty = empty || len(set.kids) == 0
		sets.kids = append(sets.kids, plain(fixed, "($0)", set))
	}
	return plain(fixed, "$0)", sets)
}

// aggregate is any aggregate, perhaps with FILTER.
func (g *generator) aggregate(s *scope) term {
	filter := maybe(nil)
	if chance(g.Rand, 20) {
		filter = maybe(plain(fixed, " FILTER (WHERE $0)", g.term(s, boolean, 2).node))
	}
	return g.aggregateOf(s, pick(g.Rand, integer, integer, integer, decimal, double, text, date, timestamp, boolean), filter)
}

// aggregateOf is an aggregate whose result is of a kind. over is what stands
// behind it: FILTER, OVER or nothing.
func (g *generator) aggregateOf(s *scope, k kind, over *node) term {
	distinct := pick(g.Rand, "", "", "", "DISTINCT ")
	if strings.Contains(over.text(ours), "OVER") {
		distinct = ""
	}
	arg := g.term(s, k, 1)
	extreme := term{node: plain(arg.typ.class(), pick(g.Rand, "MIN", "MAX")+"($0)$1", arg.node, over), typ: arg.typ, column: true}
	switch k {
	case integer:
		return g.integerAggregate(s, arg, distinct, over, extreme)
	case decimal:
		if sum := decType(min(arg.typ.p+4, 36), arg.typ.s); sum.p >= arg.typ.p+3 && chance(g.Rand, 60) {
			return term{node: plain(aDecimal, "CAST(SUM("+distinct+"$0)$1 AS "+sum.sql()+")", arg.node, over), typ: sum, column: true}
		}
	case double:
		if leaf, ok := g.leaf(s, double, func(t typ) bool { return t.size <= 3 }); ok && chance(g.Rand, 50) {
			name := pick(g.Rand, "SUM", "AVG", "STDDEV_POP", "VAR_SAMP")
			if distinct != "" {
				name = "SUM"
			}
			t := leaf.typ
			t.rough = true
			return term{node: plain(aDouble, name+"("+distinct+"$0)$1", leaf.node, over), typ: t, column: true}
		}
	}
	return extreme
}

func (g *generator) integerAggregate(s *scope, arg term, distinct string, over *node, extreme term) term {
	count := intType(64, 6)
	switch g.IntN(7) {
	case 0:
		return term{node: plain(anInt, "COUNT(*)$0", over), typ: count, column: true}
	case 1:
		other := g.any(s, 1)
		if other.typ.rough {
			other = arg
		}
		return term{node: plain(anInt, "COUNT("+distinct+"$0)$1", other.node, over), typ: count, column: true}
	case 2, 3:
		if arg.typ.size <= 12 {
			return term{node: plain(anInt, "SUM("+distinct+"CAST($0 AS BIGINT))$1", arg.node, over), typ: intType(64, arg.typ.size+5), column: true}
		}
	case 4:
		if arg.typ.size <= 12 {
			here := fmt.Sprintf("AVG(%s$0)$1", distinct)
			there := fmt.Sprintf("CAST(SUM(%[1]s$0)$1 / COUNT(%[1]s$0)$1 AS BIGINT)", distinct)
			return term{node: two(anInt, here, there, arg.node, over), typ: arg.typ, column: true}
		}
	case 5:
		if leaf, ok := g.leaf(s, decimal, func(t typ) bool { return t.p-t.s <= 8 && t.s <= 5 }); ok {
			// The exact average to six places, rounded half up, as a whole number.
			here := "CAST(AVG($0)$1 * 1000000 AS BIGINT)"
			sum := "CAST(CAST(SUM($0)$1 AS DECIMAL(38, 6)) * 1000000 AS HUGEINT)"
			there := "CAST(SIGN(SUM($0)$1) * ((2 * ABS(" + sum + ") + COUNT($0)$1) / (2 * COUNT($0)$1)) AS BIGINT)"
			return term{node: two(anInt, here, there, leaf.node, over), typ: intType(64, 15), column: true}
		}
	}
	return extreme
}
