package catalog

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Session resolves names: it knows the current catalog and database, the options
// that were SET and the temporary objects. It is safe for concurrent use.
type Session struct {
	catalogs *Catalogs

	mu        sync.Mutex
	catalog   string
	database  string
	options   map[string]string
	temporary map[Path]Object
	functions map[string]string // by their names in upper case, what they stand for
}

// NewSession returns a session on the default database.
func NewSession(catalogs *Catalogs) *Session {
	return &Session{
		catalogs: catalogs, catalog: DefaultCatalog, database: DefaultDatabase,
		options: map[string]string{}, temporary: map[Path]Object{}, functions: map[string]string{},
	}
}

// Catalogs returns what the session resolves against.
func (s *Session) Catalogs() *Catalogs { return s.catalogs }

// Current returns the current catalog and database.
func (s *Session) Current() (catalog, database string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catalog, s.database
}

// Options returns a copy of the options that were SET.
func (s *Session) Options() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.options)
}

// SetOption sets an option; it does not check the key.
func (s *Session) SetOption(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options[key] = value
}

// ResetOption forgets one option, or all for the empty key.
func (s *Session) ResetOption(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == "" {
		clear(s.options)
	}
	delete(s.options, key)
}

// Functions returns a copy of the names that were given to functions.
func (s *Session) Functions() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.functions)
}

// mostFunctions bounds the names that a session gives.
const mostFunctions = 10_000

// NameFunction gives a function one more name, or takes a name back where of is empty. It
// reports whether the name was known before; then another function keeps it.
func (s *Session) NameFunction(name, of string) (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known = s.functions[name]
	switch {
	case of == "":
		delete(s.functions, name)
	case !known && len(s.functions) == mostFunctions:
		return false, fmt.Errorf("more than %d functions", mostFunctions)
	case !known:
		s.functions[name] = of
	}
	return known, nil
}

// Path completes a written name with the current catalog and database.
func (s *Session) Path(n *ast.Name) (Path, error) {
	catalog, database := s.Current()
	switch p := n.Parts; len(p) {
	case 1:
		return Path{catalog, database, p[0].Name}, nil
	case 2:
		return Path{catalog, p[0].Name, p[1].Name}, nil
	case 3:
		return Path{p[0].Name, p[1].Name, p[2].Name}, nil
	}
	return Path{}, sqlerr.New(sqlerr.UnknownTable, n, "table name %s has more than three parts", n)
}

// Resolve returns the table or view that a name means. Temporary objects hide
// others.
func (s *Session) Resolve(n *ast.Name) (Object, error) {
	p, err := s.Path(n)
	if err != nil {
		return nil, err
	}
	if o, ok := s.Lookup(p); ok {
		return o, nil
	}
	if err := s.checkDatabase(n, p); err != nil {
		return nil, err
	}
	return nil, sqlerr.New(sqlerr.UnknownTable, n, "unknown table %s", n).DidYouMean(p.Object, s.Objects(p.Catalog, p.Database))
}

// Lookup returns the object of that path.
func (s *Session) Lookup(p Path) (Object, bool) {
	s.mu.Lock()
	o, ok := s.temporary[p]
	s.mu.Unlock()
	if ok {
		return o, true
	}
	return s.catalogs.object(p)
}

// Objects lists tables and views of a database, temporary ones included, sorted.
func (s *Session) Objects(catalog, database string) []string {
	objects, _ := s.catalogs.objects(catalog, database)
	names := slices.Collect(maps.Keys(objects))
	s.mu.Lock()
	for p := range s.temporary {
		if p.Catalog == catalog && p.Database == database {
			names = append(names, p.Object)
		}
	}
	s.mu.Unlock()
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Session) checkDatabase(n *ast.Name, p Path) error {
	databases, ok := s.catalogs.Databases(p.Catalog)
	if !ok {
		return sqlerr.New(sqlerr.UnknownCatalog, n.Parts[0], "unknown catalog %s", p.Catalog).DidYouMean(p.Catalog, s.catalogs.Names())
	}
	if !slices.Contains(databases, p.Database) {
		at := n.Parts[max(0, len(n.Parts)-2)]
		return sqlerr.New(sqlerr.UnknownCatalog, at, "unknown database %s", p.Database).DidYouMean(p.Database, databases)
	}
	return nil
}

// Create stores a table or view under the name n that it was given. With
// ifNotExists an object of the name is left alone, with replace it is replaced.
// It reports whether it stored o.
func (s *Session) Create(n *ast.Name, o Object, ifNotExists, replace bool) (bool, error) {
	p := o.Name()
	if err := s.checkDatabase(n, p); err != nil {
		return false, err
	}
	if o.IsTemporary() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, taken := s.temporary[p]; taken && !replace {
			return false, exists(n, p, ifNotExists)
		}
		s.temporary[p] = o
		return true, nil
	}
	if !s.catalogs.put(o, replace) {
		return false, exists(n, p, ifNotExists)
	}
	return true, nil
}

func exists(n ast.Node, p Path, ifNotExists bool) error {
	if ifNotExists {
		return nil
	}
	return sqlerr.New(sqlerr.AlreadyExists, n, "%s exists already", p).Suggest("write IF NOT EXISTS to leave it as it is, or OR REPLACE")
}

// Restore takes a table back whose rows did not come, and puts what it took the place
// of there again, nil for nothing. A table that is gone or defined differently by now
// stays as it is.
func (s *Session) Restore(made *Table, before Object) {
	s.replace(made, func(*Table) Object { return before })
}

// Replaced is what a table that is created would take the place of, or nil.
func (s *Session) Replaced(by *Table) Object {
	if by.Temporary {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.temporary[by.Path]
	}
	o, _ := s.catalogs.object(by.Path)
	return o
}

// replace puts what change returns, nil for nothing, in the place of a table, and reports
// false where the table is gone or defined differently by now.
func (s *Session) replace(old *Table, change func(*Table) Object) bool {
	in := func(objects map[Path]Object) bool {
		t, ok := objects[old.Path].(*Table)
		if !ok || Statement(t) != Statement(old) {
			return false
		}
		if o := change(t); o != nil {
			objects[old.Path] = o
		} else {
			delete(objects, old.Path)
		}
		return true
	}
	if old.Temporary {
		s.mu.Lock()
		defer s.mu.Unlock()
		return in(s.temporary)
	}
	return s.catalogs.change(old.Path, in)
}

// Drop removes a table or view.
func (s *Session) Drop(d *ast.Drop) error {
	p, err := s.Path(d.Name)
	if err != nil {
		return err
	}
	o, err := s.dropped(d, p)
	if err != nil || o == nil {
		return err
	}
	_, isView := o.(*View)
	if isView != (d.Kind == ast.ObjectView) {
		return sqlerr.New(sqlerr.UnknownTable, d.Name, "%s is not a %s", p, lower(d.Kind)).
			Suggest("write DROP %s %s", map[bool]string{true: "VIEW", false: "TABLE"}[isView], d.Name)
	}
	s.mu.Lock()
	if s.temporary[p] == o {
		delete(s.temporary, p)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.catalogs.remove(p)
	return nil
}

// dropped returns what d means, or nil with IF EXISTS.
func (s *Session) dropped(d *ast.Drop, p Path) (Object, error) {
	o, ok := s.Lookup(p)
	switch {
	case ok && d.Temporary && !o.IsTemporary() && d.IfExists:
		return nil, nil
	case ok && d.Temporary && !o.IsTemporary():
		return nil, sqlerr.New(sqlerr.UnknownTable, d.Name, "%s is not temporary", p)
	case ok:
		return o, nil
	case d.IfExists:
		return nil, nil
	}
	_, err := s.Resolve(d.Name)
	return nil, err
}

func lower(k ast.ObjectKind) string {
	if k == ast.ObjectView {
		return "view"
	}
	return "table"
}

// CreateDatabase carries out CREATE DATABASE.
func (s *Session) CreateDatabase(c *ast.CreateDatabase) error {
	catalog, database, err := s.databasePath(c.Name)
	if err != nil {
		return err
	}
	if !s.catalogs.createDatabase(catalog, database) && !c.IfNotExists {
		return sqlerr.New(sqlerr.AlreadyExists, c.Name, "database %s exists already", database).Suggest("write IF NOT EXISTS to leave it as it is")
	}
	return nil
}

// DropDatabase carries out DROP DATABASE; one that is not empty needs CASCADE.
func (s *Session) DropDatabase(d *ast.Drop) error {
	catalog, database, err := s.databasePath(d.Name)
	if err != nil {
		return err
	}
	objects, ok := s.catalogs.objects(catalog, database)
	current, currentDatabase := s.Current()
	switch {
	case !ok && d.IfExists:
		return nil
	case !ok:
		return s.unknownDatabase(d.Name, catalog, database)
	case catalog == current && database == currentDatabase:
		return sqlerr.New(sqlerr.CommandRejected, d.Name, "database %s is the current one", database).Suggest("USE another database first")
	case len(objects) > 0 && d.Behavior != ast.DropCascade:
		return sqlerr.New(sqlerr.CommandRejected, d.Name, "database %s is not empty", database).Suggest("write CASCADE to drop its tables too")
	}
	s.catalogs.dropDatabase(catalog, database)
	return nil
}

// Use carries out USE and USE CATALOG.
func (s *Session) Use(u *ast.Use) error {
	catalog, database := u.Name.Last().Name, DefaultDatabase
	if !u.Catalog {
		var err error
		if catalog, database, err = s.databasePath(u.Name); err != nil {
			return err
		}
	}
	databases, ok := s.catalogs.Databases(catalog)
	if !ok {
		return sqlerr.New(sqlerr.UnknownCatalog, u.Name, "unknown catalog %s", catalog).DidYouMean(catalog, s.catalogs.Names())
	}
	if !u.Catalog && !slices.Contains(databases, database) {
		return s.unknownDatabase(u.Name, catalog, database)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog, s.database = catalog, database
	return nil
}

func (s *Session) unknownDatabase(n *ast.Name, catalog, database string) error {
	databases, _ := s.catalogs.Databases(catalog)
	return sqlerr.New(sqlerr.UnknownCatalog, n.Last(), "unknown database %s", database).DidYouMean(database, databases)
}

// databasePath completes a written database name.
func (s *Session) databasePath(n *ast.Name) (catalog, database string, err error) {
	catalog, _ = s.Current()
	switch p := n.Parts; len(p) {
	case 1:
		return catalog, p[0].Name, nil
	case 2:
		if _, ok := s.catalogs.Databases(p[0].Name); !ok {
			return "", "", sqlerr.New(sqlerr.UnknownCatalog, p[0], "unknown catalog %s", p[0].Name).DidYouMean(p[0].Name, s.catalogs.Names())
		}
		return p[0].Name, p[1].Name, nil
	}
	return "", "", sqlerr.New(sqlerr.UnknownCatalog, n, "database name %s has more than two parts", n)
}
