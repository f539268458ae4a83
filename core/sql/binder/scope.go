package binder

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// scope is the columns that a FROM clause yields, in the order of its plan node.
type scope struct {
	columns []scopeColumn
}

type scopeColumn struct {
	table []string // alias, or catalog, database and table
	name  string
	typ   datatype.Type
	// hidden: found by its table's name only. It is the right column of USING,
	// or a helper that has no name at all.
	hidden bool
	merged bool // the left column of USING: first in *
}

func scopeOf(table string, s datatype.Schema) *scope {
	var path []string
	if table != "" {
		path = []string{table}
	}
	return scopeAt(path, s)
}

func scopeAt(table []string, s datatype.Schema) *scope {
	sc := &scope{columns: make([]scopeColumn, len(s))}
	for i, f := range s {
		sc.columns[i] = scopeColumn{table: table, name: f.Name, typ: f.Type}
	}
	return sc
}

// joined returns the columns of s, then those of t, with the types of a join's
// output.
func (s *scope) joined(t *scope, out datatype.Schema) *scope {
	all := &scope{columns: slices.Concat(s.columns, t.columns)}
	if len(out) < len(all.columns) {
		all.columns = all.columns[:len(out)]
	}
	for i := range out {
		all.columns[i].typ = out[i].Type
	}
	return all
}

// find returns the positions of the columns that the first parts of a name mean,
// and how many parts that took. Tables come before fields: a.b is column b of
// table a if there is one, else field b of column a.
func (s *scope) find(parts []*ast.Ident) (found []int, used int) {
	for qualifier := min(len(parts)-1, 3); qualifier >= 0; qualifier-- {
		for i, c := range s.columns {
			if c.name != parts[qualifier].Name || c.hidden && qualifier == 0 || !endsIn(c.table, parts[:qualifier]) {
				continue
			}
			found = append(found, i)
		}
		if len(found) > 0 {
			return found, qualifier + 1
		}
	}
	return nil, 0
}

func endsIn(table []string, parts []*ast.Ident) bool {
	if len(parts) > len(table) {
		return false
	}
	for i, p := range parts {
		if table[len(table)-len(parts)+i] != p.Name {
			return false
		}
	}
	return true
}

// ofTable returns the positions of a table's columns.
func (s *scope) ofTable(parts []*ast.Ident) []int {
	var found []int
	for i, c := range s.columns {
		if endsIn(c.table, parts) && c.name != "" {
			found = append(found, i)
		}
	}
	return found
}

// starred returns what * means: merged columns first, hidden ones left out.
func (s *scope) starred() []int {
	var merged, others []int
	for i, c := range s.columns {
		switch {
		case c.merged:
			merged = append(merged, i)
		case !c.hidden:
			others = append(others, i)
		}
	}
	return append(merged, others...)
}

func (s *scope) names() []string {
	var names []string
	for _, c := range s.columns {
		if c.name != "" {
			names = append(names, c.name)
		}
	}
	return names
}

func (s *scope) tables() []string {
	var names []string
	for _, c := range s.columns {
		if n := len(c.table); n > 0 && !slices.Contains(names, c.table[n-1]) {
			names = append(names, c.table[n-1])
		}
	}
	return names
}

// column returns a reference to column i and remembers where it was written.
func (x *exprBinder) column(i int, n ast.Node) expr.Expr {
	return x.columnOf(x.scope, i, x.offset, n)
}

func (x *exprBinder) columnOf(s *scope, i, offset int, n ast.Node) *expr.Column {
	c := &expr.Column{Index: i + offset, Name: s.columns[i].name, T: s.columns[i].typ}
	x.places[c] = n
	return c
}

// reference resolves a name to a column or an alias, and fields of it.
func (x *exprBinder) reference(n *ast.ColumnRef) (expr.Expr, error) {
	if e, ok := x.alias(n, true); ok {
		return e, nil
	}
	in, offset := x.scope, x.offset
	found, used := in.find(n.Parts)
	if len(found) == 0 {
		if e, ok := x.alias(n, false); ok {
			return e, nil
		}
		if x.enclosing != nil {
			in, offset = x.enclosing, 0
			found, used = in.find(n.Parts)
		}
	}
	far := -1
	if len(found) == 0 {
		var barred bool
		if in, found, used, far, barred = x.around(n.Parts); barred {
			x.tooFar = true
			return nil, x.unsupported(n, "a subquery that uses column "+dotted(n.Parts)+" of the outer query is")
		}
	}
	if len(found) == 0 {
		return nil, x.unknown(n)
	}
	if len(found) > 1 {
		return nil, x.ambiguous(n, in, found)
	}
	c := x.columnOf(in, found[0], offset, n)
	if far >= 0 {
		c.Index = outerColumn(found[0], far)
	}
	var e expr.Expr = c
	for _, part := range n.Parts[used:] {
		var err error
		if e, err = x.field(e, part); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// around finds a name in the frames, the nearest first: where, and how many frames
// that go between are far.
func (b *Binder) around(parts []*ast.Ident) (in *scope, found []int, used, far int, barred bool) {
	for _, f := range slices.Backward(b.frames) {
		if found, used = f.scope.find(parts); len(found) > 0 {
			return f.scope, found, used, far, f.barred
		}
		if !f.barred {
			far++
		}
	}
	return nil, nil, 0, -1, false
}

func (x *exprBinder) alias(n *ast.ColumnRef, first bool) (expr.Expr, bool) {
	if len(n.Parts) != 1 || x.aliasFirst != first {
		return nil, false
	}
	e, ok := x.aliases[n.Parts[0].Name]
	return e, ok
}

func (x *exprBinder) ambiguous(n *ast.ColumnRef, in *scope, found []int) error {
	name := n.Parts[len(n.Parts)-1].Name
	var written []string
	for _, i := range found {
		if c := in.columns[i]; len(c.table) > 0 {
			written = append(written, c.table[len(c.table)-1]+"."+c.name)
		}
	}
	e := x.errorf(sqlerr.AmbiguousColumn, n, "column %s is ambiguous", name)
	if written = slices.Compact(written); len(written) > 1 {
		return e.Suggest("write %s", strings.Join(written, " or "))
	}
	return e
}

func (x *exprBinder) unknown(n *ast.ColumnRef) error {
	if len(n.Parts) > 1 {
		if err := x.unknownQualified(n); err != nil {
			return err
		}
	}
	name := n.Parts[0]
	if len(x.scope.names()) == 0 && x.clause == clauseUnnest {
		return x.errorf(sqlerr.UnknownColumn, n, "unknown column %s: UNNEST sees the tables before it in FROM", name.Name)
	}
	if len(x.scope.names()) == 0 {
		return x.errorf(sqlerr.UnknownColumn, n, "unknown column %s: there is no FROM clause", name.Name).
			Suggest("write strings in single quotes: '%s'", name.Name)
	}
	e := x.errorf(sqlerr.UnknownColumn, n, "unknown column %s", dotted(n.Parts))
	candidates := x.scope.names()
	for alias := range x.aliases {
		candidates = append(candidates, alias)
	}
	if name.Quote == '"' && sqlerr.Suggest(name.Name, candidates) == "" {
		return e.Suggest("write strings in single quotes: '%s'", name.Name)
	}
	slices.Sort(candidates)
	return e.DidYouMean(name.Name, candidates)
}

// unknownQualified explains t.c where either t or c is unknown.
func (x *exprBinder) unknownQualified(n *ast.ColumnRef) error {
	table, name := n.Parts[:len(n.Parts)-1], n.Parts[len(n.Parts)-1]
	if of := x.scope.ofTable(table); len(of) > 0 {
		var candidates []string
		for _, i := range of {
			candidates = append(candidates, x.scope.columns[i].name)
		}
		return x.errorf(sqlerr.UnknownColumn, name, "table %s has no column %s", dotted(table), name.Name).DidYouMean(name.Name, candidates)
	}
	if found, _ := x.scope.find(n.Parts[:1]); len(found) == 0 {
		if best := sqlerr.Suggest(table[len(table)-1].Name, x.scope.tables()); best != "" {
			return x.errorf(sqlerr.UnknownTable, table[len(table)-1], "no table in FROM is called %s", dotted(table)).Suggest("did you mean %s?", best)
		}
		return x.errorf(sqlerr.UnknownTable, table[0], "no table or column in FROM is called %s", table[0].Name).
			Suggest("known are %s", strings.Join(x.scope.tables(), ", "))
	}
	return nil
}

func dotted(parts []*ast.Ident) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name
	}
	return strings.Join(names, ".")
}
