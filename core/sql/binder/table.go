package binder

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// bindTable binds what stands in FROM.
func (b *Binder) bindTable(t ast.TableExpr) (plan.Node, *scope, error) {
	switch t.(type) {
	case *ast.Join, *ast.Aliased:
	default:
		if *b.tables++; *b.tables > maxTables {
			return nil, nil, b.tooManyTables(t)
		}
	}
	switch t := t.(type) {
	case *ast.TableRef:
		return b.bindRef(t)
	case *ast.FileTable:
		return b.bindFile(t)
	case *ast.Aliased:
		return b.bindAliased(t)
	case *ast.DerivedTable:
		node, err := b.Query(t.Query)
		if err != nil {
			return nil, nil, err
		}
		return node, scopeOf("", node.Schema()), nil
	case *ast.Join:
		return b.bindJoin(t)
	case *ast.TableFunc:
		return b.bindTableFunc(t)
	case *ast.Unnest:
		return b.bindUnnest(t)
	case *ast.Snapshot:
		return nil, nil, b.errorf(sqlerr.BadClause, t, "a table %s a time stands on the right side of a join", clauseAsOf)
	case *ast.Sample:
		return nil, nil, b.unsupported(t, "TABLESAMPLE is").Suggest("filter by a random number: WHERE RAND() < 0.1")
	case *ast.MatchRecognize:
		return b.bindMatch(t)
	}
	return nil, nil, b.unsupported(t, "this form of table is")
}

func (b *Binder) tooManyTables(at ast.Node) *sqlerr.Error {
	return b.errorf(sqlerr.TooLarge, at, "a statement reads at most %d tables; views and common table expressions count wherever they are used", maxTables).
		Suggest("write a part of it into a table first")
}

// tooMany moves an error about too many tables to the outermost reference that
// leads to them.
func (b *Binder) tooMany(at ast.Node, err error) error {
	var e *sqlerr.Error
	if errors.As(err, &e) && e.Code == sqlerr.TooLarge {
		return b.tooManyTables(at)
	}
	return err
}

func (b *Binder) bindRef(t *ast.TableRef) (plan.Node, *scope, error) {
	if len(t.Name.Parts) == 1 {
		for c := b.ctes; c != nil; c = c.parent {
			if c.def.Name.Name != t.Name.Last().Name {
				continue
			}
			if err := b.refuseHints(t.Hints); err != nil {
				return nil, nil, err
			}
			node, err := b.bindCTE(c)
			if err != nil {
				return nil, nil, b.tooMany(t, err)
			}
			return node, scopeOf(c.def.Name.Name, node.Schema()), nil
		}
	}
	o, err := b.resolveObject(t.Name)
	if err != nil {
		return nil, nil, err
	}
	path := o.Name()
	qualifier := []string{path.Catalog, path.Database, path.Object}
	var node plan.Node
	if view, ok := o.(*catalog.View); ok {
		if err = b.refuseHints(t.Hints); err == nil {
			node, err = b.bindView(view, t)
		}
	} else {
		node, err = b.bindCatalogTable(o.(*catalog.Table), t)
	}
	if err != nil {
		return nil, nil, err
	}
	return node, scopeAt(qualifier, node.Schema()), nil
}

// resolveObject suggests common table expressions, too, for an unknown name.
func (b *Binder) resolveObject(n *ast.Name) (catalog.Object, error) {
	path, err := b.Session.Path(n)
	if err != nil {
		return nil, err
	}
	if o, ok := b.Session.Lookup(path); ok {
		return o, nil
	}
	if len(n.Parts) == 1 && b.ctes != nil {
		candidates := b.Session.Objects(path.Catalog, path.Database)
		for c := b.ctes; c != nil; c = c.parent {
			candidates = append(candidates, c.def.Name.Name)
		}
		return nil, b.errorf(sqlerr.UnknownTable, n, "unknown table %s", n).DidYouMean(path.Object, candidates)
	}
	_, err = b.Session.Resolve(n)
	return nil, err
}

// bindView binds the view's query. The view may use names that meant something
// else, or nothing, when it was made.
func (b *Binder) bindView(v *catalog.View, at ast.Node) (plan.Node, error) {
	if slices.Contains(b.views, v.Path) || len(b.views) == maxViewDepth {
		return nil, b.errorf(sqlerr.BadClause, at, "view %s is defined by itself", v.Path)
	}
	span := b.at(at)
	inner := New(b.Environment)
	inner.view, inner.views, inner.tables = &span, append(slices.Clone(b.views), v.Path), b.tables
	node, err := inner.Query(v.Query)
	if err != nil {
		return nil, inView(err, v, span)
	}
	if len(node.Schema()) != len(v.Schema) {
		return nil, b.errorf(sqlerr.ColumnCount, at, "view %s was made with %d columns, its query now has %d", v.Path, len(v.Schema), len(node.Schema()))
	}
	project := plan.Identity(node)
	project.Place, project.Names = span, v.Schema.Names()
	return project, nil
}

// inView moves an error, whose place is in the view's text, to the reference.
func inView(err error, v *catalog.View, at ast.Span) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("view %s: %w", v.Path, err)
	}
	return sqlerr.New(e.Code, at, "in view %s: %s", v.Path.Object, e.Message)
}

func (b *Binder) bindFile(t *ast.FileTable) (plan.Node, *scope, error) {
	table := catalog.FileTable(t.Path.Value)
	if err := b.applyHints(&table, t.Hints); err != nil {
		return nil, nil, err
	}
	node, err := b.scan(t, table)
	if err != nil {
		return nil, nil, err
	}
	return node, scopeOf(t.Path.Value, node.Schema()), nil
}

// applyHints merges the OPTIONS hint into a table's options.
func (b *Binder) applyHints(t *connector.Table, hints []*ast.Hint) error {
	for _, h := range hints {
		if h.Name.Name != "OPTIONS" && h.Name.Name != "options" {
			return b.unsupported(h, "hint "+h.Name.Name+" is")
		}
		options := map[string]string{}
		for _, a := range h.Args {
			key, ok := a.Key.(*ast.StringLit)
			value, isText := a.Value.(*ast.StringLit)
			if !ok || !isText {
				return b.errorf(sqlerr.BadHint, a, "an option is written 'key' = 'value'")
			}
			options[key.Value] = value.Value
		}
		*t = catalog.WithOptions(*t, options)
	}
	return nil
}

// scan reads all columns of a table.
func (b *Binder) scan(at ast.Node, t connector.Table) (*plan.Scan, error) {
	known, err := b.describe(at, t)
	if err != nil {
		return nil, err
	}
	columns := t.Schema
	if len(columns) == 0 {
		columns = known.Schema
	}
	if len(t.Partitions) == 0 {
		t.Partitions = known.Partitions
	}
	rejects, err := b.rejects(at, t, known)
	if err != nil {
		return nil, err
	}
	return &plan.Scan{Place: b.at(at), Connector: t.Options[catalog.OptionConnector], Table: t, Columns: columns, Known: known, Rejects: rejects}, nil
}

// bindCatalogTable reads the physical columns, computes the computed ones, puts
// all into their declared order and declares the event time.
func (b *Binder) bindCatalogTable(t *catalog.Table, at *ast.TableRef) (plan.Node, error) {
	for _, c := range t.Columns {
		if c.Kind == ast.ColumnMetadata {
			return nil, b.unsupported(at, "metadata column "+c.Name+" of table "+t.Path.Object+" is")
		}
	}
	spec := t.Spec()
	if err := b.applyHints(&spec, at.Hints); err != nil {
		return nil, err
	}
	scan, err := b.scan(at, spec)
	if err != nil {
		return nil, err
	}
	if len(at.Hints) == 0 { // with others it may be another table
		scan.Analyzed = t.Statistics
		found := catalog.StatisticsOf(t.Statistics, scan.Known.Version)
		scan.Stale = found != nil && found.Version != scan.Known.Version
	}
	var node plan.Node = scan
	span := b.at(at)
	inner := New(b.Environment)
	inner.view = &span
	if len(scan.Columns) < len(t.Columns) {
		project := &plan.Project{Place: span, Input: scan}
		for _, c := range t.Columns {
			var e expr.Expr
			if c.Kind == ast.ColumnPhysical {
				e = plan.Column(scan.Columns, scan.Columns.Index(c.Name))
			} else if e, err = inner.overTable(c.Expr, scan.Columns, "a computed column"); err != nil {
				return nil, err
			}
			project.Exprs, project.Names = append(project.Exprs, e), append(project.Names, c.Name)
		}
		node = project
	}
	if t.Watermark == nil {
		return normalized(node, scan), nil
	}
	w, err := inner.overTable(t.Watermark.Expr, node.Schema(), "a watermark")
	if err != nil {
		return nil, err
	}
	column := node.Schema().Index(t.Watermark.Column)
	w = castTo(w, node.Schema()[column].Type)
	out := &plan.Watermark{Place: span, Input: node, Column: column, Expr: w, IdleMillis: b.IdleMillis}
	if !scan.Known.Bounded {
		out.FutureMillis = b.FutureMillis
	}
	return normalized(out, scan), nil
}

// normalized is n, which reads a table, with changes that take back what they replace.
func normalized(n plan.Node, scan *plan.Scan) plan.Node {
	if scan.Known.Changes != connector.Upserts {
		return n
	}
	out := &plan.Materialize{Input: n, Upserts: true}
	for _, name := range scan.Table.PrimaryKey {
		out.Keys = append(out.Keys, n.Schema().Index(name))
	}
	return out
}

func (b *Binder) bindAliased(t *ast.Aliased) (plan.Node, *scope, error) {
	node, inner, err := b.bindTable(t.Table)
	if err != nil {
		return nil, nil, err
	}
	columns := t.Columns
	if u, ok := t.Table.(*ast.Unnest); ok {
		columns = aliasedElement(t, u, node.Schema())
	}
	if node, err = b.rename(node, columns, t.Alias); err != nil {
		return nil, nil, err
	}
	sc := scopeOf(t.Alias.Name, node.Schema())
	for i := range sc.columns {
		sc.columns[i].hidden, sc.columns[i].merged = inner.columns[i].hidden, inner.columns[i].merged
	}
	return node, sc, nil
}

func (b *Binder) bindJoin(t *ast.Join) (plan.Node, *scope, error) {
	t = leftDeep(t)
	left, ls, err := b.bindTable(t.Left)
	if err != nil {
		return nil, nil, err
	}
	if u, alias := unnestOf(t.Right); u != nil {
		if node, sc, done, err := b.joinUnnest(t, left, ls, u, alias); done || err != nil {
			return node, sc, err
		}
	}
	if s, of := snapshotOf(t.Right); s != nil {
		return b.joinSnapshot(t, left, ls, s, of)
	}
	if lateralOf(t.Right) != nil {
		return b.joinLateral(t, left, ls)
	}
	right, rs, err := b.bindTable(t.Right)
	if err != nil {
		return nil, nil, err
	}
	return b.joinTables(t, left, ls, right, rs)
}

// joinTables joins two tables that do not depend on each other.
func (b *Binder) joinTables(t *ast.Join, left plan.Node, ls *scope, right plan.Node, rs *scope) (plan.Node, *scope, error) {
	if err := b.distinctAliases(t, ls, rs); err != nil {
		return nil, nil, err
	}
	kind := map[ast.JoinKind]plan.JoinKind{
		ast.JoinInner: plan.Inner, ast.JoinCross: plan.Inner, ast.JoinComma: plan.Inner, ast.JoinLeft: plan.Left,
		ast.JoinRight: plan.Right, ast.JoinFull: plan.Full, ast.JoinSemi: plan.Semi, ast.JoinAnti: plan.Anti,
	}[t.Kind]
	join := &plan.Join{Place: b.at(t), Left: left, Right: right, Kind: kind}
	pairs := plan.Join{Left: left, Right: right, Kind: plan.Inner}
	both := ls.joined(rs, pairs.Schema())
	x := exprBinder{Binder: b, scope: both, clause: "ON"}
	var merged [][2]int
	var err error
	switch {
	case t.Natural || len(t.Using) > 0:
		join.Residual, merged, err = x.using(t, ls, rs, both)
	case t.On != nil && hasQuery(t.On):
		return b.joinOnQueries(t, join, ls, rs)
	case t.On != nil:
		if join.Residual, err = x.bind(t.On); err == nil {
			join.Residual, err = b.condition(t.On, join.Residual, "ON")
		}
	case t.Kind != ast.JoinCross && t.Kind != ast.JoinComma:
		return nil, nil, b.errorf(sqlerr.BadClause, t, "%s has no condition", t.Kind).Suggest("write ON or USING, or CROSS JOIN for all pairs")
	}
	if err != nil {
		return nil, nil, err
	}
	out := &scope{columns: both.columns}
	out = out.joined(&scope{}, join.Schema())
	if t.Kind == ast.JoinFull && len(merged) > 0 {
		return b.mergeFull(t, join, out, merged)
	}
	return join, out, nil
}

// mergeFull adds the columns of USING to a full join: the value of the side that
// has one.
func (b *Binder) mergeFull(t *ast.Join, join *plan.Join, sc *scope, pairs [][2]int) (plan.Node, *scope, error) {
	project := plan.Identity(join)
	schema := join.Schema()
	for _, p := range pairs {
		value, err := b.resolve("COALESCE", t, plan.Column(schema, p[0]), plan.Column(schema, p[1]))
		if err != nil {
			return nil, nil, err
		}
		name := sc.columns[p[0]].name
		sc.columns[p[0]].merged, sc.columns[p[0]].hidden = false, true
		sc.columns = append(sc.columns, scopeColumn{name: name, typ: value.Type(), merged: true})
		project.Exprs, project.Names = append(project.Exprs, value), append(project.Names, name)
	}
	return project, sc, nil
}

func (b *Binder) distinctAliases(t *ast.Join, ls, rs *scope) error {
	for _, c := range rs.columns {
		if len(c.table) != 1 {
			continue
		}
		for _, l := range ls.columns {
			if len(l.table) == 1 && l.table[0] == c.table[0] {
				return b.errorf(sqlerr.DuplicateName, t.Right, "%s is used twice in FROM", c.table[0]).Suggest("give one of them another alias")
			}
		}
	}
	return nil
}

// using joins by columns of the same name, which * and bare names see once.
func (x *exprBinder) using(t *ast.Join, ls, rs *scope, both *scope) (expr.Expr, [][2]int, error) {
	names := t.Using
	if t.Natural {
		for _, c := range ls.columns {
			if slices.Contains(rs.names(), c.name) && c.name != "" {
				names = append(names, &ast.Ident{Span: x.at(t), Name: c.name})
			}
		}
	}
	var terms []expr.Expr
	var pairs [][2]int
	for _, id := range names {
		l, err := x.usingColumn(id, ls, "left")
		if err != nil {
			return nil, nil, err
		}
		r, err := x.usingColumn(id, rs, "right")
		if err != nil {
			return nil, nil, err
		}
		r += len(ls.columns)
		eq, err := x.resolve("=", id, x.column(l, id), x.column(r, id))
		if err != nil {
			return nil, nil, err
		}
		keep, hide := l, r
		if t.Kind == ast.JoinRight {
			keep, hide = r, l
		}
		both.columns[keep].merged, both.columns[hide].hidden = true, true
		terms, pairs = append(terms, eq), append(pairs, [2]int{l, r})
	}
	return plan.AllOf(terms), pairs, nil
}

func (x *exprBinder) usingColumn(id *ast.Ident, side *scope, which string) (int, error) {
	found, _ := side.find([]*ast.Ident{id})
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, x.errorf(sqlerr.UnknownColumn, id, "the %s side of the join has no column %s", which, id.Name).DidYouMean(id.Name, side.names())
	}
	return 0, x.errorf(sqlerr.AmbiguousColumn, id, "column %s is ambiguous on the %s side of the join", id.Name, which)
}
