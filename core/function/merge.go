package function

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

// CommonType returns the least type that every one of types can be cast to
// without loss of range: the type of CASE, COALESCE, UNION, VALUES, IN and
// comparison. The result is nullable if any of them is. NULL goes with every
// type; only NULLs give NULL. It fails where Flink has no common type.
func CommonType(types ...datatype.Type) (datatype.Type, error) {
	if len(types) == 0 {
		return datatype.Type{}, fmt.Errorf("no types have no common type")
	}
	out := types[0]
	for _, t := range types[1:] {
		common, ok := common(out, t)
		if !ok {
			names := make([]string, len(types))
			for i, n := range types {
				names[i] = n.WithNull(true).String()
			}
			return datatype.Type{}, fmt.Errorf("%s have no common type", strings.Join(names, " and "))
		}
		out = common
	}
	return out, nil
}

func common(a, b datatype.Type) (datatype.Type, bool) {
	nullable := a.Nullable || b.Nullable
	if a.Kind == datatype.Null {
		return b.WithNull(true), true
	}
	if b.Kind == datatype.Null {
		return a.WithNull(true), true
	}
	if a.WithNull(true).Equal(b.WithNull(true)) {
		return a.WithNull(nullable), true
	}
	t, ok := commonOf(a, b)
	return t.WithNull(nullable), ok
}

func commonOf(a, b datatype.Type) (datatype.Type, bool) {
	switch {
	case a.IsNumeric() && b.IsNumeric():
		return commonNumeric(a, b), true
	case a.IsString() && b.IsString():
		return datatype.Of(datatype.Varchar).WithPrecision(max(a.Precision, b.Precision)), true
	case a.IsBinary() && b.IsBinary():
		return datatype.Of(datatype.Varbinary).WithPrecision(max(a.Precision, b.Precision)), true
	case a.IsTemporal() && b.IsTemporal():
		return commonTemporal(a, b)
	case a.Kind != b.Kind:
		return datatype.Type{}, false
	case a.Kind == datatype.Array || a.Kind == datatype.Multiset || a.Kind == datatype.Map:
		return commonCollection(a, b)
	case a.Kind == datatype.Row:
		return commonRow(a, b)
	default:
		return a, true
	}
}

func commonNumeric(a, b datatype.Type) datatype.Type {
	if a.Kind > b.Kind {
		a, b = b, a
	}
	switch {
	case b.IsInteger():
		return b
	case b.Kind == datatype.Float && a.Kind == datatype.Decimal:
		return datatype.Of(datatype.Double)
	case b.Kind == datatype.Float || b.Kind == datatype.Double:
		return b
	}
	p1, s1 := decimalOf(a)
	p2, s2 := decimalOf(b)
	scale := max(s1, s2)
	return datatype.DecimalOf(min(max(p1-s1, p2-s2)+scale, datatype.MaxDecimalPrecision), scale)
}

// decimalOf returns precision and scale of an exact number as a decimal.
func decimalOf(t datatype.Type) (precision, scale int) {
	switch t.Kind {
	case datatype.TinyInt:
		return 3, 0
	case datatype.SmallInt:
		return 5, 0
	case datatype.Int:
		return 10, 0
	case datatype.BigInt:
		return 19, 0
	default:
		return t.Precision, t.Scale
	}
}

func commonTemporal(a, b datatype.Type) (datatype.Type, bool) {
	if a.Kind > b.Kind {
		a, b = b, a
	}
	switch {
	case a.Kind == b.Kind || a.IsTimestamp():
		return b.WithPrecision(max(a.Precision, b.Precision)), true
	case a.Kind == datatype.Date && b.IsTimestamp():
		return b, true
	default:
		return datatype.Type{}, false
	}
}

func commonCollection(a, b datatype.Type) (datatype.Type, bool) {
	elem, ok := common(*a.Elem, *b.Elem)
	if !ok {
		return datatype.Type{}, false
	}
	out := a
	out.Elem = &elem
	if a.Key != nil {
		key, ok := common(*a.Key, *b.Key)
		if !ok {
			return datatype.Type{}, false
		}
		out.Key = &key
	}
	return out, true
}

func commonRow(a, b datatype.Type) (datatype.Type, bool) {
	if len(a.Fields) != len(b.Fields) {
		return datatype.Type{}, false
	}
	fields := make([]datatype.Field, len(a.Fields))
	for i := range fields {
		t, ok := common(a.Fields[i].Type, b.Fields[i].Type)
		if !ok {
			return datatype.Type{}, false
		}
		fields[i] = datatype.Field{Name: a.Fields[i].Name, Type: t}
	}
	return datatype.RowOf(fields...), true
}

// CanCast reports whether a value of one type can be cast to the other: by
// CAST, or, when implicit, without being asked (as arguments and in INSERT).
func CanCast(from, to datatype.Type, implicit bool) bool {
	if from.Kind == datatype.Null || from.Same(to) {
		return true
	}
	if implicit {
		return implicitCast(from, to)
	}
	return implicitCast(from, to) || explicitCast(from, to)
}

func implicitCast(from, to datatype.Type) bool {
	switch {
	case from.IsNumeric() && to.IsNumeric():
		return from.Kind <= to.Kind
	case from.IsString() && to.IsString(), from.IsBinary() && to.IsBinary():
		return true
	case from.IsTimestamp() && to.IsTimestamp(), from.Kind == datatype.Time && to.Kind == datatype.Time:
		return true
	case from.Kind == datatype.Date:
		return to.IsTimestamp()
	case from.Kind == to.Kind:
		return castNested(from, to, true)
	default:
		return false
	}
}

func explicitCast(from, to datatype.Type) bool {
	nested := from.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
	switch {
	case to.IsString():
		return true
	case from.IsString():
		return !to.Is(datatype.Null, datatype.Array, datatype.Map, datatype.Multiset, datatype.Row)
	case nested:
		return from.Kind == to.Kind && castNested(from, to, false)
	case from.IsNumeric() && (to.IsNumeric() || to.Kind == datatype.Boolean):
		return true
	case from.Kind == datatype.Boolean:
		return to.IsNumeric()
	case from.IsTimestamp():
		return to.Is(datatype.Date, datatype.Time)
	case from.IsInterval():
		return to.IsInteger()
	case from.IsInteger():
		return to.IsInterval()
	default:
		return false
	}
}

func castNested(from, to datatype.Type, implicit bool) bool {
	switch from.Kind {
	case datatype.Array, datatype.Multiset:
		return CanCast(*from.Elem, *to.Elem, implicit)
	case datatype.Map:
		return CanCast(*from.Key, *to.Key, implicit) && CanCast(*from.Elem, *to.Elem, implicit)
	case datatype.Row:
		if len(from.Fields) != len(to.Fields) {
			return false
		}
		for i := range from.Fields {
			if !CanCast(from.Fields[i].Type, to.Fields[i].Type, implicit) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
