package plan

import (
	"slices"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// At implements Node.
func (n *Scan) At() ast.Span { return n.Place }

// At implements Node.
func (n *Values) At() ast.Span { return n.Place }

// At implements Node.
func (n *Filter) At() ast.Span { return n.Place }

// At implements Node.
func (n *Project) At() ast.Span { return n.Place }

// At implements Node.
func (n *Aggregate) At() ast.Span { return n.Place }

// At implements Node.
func (n *WindowTVF) At() ast.Span { return n.Place }

// At implements Node.
func (n *WindowAggregate) At() ast.Span { return n.Place }

// At implements Node.
func (n *Join) At() ast.Span { return n.Place }

// At implements Node.
func (n *Over) At() ast.Span { return n.Place }

// At implements Node.
func (n *Sort) At() ast.Span { return n.Place }

// At implements Node.
func (n *Limit) At() ast.Span { return n.Place }

// At implements Node.
func (n *TopN) At() ast.Span { return n.Place }

// At implements Node.
func (n *Union) At() ast.Span { return n.Place }

// At implements Node.
func (n *Watermark) At() ast.Span { return n.Place }

// At implements Node.
func (n *Sink) At() ast.Span { return n.Place }

// Inputs implements Node.
func (n *Scan) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Values) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Filter) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Project) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Aggregate) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *WindowTVF) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *WindowAggregate) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Join) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *Over) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Sort) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Limit) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *TopN) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Union) Inputs() []Node { return n.All }

// Inputs implements Node.
func (n *Watermark) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Sink) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Scan) WithInputs(...Node) Node { return n }

// WithInputs implements Node.
func (n *Values) WithInputs(...Node) Node { return n }

// WithInputs implements Node.
func (n *Filter) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Project) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Aggregate) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *WindowTVF) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *WindowAggregate) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Join) WithInputs(in ...Node) Node {
	c := *n
	c.Left, c.Right = in[0], in[1]
	return &c
}

// WithInputs implements Node.
func (n *Over) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Sort) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Limit) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *TopN) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Union) WithInputs(in ...Node) Node {
	c := *n
	c.All = slices.Clone(in)
	return &c
}

// WithInputs implements Node.
func (n *Watermark) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// WithInputs implements Node.
func (n *Sink) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// Schema implements Node.
func (n *Scan) Schema() datatype.Schema { return n.Columns }

// Schema implements Node.
func (n *Values) Schema() datatype.Schema { return n.Columns }

// Schema implements Node.
func (n *Filter) Schema() datatype.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Project) Schema() datatype.Schema {
	s := make(datatype.Schema, len(n.Exprs))
	for i, e := range n.Exprs {
		s[i] = datatype.Field{Name: n.Names[i], Type: e.Type()}
	}
	return s
}

// Schema implements Node.
func (n *Aggregate) Schema() datatype.Schema {
	return groupSchema(n.Input.Schema(), n.Keys, n.Calls)
}

func groupSchema(in datatype.Schema, keys []int, calls []Call) datatype.Schema {
	s := make(datatype.Schema, 0, len(keys)+len(calls))
	for _, k := range keys {
		s = append(s, in[k])
	}
	for _, c := range calls {
		s = append(s, datatype.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// WindowBound is the type of the bounds of windows over a time of type t.
func WindowBound(t datatype.Type) datatype.Type {
	return datatype.Of(t.Kind).WithPrecision(3).NotNull()
}

// Schema implements Node.
func (n *WindowTVF) Schema() datatype.Schema {
	in := n.Input.Schema()
	s := append(make(datatype.Schema, 0, len(in)+3), in...)
	for p := WindowStart; p <= WindowTime; p++ {
		s = append(s, datatype.Field{Name: p.String(), Type: WindowBound(in[n.Time].Type)})
	}
	return s
}

// Schema implements Node.
func (n *WindowAggregate) Schema() datatype.Schema {
	in := n.Input.Schema()
	s := groupSchema(in, n.Keys, n.Calls)
	for i := range n.Properties {
		s = append(s, datatype.Field{Name: n.Names[i], Type: WindowBound(in[n.Time].Type)})
	}
	return s
}

func appendNullable(s, add datatype.Schema, nullable bool) datatype.Schema {
	for _, f := range add {
		if nullable {
			f.Type = f.Type.WithNull(true)
		}
		s = append(s, f)
	}
	return s
}

// Schema implements Node.
func (n *Over) Schema() datatype.Schema {
	in := n.Input.Schema()
	s := append(make(datatype.Schema, 0, len(in)+len(n.Calls)), in...)
	for _, c := range n.Calls {
		s = append(s, datatype.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// Schema implements Node.
func (n *Sort) Schema() datatype.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Limit) Schema() datatype.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *TopN) Schema() datatype.Schema { return n.Input.Schema() }

// nullableAs is t with nulls wherever u may have them, inside of it, too.
func nullableAs(t, u datatype.Type) datatype.Type {
	t.Nullable = t.Nullable || u.Nullable
	if t.Elem != nil && u.Elem != nil {
		elem := nullableAs(*t.Elem, *u.Elem)
		t.Elem = &elem
	}
	if len(t.Fields) == len(u.Fields) {
		t.Fields = slices.Clone(t.Fields)
		for i, f := range u.Fields {
			t.Fields[i].Type = nullableAs(t.Fields[i].Type, f.Type)
		}
	}
	return t
}

// Schema implements Node.
func (n *Watermark) Schema() datatype.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Sink) Schema() datatype.Schema { return n.Input.Schema() }

// Transform rebuilds a tree from the leaves up: change sees each node over its
// changed inputs and returns what stands in its place.
func Transform(n Node, change func(Node) Node) Node {
	return change(MapInputs(n, func(in Node) Node { return Transform(in, change) }))
}

// MapInputs returns n over changed inputs, and n itself if none changed.
func MapInputs(n Node, change func(Node) Node) Node {
	inputs := n.Inputs()
	changed := make([]Node, len(inputs))
	same := true
	for i, in := range inputs {
		changed[i] = change(in)
		same = same && changed[i] == in
	}
	if same {
		return n
	}
	return n.WithInputs(changed...)
}

// Walk visits n and everything below it, parents first.
func Walk(n Node, visit func(Node)) {
	visit(n)
	for _, in := range n.Inputs() {
		Walk(in, visit)
	}
}
