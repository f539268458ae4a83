package ast

// Pos is a byte offset into the parsed text, counted from zero.
type Pos int32

// Span is the half-open range [Start, Stop) of the text from which a node was made. Both are zero in a node that was
// built by a program.
type Span struct {
	Start, Stop Pos
}

// Pos returns the offset of the first byte of the node.
func (s Span) Pos() Pos { return s.Start }

// End returns the offset just after the last byte of the node.
func (s Span) End() Pos { return s.Stop }

// Len returns the number of bytes that the node takes in the text.
func (s Span) Len() int { return int(s.Stop - s.Start) }

// Node is any part of the tree that has a place in the text.
type Node interface {
	// Pos returns the offset of the first byte of the node.
	Pos() Pos
	// End returns the offset just after the last byte of the node.
	End() Pos
}

// Text returns the part of src that a node was parsed from; src must be the text that was given to the parser.
func Text(n Node, src string) string { return src[n.Pos():n.End()] }

// Statement is what stands between two semicolons.
type Statement interface {
	Node
	statement()
}

// Query is a statement that yields rows: *Select, *SetOp, *Values, *TableQuery, *OrderedQuery or *WithQuery.
type Query interface {
	Statement
	query()
}

// TableExpr is a source of rows inside FROM.
type TableExpr interface {
	Node
	tableExpr()
}

// Expr is a value, or one of the few things that stand in the place of a value in a call (Descriptor, TableArg, UnitArg,
// ...), in a select list (Star) or in GROUP BY (GroupingSet).
type Expr interface {
	Node
	expr()
}

// TypeName is a written SQL type.
type TypeName interface {
	Node
	// IsNotNull reports whether the type was followed by NOT NULL.
	IsNotNull() bool
	typeName()
}

// Ident is one part of a name.
type Ident struct {
	Span
	// Name is the identifier without its quotes; case is kept as written.
	Name string
	// Quote is '`' or '"' when the identifier was quoted, and 0 when it was bare.
	Quote byte
}

// Name is a possibly qualified name of a catalog object: `catalog.database.table`.
type Name struct {
	Span
	Parts []*Ident
}

// Last returns the rightmost part of the name.
func (n *Name) Last() *Ident { return n.Parts[len(n.Parts)-1] }

// String returns the parts joined by dots, without quotes; it is for messages, not for parsing.
func (n *Name) String() string {
	if len(n.Parts) == 1 {
		return n.Parts[0].Name
	}
	var b []byte
	for i, p := range n.Parts {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, p.Name...)
	}
	return string(b)
}

// Option is one pair of WITH ('key' = 'value') and of its kin.
type Option struct {
	Span
	Key, Value *StringLit
}

// Hint is one name with arguments inside /*+ ... */.
type Hint struct {
	Span
	Name *Ident
	Args []*HintArg
}

// HintArg is one argument of a hint: `t`, `'k' = 'v'` or `k = 'v'`.
type HintArg struct {
	Span
	// Key is nil when the argument is a single value.
	Key Expr
	// Value is a *ColumnRef, *StringLit or *NumberLit.
	Value Expr
}
