package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// schemaElements describes a table's columns as a Parquet schema: a root and
// one leaf each.
func schemaElements(schema datatype.Schema) ([]format.SchemaElement, error) {
	elements := []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(len(schema)))}}
	for _, f := range schema {
		e, err := schemaElement(f)
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	return elements, nil
}

func schemaElement(f datatype.Field) (format.SchemaElement, error) {
	t := f.Type
	e := format.SchemaElement{Name: f.Name, RepetitionType: thrift.New(format.Required)}
	if t.Nullable {
		e.RepetitionType = thrift.New(format.Optional)
	}
	is := func(physical format.Type, logical format.LogicalTypeValue, converted deprecated.ConvertedType) {
		e.Type = thrift.New(physical)
		e.LogicalType.Value = logical
		if converted >= 0 {
			e.ConvertedType = thrift.New(converted)
		}
	}
	switch t.Kind {
	case datatype.Null:
		is(format.Int32, &format.NullType{}, -1)
	case datatype.Boolean:
		is(format.Boolean, nil, -1)
	case datatype.TinyInt:
		is(format.Int32, &format.IntType{BitWidth: 8, IsSigned: true}, deprecated.Int8)
	case datatype.SmallInt:
		is(format.Int32, &format.IntType{BitWidth: 16, IsSigned: true}, deprecated.Int16)
	case datatype.Int:
		is(format.Int32, &format.IntType{BitWidth: 32, IsSigned: true}, deprecated.Int32)
	case datatype.BigInt:
		is(format.Int64, &format.IntType{BitWidth: 64, IsSigned: true}, deprecated.Int64)
	case datatype.Float:
		is(format.Float, nil, -1)
	case datatype.Double:
		is(format.Double, nil, -1)
	case datatype.Char, datatype.Varchar:
		is(format.ByteArray, &format.StringType{}, deprecated.UTF8)
	case datatype.Binary, datatype.Varbinary:
		is(format.ByteArray, nil, -1)
	case datatype.Date:
		is(format.Int32, &format.DateType{}, deprecated.Date)
	case datatype.Decimal:
		decimalElement(&e, t)
	case datatype.Time, datatype.Timestamp, datatype.TimestampLTZ:
		timeElement(&e, t)
	default:
		return e, failure.Errorf(failure.Usage, "column %s: writing %s to Parquet is not supported", f.Name, t)
	}
	return e, nil
}

func decimalElement(e *format.SchemaElement, t datatype.Type) {
	p, s := int32(t.Precision), int32(t.Scale)
	switch {
	case p <= 9:
		e.Type = thrift.New(format.Int32)
	case p <= datatype.MaxDecimal64Precision:
		e.Type = thrift.New(format.Int64)
	default:
		e.Type = thrift.New(format.FixedLenByteArray)
		e.TypeLength = thrift.New(int32(16))
	}
	e.LogicalType.Value = &format.DecimalType{Precision: p, Scale: s}
	e.ConvertedType = thrift.New(deprecated.Decimal)
	e.Precision, e.Scale = thrift.New(p), thrift.New(s)
}

// timeElement describes TIME and TIMESTAMP. The converted types mean instants,
// so local times get none.
func timeElement(e *format.SchemaElement, t datatype.Type) {
	unit := format.TimeUnit{Value: &format.MilliSeconds{}}
	converted := deprecated.TimestampMillis
	switch {
	case t.Precision > 6:
		unit.Value, converted = &format.NanoSeconds{}, -1
	case t.Precision > 3:
		unit.Value, converted = &format.MicroSeconds{}, deprecated.TimestampMicros
	}
	e.Type = thrift.New(format.Int64)
	if t.Kind == datatype.Time {
		if t.Precision <= 3 {
			e.Type = thrift.New(format.Int32)
		}
		e.LogicalType.Value = &format.TimeType{Unit: unit}
		return
	}
	utc := t.Kind == datatype.TimestampLTZ
	e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: utc, Unit: unit}
	if utc && converted >= 0 {
		e.ConvertedType = thrift.New(converted)
	}
}

// checkUnique refuses two columns of one name, which no reader could tell apart.
func checkUnique(schema datatype.Schema) error {
	seen := map[string]bool{}
	for _, f := range schema {
		if seen[f.Name] {
			return failure.Wrap(failure.Usage, fmt.Errorf("two columns are called %s", f.Name))
		}
		seen[f.Name] = true
	}
	return nil
}
