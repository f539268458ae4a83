package catalog

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Definer makes Tables from CREATE TABLE.
type Definer struct {
	Session    *Session
	Connectors Connectors
	// TypeOf returns the type of an expression over columns: it is the binder.
	TypeOf func(e ast.Expr, columns datatype.Schema) (datatype.Type, error)
	// FileSchema returns the columns of LIKE 'file'.
	FileSchema func(path *ast.StringLit) (datatype.Schema, error)
}

// Define returns the table that a statement defines; query holds the columns of
// the AS query, nil without one. Nothing is stored.
func (d *Definer) Define(c *ast.CreateTable, query datatype.Schema) (*Table, error) {
	path, err := d.Session.Path(c.Name)
	if err != nil {
		return nil, err
	}
	if c.Distribution != nil {
		return nil, sqlerr.New(sqlerr.Unsupported, c.Distribution, "DISTRIBUTED is not supported yet")
	}
	t := &Table{Path: path, Temporary: c.Temporary, Options: map[string]string{}}
	if c.Comment != nil {
		t.Comment = c.Comment.Value
	}
	steps := []func() error{
		func() error { return d.like(t, c.Like) },
		func() error { return d.columns(t, c, query) },
		func() error { return d.watermark(t, c.Watermark) },
		func() error { return constraints(t, c) },
		func() error { return partitions(t, c.PartitionedBy) },
		func() error { return d.options(t, c) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// columns adds the written columns, computed ones last, because they may use any
// other, and then those of the query.
func (d *Definer) columns(t *Table, c *ast.CreateTable, query datatype.Schema) error {
	inherited := len(t.Columns)
	for _, def := range c.Columns {
		if def.Kind == ast.ColumnName {
			continue
		}
		if t.column(def.Name.Name) != nil {
			return sqlerr.New(sqlerr.DuplicateName, def.Name, "column %s is given twice", def.Name.Name)
		}
		column, err := plainColumn(def)
		if err != nil {
			return err
		}
		t.Columns = append(t.Columns, column)
	}
	if err := queryColumns(t, c, query); err != nil {
		return err
	}
	for i := inherited; i < len(t.Columns); i++ {
		column := &t.Columns[i]
		if column.Kind != ast.ColumnComputed {
			continue
		}
		var err error
		if column.Type, err = d.TypeOf(column.Expr, t.stored()); err != nil {
			return err
		}
	}
	return nil
}

// stored returns the columns that are not computed.
func (t *Table) stored() datatype.Schema {
	var s datatype.Schema
	for _, c := range t.Columns {
		if c.Kind != ast.ColumnComputed {
			s = append(s, datatype.Field{Name: c.Name, Type: c.Type})
		}
	}
	return s
}

func plainColumn(def *ast.ColumnDef) (Column, error) {
	column := Column{Name: def.Name.Name, Kind: def.Kind, Expr: def.Expr, Virtual: def.Virtual}
	if def.Comment != nil {
		column.Comment = def.Comment.Value
	}
	if def.Kind == ast.ColumnMetadata {
		column.MetadataKey = def.Name.Name
		if def.MetadataKey != nil {
			column.MetadataKey = def.MetadataKey.Value
		}
	}
	if def.Type == nil {
		return column, nil
	}
	var err error
	if column.Type, err = TypeOf(def.Type); err == nil && column.Type.Kind == datatype.Null {
		err = sqlerr.New(sqlerr.BadType, def.Type, "a column cannot be of type NULL")
	}
	return column, err
}

// queryColumns adds what AS query yields. Bare names put the columns into their
// order.
func queryColumns(t *Table, c *ast.CreateTable, query datatype.Schema) error {
	if c.Query == nil {
		for _, def := range c.Columns {
			if def.Kind == ast.ColumnName {
				return sqlerr.New(sqlerr.Syntax, def, "column %s has no type", def.Name.Name)
			}
		}
		return nil
	}
	ordered := query
	if named := bareNames(c.Columns); len(named) > 0 {
		if len(named) != len(query) {
			return sqlerr.New(sqlerr.ColumnCount, named[0], "%d columns are named, but the query yields %d", len(named), len(query))
		}
		ordered = nil
		for _, def := range named {
			i := query.Index(def.Name.Name)
			if i < 0 {
				return sqlerr.New(sqlerr.UnknownColumn, def, "the query yields no column %s", def.Name.Name).DidYouMean(def.Name.Name, query.Names())
			}
			ordered = append(ordered, query[i])
		}
	}
	for _, f := range ordered {
		if t.column(f.Name) != nil {
			continue // declared with its type
		}
		if f.Type.Kind == datatype.Null {
			return sqlerr.New(sqlerr.UnresolvableType, c.Query, "column %s of the query has no type", f.Name).Suggest("give it one: CAST(NULL AS type)")
		}
		t.Columns = append(t.Columns, Column{Name: f.Name, Kind: ast.ColumnPhysical, Type: f.Type})
	}
	return nil
}

func bareNames(defs []*ast.ColumnDef) []*ast.ColumnDef {
	var named []*ast.ColumnDef
	for _, def := range defs {
		if def.Kind == ast.ColumnName {
			named = append(named, def)
		}
	}
	return named
}

func (d *Definer) watermark(t *Table, w *ast.Watermark) error {
	if w == nil {
		return nil
	}
	if len(w.Column.Parts) > 1 {
		return sqlerr.New(sqlerr.Unsupported, w.Column, "a watermark on a field of a row is not supported yet").Suggest("make it a computed column")
	}
	name := w.Column.Last().Name
	column := t.column(name)
	if column == nil {
		return sqlerr.New(sqlerr.UnknownColumn, w.Column, "unknown column %s", name).DidYouMean(name, t.Schema().Names())
	}
	if !column.Type.IsTimestamp() {
		return sqlerr.New(sqlerr.TypeMismatch, w.Column, "column %s is %s, an event time must be TIMESTAMP or TIMESTAMP_LTZ", name, column.Type)
	}
	if column.Type.Precision > 3 {
		return sqlerr.New(sqlerr.TypeMismatch, w.Column, "column %s is %s, an event time has at most 3 digits of seconds", name, column.Type).
			Suggest("declare it as %s(3), or add a computed column that casts it", column.Type.Kind)
	}
	of, err := d.TypeOf(w.Expr, t.Schema())
	if err != nil {
		return err
	}
	if of.Kind != column.Type.Kind {
		return sqlerr.New(sqlerr.TypeMismatch, w.Expr, "the watermark is %s, but column %s is %s", of, name, column.Type)
	}
	t.Watermark = &Watermark{Column: name, Expr: w.Expr}
	return nil
}

func constraints(t *Table, c *ast.CreateTable) error {
	all := slices.Clone(c.Constraints)
	for _, def := range c.Columns {
		if def.Constraint != nil {
			at := *def.Constraint
			at.Columns = []*ast.Ident{def.Name}
			all = append(all, &at)
		}
	}
	for i, constraint := range all {
		if !constraint.Primary {
			return sqlerr.New(sqlerr.Unsupported, constraint, "UNIQUE is not supported")
		}
		if i > 0 {
			return sqlerr.New(sqlerr.Duplicate, constraint, "a table has one primary key")
		}
		if constraint.Enforced != ast.NotEnforced {
			return sqlerr.New(sqlerr.BadClause, constraint, "a primary key is not enforced here").Suggest("write PRIMARY KEY ... NOT ENFORCED")
		}
		t.PrimaryKey = nil
		for _, id := range constraint.Columns {
			if err := keyColumn(t, id, &t.PrimaryKey); err != nil {
				return err
			}
			t.column(id.Name).Type.Nullable = false
		}
	}
	return nil
}

func partitions(t *Table, columns []*ast.Ident) error {
	if len(columns) == 0 {
		return nil
	}
	t.Partitions = nil
	for _, id := range columns {
		if err := keyColumn(t, id, &t.Partitions); err != nil {
			return err
		}
	}
	return nil
}

// keyColumn appends a physical column to the columns of a key.
func keyColumn(t *Table, id *ast.Ident, key *[]string) error {
	column := t.column(id.Name)
	switch {
	case column == nil:
		return sqlerr.New(sqlerr.UnknownColumn, id, "unknown column %s", id.Name).DidYouMean(id.Name, t.Schema().Names())
	case column.Kind != ast.ColumnPhysical:
		return sqlerr.New(sqlerr.BadClause, id, "column %s is %s, only physical columns can be used here", id.Name, column.Kind)
	case slices.Contains(*key, id.Name):
		return sqlerr.New(sqlerr.DuplicateName, id, "column %s is given twice", id.Name)
	}
	*key = append(*key, id.Name)
	return nil
}

// options merges the WITH clause and has the connector, which must exist, check it.
func (d *Definer) options(t *Table, c *ast.CreateTable) error {
	var connectorAt ast.Node = c.Name
	seen := map[string]bool{}
	for _, o := range c.Options {
		if seen[o.Key.Value] {
			return sqlerr.New(sqlerr.DuplicateName, o.Key, "option '%s' is given twice", o.Key.Value)
		}
		seen[o.Key.Value] = true
		t.Options[o.Key.Value] = o.Value.Value
		if o.Key.Value == OptionConnector {
			connectorAt = o.Value
		}
	}
	modernise(t.Options)
	name, ok := t.Options[OptionConnector]
	if !ok {
		e := sqlerr.New(sqlerr.MissingOption, c.Name, "table %s has no option 'connector'", c.Name)
		if best := sqlerr.Suggest(OptionConnector, optionKeys(c.Options)); best != "" {
			return e.Suggest("did you mean 'connector' where it says '%s'?", best)
		}
		return e.Suggest("add WITH ('connector' = '...'); known are %s", strings.Join(d.Connectors.Names(), ", "))
	}
	connects, ok := d.Connectors.Lookup(name)
	if !ok {
		return UnknownConnector(connectorAt, name, d.Connectors)
	}
	if checker, ok := connects.(connector.OptionChecker); ok {
		if err := checker.CheckOptions(t.Spec()); err != nil {
			return sqlerr.New(sqlerr.InvalidOption, optionPlace(c, err), "%v", err)
		}
	}
	if _, err := ParseRejects(t.Spec()); err != nil {
		return sqlerr.New(sqlerr.InvalidOption, optionPlace(c, err), "%v", err)
	}
	return nil
}

// optionPlace is where the option stands that a connector's error names; the longest
// name wins, for some begin others. What is missing has the table's place.
func optionPlace(c *ast.CreateTable, err error) ast.Node {
	var at ast.Node = c.Name
	longest := 0
	for _, o := range c.Options {
		key := o.Key.Value
		for _, form := range []string{"option '" + key + "'", "option " + key + ":", key + " = ", key + ": ", key + " and "} {
			if len(key) > longest && strings.Contains(err.Error(), form) {
				at, longest = o, len(key)
			}
		}
	}
	return at
}

func optionKeys(options []*ast.Option) []string {
	keys := make([]string, len(options))
	for i, o := range options {
		keys[i] = o.Key.Value
	}
	return keys
}

// UnknownConnector is the error of a 'connector' option that names none.
func UnknownConnector(at ast.Node, name string, known Connectors) error {
	e := sqlerr.New(sqlerr.InvalidOption, at, "unknown connector '%s'", name)
	if best := sqlerr.Suggest(name, known.Names()); best != "" {
		return e.Suggest("did you mean '%s'?", best)
	}
	return e.Suggest("known are %s", strings.Join(known.Names(), ", "))
}
