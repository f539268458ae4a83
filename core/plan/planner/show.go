package planner

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// texts returns rows of strings; a nil value is NULL.
func texts(names []string, rows [][]any) *Result {
	r := &Result{Kind: Rows, Rows: rows}
	for _, n := range names {
		r.Schema = append(r.Schema, datatype.Field{Name: n, Type: datatype.Of(datatype.Varchar)})
	}
	return r
}

func column(name string, values []string) *Result {
	rows := make([][]any, len(values))
	for i, v := range values {
		rows[i] = []any{v}
	}
	return texts([]string{name}, rows)
}

func (r *run) show(s *ast.Show) (*Result, error) {
	current, database := r.session.Current()
	switch s.Kind {
	case ast.ShowCatalogs:
		return filtered(s, "catalog name", r.session.Catalogs().Names())
	case ast.ShowCurrentCatalog:
		return column("current catalog name", []string{current}), nil
	case ast.ShowCurrentDatabase:
		return column("current database name", []string{database}), nil
	case ast.ShowDatabases:
		return r.showDatabases(s, current)
	case ast.ShowTables, ast.ShowViews:
		return r.showObjects(s, current, database)
	case ast.ShowFunctions:
		if s.From != nil {
			return nil, sqlerr.New(sqlerr.Unsupported, s.From, "functions of a database are not supported yet")
		}
		var names []string
		for _, k := range []function.Kind{function.Scalar, function.Aggregate, function.Window} {
			names = append(names, r.functions.Names(k)...)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "$") }) // the planner's own
		slices.Sort(names)
		return filtered(s, "function name", names)
	case ast.ShowColumns:
		schema, extra, err := r.columnsOf(s.From)
		if err != nil {
			return nil, err
		}
		return columnRows(schema, extra, s)
	}
	return nil, sqlerr.New(sqlerr.Unsupported, s, "SHOW %s is not supported yet", s.Kind)
}

func (r *run) showDatabases(s *ast.Show, current string) (*Result, error) {
	if s.From != nil {
		current = s.From.Last().Name
	}
	names, ok := r.session.Catalogs().Databases(current)
	if !ok {
		return nil, sqlerr.New(sqlerr.UnknownCatalog, s.From, "unknown catalog %s", current).DidYouMean(current, r.session.Catalogs().Names())
	}
	return filtered(s, "database name", names)
}

func (r *run) showObjects(s *ast.Show, current, database string) (*Result, error) {
	if s.From != nil {
		parts := s.From.Parts
		database = s.From.Last().Name
		if len(parts) > 1 {
			current = parts[0].Name
		}
		if names, ok := r.session.Catalogs().Databases(current); !ok || !slices.Contains(names, database) {
			return nil, sqlerr.New(sqlerr.UnknownCatalog, s.From, "unknown database %s", s.From).DidYouMean(database, names)
		}
	}
	var names []string
	for _, name := range r.session.Objects(current, database) {
		o, ok := r.session.Lookup(catalog.Path{Catalog: current, Database: database, Object: name})
		if !ok {
			continue
		}
		if _, view := o.(*catalog.View); view || s.Kind == ast.ShowTables {
			names = append(names, name)
		}
	}
	return filtered(s, strings.ToLower(strings.TrimSuffix(s.Kind.String(), "S"))+" name", names)
}

// filtered applies LIKE to a list of names.
func filtered(s *ast.Show, title string, names []string) (*Result, error) {
	match, err := likeMatcher(s)
	if err != nil {
		return nil, err
	}
	return column(title, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !match(n) })), nil
}

func likeMatcher(s *ast.Show) (func(string) bool, error) {
	if s.Like == nil {
		return func(string) bool { return true }, nil
	}
	pattern := regexp.QuoteMeta(s.Like.Value)
	pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "%", ".*"), "_", ".")
	if s.CaseInsensitive {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile("^" + pattern + "$")
	if err != nil {
		return nil, sqlerr.New(sqlerr.BadLiteral, s.Like, "'%s' is not a pattern", s.Like.Value)
	}
	return func(name string) bool { return re.MatchString(name) != s.Not }, nil
}

// columnExtras is what DESCRIBE shows besides name and type.
type columnExtras struct {
	key, extras, watermark string
}

func columnRows(schema datatype.Schema, extra map[string]columnExtras, s *ast.Show) (*Result, error) {
	match, err := likeMatcher(s)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, f := range schema {
		if !match(f.Name) {
			continue
		}
		x := extra[f.Name]
		rows = append(rows, []any{f.Name, f.Type.WithNull(true).String(), map[bool]string{true: "TRUE", false: "FALSE"}[f.Type.Nullable], orNull(x.key), orNull(x.extras), orNull(x.watermark)})
	}
	return texts([]string{"name", "type", "null", "key", "extras", "watermark"}, rows), nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// columnsOf returns the columns of a table or view.
func (r *run) columnsOf(n *ast.Name) (datatype.Schema, map[string]columnExtras, error) {
	o, err := r.session.Resolve(n)
	if err != nil {
		return nil, nil, err
	}
	switch o := o.(type) {
	case *catalog.View:
		return o.Schema, nil, nil
	case *catalog.Table:
		if len(o.Columns) == 0 {
			d, err := r.describe(o.Spec(), nil)
			return d.Schema, nil, place(err, sqlerr.InvalidOption, n)
		}
		return o.Schema(), tableExtras(o), nil
	}
	return nil, nil, nil
}

func tableExtras(t *catalog.Table) map[string]columnExtras {
	extra := map[string]columnExtras{}
	for _, c := range t.Columns {
		var x columnExtras
		if slices.Contains(t.PrimaryKey, c.Name) {
			x.key = "PRI(" + strings.Join(t.PrimaryKey, ", ") + ")"
		}
		switch c.Kind {
		case ast.ColumnComputed:
			x.extras = "AS " + ast.Format(c.Expr)
		case ast.ColumnMetadata:
			x.extras = "METADATA FROM '" + c.MetadataKey + "'"
		}
		if t.Watermark != nil && t.Watermark.Column == c.Name {
			x.watermark = ast.Format(t.Watermark.Expr)
		}
		extra[c.Name] = x
	}
	return extra
}

func (r *run) describeObject(d *ast.Describe) (*Result, error) {
	var schema datatype.Schema
	var extra map[string]columnExtras
	var err error
	switch {
	case d.File != nil:
		schema, err = r.binder.FileSchema(d.File)
	case d.Query != nil:
		node, bindErr := r.binder.Query(d.Query)
		if bindErr != nil {
			return nil, bindErr
		}
		schema = node.Schema()
	case d.Job != nil || d.Kind != ast.ObjectTable:
		return nil, sqlerr.New(sqlerr.Unsupported, d, "DESCRIBE %s is not supported yet", d.Kind)
	default:
		schema, extra, err = r.columnsOf(d.Name)
	}
	if err != nil {
		return nil, err
	}
	result, err := columnRows(schema, extra, &ast.Show{})
	if err == nil && d.Extended {
		err = r.addStatistics(result, d, schema)
	}
	return result, err
}

func (r *run) showCreate(s *ast.ShowCreate) (*Result, error) {
	if s.Kind != ast.ObjectTable && s.Kind != ast.ObjectView {
		return nil, sqlerr.New(sqlerr.Unsupported, s, "SHOW CREATE %s is not supported yet", s.Kind)
	}
	o, err := r.session.Resolve(s.Name)
	if err != nil {
		return nil, err
	}
	if _, view := o.(*catalog.View); view != (s.Kind == ast.ObjectView) {
		return nil, sqlerr.New(sqlerr.UnknownTable, s.Name, "%s is not a %s", s.Name, strings.ToLower(s.Kind.String())).
			Suggest("write SHOW CREATE %s %s", map[bool]string{true: "VIEW", false: "TABLE"}[view], s.Name)
	}
	return column("result", []string{catalog.Statement(o)}), nil
}
