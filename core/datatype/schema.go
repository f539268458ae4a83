package datatype

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Schema is the ordered columns of a table, a batch or an edge. Names may
// repeat inside a query; a table's are unique.
type Schema []Field

// Arrow returns the Arrow schema with plain (never dictionary) types.
func (s Schema) Arrow() *arrow.Schema { return arrow.NewSchema(arrowFields(s), nil) }

// SchemaFromArrow is the inverse of Arrow, by the rules of FromArrow.
func SchemaFromArrow(a *arrow.Schema) (Schema, error) {
	return fieldsFromArrow(a.Fields())
}

// Index returns the position of the column called name, by exact match, or -1.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// Names returns the columns' names.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// Types returns the columns' types.
func (s Schema) Types() []Type {
	types := make([]Type, len(s))
	for i := range s {
		types[i] = s[i].Type
	}
	return types
}

// Equal reports whether both have the same names and types in the same order.
func (s Schema) Equal(o Schema) bool {
	return RowOf(s...).Equal(RowOf(o...))
}

// String prints name TYPE, name TYPE.
func (s Schema) String() string {
	parts := make([]string, len(s))
	for i, f := range s {
		parts[i] = QuoteName(f.Name) + " " + f.Type.String()
	}
	return strings.Join(parts, ", ")
}
