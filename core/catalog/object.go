package catalog

import (
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// OptionConnector is the option of a table that names its connector.
const OptionConnector = "connector"

// Connectors finds connectors by the value of the 'connector' option.
type Connectors interface {
	// Lookup returns the connector of that name, and false if there is none.
	Lookup(name string) (connector.Connector, bool)
	// Names lists all connectors, for suggestions.
	Names() []string
}

// Path is the full name of a table or view.
type Path struct {
	Catalog, Database, Object string
}

// String prints the parts joined by dots, in backticks where they need them.
func (p Path) String() string {
	return datatype.QuoteName(p.Catalog) + "." + datatype.QuoteName(p.Database) + "." + datatype.QuoteName(p.Object)
}

// Object is a *Table or a *View.
type Object interface {
	// Name is the object's full name.
	Name() Path
	// IsTemporary reports whether the object ends with its session.
	IsTemporary() bool
}

// Column is one column of a table.
type Column struct {
	Name string
	Kind ast.ColumnKind // physical, computed or metadata
	Type datatype.Type
	// Expr computes a computed column from the other columns.
	Expr ast.Expr
	// MetadataKey is what a metadata column reads; Virtual ones are not written.
	MetadataKey string
	Virtual     bool
	Comment     string
}

// Watermark declares the event time of a table.
type Watermark struct {
	Column string
	Expr   ast.Expr
}

// Table is a table as its DDL defines it.
type Table struct {
	Path       Path
	Temporary  bool
	Columns    []Column // empty: the connector tells
	Watermark  *Watermark
	PrimaryKey []string
	Partitions []string
	Options    map[string]string
	Comment    string
	// Statistics are what ANALYZE found out, the latest last.
	Statistics []Statistics
}

// View is a named query.
type View struct {
	Path      Path
	Temporary bool
	Query     ast.Query
	// Schema is what the query yielded when the view was made, under the names of
	// the view's columns.
	Schema  datatype.Schema
	Comment string
}

// Name implements Object.
func (t *Table) Name() Path { return t.Path }

// IsTemporary implements Object.
func (t *Table) IsTemporary() bool { return t.Temporary }

// Name implements Object.
func (v *View) Name() Path { return v.Path }

// IsTemporary implements Object.
func (v *View) IsTemporary() bool { return v.Temporary }

// Connector is the name of the table's connector.
func (t *Table) Connector() string { return t.Options[OptionConnector] }

// Physical returns the columns that the connector reads and writes.
func (t *Table) Physical() datatype.Schema {
	var s datatype.Schema
	for _, c := range t.Columns {
		if c.Kind == ast.ColumnPhysical {
			s = append(s, datatype.Field{Name: c.Name, Type: c.Type})
		}
	}
	return s
}

// Schema returns all columns in their declared order.
func (t *Table) Schema() datatype.Schema {
	s := make(datatype.Schema, len(t.Columns))
	for i, c := range t.Columns {
		s[i] = datatype.Field{Name: c.Name, Type: c.Type}
	}
	return s
}

// Spec is the table as its connector wants it.
func (t *Table) Spec() connector.Table {
	options, rejects := splitRejects(t.Options)
	return connector.Table{
		Name: t.Path.String(), Options: options, Rejects: rejects,
		Schema: t.Physical(), Partitions: t.Partitions, PrimaryKey: t.PrimaryKey,
	}
}

// column returns the column called name, or nil.
func (t *Table) column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// formatsByExtension maps the ending of a file's name to the format option.
func formatsByExtension() map[string]string {
	return map[string]string{
		".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
		".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow",
	}
}

// FileTable returns the table that a path or glob in the place of a table name
// means. The format follows from the ending; without a known one the connector
// must find out or refuse.
func FileTable(path string) connector.Table {
	options := map[string]string{OptionConnector: "filesystem", "path": path}
	name := strings.ToLower(path)
	for _, packed := range []string{".gz", ".zst", ".snappy", ".lz4", ".bz2"} {
		name = strings.TrimSuffix(name, packed)
	}
	for ending, format := range formatsByExtension() {
		if strings.HasSuffix(name, ending) {
			options["format"] = format
		}
	}
	return connector.Table{Name: path, Options: options}
}
