package catalog

import (
	"maps"
	"slices"
	"sync"
)

// The names of what exists from the start.
const (
	DefaultCatalog  = "default_catalog"
	DefaultDatabase = "default_database"
)

// Catalogs is a set of in-memory catalogs. It is safe for concurrent use.
type Catalogs struct {
	mu   sync.RWMutex
	byID map[string]map[string]map[string]Object // catalog, database, object
}

// New returns catalogs with the default one and its default database.
func New() *Catalogs {
	return &Catalogs{byID: map[string]map[string]map[string]Object{
		DefaultCatalog: {DefaultDatabase: {}},
	}}
}

// Names lists the catalogs, sorted.
func (c *Catalogs) Names() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.byID))
}

// Databases lists the databases of a catalog, sorted; false if there is none of
// that name.
func (c *Catalogs) Databases(catalog string) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	databases, ok := c.byID[catalog]
	return slices.Sorted(maps.Keys(databases)), ok
}

// objects returns a copy of a database's content.
func (c *Catalogs) objects(catalog, database string) (map[string]Object, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	objects, ok := c.byID[catalog][database]
	return maps.Clone(objects), ok
}

func (c *Catalogs) object(p Path) (Object, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	o, ok := c.byID[p.Catalog][p.Database][p.Object]
	return o, ok
}

// put stores an object unless replace is false and the name is taken; it reports
// whether it did. The database must exist.
func (c *Catalogs) put(o Object, replace bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	objects := c.byID[o.Name().Catalog][o.Name().Database]
	if objects == nil {
		return false
	}
	if _, taken := objects[o.Name().Object]; taken && !replace {
		return false
	}
	objects[o.Name().Object] = o
	return true
}

// change has change look at an object, as the only one of a map, and put another one
// in its place or none; it returns what change does.
func (c *Catalogs) change(p Path, change func(map[Path]Object) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := map[Path]Object{}
	objects := c.byID[p.Catalog][p.Database]
	if o, ok := objects[p.Object]; ok {
		one[p] = o
	}
	changed := change(one)
	if o, ok := one[p]; ok {
		objects[p.Object] = o
	} else {
		delete(objects, p.Object)
	}
	return changed
}

func (c *Catalogs) remove(p Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID[p.Catalog][p.Database], p.Object)
}

// createDatabase reports false if the name is taken or the catalog unknown.
func (c *Catalogs) createDatabase(catalog, database string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	databases := c.byID[catalog]
	if databases == nil || databases[database] != nil {
		return false
	}
	databases[database] = map[string]Object{}
	return true
}

func (c *Catalogs) dropDatabase(catalog, database string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID[catalog], database)
}
