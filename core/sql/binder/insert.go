package binder

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// target is the table of an INSERT.
type target struct {
	spec   connector.Table
	fixed  map[string]string // static partition
	values map[string]*expr.Literal
}

// Insert binds INSERT INTO and INSERT OVERWRITE.
func (b *Binder) Insert(n *ast.Insert) (*plan.Sink, error) {
	t, err := b.target(n)
	if err != nil {
		return nil, err
	}
	if err := b.staticPartition(n.Partition, t); err != nil {
		return nil, err
	}
	node, err := b.Query(n.Query)
	if err != nil {
		return nil, err
	}
	if len(t.spec.Schema) == 0 { // a file: it gets the query's columns
		if t.spec.Schema, err = b.fileColumns(n.Query, node.Schema()); err != nil {
			return nil, err
		}
	}
	columns, err := b.insertColumns(n, t)
	if err != nil {
		return nil, err
	}
	if got := len(node.Schema()); got != len(columns) {
		return nil, b.errorf(sqlerr.ColumnCount, n.Query, "the query yields %d columns, table %s takes %d: %s", got, t.spec.Name, len(columns), strings.Join(columns.Names(), ", "))
	}
	return b.sink(n, t, columns, node)
}

func (b *Binder) target(n *ast.Insert) (*target, error) {
	switch t := n.Table.(type) {
	case *ast.FileTable:
		to := &target{spec: catalog.FileTable(t.Path.Value)}
		return to, b.applyHints(&to.spec, t.Hints)
	case *ast.TableRef:
		o, err := b.resolveObject(t.Name)
		if err != nil {
			return nil, err
		}
		table, ok := o.(*catalog.Table)
		if !ok {
			return nil, b.errorf(sqlerr.SinkCannotTake, t, "%s is a view, rows cannot be inserted into it", t.Name)
		}
		return b.tableTarget(table, t)
	}
	return nil, b.unsupported(n.Table, "this target of INSERT is")
}

func (b *Binder) tableTarget(table *catalog.Table, t *ast.TableRef) (*target, error) {
	for _, c := range table.Columns {
		if c.Kind == ast.ColumnMetadata && !c.Virtual {
			return nil, b.unsupported(t, "writing metadata column "+c.Name+" is")
		}
	}
	spec := table.Spec()
	if err := b.applyHints(&spec, t.Hints); err != nil {
		return nil, err
	}
	if len(spec.Schema) == 0 {
		d, err := b.describe(t, spec)
		if err != nil {
			return nil, err
		}
		spec.Schema, spec.Partitions = d.Schema, d.Partitions
	}
	return &target{spec: spec}, nil
}

// CreateAs binds the query of CREATE TABLE ... AS, has define make the table
// from the query's columns, and binds the insert into it.
func (b *Binder) CreateAs(c *ast.CreateTable, define func(datatype.Schema) (*catalog.Table, error)) (*catalog.Table, *plan.Sink, error) {
	node, err := b.Query(c.Query)
	if err != nil {
		return nil, nil, err
	}
	columns, err := b.fileColumns(c.Query, node.Schema())
	if err != nil {
		return nil, nil, err
	}
	table, err := define(columns)
	if err != nil {
		return nil, nil, err
	}
	ref := &ast.TableRef{Span: c.Name.Span, Name: c.Name}
	t, err := b.tableTarget(table, ref)
	if err != nil {
		return nil, nil, err
	}
	var filled datatype.Schema
	for _, f := range columns {
		i := t.spec.Schema.Index(f.Name)
		if i < 0 {
			return nil, nil, b.errorf(sqlerr.UnknownColumn, c.Query, "column %s of the query is not a physical column of the table", f.Name)
		}
		filled = append(filled, t.spec.Schema[i])
	}
	sink, err := b.sink(&ast.Insert{Span: c.Span, Table: ref, Query: c.Query}, t, filled, node)
	return table, sink, err
}

// fileColumns are the columns of a file that is made: the query's, each with a
// name of its own and a type.
func (b *Binder) fileColumns(q ast.Query, s datatype.Schema) (datatype.Schema, error) {
	for i, f := range s {
		if s.Index(f.Name) != i {
			return nil, b.errorf(sqlerr.DuplicateName, q, "two columns of the query are called %s", f.Name).Suggest("name them by AS")
		}
		if f.Type.Kind == datatype.Null {
			return nil, b.errorf(sqlerr.UnresolvableType, q, "column %s of the query has no type", f.Name).Suggest("give it one: CAST(NULL AS type)")
		}
	}
	return s, nil
}

// staticPartition reads PARTITION (column = value, ...). Values become literals
// of their columns' types; a column without value is filled by the query.
func (b *Binder) staticPartition(p *ast.PartitionSpec, t *target) error {
	t.fixed, t.values = map[string]string{}, map[string]*expr.Literal{}
	if p == nil {
		return nil
	}
	x := exprBinder{Binder: b, scope: &scope{}, clause: "PARTITION"}
	for _, item := range p.Items {
		name := item.Column.Name
		if !slices.Contains(t.spec.Partitions, name) {
			return b.errorf(sqlerr.UnknownColumn, item.Column, "%s is not a partition column of %s", name, t.spec.Name).DidYouMean(name, t.spec.Partitions)
		}
		if t.values[name] != nil {
			return b.errorf(sqlerr.DuplicateName, item.Column, "partition column %s is given twice", name)
		}
		if item.Value == nil {
			continue
		}
		e, err := x.bind(item.Value)
		if err != nil {
			return err
		}
		lit, ok := e.(*expr.Literal)
		if !ok {
			return b.errorf(sqlerr.BadLiteral, item.Value, "the value of a partition column is a literal")
		}
		t.values[name] = lit
		t.fixed[name] = partitionText(lit, item.Value)
	}
	return nil
}

// partitionText is a literal as a partition's directory names it.
func partitionText(lit *expr.Literal, n ast.Expr) string {
	switch n := n.(type) {
	case *ast.StringLit:
		return n.Value
	case *ast.TimeLit:
		return n.Value
	}
	return fmt.Sprint(lit.Value)
}

// insertColumns are the table's columns that the query must yield, in its order.
func (b *Binder) insertColumns(n *ast.Insert, t *target) (datatype.Schema, error) {
	var columns datatype.Schema
	if len(n.Columns) == 0 {
		for _, f := range t.spec.Schema {
			if t.values[f.Name] == nil {
				columns = append(columns, f)
			}
		}
		return columns, nil
	}
	seen := map[string]bool{}
	for _, c := range n.Columns {
		name := c.Last().Name
		i := t.spec.Schema.Index(name)
		switch {
		case len(c.Parts) > 1:
			return nil, b.unsupported(c, "inserting into a field of a row is")
		case i < 0:
			return nil, b.errorf(sqlerr.UnknownColumn, c, "table %s has no physical column %s", t.spec.Name, name).DidYouMean(name, t.spec.Schema.Names())
		case seen[name]:
			return nil, b.errorf(sqlerr.DuplicateName, c, "column %s is named twice", name)
		case t.values[name] != nil:
			return nil, b.errorf(sqlerr.DuplicateName, c, "column %s is given by PARTITION already", name)
		}
		seen[name] = true
		columns = append(columns, t.spec.Schema[i])
	}
	return columns, nil
}

// sink projects the query to the table's physical columns, casting where Flink
// casts without being asked.
func (b *Binder) sink(n *ast.Insert, t *target, columns datatype.Schema, node plan.Node) (*plan.Sink, error) {
	in := node.Schema()
	project := &plan.Project{Place: b.at(n.Query), Input: node}
	places := outputPlaces(n.Query)
	for _, f := range t.spec.Schema {
		i := columns.Index(f.Name)
		var e expr.Expr = &expr.Literal{T: f.Type.WithNull(true)}
		var at ast.Node = n.Query
		switch {
		case i >= 0:
			e = plan.Column(in, i)
			if i < len(places) {
				at = places[i]
			}
		case t.values[f.Name] != nil:
			e, at = t.values[f.Name], n.Partition
		case !f.Type.Nullable:
			return nil, b.errorf(sqlerr.ColumnCount, n, "column %s of %s is NOT NULL and gets no value", f.Name, t.spec.Name)
		}
		e, err := b.assign(at, e, f, t.values[f.Name] != nil)
		if err != nil {
			return nil, err
		}
		project.Exprs, project.Names = append(project.Exprs, e), append(project.Names, f.Name)
	}
	sink := &plan.Sink{
		Place: b.at(n), Input: project, Connector: t.spec.Options[catalog.OptionConnector],
		Table: t.spec, StaticPartition: t.fixed, Overwrite: n.Overwrite,
	}
	sink.Accepts = connector.Inserts
	if c, ok := b.Connectors.Lookup(sink.Connector); ok {
		if c, ok := c.(connector.ChangelogSink); ok {
			sink.Accepts = c.Accepts(t.spec)
		}
	}
	// Wrong options are told here and with their place. That there is nothing to
	// describe yet, or that it cannot be read, is no matter for a sink.
	var wrong *sqlerr.Error
	if _, err := b.describe(n.Table, t.spec); errors.As(err, &wrong) {
		return nil, wrong
	}
	return sink, nil
}

// assign casts a value to its column.
func (b *Binder) assign(at ast.Node, e expr.Expr, f datatype.Field, literal bool) (expr.Expr, error) {
	from := e.Type()
	if !function.CanCast(from, f.Type, !literal) {
		return nil, b.errorf(sqlerr.TypeMismatch, at, "column %s is %s, the query yields %s", f.Name, f.Type.WithNull(true), from.WithNull(true)).
			Suggest("write CAST(... AS %s)", f.Type.WithNull(true))
	}
	if from.Nullable && !f.Type.Nullable {
		return nil, b.errorf(sqlerr.TypeMismatch, at, "column %s is NOT NULL, but the query may yield NULL", f.Name).
			Suggest("give NULL a value: COALESCE(%s, ...)", datatype.QuoteName(f.Name))
	}
	return castTo(e, f.Type), nil
}

// outputPlaces are the places of a query's output columns, where they are known.
func outputPlaces(q ast.Query) []ast.Node {
	switch q := q.(type) {
	case *ast.OrderedQuery:
		return outputPlaces(q.Body)
	case *ast.WithQuery:
		return outputPlaces(q.Body)
	case *ast.Select:
		var places []ast.Node
		for _, it := range q.Items {
			if _, ok := it.Expr.(*ast.Star); ok {
				return nil
			}
			places = append(places, it.Expr)
		}
		return places
	case *ast.Values:
		if len(q.Rows) == 1 {
			if row, ok := q.Rows[0].(*ast.Row); ok {
				var places []ast.Node
				for _, e := range row.Elems {
					places = append(places, e)
				}
				return places
			}
		}
	}
	return nil
}
