package fuzz

import (
	"fmt"
	"slices"
	"strings"
)

// relation is something with columns that stands in FROM, or a whole query.
type relation struct {
	node    *node
	columns []column
	key     []string // columns that together differ in every row; nil if unknown
	rows    int      // about as many
	order   *node    // the terms of ORDER BY, if the order is part of the result
}

// maxPairs bounds the pairs of rows that a join may have to look at.
const maxPairs = 40_000

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// statement is a whole random query. Many are simple: they are fast, and what is
// wrong in them is seen in the answer.
func (g *generator) statement() *relation {
	return g.query(pick(g.Rand, 0, 0, 0, 1, 1, 2, 3), nil)
}

// query is a query whose columns have the wanted types; nil wants any.
func (g *generator) query(depth int, want []typ) *relation {
	visible := len(g.ctes)
	with := list("WITH ", ", ", 0)
	if depth > 1 && chance(g.Rand, 15) {
		for range 1 + g.IntN(2) {
			cte := g.query(depth-2, nil)
			name := g.name("w")
			with.kids = append(with.kids, plain(fixed, name+" AS ($0)", cte.node))
			g.ctes = append(g.ctes, &relation{node: plain(aSource, name), columns: cte.columns, key: cte.key, rows: cte.rows})
		}
		with.kids[len(with.kids)-1] = plain(fixed, "$0 ", with.kids[len(with.kids)-1])
	}
	q := g.body(depth, want)
	g.ctes = g.ctes[:visible]
	tail := g.tail(q)
	q.node = plain(aQuery, "$0$1$2", with, q.node, tail)
	return q
}

func (g *generator) body(depth int, want []typ) *relation {
	if depth > 0 && chance(g.Rand, 15) {
		return g.setOperation(depth-1, want)
	}
	return g.selection(depth, want)
}

// tail orders by all columns, and takes some rows.
func (g *generator) tail(q *relation) *node {
	if !chance(g.Rand, 30) || slices.ContainsFunc(q.columns, func(c column) bool { return c.typ.rough }) {
		return maybe(nil)
	}
	order := list(" ORDER BY ", ", ", 1)
	for _, i := range g.Perm(len(q.columns)) {
		order.kids = append(order.kids, plain(fixed, q.columns[i].name+pick(g.Rand, "", "", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST", " NULLS FIRST")))
	}
	order.min = len(order.kids)
	limit := maybe(nil)
	if chance(g.Rand, 60) {
		n := pick(g.Rand, 1, 2, 5, 10, 10, 100)
		q.rows = min(q.rows, n)
		text := fmt.Sprintf(" LIMIT %d", n)
		if chance(g.Rand, 30) {
			text += fmt.Sprintf(" OFFSET %d", pick(g.Rand, 0, 1, 1, 3))
		}
		limit = maybe(plain(fixed, text))
	}
	q.order = order
	return maybe(plain(fixed, "$0$1", order, limit))
}

func (g *generator) setOperation(depth int, want []typ) *relation {
	left := g.query(depth, want)
	if slices.ContainsFunc(left.columns, func(c column) bool { return c.typ.rough }) {
		return left
	}
	types := make([]typ, len(left.columns))
	for i, c := range left.columns {
		types[i] = c.typ
	}
	right := g.query(depth, types)
	for i, c := range right.columns {
		left.columns[i].typ = widest(left.columns[i].typ, c.typ)
	}
	op := pick(g.Rand, "UNION", "UNION ALL", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
	return &relation{node: plain(aQuery, "($0) "+op+" ($1)", left.node, right.node), columns: left.columns, rows: left.rows + right.rows}
}

// selection is one SELECT, with or without groups.
func (g *generator) selection(depth int, want []typ) *relation {
	from, s := g.from(depth)
	s.queries = depth > 1
	where := list(" WHERE ", " AND ", 0)
	for range pick(g.Rand, 0, 0, 0, 1, 1, 1, 2, 3) {
		where.kids = append(where.kids, g.condition(s, depth))
	}
	rows := from.rows
	group, having := maybe(nil), maybe(nil)
	if chance(g.Rand, 35) {
		group, having, s, rows = g.grouped(s, rows, true)
	}
	qualify := maybe(nil)
	if s.key != nil && group.duck == "" && chance(g.Rand, 4) {
		qualify = maybe(g.qualify(s))
	}
	items, columns := g.items(s, depth, want)
	key := passed(s, columns, items)
	distinct := maybe(nil)
	if chance(g.Rand, 10) && !slices.ContainsFunc(columns, func(c column) bool { return c.typ.rough }) {
		distinct = maybe(plain(fixed, "DISTINCT "))
		key = names(columns)
	}
	node := plain(aQuery, "SELECT $0$1 FROM $2$3$4$5$6", distinct, items, from.node, where, group, having, qualify)
	return &relation{node: node, columns: columns, key: key, rows: rows}
}

func names(columns []column) (out []string) {
	for _, c := range columns {
		out = append(out, c.name)
	}
	return out
}

// passed is the key of a scope by the names under which it was selected.
func passed(s *scope, columns []column, items *node) (key []string) {
	for _, k := range s.key {
		i := slices.IndexFunc(items.kids, func(item *node) bool { return len(item.kids) == 1 && item.kids[0] == k.node })
		if i < 0 {
			return nil
		}
		key = append(key, columns[i].name)
	}
	return key
}

// items is the select list.
func (g *generator) items(s *scope, depth int, want []typ) (*node, []column) {
	items := list("", ", ", 1)
	var columns []column
	add := func(t term) {
		name := g.name("x")
		items.kids = append(items.kids, plain(fixed, "$0 AS "+name, t.node))
		columns = append(columns, column{name: name, typ: t.typ})
	}
	for _, t := range want {
		add(g.exactly(s, t, min(depth, 2)))
	}
	if want != nil {
		return items, columns
	}
	if chance(g.Rand, 50) {
		for _, k := range s.key {
			add(k)
		}
	}
	for range 1 + g.IntN(5) {
		if s.key != nil && chance(g.Rand, 12) {
			add(g.window(s))
			continue
		}
		add(g.any(s, pick(g.Rand, 0, 1, 2, 2, 3)))
	}
	return items, columns
}

// from is one to three relations, joined.
func (g *generator) from(depth int) (*relation, *scope) {
	r, s := g.source(depth, maxPairs)
	for range pick(g.Rand, 0, 0, 0, 1, 1, 1, 2) {
		if r.rows*2 > maxPairs {
			break
		}
		r, s = g.join(r, s, depth)
	}
	return r, s
}

// source is one relation under a new name.
func (g *generator) source(depth, most int) (*relation, *scope) {
	alias := g.name("t")
	var r relation
	switch {
	case len(g.ctes) > 0 && chance(g.Rand, 50):
		r = *g.ctes[g.IntN(len(g.ctes))]
		r.node = plain(aSource, "$0 AS "+alias, r.node)
	case depth > 0 && chance(g.Rand, 20):
		r = *g.query(depth-1, nil)
		r.node = plain(aSource, "($0) AS "+alias, r.node)
	case chance(g.Rand, 4):
		r = *g.values(alias)
	default:
		t := g.table(most)
		r = relation{node: plain(aSource, t.name+" AS "+alias), columns: t.columns, key: []string{"id"}, rows: len(t.rows)}
	}
	s := columnsOf(alias, r.columns)
	for i, c := range r.columns {
		if slices.Contains(r.key, c.name) {
			s.key = append(s.key, s.terms[i])
		}
	}
	return &r, s
}

// columnsOf is the scope of a relation by its name.
func columnsOf(alias string, columns []column) *scope {
	s := &scope{}
	for _, c := range columns {
		s.terms = append(s.terms, term{node: plain(c.typ.class(), alias+"."+c.name), typ: c.typ, column: true})
	}
	return s
}

// values is VALUES as a relation. Its first column is a key.
func (g *generator) values(alias string) *relation {
	r := &relation{columns: []column{{name: "k", typ: intType(32, 1)}}, key: []string{"k"}, rows: 1 + g.IntN(4)}
	for i := range 1 + g.IntN(2) {
		r.columns = append(r.columns, column{name: fmt.Sprintf("v%d", i), typ: pick(g.Rand, intType(32, 2), textType, dateType, decType(9, 2))})
	}
	rows := list("", ", ", 1)
	for k := range r.rows {
		row := list("", ", ", len(r.columns), plain(fixed, fmt.Sprint(k)))
		for _, c := range r.columns[1:] {
			v := literal(g.Rand, c.typ)
			if chance(g.Rand, 10) {
				v = "NULL"
			}
			row.kids = append(row.kids, plain(fixed, fmt.Sprintf("CAST(%s AS %s)", v, c.typ.sql())))
		}
		rows.kids = append(rows.kids, plain(fixed, "($0)", row))
	}
	r.node = plain(aSource, "(VALUES $0) AS "+alias+"("+strings.Join(names(r.columns), ", ")+")", rows)
	return r
}

// table is one of the tables with at most so many rows; the smallest is small.
func (g *generator) table(most int) *table {
	for range 10 {
		if t := g.tables[g.IntN(len(g.tables))]; len(t.rows) <= most && (len(t.rows) > 2 || chance(g.Rand, 20)) {
			return t
		}
	}
	return g.tables[0]
}

func (g *generator) join(left *relation, ls *scope, depth int) (*relation, *scope) {
	if depth > 1 && left.rows <= 300 && chance(g.Rand, 8) {
		return g.lateral(left, ls)
	}
	most := maxPairs / max(left.rows, 1)
	right, rs := g.source(depth-1, most)
	if right.rows*2 < most && chance(g.Rand, 12) { // the right side is a join as well
		one := right
		if right, rs = g.join(right, rs, depth-1); right != one {
			right.node = plain(aSource, "($0)", right.node)
		}
	}
	if right.rows > most {
		return left, ls
	}
	s := &scope{terms: append(slices.Clone(ls.terms), rs.terms...)}
	if ls.key != nil && rs.key != nil {
		s.key = append(slices.Clone(ls.key), rs.key...)
	}
	how := pick(g.Rand, "JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")
	if how == "CROSS JOIN" && left.rows*right.rows <= 3000 {
		return &relation{node: plain(aSource, "$0 CROSS JOIN $1", left.node, right.node), rows: left.rows * right.rows}, s
	} else if how == "CROSS JOIN" {
		how = "JOIN"
	}
	on := list("", " AND ", 1)
	rows := left.rows * right.rows / 2
	for range pick(g.Rand, 1, 1, 1, 2) {
		if a, b, ok := g.pair(ls, rs); ok {
			rows = rows/4 + left.rows + right.rows
			on.kids = append(on.kids, plain(aBool, "$0 = $1", a.node, b.node))
		}
	}
	if len(on.kids) == 0 || chance(g.Rand, 25) {
		on.kids = append(on.kids, g.term(pick(g.Rand, s, s, ls, rs), boolean, 2).node)
	}
	return &relation{node: plain(aSource, "$0 "+how+" $1 ON $2", left.node, right.node, on), rows: rows}, s
}

// lateral joins each row on the left with what a query finds for it.
func (g *generator) lateral(left *relation, ls *scope) (*relation, *scope) {
	r, s := g.source(0, 100)
	q := &relation{rows: r.rows}
	where := list(" WHERE ", " AND ", 0, g.correlation(ls, s)...)
	both := &scope{terms: append(slices.Clone(s.terms), ls.terms...)}
	group, having, whole := maybe(nil), maybe(nil), false
	if chance(g.Rand, 40) {
		// Of an empty set over no rows DuckDB loses the row here, or its GROUPING.
		group, having, both, q.rows = g.grouped(s, r.rows, false)
		whole = len(group.kids) == 0
	}
	items, columns := g.items(both, 1, nil)
	q.columns = columns
	tail := g.tail(q)
	if whole { // DuckDB loses the row of an aggregate of no rows that is ordered
		tail = maybe(nil)
	}
	q.node = plain(aQuery, "SELECT $0 FROM $1$2$3$4$5", items, r.node, where, group, having, tail)
	alias := g.name("t")
	out := &scope{terms: append(slices.Clone(ls.terms), columnsOf(alias, columns).terms...)}
	text := pick(g.Rand, "$0 CROSS JOIN LATERAL ($1) AS "+alias, "$0 LEFT JOIN LATERAL ($1) AS "+alias+" ON TRUE")
	if whole { // DuckDB's LEFT JOIN makes constants beside an aggregate of no rows null
		text = "$0 CROSS JOIN LATERAL ($1) AS " + alias
	}
	return &relation{node: plain(aSource, text, left.node, q.node), rows: left.rows * max(q.rows/3, 1)}, out
}

// pair is two columns of the same kind, one of each scope.
func (g *generator) pair(ls, rs *scope) (a, b term, ok bool) {
	for range 6 {
		if a, ok = g.leaf(ls, pick(g.Rand, integer, integer, integer, text, date, decimal, timestamp, double), nil); !ok {
			continue
		}
		if b, ok = g.leaf(rs, a.typ.kind, nil); ok {
			return a, b, true
		}
	}
	return a, b, false
}

// condition is one term of WHERE.
func (g *generator) condition(s *scope, depth int) *node {
	if depth > 0 && chance(g.Rand, 25) {
		return g.subqueryCondition(s, depth-1)
	}
	local := *s
	local.queries = local.queries && chance(g.Rand, 30)
	c := g.term(&local, boolean, 3)
	switch g.IntN(8) {
	case 0, 1:
		return plain(aBool, "($0 OR $1)", c.node, g.simpleTest(&local).node)
	case 2:
		return plain(aBool, "($0 IS NOT TRUE)", c.node)
	case 3:
		return plain(aBool, "($0 IS NOT FALSE)", c.node)
	case 4, 5:
		return g.simpleTest(&local).node
	default:
		return c.node
	}
}

// scalarQuery is a query of one column and at most one row: an aggregate, or the
// row of a table with some id. It may look at the row outside.
func (g *generator) scalarQuery(outer *scope, k kind, depth int) term {
	if chance(g.Rand, 30) {
		if t, ok := g.lookup(outer, k); ok {
			return t
		}
	}
	r, s := g.source(depth, 300)
	agg := g.aggregateOf(s, k, maybe(nil))
	where := list(" WHERE ", " AND ", 0)
	switch g.IntN(3) {
	case 0:
		where.kids = append(where.kids, g.term(s, boolean, 2).node)
	case 1:
		where.kids = g.correlation(outer, s)
	}
	return term{node: plain(agg.typ.class(), "(SELECT $0 FROM $1$2)", agg.node, r.node, where), typ: agg.typ, column: true}
}

// lookup is a column of the row of a table whose id is that of the row outside.
func (g *generator) lookup(outer *scope, k kind) (term, bool) {
	id, ok := g.leaf(outer, integer, nil)
	alias := g.name("t")
	t := g.table(300)
	s := columnsOf(alias, t.columns)
	value, has := g.leaf(s, k, nil)
	if !ok || !has {
		return term{}, false
	}
	where := list(" WHERE ", " AND ", 1, plain(aBool, alias+".id = $0", id.node))
	if chance(g.Rand, 30) {
		where.kids = append(where.kids, g.term(s, boolean, 1).node)
	}
	where.min = len(where.kids)
	return term{node: plain(value.typ.class(), "(SELECT $0 FROM "+t.name+" AS "+alias+"$1)", value.node, where), typ: value.typ, column: true}, true
}

// subqueryCondition is IN, EXISTS, a quantified or a scalar comparison with a
// query that may look at the row outside.
func (g *generator) subqueryCondition(outer *scope, depth int) *node {
	r, s := g.source(depth, 300)
	where := list(" WHERE ", " AND ", 0)
	if chance(g.Rand, 60) {
		where.kids = g.correlation(outer, s)
	} else if chance(g.Rand, 50) {
		where.kids = append(where.kids, g.term(s, boolean, 2).node)
	}
	if chance(g.Rand, 35) {
		return plain(aBool, pick(g.Rand, "EXISTS ", "NOT EXISTS ")+"(SELECT 1 FROM $0$1)", r.node, where)
	}
	a, b, ok := g.pair(outer, s)
	if !ok {
		return plain(aBool, pick(g.Rand, "EXISTS ", "NOT EXISTS ")+"(SELECT 1 FROM $0$1)", r.node, where)
	}
	switch g.IntN(5) {
	case 0, 1, 2:
		return plain(aBool, "($0 "+pick(g.Rand, "IN", "IN", "NOT IN")+" (SELECT $1 FROM $2$3))", a.node, b.node, r.node, where)
	case 3:
		op := pick(g.Rand, "= ANY", "<> ALL", "< ANY", "> ALL", "<= ALL", ">= ANY", "= ALL", "<> ANY")
		return plain(aBool, "($0 "+op+" (SELECT $1 FROM $2$3))", a.node, b.node, r.node, where)
	default:
		agg := g.aggregateOf(s, a.typ.kind, maybe(nil))
		return plain(aBool, "($0 "+pick(g.Rand, "=", "<", ">", "<>")+" (SELECT $1 FROM $2$3))", a.node, agg.node, r.node, where)
	}
}

// correlation is terms that look at both sides, or at one of them.
func (g *generator) correlation(outer, inner *scope) (terms []*node) {
	if a, b, ok := g.pair(outer, inner); ok {
		op := pick(g.Rand, "=", "=", "=", "=", "<", ">=", "<>", "IS NOT DISTINCT FROM")
		terms = append(terms, plain(aBool, "$0 "+op+" $1", a.node, b.node))
	}
	if chance(g.Rand, 30) {
		terms = append(terms, g.term(inner, boolean, 2).node)
	}
	if chance(g.Rand, 25) {
		local := *outer
		local.queries = false
		terms = append(terms, g.term(&local, boolean, 1).node)
	}
	return terms
}
