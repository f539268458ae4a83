package binder

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/operator/aside"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// rejects binds the table that takes the records of t that are no rows; nil: there is none.
// A table that does not say itself has the session's, if its connector tells such records.
func (b *Binder) rejects(at ast.Node, t connector.Table, known connector.Description) (*plan.Rejects, error) {
	r, err := catalog.ParseRejects(t)
	if err != nil {
		return nil, b.errorf(sqlerr.InvalidOption, at, "%v", err)
	}
	if !r.Given && known.Rejects && !catalog.Lenient(t) {
		r.Table = b.RejectsTable
	}
	if r.Table == "" {
		return nil, nil
	}
	path, err := b.rejectsPath(at, r.Table)
	if err != nil {
		return nil, err
	}
	if path.String() == t.Name {
		if !r.Given {
			return nil, nil // the session's table is being read
		}
		return nil, b.errorf(sqlerr.InvalidOption, at, "option '%s': table %s cannot take its own rejected records", catalog.OptionRejectsTable, t.Name)
	}
	out := &plan.Rejects{Records: &plan.Values{Columns: aside.RejectColumns()}, Source: t.Name, Max: r.Max}
	out.Sink, err = b.asideSink(at, fmt.Sprintf("option '%s' of table %s", catalog.OptionRejectsTable, t.Name), path, "rejected records", out.Records)
	return out, err
}

// LateRows binds the table that takes the late rows of a streaming job; nil: there is none.
func (b *Binder) LateRows(at ast.Node) (*plan.Rejects, error) {
	if b.LateTable == "" {
		return nil, nil
	}
	path, err := b.rejectsPath(at, b.LateTable)
	if err != nil {
		return nil, err
	}
	out := &plan.Rejects{Late: true, Records: &plan.Values{Columns: aside.LateColumns()}, Max: b.LateMax}
	out.Sink, err = b.asideSink(at, fmt.Sprintf("option '%s'", config.LateRowsTable.Key()), path, "late rows", out.Records)
	return out, err
}

// asideSink writes records, which are what, into the table that an option names.
func (b *Binder) asideSink(at ast.Node, option string, path catalog.Path, what string, records *plan.Values) (*plan.Sink, error) {
	o, ok := b.Session.Lookup(path)
	table, isTable := o.(*catalog.Table)
	if !ok || !isTable {
		columns := make([]string, len(records.Columns))
		for i, f := range records.Columns {
			columns[i] = fmt.Sprintf("%s %s", f.Name, f.Type.WithNull(true))
		}
		return nil, b.errorf(sqlerr.UnknownTable, at, "%s: there is no table %s", option, path).
			Suggest("CREATE TABLE %s (%s) WITH (...)", path.Object, strings.Join(columns, ", "))
	}
	if table.Connector() == "" {
		return nil, b.errorf(sqlerr.SinkCannotTake, at, "table %s has no connector", path)
	}
	return b.rejectsSink(at, table.Spec(), what, records)
}

// rejectsPath reads a table's name out of an option.
func (b *Binder) rejectsPath(at ast.Node, name string) (catalog.Path, error) {
	n := &ast.Name{Span: b.at(at)}
	for _, part := range strings.Split(name, ".") {
		n.Parts = append(n.Parts, &ast.Ident{Span: n.Span, Name: strings.Trim(part, "`")})
	}
	return b.Session.Path(n)
}

// rejectsSink writes records, which are what, into a table, by the names of its columns. It has no
// place of its own: scans of one table are alike wherever they stand.
func (b *Binder) rejectsSink(at ast.Node, t connector.Table, what string, records *plan.Values) (*plan.Sink, error) {
	project := &plan.Project{Input: records}
	names := records.Columns.Names()
	for _, f := range t.Schema {
		i := records.Columns.Index(f.Name)
		if i < 0 {
			return nil, b.errorf(sqlerr.UnknownColumn, at, "table %s takes %s, of which column %s is none: they have %s", t.Name, what, f.Name, strings.Join(names, ", ")).
				DidYouMean(f.Name, names)
		}
		from := records.Columns[i].Type
		switch {
		case !function.CanCast(from, f.Type, true) && !(from.IsBinary() && f.Type.IsString()):
			return nil, b.errorf(sqlerr.TypeMismatch, at, "table %s takes %s: column %s is %s, but should be %s", t.Name, what, f.Name, f.Type.WithNull(true), from.WithNull(true))
		case from.Nullable && !f.Type.Nullable:
			return nil, b.errorf(sqlerr.TypeMismatch, at, "table %s takes %s: column %s is NOT NULL, but may have no value", t.Name, what, f.Name)
		}
		project.Exprs, project.Names = append(project.Exprs, castTo(plan.Column(records.Columns, i), f.Type)), append(project.Names, f.Name)
	}
	if len(project.Exprs) == 0 {
		return nil, b.errorf(sqlerr.UnknownColumn, at, "table %s takes %s, but declares no columns", t.Name, what)
	}
	return &plan.Sink{Input: project, Connector: t.Options[catalog.OptionConnector], Table: t, Accepts: connector.Inserts}, nil
}
