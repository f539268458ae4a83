package ast

// BasicType is a type without inner types: INT, DECIMAL(10, 2), TIMESTAMP(3) WITH LOCAL TIME ZONE.
type BasicType struct {
	Span
	Kind BasicKind
	// Precision is the length or precision in parentheses, -1 when not written.
	Precision int
	// Scale is the second number in parentheses, -1 when not written.
	Scale   int
	NotNull bool
}

// IntervalType is INTERVAL with a qualifier.
type IntervalType struct {
	Span
	Qualifier IntervalQualifier
	NotNull   bool
}

// ArrayType is ARRAY<Elem>.
type ArrayType struct {
	Span
	Elem    TypeName
	NotNull bool
}

// MultisetType is MULTISET<Elem>.
type MultisetType struct {
	Span
	Elem    TypeName
	NotNull bool
}

// MapType is MAP<Key, Value>.
type MapType struct {
	Span
	Key, Value TypeName
	NotNull    bool
}

// RowType is ROW<...>.
type RowType struct {
	Span
	Fields  []*RowField
	NotNull bool
}

// RowField is one field of a RowType.
type RowField struct {
	Span
	Name *Ident
	Type TypeName
	// Comment is nil when not written.
	Comment *StringLit
}

// StructuredType is STRUCTURED<'class', fields...>.
type StructuredType struct {
	Span
	Class   *StringLit
	Fields  []*RowField
	NotNull bool
}

// RawType is RAW('class', 'serializer').
type RawType struct {
	Span
	Class, Serializer *StringLit
	NotNull           bool
}

// NamedType is a type that the dialect does not know, by its name.
type NamedType struct {
	Span
	Name    *Name
	NotNull bool
}

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *BasicType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *IntervalType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *ArrayType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *MultisetType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *MapType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *RowType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *StructuredType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *RawType) IsNotNull() bool { return t.NotNull }

// IsNotNull reports whether the type was followed by NOT NULL.
func (t *NamedType) IsNotNull() bool { return t.NotNull }

func (*BasicType) typeName()      {}
func (*IntervalType) typeName()   {}
func (*ArrayType) typeName()      {}
func (*MultisetType) typeName()   {}
func (*MapType) typeName()        {}
func (*RowType) typeName()        {}
func (*StructuredType) typeName() {}
func (*RawType) typeName()        {}
func (*NamedType) typeName()      {}
