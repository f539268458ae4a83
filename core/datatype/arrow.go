package datatype

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// Arrow returns the plain (never dictionary) Arrow type that t is laid out as.
// It panics on an invalid type, which no checked plan contains.
func (t Type) Arrow() arrow.DataType {
	if a, ok := fixedArrow[t.Kind]; ok {
		return a
	}
	switch t.Kind {
	case Decimal:
		if t.Precision <= MaxDecimal64Precision {
			return &arrow.Decimal64Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
		}
		return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case Time:
		return timeArrow(t.Precision)
	case Timestamp:
		return &arrow.TimestampType{Unit: TimestampUnit(t.Precision)}
	case TimestampLTZ:
		return &arrow.TimestampType{Unit: TimestampUnit(t.Precision), TimeZone: "UTC"}
	case Array:
		return arrow.ListOfField(arrow.Field{Name: "element", Type: t.Elem.Arrow(), Nullable: t.Elem.Nullable})
	case Map:
		m := arrow.MapOf(t.Key.Arrow(), t.Elem.Arrow())
		m.SetItemNullable(t.Elem.Nullable)
		return m
	case Multiset:
		m := arrow.MapOf(t.Elem.Arrow(), arrow.PrimitiveTypes.Int32)
		m.SetItemNullable(false)
		return m
	case Row:
		return arrow.StructOf(arrowFields(t.Fields)...)
	default:
		panic(fmt.Sprintf("datatype: %v has no Arrow type", t.Kind))
	}
}

var fixedArrow = map[Kind]arrow.DataType{
	Null:           arrow.Null,
	Boolean:        arrow.FixedWidthTypes.Boolean,
	TinyInt:        arrow.PrimitiveTypes.Int8,
	SmallInt:       arrow.PrimitiveTypes.Int16,
	Int:            arrow.PrimitiveTypes.Int32,
	BigInt:         arrow.PrimitiveTypes.Int64,
	Float:          arrow.PrimitiveTypes.Float32,
	Double:         arrow.PrimitiveTypes.Float64,
	Char:           arrow.BinaryTypes.String,
	Varchar:        arrow.BinaryTypes.String,
	Binary:         arrow.BinaryTypes.Binary,
	Varbinary:      arrow.BinaryTypes.Binary,
	Date:           arrow.FixedWidthTypes.Date32,
	IntervalMonth:  arrow.FixedWidthTypes.MonthInterval,
	IntervalSecond: arrow.FixedWidthTypes.Duration_ms,
}

// TimestampUnit is the unit of a timestamp of that precision in a batch.
func TimestampUnit(precision int) arrow.TimeUnit {
	switch {
	case precision <= 3:
		return arrow.Millisecond
	case precision <= 6:
		return arrow.Microsecond
	default:
		return arrow.Nanosecond
	}
}

func timeArrow(precision int) arrow.DataType {
	switch {
	case precision <= 3:
		return arrow.FixedWidthTypes.Time32ms
	case precision <= 6:
		return arrow.FixedWidthTypes.Time64us
	default:
		return arrow.FixedWidthTypes.Time64ns
	}
}

func arrowFields(fields []Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = arrow.Field{Name: f.Name, Type: f.Type.Arrow(), Nullable: f.Type.Nullable}
	}
	return out
}

// FromArrow returns the SQL type that reads a column of Arrow type a, and an
// error that names a where there is none. Dictionaries give their value's type;
// unsigned integers the next wider signed one (uint64: DECIMAL(20, 0)), which
// the reader must convert to.
func FromArrow(a arrow.DataType, nullable bool) (Type, error) {
	t, err := fromArrow(a)
	if err != nil {
		return Type{}, err
	}
	return t.WithNull(nullable), nil
}

func fromArrow(a arrow.DataType) (Type, error) {
	switch x := a.(type) {
	case *arrow.DictionaryType:
		return fromArrow(x.ValueType)
	case *arrow.Decimal32Type:
		return DecimalOf(int(x.Precision), int(x.Scale)), nil
	case *arrow.Decimal64Type:
		return DecimalOf(int(x.Precision), int(x.Scale)), nil
	case *arrow.Decimal128Type:
		return DecimalOf(int(x.Precision), int(x.Scale)), nil
	case *arrow.TimestampType:
		k := Timestamp
		if x.TimeZone != "" {
			k = TimestampLTZ
		}
		return Of(k).WithPrecision(unitPrecision(x.Unit)), nil
	case *arrow.Time32Type:
		return Of(Time).WithPrecision(unitPrecision(x.Unit)), nil
	case *arrow.Time64Type:
		return Of(Time).WithPrecision(unitPrecision(x.Unit)), nil
	case *arrow.FixedSizeBinaryType:
		return Of(Binary).WithPrecision(x.ByteWidth), nil
	case *arrow.MapType:
		return fromMap(x)
	case *arrow.StructType:
		return fromStruct(x)
	case arrow.ListLikeType:
		e, err := FromArrow(x.Elem(), x.ElemField().Nullable)
		if err != nil {
			return Type{}, err
		}
		return ArrayOf(e), nil
	}
	k, ok := simpleKinds[a.ID()]
	if !ok {
		return Type{}, fmt.Errorf("arrow type %s has no SQL type", a)
	}
	t := Of(k)
	if a.ID() == arrow.UINT64 {
		t = DecimalOf(20, 0)
	}
	return t, nil
}

var simpleKinds = map[arrow.Type]Kind{
	arrow.NULL: Null, arrow.BOOL: Boolean,
	arrow.INT8: TinyInt, arrow.INT16: SmallInt, arrow.INT32: Int, arrow.INT64: BigInt,
	arrow.UINT8: SmallInt, arrow.UINT16: Int, arrow.UINT32: BigInt, arrow.UINT64: Decimal,
	arrow.FLOAT16: Float, arrow.FLOAT32: Float, arrow.FLOAT64: Double,
	arrow.STRING: Varchar, arrow.LARGE_STRING: Varchar, arrow.STRING_VIEW: Varchar,
	arrow.BINARY: Varbinary, arrow.LARGE_BINARY: Varbinary, arrow.BINARY_VIEW: Varbinary,
	arrow.DATE32: Date, arrow.DATE64: Date,
	arrow.INTERVAL_MONTHS: IntervalMonth, arrow.DURATION: IntervalSecond,
}

func unitPrecision(u arrow.TimeUnit) int {
	switch u {
	case arrow.Second:
		return 0
	case arrow.Millisecond:
		return 3
	case arrow.Microsecond:
		return 6
	default:
		return 9
	}
}

func fromMap(x *arrow.MapType) (Type, error) {
	k, err := FromArrow(x.KeyType(), false)
	if err != nil {
		return Type{}, err
	}
	v, err := FromArrow(x.ItemType(), x.ItemField().Nullable)
	if err != nil {
		return Type{}, err
	}
	return MapOf(k, v), nil
}

func fromStruct(x *arrow.StructType) (Type, error) {
	fields, err := fieldsFromArrow(x.Fields())
	if err != nil {
		return Type{}, err
	}
	return RowOf(fields...), nil
}

func fieldsFromArrow(in []arrow.Field) ([]Field, error) {
	fields := make([]Field, len(in))
	for i, f := range in {
		t, err := FromArrow(f.Type, f.Nullable)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		fields[i] = Field{Name: f.Name, Type: t}
	}
	return fields, nil
}
