package fuzz

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// scope is what an expression may use.
type scope struct {
	terms []term // of rows: columns; of groups: keys and aggregates
	key   []term // together different in every row; nil if not known
	// queries: scalar subqueries may stand here.
	queries bool
}

// generator writes one statement.
type generator struct {
	*rand.Rand
	tables    []*table
	functions map[kind][]function
	ctes      []*relation
	names     int
}

var allKinds = []kind{boolean, integer, integer, decimal, double, text, text, date, timestamp}

// any is an expression of some type.
func (g *generator) any(s *scope, depth int) term {
	if len(s.terms) > 0 && chance(g.Rand, 60) {
		leaf := s.terms[g.IntN(len(s.terms))]
		if leaf.typ.rough {
			return leaf
		}
		return g.term(s, leaf.typ.kind, depth)
	}
	return g.term(s, pick(g.Rand, allKinds...), depth)
}

// leaf is a column of a kind that satisfies a condition, if the scope has one.
func (g *generator) leaf(s *scope, k kind, good func(typ) bool) (term, bool) {
	var fit []term
	for _, t := range s.terms {
		if t.typ.kind == k && !t.typ.rough && (good == nil || good(t.typ)) {
			fit = append(fit, t)
		}
	}
	if len(fit) == 0 {
		return term{}, false
	}
	return fit[g.IntN(len(fit))], true
}

// term is an expression of a kind whose value does not depend on any order.
func (g *generator) term(s *scope, k kind, depth int) term {
	if depth <= 0 || chance(g.Rand, 35) {
		if leaf, ok := g.leaf(s, k, nil); ok && !chance(g.Rand, 15) {
			return leaf
		}
		if k == boolean && len(s.terms) > 0 {
			return g.simpleTest(s)
		}
		return g.constant(k)
	}
	if chance(g.Rand, 25) {
		return g.conditional(s, k, depth-1)
	}
	if s.queries && chance(g.Rand, 6) {
		return g.scalarQuery(s, k, depth-1)
	}
	if s.queries && k == boolean && chance(g.Rand, 8) {
		return term{node: g.subqueryCondition(s, depth-1), typ: boolType, column: true}
	}
	switch k {
	case integer:
		if chance(g.Rand, 55) {
			return g.integerArithmetic(s, depth-1)
		}
	case decimal:
		return g.decimalArithmetic(s, depth-1)
	case double:
		if chance(g.Rand, 50) {
			return g.doubleArithmetic(s, depth-1)
		}
	case boolean:
		if chance(g.Rand, 60) {
			return g.comparison(s, depth-1)
		}
	}
	table := g.functions[k]
	f := table[g.IntN(len(table))]
	return g.apply(s, f, depth-1)
}

func (g *generator) apply(s *scope, f function, depth int) term {
	var kids []*node
	varies := false
	for _, k := range f.args {
		arg := g.term(s, k, depth)
		kids, varies = append(kids, arg.node), varies || arg.column
	}
	return term{node: two(f.returns.class(), f.ours, f.duck, kids...), typ: f.returns, column: varies}
}

// constant is a literal.
func (g *generator) constant(k kind) term {
	t := map[kind]typ{
		boolean: boolType, integer: intType(32, pick(g.Rand, 1, 1, 3)), decimal: decType(pick(g.Rand, 5, 9), 2), double: dblType(2), text: textType,
		date: dateType, timestamp: timeType,
	}[k]
	return g.constantOf(t)
}

func (g *generator) constantOf(t typ) term {
	sql := t.sql()
	if chance(g.Rand, 8) {
		return term{node: plain(t.class(), "CAST(NULL AS "+sql+")"), typ: t}
	}
	if t.kind == boolean && chance(g.Rand, 60) {
		return term{node: plain(aBool, "TRUE"), typ: t}
	}
	v := literal(g.Rand, t)
	switch {
	case t.kind == integer && v[0] == '-':
		v = "(" + v + ")"
	case t.kind == decimal || t.kind == double || t.kind == integer && t.bits == 64:
		v = "CAST(" + v + " AS " + sql + ")"
	}
	return term{node: plain(t.class(), v), typ: t}
}

// conditional is CASE and its relatives; the branches are of one kind.
func (g *generator) conditional(s *scope, k kind, depth int) term {
	a := g.term(s, k, depth)
	b := g.fitting(s, a.typ, depth)
	t := widest(a.typ, b.typ)
	c := t.class()
	out := term{typ: t, column: true}
	switch g.IntN(7) {
	case 6:
		w := g.term(s, pick(g.Rand, integer, text), 0)
		out.node = plain(c, "CASE $0 WHEN $1 THEN $2 ELSE $3 END", w.node, g.term(s, w.typ.kind, 0).node, a.node, b.node)
	case 0:
		out.node = plain(c, "COALESCE($0, $1)", a.node, b.node)
	case 1:
		out.node, out.typ = plain(c, "NULLIF($0, $1)", a.node, b.node), a.typ
	case 2:
		out.node = two(c, "IF($0, $1, $2)", "CASE WHEN $0 THEN $1 ELSE $2 END", g.term(s, boolean, depth).node, a.node, b.node)
	case 3:
		if k == boolean {
			return g.comparison(s, depth)
		}
		name := pick(g.Rand, "GREATEST", "LEAST")
		out.node = two(c, name+"($0, $1)", "CASE WHEN $0 IS NOT NULL AND $1 IS NOT NULL THEN "+name+"($0, $1) END", a.node, b.node)
	case 4:
		out.node = plain(c, "CASE WHEN $0 THEN $1 END", g.term(s, boolean, depth).node, a.node)
	default:
		out.node = plain(c, "CASE WHEN $0 THEN $1 WHEN $2 THEN $3 ELSE $4 END", g.term(s, boolean, depth).node, a.node,
			g.term(s, boolean, depth).node, b.node, g.fitting(s, a.typ, 0).node)
	}
	return out
}

// fitting is an expression that may stand beside one of type t without an
// overflow of their common type.
func (g *generator) fitting(s *scope, t typ, depth int) term {
	if t.kind != decimal {
		return g.term(s, t.kind, depth)
	}
	for range 3 {
		if other := g.term(s, decimal, depth); other.typ.s == t.s && other.typ.p <= t.p {
			return other
		}
	}
	return g.constantOf(decType(min(t.p, t.s+8), t.s))
}

func widest(a, b typ) typ {
	a.bits, a.size, a.p, a.s, a.rough = max(a.bits, b.bits), max(a.size, b.size), max(a.p, b.p), max(a.s, b.s), a.rough || b.rough
	return a
}

func (g *generator) integerArithmetic(s *scope, depth int) term {
	a, b := g.term(s, integer, depth), g.term(s, integer, depth)
	bits := max(a.typ.bits, b.typ.bits, 32)
	c := intType(bits, 0)
	varies := a.column || b.column
	var n *node
	switch g.IntN(7) {
	case 0, 1:
		n, c.size = plain(anInt, "($0 + $1)", a.node, b.node), max(a.typ.size, b.typ.size)+1
	case 2:
		n, c.size = plain(anInt, "($0 - $1)", a.node, b.node), max(a.typ.size, b.typ.size)+1
	case 3:
		n, c.size = plain(anInt, "($0 * $1)", a.node, b.node), a.typ.size+b.typ.size
	case 4:
		n, c.size = plain(anInt, "($0 / NULLIF($1, 0))", a.node, b.node), a.typ.size
	case 5:
		n, c.size = plain(anInt, "MOD($0, NULLIF($1, 0))", a.node, b.node), b.typ.size
	default:
		return term{node: plain(anInt, pick(g.Rand, "(- $0)", "ABS($0)", "CAST($0 AS BIGINT)"), a.node), typ: intType(64, a.typ.size), column: a.column}
	}
	if c.size > capacity(bits)-1 || small(a.typ) || small(b.typ) {
		// Widen first; if that is not enough, leave it.
		if c.size > 17 {
			return a
		}
		for i, kid := range n.kids {
			n.kids[i] = plain(anInt, "CAST($0 AS BIGINT)", kid)
		}
		c.bits = 64
	}
	return term{node: n, typ: c, column: varies}
}

// small types overflow soon, each dialect at its own time.
func small(t typ) bool { return t.bits < 32 }

func (g *generator) decimalArithmetic(s *scope, depth int) term {
	a := g.term(s, decimal, depth)
	t := a.typ
	switch g.IntN(7) {
	case 0, 1, 2:
		b := g.term(s, decimal, depth)
		s1 := max(t.s, b.typ.s)
		sum := decType(max(t.p-t.s, b.typ.p-b.typ.s)+s1+1, s1)
		product := decType(t.p+b.typ.p+1, t.s+b.typ.s)
		if chance(g.Rand, 30) && product.p <= 36 {
			return term{node: plain(aDecimal, "($0 * $1)", a.node, b.node), typ: product, column: a.column || b.column}
		}
		if sum.p <= 36 {
			return term{node: plain(aDecimal, pick(g.Rand, "($0 + $1)", "($0 - $1)"), a.node, b.node), typ: sum, column: a.column || b.column}
		}
	case 3:
		return term{node: plain(aDecimal, pick(g.Rand, "(- $0)", "ABS($0)"), a.node), typ: t, column: a.column}
	case 4:
		if t.s > 0 {
			return term{node: plain(aDecimal, pick(g.Rand, "FLOOR($0)", "CEIL($0)", "ROUND($0, 0)"), a.node), typ: decType(t.p-t.s+1, 0), column: a.column}
		}
	case 5:
		if b := g.term(s, integer, depth); b.typ.size < 9 {
			return term{node: plain(aDecimal, fmt.Sprintf("CAST($0 AS DECIMAL(%d, 2))", b.typ.size+3), b.node), typ: decType(b.typ.size+3, 2), column: b.column}
		}
	default:
		if to := decType(t.p-t.s+2, 1); to.p <= 36 && t.s > 0 {
			return term{node: plain(aDecimal, fmt.Sprintf("CAST($0 AS %s)", to.sql()), a.node), typ: to, column: a.column}
		}
	}
	return a
}

func (g *generator) doubleArithmetic(s *scope, depth int) term {
	a, b := g.term(s, double, depth), g.term(s, double, depth)
	t := dblType(max(a.typ.size, b.typ.size) + 1)
	varies := a.column || b.column
	switch op := pick(g.Rand, "+", "-", "*", "/"); {
	case op == "/":
		t.size = 9
		return term{node: plain(aDouble, "($0 / NULLIF($1, CAST(0 AS DOUBLE)))", a.node, b.node), typ: t, column: varies}
	case a.typ.size+b.typ.size < 20:
		t.size = a.typ.size + b.typ.size
		return term{node: plain(aDouble, "($0 "+op+" $1)", a.node, b.node), typ: t, column: varies}
	default:
		return a
	}
}

// comparable kinds, without the ones that are rarely equal.
var comparable = []kind{integer, integer, integer, decimal, double, text, text, date, timestamp, boolean}

func (g *generator) comparison(s *scope, depth int) term {
	k := pick(g.Rand, comparable...)
	if leaf, ok := g.leaf(s, pick(g.Rand, allKinds...), nil); ok {
		k = leaf.typ.kind
	}
	a := g.term(s, k, depth)
	if chance(g.Rand, 15) {
		return term{node: plain(aBool, pick(g.Rand, "($0 IS NULL)", "($0 IS NOT NULL)"), a.node), typ: boolType, column: a.column}
	}
	b := g.other(s, k, depth)
	switch g.IntN(12) {
	case 0:
		return term{node: plain(aBool, pick(g.Rand, "($0 BETWEEN $1 AND $2)", "($0 NOT BETWEEN $1 AND $2)"), a.node, b.node, g.term(s, k, 0).node), typ: boolType, column: true}
	case 1:
		return term{node: plain(aBool, pick(g.Rand, "($0 IN ($1, $2))", "($0 NOT IN ($1, $2))"), a.node, b.node, g.term(s, k, 0).node), typ: boolType, column: true}
	}
	op := pick(g.Rand, "=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
	return term{node: plain(aBool, "($0 "+op+" $1)", a.node, b.node), typ: boolType, column: a.column || b.column}
}

// simpleTest is a condition on one column that many rows pass.
func (g *generator) simpleTest(s *scope) term {
	a := s.terms[g.IntN(len(s.terms))]
	if a.typ.rough {
		return g.constant(boolean)
	}
	op := pick(g.Rand, "<>", "<", "<=", ">", ">=", "=", "IS DISTINCT FROM")
	if chance(g.Rand, 20) {
		return term{node: plain(aBool, pick(g.Rand, "($0 IS NOT NULL)", "($0 IS NULL)"), a.node), typ: boolType, column: true}
	}
	return term{node: plain(aBool, "($0 "+op+" $1)", a.node, g.constantOf(a.typ).node), typ: boolType, column: true}
}

// other is what a value of a kind is compared with: numbers may be of another
// kind.
func (g *generator) other(s *scope, k kind, depth int) term {
	if numbers := []kind{integer, decimal, double}; slices.Contains(numbers, k) && chance(g.Rand, 15) {
		return g.term(s, pick(g.Rand, numbers...), depth)
	}
	return g.term(s, k, depth)
}

// exactly is an expression whose column has the type t in both dialects.
func (g *generator) exactly(s *scope, t typ, depth int) term {
	if t.kind != decimal {
		return g.term(s, t.kind, depth)
	}
	for range 3 {
		a := g.term(s, decimal, depth)
		if a.typ.p == t.p && a.typ.s == t.s {
			return a
		}
		if a.typ.p-a.typ.s <= t.p-t.s {
			return term{node: plain(aDecimal, "CAST($0 AS "+t.sql()+")", a.node), typ: t, column: a.column}
		}
	}
	return g.constantOf(t)
}
