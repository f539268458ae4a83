package datatype

import (
	"fmt"
	"strings"
)

// Kind is the family of a type, without its parameters.
type Kind uint8

// The kinds. Their order is that of Flink's implicit numeric promotion where
// promotion exists: TINYINT up to DOUBLE.
const (
	Invalid Kind = iota
	Null
	Boolean
	TinyInt
	SmallInt
	Int
	BigInt
	Decimal
	Float
	Double
	Char
	Varchar
	Binary
	Varbinary
	Date
	Time
	Timestamp
	TimestampLTZ
	IntervalMonth
	IntervalSecond
	Array
	Map
	Multiset
	Row
)

var kindNames = [...]string{
	"INVALID", "NULL", "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL", "FLOAT", "DOUBLE",
	"CHAR", "VARCHAR", "BINARY", "VARBINARY", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ",
	"INTERVAL YEAR TO MONTH", "INTERVAL DAY TO SECOND", "ARRAY", "MAP", "MULTISET", "ROW",
}

// String is the kind's SQL name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("KIND(%d)", uint8(k))
}

// Limits of type parameters.
const (
	MaxDecimalPrecision   = 38
	MaxDecimal64Precision = 18 // up to here a decimal is an int64
	MaxLength             = 1<<31 - 1
	MaxTimePrecision      = 9
	DefaultTimestamp      = 6 // precision of TIMESTAMP without one
)

// Type is one SQL type. The zero Type is invalid.
type Type struct {
	Kind      Kind
	Nullable  bool
	Precision int     // DECIMAL: digits; TIME, TIMESTAMP: fraction digits; CHAR, VARCHAR, BINARY, VARBINARY: length
	Scale     int     // DECIMAL: digits after the point
	Elem      *Type   // ARRAY, MULTISET: element; MAP: value
	Key       *Type   // MAP: key
	Fields    []Field // ROW
}

// Field is a named type: a column of a table or a field of a ROW.
type Field struct {
	Name string
	Type Type
}

// Of returns the nullable type of a kind that needs no parameters; with kinds
// that have some it takes Flink's defaults: DECIMAL(10, 0), TIME(0),
// TIMESTAMP(6), CHAR(1), BINARY(1), VARCHAR and VARBINARY of maximal length.
func Of(k Kind) Type {
	t := Type{Kind: k, Nullable: true}
	switch k {
	case Decimal:
		t.Precision = 10
	case Timestamp, TimestampLTZ:
		t.Precision = DefaultTimestamp
	case Char, Binary:
		t.Precision = 1
	case Varchar, Varbinary:
		t.Precision = MaxLength
	}
	return t
}

// DecimalOf returns nullable DECIMAL(precision, scale); it does not check them.
func DecimalOf(precision, scale int) Type {
	return Type{Kind: Decimal, Nullable: true, Precision: precision, Scale: scale}
}

// WithPrecision returns t with another precision or length.
func (t Type) WithPrecision(p int) Type {
	t.Precision = p
	return t
}

// ArrayOf returns nullable ARRAY<elem>.
func ArrayOf(elem Type) Type { return Type{Kind: Array, Nullable: true, Elem: &elem} }

// MapOf returns nullable MAP<key, value>.
func MapOf(key, value Type) Type {
	return Type{Kind: Map, Nullable: true, Key: &key, Elem: &value}
}

// RowOf returns nullable ROW<fields>.
func RowOf(fields ...Field) Type { return Type{Kind: Row, Nullable: true, Fields: fields} }

// NotNull returns t without null.
func (t Type) NotNull() Type { return t.WithNull(false) }

// WithNull returns t with or without null.
func (t Type) WithNull(nullable bool) Type {
	t.Nullable = nullable
	return t
}

// Equal reports whether t and u are the same type, nullability and field names
// included.
func (t Type) Equal(u Type) bool { return t.Nullable == u.Nullable && t.same(u, true) }

// Same reports whether t and u differ at most in nullability, at any depth.
func (t Type) Same(u Type) bool { return t.same(u, false) }

func (t Type) same(u Type, strict bool) bool {
	if t.Kind != u.Kind || t.Precision != u.Precision || t.Scale != u.Scale || len(t.Fields) != len(u.Fields) {
		return false
	}
	inner := func(a, b *Type) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.same(*b, strict) && (!strict || a.Nullable == b.Nullable)
	}
	if !inner(t.Elem, u.Elem) || !inner(t.Key, u.Key) {
		return false
	}
	for i := range t.Fields {
		if t.Fields[i].Name != u.Fields[i].Name || !inner(&t.Fields[i].Type, &u.Fields[i].Type) {
			return false
		}
	}
	return true
}

// Is reports whether t's kind is one of kinds.
func (t Type) Is(kinds ...Kind) bool {
	for _, k := range kinds {
		if t.Kind == k {
			return true
		}
	}
	return false
}

// IsInteger reports TINYINT, SMALLINT, INT or BIGINT.
func (t Type) IsInteger() bool { return t.Kind >= TinyInt && t.Kind <= BigInt }

// IsNumeric reports an integer, DECIMAL, FLOAT or DOUBLE.
func (t Type) IsNumeric() bool { return t.Kind >= TinyInt && t.Kind <= Double }

// IsString reports CHAR or VARCHAR.
func (t Type) IsString() bool { return t.Kind == Char || t.Kind == Varchar }

// IsBinary reports BINARY or VARBINARY.
func (t Type) IsBinary() bool { return t.Kind == Binary || t.Kind == Varbinary }

// IsTemporal reports DATE, TIME, TIMESTAMP or TIMESTAMP_LTZ.
func (t Type) IsTemporal() bool { return t.Kind >= Date && t.Kind <= TimestampLTZ }

// IsTimestamp reports TIMESTAMP or TIMESTAMP_LTZ.
func (t Type) IsTimestamp() bool { return t.Kind == Timestamp || t.Kind == TimestampLTZ }

// IsInterval reports one of the two intervals.
func (t Type) IsInterval() bool { return t.Kind == IntervalMonth || t.Kind == IntervalSecond }

// String is the type as SQL would write it; Parse reads it back.
func (t Type) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Type) write(b *strings.Builder) {
	switch t.Kind {
	case Decimal:
		fmt.Fprintf(b, "DECIMAL(%d, %d)", t.Precision, t.Scale)
	case Time, Timestamp, TimestampLTZ, Char, Binary:
		fmt.Fprintf(b, "%s(%d)", t.Kind, t.Precision)
	case Varchar, Varbinary:
		writeVarying(b, t)
	case Array, Multiset:
		fmt.Fprintf(b, "%s<%s>", t.Kind, t.Elem)
	case Map:
		fmt.Fprintf(b, "MAP<%s, %s>", t.Key, t.Elem)
	case Row:
		b.WriteString("ROW<")
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%s %s", QuoteName(f.Name), f.Type)
		}
		b.WriteString(">")
	default:
		b.WriteString(t.Kind.String())
	}
	if !t.Nullable {
		b.WriteString(" NOT NULL")
	}
}

func writeVarying(b *strings.Builder, t Type) {
	switch {
	case t.Precision != MaxLength:
		fmt.Fprintf(b, "%s(%d)", t.Kind, t.Precision)
	case t.Kind == Varchar:
		b.WriteString("STRING")
	default:
		b.WriteString("BYTES")
	}
}

// QuoteName returns name as a SQL identifier: in backticks where it needs them.
func QuoteName(name string) string {
	plain := name != ""
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
