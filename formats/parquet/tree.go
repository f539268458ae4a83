package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// column is a top-level field: one leaf, or a nested tree of them.
type column struct {
	name   string
	typ    datatype.Type
	leaves []*leaf
	root   *node
	nested bool
}

// node is a value of the SQL schema: what groups exist only to express lists and
// maps is gone from it. A node has a slot for each entry of a leaf below it whose
// repetition level is at most slotRep and whose definition level is at least
// slotDef; in that slot it is not null if the definition level is at least def.
type node struct {
	name             string
	typ              datatype.Type
	leaf             *leaf // of scalars
	def              int
	slotDef, slotRep int
	// elemDef is the least definition level at which a list or map has an
	// element, which then begins at repetition levels up to slotRep + 1.
	elemDef  int
	optional bool
	children []*node // of a list its element, of a map key and value, of a row its fields
}

// maxSchemaDepth bounds the nesting of a file's schema.
const maxSchemaDepth = 64

// schemaNode is the schema as the file has it.
type schemaNode struct {
	element
	children []*schemaNode
	leaf     *leaf
}

// schemaWalker turns the flattened schema into columns.
type schemaWalker struct {
	meta   *fileMetadata
	next   int
	leaves []*leaf
}

// buildColumns reads the schema tree, depth first.
func buildColumns(m *fileMetadata) ([]column, []*leaf, error) {
	if len(m.elements) == 0 || !m.elements[0].group {
		return nil, nil, fmt.Errorf("footer: schema has no root")
	}
	w := &schemaWalker{meta: m, next: 1}
	columns := []column{}
	for range m.elements[0].children {
		first := len(w.leaves)
		raw, err := w.node("", 0, 0, 0)
		if err != nil {
			return nil, nil, err
		}
		n := raw.field(levels{})
		columns = append(columns, column{
			name: raw.name, typ: n.typ, leaves: w.leaves[first:], root: n, nested: n.leaf == nil,
		})
	}
	if w.next != len(m.elements) {
		return nil, nil, fmt.Errorf("footer: schema has %d nodes, its tree %d", len(m.elements), w.next)
	}
	return columns, w.leaves, nil
}

// node reads one node and what lies below it; def and rep are its parent's levels.
func (w *schemaWalker) node(path string, def, rep, depth int) (*schemaNode, error) {
	if w.next >= len(w.meta.elements) || depth > maxSchemaDepth {
		return nil, fmt.Errorf("footer: schema ends in the middle of its tree or is nested deeper than %d", maxSchemaDepth)
	}
	n := &schemaNode{element: w.meta.elements[w.next]}
	w.next++
	if path != "" {
		path += "."
	}
	path += n.name
	if n.repetition != format.Required {
		def++
	}
	if n.repetition == format.Repeated {
		rep++
	}
	if !n.group {
		t, err := primitiveType(&n.element)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", path, err)
		}
		index := len(w.leaves)
		ordered := len(w.meta.orders) == 0 || index < len(w.meta.orders) && w.meta.orders[index]
		n.leaf = &leaf{element: n.element, index: index, maxDef: def, maxRep: rep, path: path, ordered: ordered, datatype: t}
		w.leaves = append(w.leaves, n.leaf)
		return n, nil
	}
	if n.element.children < 1 || n.element.children > len(w.meta.elements)-w.next {
		return nil, fmt.Errorf("footer: group %s has %d children, %d nodes left", path, n.element.children, len(w.meta.elements)-w.next)
	}
	for range n.element.children {
		c, err := w.node(path, def, rep, depth+1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, c)
	}
	return n, nil
}

// levels are those at which a value begins: def of its parent, and of the
// innermost repeated node around it both.
type levels struct{ def, slotDef, slotRep int }

// inside are the levels of a repeated node's elements.
func (l levels) inside() levels {
	return levels{def: l.def + 1, slotDef: l.def + 1, slotRep: l.slotRep + 1}
}

// field gives a schema node its meaning, its repetition included.
func (n *schemaNode) field(l levels) *node {
	switch n.repetition {
	case format.Repeated: // a list without annotation: it and its elements are never null
		return listOf(n.name, l, n.value(l.inside()).required()).required()
	case format.Optional:
		l.def++
		v := n.value(l)
		v.optional = true
		return v
	default:
		return n.value(l).required()
	}
}

func (n *node) required() *node {
	n.typ = n.typ.NotNull()
	return n
}

func listOf(name string, l levels, elem *node) *node {
	return &node{
		name: name, typ: datatype.ArrayOf(elem.typ), def: l.def, slotDef: l.slotDef, slotRep: l.slotRep,
		elemDef: l.def + 1, children: []*node{elem},
	}
}

// value gives a schema node its meaning apart from its repetition: a scalar, a
// LIST, a MAP, or a ROW of its fields.
func (n *schemaNode) value(l levels) *node {
	out := &node{name: n.name, def: l.def, slotDef: l.slotDef, slotRep: l.slotRep}
	if n.leaf != nil {
		out.leaf, out.typ = n.leaf, n.leaf.datatype
		return out
	}
	repeated := len(n.children) == 1 && n.children[0].repetition == format.Repeated
	if repeated && (n.logical.kind == logicalList || n.converted == deprecated.List) {
		return listOf(n.name, l, n.listElement(l.inside()))
	}
	if repeated && n.isMap() {
		entry := n.children[0]
		key, value := entry.children[0].field(l.inside()).required(), entry.children[1].field(l.inside())
		out.typ, out.elemDef = datatype.MapOf(key.typ, value.typ), l.def+1
		out.children = []*node{key, value}
		return out
	}
	fields := make([]datatype.Field, len(n.children))
	for i, c := range n.children {
		f := c.field(l)
		out.children = append(out.children, f)
		fields[i] = datatype.Field{Name: f.name, Type: f.typ}
	}
	out.typ = datatype.RowOf(fields...)
	return out
}

// listElement finds the element of a LIST, whose only child is repeated. That
// child is either a mere frame around the element or, in files of old writers,
// the element itself.
func (n *schemaNode) listElement(l levels) *node {
	frame := n.children[0]
	if len(frame.children) == 1 && frame.name != "array" && frame.name != n.name+"_tuple" &&
		frame.children[0].repetition != format.Repeated && frame.logical.kind == 0 && frame.converted != deprecated.List {
		return frame.children[0].field(l)
	}
	return frame.value(l).required()
}

// isMap reports whether an annotated node has the shape of a map.
func (n *schemaNode) isMap() bool {
	annotated := n.logical.kind == logicalMap || n.converted == deprecated.Map || n.converted == deprecated.MapKeyValue
	entry := n.children[0]
	return annotated && len(entry.children) == 2 && entry.children[0].repetition != format.Repeated
}
