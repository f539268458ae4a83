package arrowipc

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// convertible reports, as an error, that a column of that Arrow type cannot be
// read as the wanted type without loss.
func convertible(have arrow.DataType, want datatype.Type) error {
	t, err := datatype.FromArrow(have, want.Nullable)
	if err != nil {
		return err
	}
	ok := t.Same(want)
	switch {
	case ok:
	case t.IsInteger() && want.IsInteger(), t.Kind == datatype.Float && want.Kind == datatype.Double:
		ok = t.Kind <= want.Kind
	case t.Kind == datatype.Decimal && want.Kind == datatype.Decimal:
		ok = want.Scale >= t.Scale && want.Precision-want.Scale >= t.Precision-t.Scale
	case t.IsString() && want.IsString(), t.IsBinary() && want.IsBinary():
		ok = true
	case t.Kind == want.Kind && (t.IsTimestamp() || t.Kind == datatype.Time):
		ok = t.Precision <= want.Precision
	}
	if !ok {
		return fmt.Errorf("it is %s in the file, which cannot be read as %s", t, want)
	}
	return nil
}

// convert returns the array in the wanted type's layout: itself where it has
// that already, else copied value by value.
func convert(a arrow.Array, want datatype.Type, alloc memory.Allocator) (arrow.Array, error) {
	t := want.Arrow()
	if arrow.TypeEqual(a.DataType(), t) {
		a.Retain()
		return a, nil
	}
	if d, ok := a.(*array.Dictionary); ok {
		if i := d.Indices(); i.DataType().ID() == arrow.INT32 && arrow.TypeEqual(d.Dictionary().DataType(), t) {
			a.Retain()
			return a, nil
		}
		return decode(d, want, alloc)
	}
	if a.DataType().ID() == t.ID() && want.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row) {
		return relabel(a, t), nil
	}
	b := array.NewBuilder(alloc, t)
	defer b.Release()
	b.Reserve(a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
		} else if err := copyValue(b, a, i, want); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// relabel gives nested data the wanted names of inner fields.
func relabel(a arrow.Array, t arrow.DataType) arrow.Array {
	d := a.Data()
	data := array.NewData(t, d.Len(), d.Buffers(), d.Children(), d.NullN(), d.Offset())
	defer data.Release()
	return array.MakeFromData(data)
}

// decode takes a dictionary apart.
func decode(d *array.Dictionary, want datatype.Type, alloc memory.Allocator) (arrow.Array, error) {
	b := array.NewBuilder(alloc, want.Arrow())
	defer b.Release()
	b.Reserve(d.Len())
	for i := range d.Len() {
		if d.IsNull(i) || d.Dictionary().IsNull(d.GetValueIndex(i)) {
			b.AppendNull()
		} else if err := copyValue(b, d.Dictionary(), d.GetValueIndex(i), want); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// copyValue appends value i of a, widened to the builder's type.
func copyValue(b array.Builder, a arrow.Array, i int, want datatype.Type) error {
	switch b := b.(type) {
	case *array.StringBuilder:
		if s, ok := a.(interface{ Value(int) string }); ok {
			v := s.Value(i)
			if err := compute.RoomFor(b.BinaryBuilder, len(v)); err != nil {
				return err
			}
			b.Append(v)
			return nil
		}
	case *array.BinaryBuilder:
		if s, ok := a.(interface{ Value(int) []byte }); ok {
			v := s.Value(i)
			if err := compute.RoomFor(b, len(v)); err != nil {
				return err
			}
			b.Append(v)
			return nil
		}
	case *array.Float32Builder:
		if f, ok := a.(*array.Float16); ok {
			b.Append(f.Value(i).Float32())
			return nil
		}
	case *array.Float64Builder:
		switch f := a.(type) {
		case *array.Float16:
			b.Append(float64(f.Value(i).Float32()))
			return nil
		case *array.Float32:
			b.Append(float64(f.Value(i)))
			return nil
		}
	case *array.Decimal64Builder, *array.Decimal128Builder:
		return copyDecimal(b, a, i, want)
	default:
		if v, ok := integerAt(a, i); ok {
			return appendInteger(b, v, a.DataType())
		}
	}
	return fmt.Errorf("%s as %s is not supported yet", a.DataType(), want)
}

// integerAt returns integers and what is stored as one.
func integerAt(a arrow.Array, i int) (int64, bool) {
	switch a := a.(type) {
	case *array.Int8:
		return int64(a.Value(i)), true
	case *array.Int16:
		return int64(a.Value(i)), true
	case *array.Int32:
		return int64(a.Value(i)), true
	case *array.Uint8:
		return int64(a.Value(i)), true
	case *array.Uint16:
		return int64(a.Value(i)), true
	case *array.Uint32:
		return int64(a.Value(i)), true
	case *array.Date64:
		return int64(a.Value(i)) / 86_400_000, true
	case *array.Time32:
		return int64(a.Value(i)), true
	case *array.Time64:
		return int64(a.Value(i)), true
	case *array.Timestamp:
		return int64(a.Value(i)), true
	case *array.Duration:
		return int64(a.Value(i)), true
	}
	return 0, false
}

// appendInteger appends v, brought from the unit of have to the builder's.
func appendInteger(b array.Builder, v int64, have arrow.DataType) error {
	to := b.Type()
	if from, ok := have.(arrow.TemporalWithUnit); ok {
		a, z := int64(from.TimeUnit().Multiplier()), int64(to.(arrow.TemporalWithUnit).TimeUnit().Multiplier())
		scaled := v * max(a/z, 1)
		if scaled/max(a/z, 1) != v {
			return fmt.Errorf("time %d does not fit %s", v, to)
		}
		v = scaled / max(z/a, 1)
	}
	switch b := b.(type) {
	case *array.Int16Builder:
		b.Append(int16(v))
	case *array.Int32Builder:
		b.Append(int32(v))
	case *array.Int64Builder:
		b.Append(v)
	case *array.Date32Builder:
		b.Append(arrow.Date32(v))
	case *array.Time32Builder:
		b.Append(arrow.Time32(v))
	case *array.Time64Builder:
		b.Append(arrow.Time64(v))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v))
	case *array.DurationBuilder:
		b.Append(arrow.Duration(v))
	default:
		return fmt.Errorf("%s as %s is not supported yet", have, to)
	}
	return nil
}

func copyDecimal(b array.Builder, a arrow.Array, i int, want datatype.Type) error {
	var v decimal128.Num
	scale := int32(0)
	switch a := a.(type) {
	case *array.Decimal32:
		v, scale = decimal128.FromI64(int64(a.Value(i))), a.DataType().(*arrow.Decimal32Type).Scale
	case *array.Decimal64:
		v, scale = decimal128.FromI64(int64(a.Value(i))), a.DataType().(*arrow.Decimal64Type).Scale
	case *array.Decimal128:
		v, scale = a.Value(i), a.DataType().(*arrow.Decimal128Type).Scale
	case *array.Uint64:
		v = decimal128.FromU64(a.Value(i))
	default:
		return fmt.Errorf("%s as %s is not supported yet", a.DataType(), want)
	}
	v = v.IncreaseScaleBy(int32(want.Scale) - scale)
	if !v.FitsInPrecision(int32(want.Precision)) {
		return fmt.Errorf("decimal %s does not fit %s", v.ToString(int32(want.Scale)), want)
	}
	switch b := b.(type) {
	case *array.Decimal64Builder:
		b.Append(decimal.Decimal64(v.LowBits()))
	case *array.Decimal128Builder:
		b.Append(v)
	}
	return nil
}
