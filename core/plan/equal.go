package plan

import (
	"reflect"

	"github.com/tidemill/tidemill/core/sql/ast"
)

// Equal reports whether two nodes compute the same, wherever in the statement they
// were asked for.
func Equal(a, b Node) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.DeepEqual(placeless(a), placeless(b))
}

// placeless is a copy of a tree without places.
func placeless(n Node) Node {
	return Transform(n, func(n Node) Node {
		c := reflect.New(reflect.TypeOf(n).Elem())
		c.Elem().Set(reflect.ValueOf(n).Elem())
		if place := c.Elem().FieldByName("Place"); place.IsValid() { // others are where their input is
			place.Set(reflect.ValueOf(ast.Span{}))
		}
		switch n := c.Interface().(type) {
		case *Join:
			n.known = nil
		case *Union:
			n.known = nil
		}
		return c.Interface().(Node)
	})
}

// OneTable reports whether scans read one table in the same way, which may be in other columns
// and by other predicates.
func OneTable(a, b *Scan) bool {
	return a.Connector == b.Connector && a.Known.Bounded == b.Known.Bounded && reflect.DeepEqual(a.Table, b.Table)
}
