package planner

import (
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

func (r *run) definer() *catalog.Definer {
	return &catalog.Definer{Session: r.session, Connectors: r.connectors, TypeOf: r.binder.TypeOf, FileSchema: r.binder.FileSchema}
}

// command carries out what needs no job.
func (r *run) command(s ast.Statement) (*Result, error) {
	var err error
	switch s := s.(type) {
	case *ast.CreateView:
		err = r.createView(s)
	case *ast.CreateDatabase:
		if len(s.Options) > 0 {
			return nil, sqlerr.New(sqlerr.Unsupported, s.Options[0], "options of a database are not supported yet")
		}
		err = r.session.CreateDatabase(s)
	case *ast.CreateFunction:
		err = r.createFunction(s)
	case *ast.Drop:
		err = r.drop(s)
	case *ast.Use:
		err = r.session.Use(s)
	case *ast.Set:
		return r.set(s)
	case *ast.Reset:
		err = r.reset(s)
	case *ast.Show:
		return r.show(s)
	case *ast.ShowCreate:
		return r.showCreate(s)
	case *ast.Describe:
		return r.describeObject(s)
	default:
		e := sqlerr.New(sqlerr.Unsupported, s, "%s is not supported yet", statementName(s))
		if cure := insteadOf(s); cure != "" {
			e = e.Suggest("%s", cure)
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return &Result{Kind: Done}, nil
}

// insteadOf is what does the work of a statement that is not supported, if anything does.
func insteadOf(s ast.Statement) string {
	switch s := s.(type) {
	case *ast.Update, *ast.Delete:
		return "write what shall be left: INSERT OVERWRITE t SELECT ... over tables that end; a table that takes changes is updated by INSERT INTO"
	case *ast.Truncate:
		return "write INSERT OVERWRITE t with no rows: SELECT ... WHERE FALSE"
	case *ast.Alter:
		return "drop the " + strings.ToLower(s.Kind.String()) + " and create it anew: files and topics stay"
	}
	return ""
}

func (r *run) createTable(c *ast.CreateTable) (*Result, error) {
	table, err := r.definer().Define(c, nil)
	if err != nil {
		return nil, err
	}
	if _, err := r.session.Create(c.Name, table, c.IfNotExists, c.Replace); err != nil {
		return nil, err
	}
	return &Result{Kind: Done}, nil
}

func (r *run) createView(v *ast.CreateView) error {
	path, err := r.session.Path(v.Name)
	if err != nil {
		return err
	}
	node, err := r.binder.Query(v.Query)
	if err != nil {
		return err
	}
	schema := append(datatype.Schema(nil), node.Schema()...)
	if len(v.Columns) > 0 {
		if len(v.Columns) != len(schema) {
			return sqlerr.New(sqlerr.ColumnCount, v.Columns[0], "%d column names for a query of %d columns", len(v.Columns), len(schema))
		}
		for i, c := range v.Columns {
			schema[i].Name = c.Name.Name
		}
	}
	for i, f := range schema {
		if schema.Index(f.Name) != i {
			return sqlerr.New(sqlerr.DuplicateName, v.Query, "two columns of the view are called %s", f.Name).Suggest("name them by AS, or list names after the view's")
		}
	}
	view := &catalog.View{Path: path, Temporary: v.Temporary, Query: v.Query, Schema: schema}
	if v.Comment != nil {
		view.Comment = v.Comment.Value
	}
	_, err = r.session.Create(v.Name, view, v.IfNotExists, v.OrReplace)
	return err
}

func (r *run) drop(d *ast.Drop) error {
	switch d.Kind {
	case ast.ObjectTable, ast.ObjectView:
		return r.session.Drop(d)
	case ast.ObjectDatabase:
		return r.session.DropDatabase(d)
	case ast.ObjectFunction:
		return r.dropFunction(d)
	}
	return sqlerr.New(sqlerr.Unsupported, d, "DROP %s is not supported yet", d.Kind)
}

func (r *run) set(s *ast.Set) (*Result, error) {
	if s.Key == nil {
		rows := [][]any{}
		for _, info := range config.All() {
			if text, _, ok := r.settings.Given(info.Key); ok {
				rows = append(rows, []any{info.Key, info.Show(text)})
			}
		}
		return texts([]string{"key", "value"}, rows), nil
	}
	if _, err := r.settings.With(s.Key.Value, s.Value.Value, "SET"); err != nil {
		return nil, settingError(s.Key, s.Value, err)
	}
	r.session.SetOption(s.Key.Value, s.Value.Value)
	return &Result{Kind: Done}, nil
}

// settingError tells an unknown key from a bad value by the list of keys.
func settingError(key, value *ast.StringLit, err error) error {
	for _, known := range config.Keys() {
		if known == key.Value {
			return sqlerr.New(sqlerr.InvalidOption, value, "%s", strings.TrimPrefix(err.Error(), "SET: "))
		}
	}
	return sqlerr.New(sqlerr.UnknownOption, key, "unknown option '%s'", key.Value).DidYouMean(key.Value, config.Keys())
}

func (r *run) reset(s *ast.Reset) error {
	if s.Key == nil {
		r.session.ResetOption("")
		return nil
	}
	for _, known := range config.Keys() {
		if known == s.Key.Value {
			r.session.ResetOption(known)
			return nil
		}
	}
	return settingError(s.Key, s.Key, nil)
}

// statementName is what a refused statement is called: its first words.
func statementName(s ast.Statement) string {
	switch s := s.(type) {
	case *ast.Update:
		return "UPDATE"
	case *ast.Delete:
		return "DELETE"
	case *ast.Truncate:
		return "TRUNCATE TABLE"
	case *ast.Alter:
		return "ALTER " + s.Kind.String()
	case *ast.CreateCatalog:
		return "CREATE CATALOG"
	case *ast.CreateModel:
		return "CREATE MODEL"
	case *ast.CreateConnection:
		return "CREATE CONNECTION"
	case *ast.CreateMaterializedTable:
		return "CREATE MATERIALIZED TABLE"
	case *ast.CallProcedure:
		return "CALL"
	case *ast.StopJob:
		return "STOP JOB"
	case *ast.Jar:
		return "ADD JAR and REMOVE JAR"
	}
	return "this statement"
}
