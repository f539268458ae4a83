package compute

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// Nulls returns n nulls of an Arrow type.
func Nulls(mem memory.Allocator, t arrow.DataType, n int) arrow.Array {
	return array.MakeArrayOfNull(mem, t, n)
}

// Constant returns n times value, a literal of type t in its physical form (see
// core/predicate; []any for ARRAY, ROW and MAP, the latter with keys and values
// alternating; nil for NULL). It fails when the value does not fit the type.
func Constant(mem memory.Allocator, t datatype.Type, value any, n int) (arrow.Array, error) {
	if value == nil {
		return Nulls(mem, t.Arrow(), n), nil
	}
	b := array.NewBuilder(mem, t.Arrow())
	defer b.Release()
	b.Reserve(n)
	for range n {
		if err := AppendValue(b, value); err != nil {
			return nil, fmt.Errorf("constant of %s: %w", t, err)
		}
	}
	return b.NewArray(), nil
}

// AppendValue appends one value in its physical form to a builder of a type that
// core/datatype maps to; nil appends a null. It is for constants and small
// results, not for hot loops.
func AppendValue(b array.Builder, value any) error {
	switch v := value.(type) {
	case nil:
		b.AppendNull()
		return nil
	case int64:
		return AppendInteger(b, v)
	case []any:
		return appendNested(b, v)
	case bool:
		if x, ok := b.(*array.BooleanBuilder); ok {
			x.Append(v)
			return nil
		}
	case float64:
		switch x := b.(type) {
		case *array.Float32Builder:
			x.Append(float32(v))
			return nil
		case *array.Float64Builder:
			x.Append(v)
			return nil
		}
	case string:
		if x, ok := b.(*array.StringBuilder); ok {
			if err := RoomFor(x.BinaryBuilder, len(v)); err != nil {
				return err
			}
			x.Append(v)
			return nil
		}
	case []byte:
		if x, ok := b.(*array.BinaryBuilder); ok {
			if err := RoomFor(x, len(v)); err != nil {
				return err
			}
			x.Append(v)
			return nil
		}
	case decimal128.Num:
		if x, ok := b.(*array.Decimal128Builder); ok {
			x.Append(v)
			return nil
		}
	}
	return fmt.Errorf("a %T is no physical value of Arrow type %s", value, b.Type())
}

// AppendInteger is AppendValue for an int64.
func AppendInteger(b array.Builder, v int64) error {
	switch x := b.(type) {
	case *array.Int8Builder:
		x.Append(int8(v))
	case *array.Int16Builder:
		x.Append(int16(v))
	case *array.Int32Builder:
		x.Append(int32(v))
	case *array.Int64Builder:
		x.Append(v)
	case *array.Date32Builder:
		x.Append(arrow.Date32(v))
	case *array.Time32Builder:
		x.Append(arrow.Time32(v))
	case *array.Time64Builder:
		x.Append(arrow.Time64(v))
	case *array.TimestampBuilder:
		x.Append(arrow.Timestamp(v))
	case *array.MonthIntervalBuilder:
		x.Append(arrow.MonthInterval(v))
	case *array.DurationBuilder:
		x.Append(arrow.Duration(v))
	case *array.Decimal64Builder:
		x.Append(decimal.Decimal64(v))
	case *array.Decimal128Builder:
		x.Append(decimal128.FromI64(v))
	default:
		return fmt.Errorf("an int64 is no physical value of Arrow type %s", b.Type())
	}
	return nil
}

func appendNested(b array.Builder, elements []any) error {
	switch x := b.(type) {
	case *array.ListBuilder:
		x.Append(true)
		for _, e := range elements {
			if err := AppendValue(x.ValueBuilder(), e); err != nil {
				return err
			}
		}
	case *array.StructBuilder:
		if len(elements) != x.NumField() {
			return fmt.Errorf("%d values for %s", len(elements), b.Type())
		}
		x.Append(true)
		for i, e := range elements {
			if err := AppendValue(x.FieldBuilder(i), e); err != nil {
				return err
			}
		}
	case *array.MapBuilder:
		if len(elements)%2 != 0 {
			return fmt.Errorf("a key without a value for %s", b.Type())
		}
		x.Append(true)
		for i := 0; i < len(elements); i += 2 {
			if err := AppendValue(x.KeyBuilder(), elements[i]); err != nil {
				return err
			}
			if err := AppendValue(x.ItemBuilder(), elements[i+1]); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("a list of values is no physical value of Arrow type %s", b.Type())
	}
	return nil
}

// ValueAt returns the value at row i in its physical form, nil for null: the
// inverse of AppendValue. The value outlives the array. It is for messages, tests and small
// results.
func ValueAt(arr arrow.Array, i int) any {
	if arr.IsNull(i) {
		return nil
	}
	switch a := arr.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case *array.String:
		return strings.Clone(a.Value(i))
	case *array.Binary:
		return append([]byte(nil), a.Value(i)...)
	case *array.Decimal128:
		return a.Value(i)
	case *array.Dictionary:
		return ValueAt(a.Dictionary(), a.GetValueIndex(i))
	case *array.Map:
		return mapAt(a, i)
	case *array.List:
		from, to := a.ValueOffsets(i)
		out := make([]any, 0, to-from)
		for e := from; e < to; e++ {
			out = append(out, ValueAt(a.ListValues(), int(e)))
		}
		return out
	case *array.Struct:
		out := make([]any, a.NumField())
		for f := range out {
			out[f] = ValueAt(a.Field(f), i)
		}
		return out
	}
	return integerAt(arr.Data(), i)
}

func mapAt(a *array.Map, i int) any {
	from, to := a.ValueOffsets(i)
	out := make([]any, 0, 2*(to-from))
	for e := from; e < to; e++ {
		out = append(out, ValueAt(a.Keys(), int(e)), ValueAt(a.Items(), int(e)))
	}
	return out
}

func integerAt(d arrow.ArrayData, i int) any {
	fixed, ok := d.DataType().(arrow.FixedWidthDataType)
	if !ok {
		return nil
	}
	switch fixed.Bytes() {
	case 1:
		return int64(values[int8](d)[i])
	case 2:
		return int64(values[int16](d)[i])
	case 4:
		return int64(values[int32](d)[i])
	case 8:
		return values[int64](d)[i]
	default:
		return nil
	}
}
