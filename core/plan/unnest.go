package plan

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Unnest yields a row for every element of a collection column. Output: the kept
// input columns, then the fields of the elements, then their positions.
type Unnest struct {
	Place  ast.Span
	Input  Node
	Column int   // an ARRAY or a MAP
	Keep   []int // input columns
	// Fields of an element: of a ROW its fields, of a map's entry the key and the
	// value; of others 0 is the element itself.
	Fields []int
	// Ordinality adds the position in the collection, from 1.
	Ordinality bool
	Names      []string // of the fields, then of the position
	// Outer yields one row with nulls for a collection without elements.
	Outer bool
}

// Names of the columns that UNNEST gives where nobody names them, as in Flink.
const (
	UnnestElement    = "EXPR$0"
	UnnestKey        = "KEY"
	UnnestValue      = "VALUE"
	UnnestOrdinality = "ORDINALITY"
)

func (*Unnest) node() {}

// At implements Node.
func (n *Unnest) At() ast.Span { return n.Place }

// Inputs implements Node.
func (n *Unnest) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Unnest) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// Schema implements Node.
func (n *Unnest) Schema() datatype.Schema {
	in := n.Input.Schema()
	s := make(datatype.Schema, 0, len(n.Keep)+len(n.Fields)+1)
	for _, c := range n.Keep {
		s = append(s, in[c])
	}
	of := ElementFields(in[n.Column].Type)
	for i, f := range n.Fields {
		s = append(s, datatype.Field{Name: n.Names[i], Type: of[f].Type})
	}
	if n.Ordinality {
		s = append(s, datatype.Field{Name: n.Names[len(n.Fields)], Type: datatype.Of(datatype.Int).NotNull()})
	}
	if n.Outer {
		for i := len(n.Keep); i < len(s); i++ {
			s[i].Type = s[i].Type.WithNull(true)
		}
	}
	return s
}

// ElementFields are the columns that an element of a collection type can give;
// none of another type.
func ElementFields(t datatype.Type) datatype.Schema {
	switch {
	case t.Kind == datatype.Map:
		return datatype.Schema{{Name: UnnestKey, Type: *t.Key}, {Name: UnnestValue, Type: *t.Elem}}
	case t.Kind != datatype.Array:
		return nil
	case t.Elem.Kind != datatype.Row:
		return datatype.Schema{{Name: UnnestElement, Type: *t.Elem}}
	}
	s := slices.Clone(datatype.Schema(t.Elem.Fields))
	for i := range s {
		s[i].Type.Nullable = s[i].Type.Nullable || t.Elem.Nullable
	}
	return s
}

// Label implements Node.
func (n *Unnest) Label() string {
	made := make([]string, len(n.Fields))
	for i := range made {
		made[i] = datatype.QuoteName(n.Names[i])
	}
	s := "Unnest " + pick(n.Input.Schema(), []int{n.Column}) + ": " + strings.Join(made, ", ")
	if n.Ordinality {
		s = strings.TrimSuffix(s, " ") + " with ordinality " + datatype.QuoteName(n.Names[len(n.Fields)])
	}
	if n.Outer {
		s += " outer"
	}
	return s
}
