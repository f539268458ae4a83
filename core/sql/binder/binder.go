package binder

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

const (
	// maxViewDepth bounds views that are built on views.
	maxViewDepth = 32
	// maxTables bounds the tables that one statement reads, those of views and common
	// table expressions counted wherever they are used.
	maxTables = 1000
)

// Environment is what names mean.
type Environment struct {
	Session    *catalog.Session
	Connectors catalog.Connectors
	Functions  *function.Catalog
	// Describe asks a table's connector for what is known of the table.
	Describe func(t connector.Table) (connector.Description, error)
	// IdleMillis is the silence after which a source no longer holds event time
	// back; 0: never.
	IdleMillis int64
	// FutureMillis is how far an event time of an unbounded table may be ahead of the clock
	// and still advance the watermark; 0: any.
	FutureMillis int64
	// RejectsTable takes records that are no rows of tables that do not say themselves; empty:
	// none does.
	RejectsTable string
	// LateTable takes the late rows of streaming jobs; empty: none does. LateMax is how many
	// it takes; negative: any number.
	LateTable string
	LateMax   int64
	// Zone is the session's time zone; nil means UTC.
	Zone *time.Location
}

// Binder binds one statement. It is not safe for concurrent use.
type Binder struct {
	Environment
	ctes   *cte
	view   *ast.Span // the reference to the view that is being expanded
	views  []catalog.Path
	places map[*expr.Column]ast.Node
	// frames are the columns of the queries around the one being bound, and of the
	// tables before it, that it may use; the last one is the nearest.
	frames []frame
	tables *int // how many tables the statement has so far
	// tooFar says that an error was about a column of a barred frame; again, that a
	// subquery is being bound for the second time.
	tooFar, again bool
}

// cte is a common table expression in scope; it sees those before it, and the
// frames around its WITH.
type cte struct {
	parent *cte
	def    *ast.CTE
	frames []frame
}

// New returns a binder.
func New(env Environment) *Binder {
	return &Binder{Environment: env, places: map[*expr.Column]ast.Node{}, tables: new(int)}
}

// at is the place of a node in the text of the statement.
func (b *Binder) at(n ast.Node) ast.Span {
	if b.view != nil {
		return *b.view
	}
	return ast.Span{Start: n.Pos(), Stop: n.End()}
}

func (b *Binder) errorf(code sqlerr.Code, n ast.Node, format string, args ...any) *sqlerr.Error {
	return sqlerr.New(code, b.at(n), format, args...)
}

// unsupported refuses a construct by its name.
func (b *Binder) unsupported(n ast.Node, what string) *sqlerr.Error {
	return b.errorf(sqlerr.Unsupported, n, "%s not supported yet", what)
}

func (b *Binder) refuseHints(hints []*ast.Hint) error {
	if len(hints) > 0 {
		return b.unsupported(hints[0], "hint "+hints[0].Name.Name+" is")
	}
	return nil
}

// TypeOf returns the type of an expression over the columns of a table.
func (b *Binder) TypeOf(e ast.Expr, columns datatype.Schema) (datatype.Type, error) {
	bound, err := b.overTable(e, columns, "a column definition")
	if err != nil {
		return datatype.Type{}, err
	}
	return bound.Type(), nil
}

func (b *Binder) overTable(e ast.Expr, columns datatype.Schema, clause string) (expr.Expr, error) {
	x := exprBinder{Binder: b, scope: scopeOf("", columns), clause: clause}
	return x.bind(e)
}

// FileSchema returns the columns of a file.
func (b *Binder) FileSchema(path *ast.StringLit) (datatype.Schema, error) {
	d, err := b.describe(path, catalog.FileTable(path.Value))
	return d.Schema, err
}

// describe asks the connector; what is wrong with the table's options becomes an
// error at the place where the table is named.
func (b *Binder) describe(at ast.Node, t connector.Table) (connector.Description, error) {
	name := t.Options[catalog.OptionConnector]
	if _, ok := b.Connectors.Lookup(name); !ok {
		e := catalog.UnknownConnector(at, name, b.Connectors)
		var placed *sqlerr.Error
		if errors.As(e, &placed) {
			return connector.Description{}, b.errorf(placed.Code, at, "%s", placed.Message).Suggest("%s", placed.Suggestion)
		}
		return connector.Description{}, e
	}
	d, err := b.Describe(t)
	switch {
	case err == nil:
		return d, nil
	case failure.Of(err) == failure.InvalidSQL || failure.Of(err) == failure.Usage:
		return d, b.errorf(sqlerr.InvalidOption, at, "%v", err)
	default:
		return d, fmt.Errorf("table %s: %w", t.Name, err)
	}
}

// Query binds a query.
func (b *Binder) Query(q ast.Query) (plan.Node, error) {
	switch q := q.(type) {
	case *ast.Select:
		return b.bindSelect(q, nil)
	case *ast.OrderedQuery:
		return b.bindOrdered(q)
	case *ast.SetOp:
		return b.bindSetOp(q)
	case *ast.Values:
		return b.bindValues(q)
	case *ast.TableQuery:
		node, _, err := b.bindTable(q.Table)
		return node, err
	case *ast.WithQuery:
		return b.bindWith(q)
	}
	return nil, b.unsupported(q, "this form of query is")
}

func (b *Binder) bindWith(q *ast.WithQuery) (plan.Node, error) {
	if q.Recursive {
		return nil, b.unsupported(q, "WITH RECURSIVE is").Suggest("join as often as levels are needed, or compute the rows in a program (docs/datastream.md)")
	}
	saved := b.ctes
	defer func() { b.ctes = saved }()
	seen := map[string]bool{}
	for _, def := range q.CTEs {
		if seen[def.Name.Name] {
			return nil, b.errorf(sqlerr.DuplicateName, def.Name, "%s is defined twice in this WITH", def.Name.Name)
		}
		seen[def.Name.Name] = true
		// A query that nobody refers to is bound, too: its mistakes are mistakes.
		tables := *b.tables
		c := &cte{parent: b.ctes, def: def, frames: b.frames}
		if _, err := b.bindCTE(c); err != nil {
			return nil, err
		}
		*b.tables = tables
		b.ctes = c
	}
	return b.Query(q.Body)
}

func (b *Binder) bindCTE(c *cte) (plan.Node, error) {
	saved := b.ctes
	b.ctes = c.parent
	defer func() { b.ctes = saved }()
	var node plan.Node
	err := b.framed(c.frames, func() (err error) {
		node, err = b.Query(c.def.Query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return b.rename(moveOut(node, depth(b.frames)-depth(c.frames)), c.def.Columns, c.def.Name)
}

// rename gives a node's columns other names; none keeps them.
func (b *Binder) rename(node plan.Node, names []*ast.Ident, at ast.Node) (plan.Node, error) {
	if len(names) == 0 {
		return node, nil
	}
	project := plan.Identity(node)
	if len(names) != len(project.Exprs) {
		return nil, b.errorf(sqlerr.ColumnCount, at, "%d column names for a query of %d columns", len(names), len(project.Exprs))
	}
	seen := map[string]bool{}
	for i, id := range names {
		if seen[id.Name] {
			return nil, b.errorf(sqlerr.DuplicateName, id, "column %s is named twice", id.Name)
		}
		seen[id.Name] = true
		project.Names[i] = id.Name
	}
	return project, nil
}
