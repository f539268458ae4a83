package formattest

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// FlatTypes are the types without inner types that a format should hold.
func FlatTypes() []datatype.Type {
	return []datatype.Type{
		datatype.Of(datatype.Boolean), datatype.Of(datatype.TinyInt), datatype.Of(datatype.SmallInt), datatype.Of(datatype.Int),
		datatype.Of(datatype.BigInt), datatype.Of(datatype.Float), datatype.Of(datatype.Double),
		datatype.DecimalOf(7, 2), datatype.DecimalOf(15, 2), datatype.DecimalOf(38, 10),
		datatype.Of(datatype.Varchar), datatype.Of(datatype.Varbinary), datatype.Of(datatype.Date),
		datatype.Of(datatype.Time).WithPrecision(3), datatype.Of(datatype.Time).WithPrecision(6), datatype.Of(datatype.Time).WithPrecision(9),
		datatype.Of(datatype.Timestamp).WithPrecision(3), datatype.Of(datatype.Timestamp), datatype.Of(datatype.Timestamp).WithPrecision(9),
		datatype.Of(datatype.TimestampLTZ).WithPrecision(3), datatype.Of(datatype.TimestampLTZ), datatype.Of(datatype.TimestampLTZ).WithPrecision(9),
	}
}

// NestedTypes are types with inner types, nulls at every level.
func NestedTypes() []datatype.Type {
	row := datatype.RowOf(datatype.Field{Name: "a", Type: datatype.Of(datatype.BigInt)}, datatype.Field{Name: "b", Type: datatype.Of(datatype.Varchar)})
	return []datatype.Type{
		datatype.ArrayOf(datatype.Of(datatype.Int)), datatype.ArrayOf(datatype.ArrayOf(datatype.Of(datatype.Varchar))), row,
		datatype.MapOf(datatype.Of(datatype.Varchar).NotNull(), datatype.Of(datatype.Double)), datatype.ArrayOf(row),
	}
}

// SchemaOf has a nullable and a NOT NULL column of each type.
func SchemaOf(types []datatype.Type) datatype.Schema {
	var s datatype.Schema
	for i, t := range types {
		s = append(s, datatype.Field{Name: fmt.Sprintf("n%02d_%s", i, t.Kind), Type: t},
			datatype.Field{Name: fmt.Sprintf("r%02d_%s", i, t.Kind), Type: t.NotNull()})
	}
	return s
}

// Batch makes random rows. distinct bounds the number of different values of a
// column, so that few make dictionaries pay.
func Batch(alloc memory.Allocator, s datatype.Schema, rows, distinct int, rnd *rand.Rand) arrow.RecordBatch {
	b := array.NewRecordBuilder(alloc, s.Arrow())
	defer b.Release()
	g := generator{distinct, rnd}
	for i, f := range s {
		for range rows {
			g.value(b.Field(i), f.Type)
		}
	}
	return b.NewRecordBatch()
}

type generator struct {
	distinct int
	rnd      *rand.Rand
}

func (g generator) value(b array.Builder, t datatype.Type) {
	if t.Nullable && g.rnd.IntN(4) == 0 {
		b.AppendNull()
		return
	}
	v := int64(g.rnd.IntN(g.distinct))
	switch b := b.(type) {
	case *array.ListBuilder:
		b.Append(true)
		for range g.rnd.IntN(4) {
			g.value(b.ValueBuilder(), *t.Elem)
		}
	case *array.MapBuilder:
		b.Append(true)
		for i := range g.rnd.IntN(3) {
			b.KeyBuilder().(*array.StringBuilder).Append(fmt.Sprintf("key %d", i))
			g.value(b.ItemBuilder(), *t.Elem)
		}
	case *array.StructBuilder:
		b.Append(true)
		for i, f := range t.Fields {
			g.value(b.FieldBuilder(i), f.Type)
		}
	default:
		scalar(b, v)
	}
}

func scalar(b array.Builder, v int64) {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v%2 == 0)
	case *array.Int8Builder:
		b.Append(int8(v))
	case *array.Int16Builder:
		b.Append(int16(v - 50))
	case *array.Int32Builder:
		b.Append(int32(v - 50))
	case *array.Int64Builder:
		b.Append(v * 1e6)
	case *array.Float32Builder:
		b.Append(float32(v) / 4)
	case *array.Float64Builder:
		b.Append(float64(v) / -8)
	case *array.Decimal64Builder:
		b.Append(decimal.Decimal64(v%1e6*3 - 20))
	case *array.Decimal128Builder:
		b.Append(decimal128.FromI64(v - 30).Mul(decimal128.FromU64(1 << 63)))
	case *array.StringBuilder:
		b.Append(text(v))
	case *array.BinaryBuilder:
		b.Append(bytes.Repeat([]byte{byte(v)}, int(v%9)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(v % 1e6))
	case *array.Time32Builder:
		b.Append(arrow.Time32(v * 1001 % 86_400_000))
	case *array.Time64Builder:
		b.Append(arrow.Time64(v * 1_000_003 % 86_400_000_000))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v%1e8*1_000_003 - 7))
	default:
		panic(fmt.Sprintf("formattest: no values for %T", b))
	}
}

// text has what breaks text formats.
func text(v int64) string {
	switch v % 8 {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(`quote " and \ and ' %d`, v)
	case 2:
		return fmt.Sprintf("line\nbreak\r\nand, comma\t%d", v)
	case 3:
		return fmt.Sprintf("größe 🦆 %d", v)
	case 4:
		return "null"
	default:
		return fmt.Sprintf("string number %d", v)
	}
}

// Lines prints rows so that equal rows are equal text, whether a column is a
// dictionary or not.
func Lines(b arrow.RecordBatch) []string {
	out := make([]string, b.NumRows())
	var line []byte
	for i := range out {
		line = line[:0]
		for _, c := range b.Columns() {
			if d, ok := c.(*array.Dictionary); ok && c.IsValid(i) {
				line = append(line, d.Dictionary().ValueStr(d.GetValueIndex(i))...)
			} else {
				line = append(line, c.ValueStr(i)...)
			}
			line = append(line, '|')
		}
		out[i] = string(line)
	}
	return out
}

// Encoded returns the batch with its string and binary columns as dictionaries.
func Encoded(alloc memory.Allocator, b arrow.RecordBatch) arrow.RecordBatch {
	columns := make([]arrow.Array, b.NumCols())
	fields := b.Schema().Fields()
	for i, c := range b.Columns() {
		columns[i] = c
		c.Retain()
		if id := c.DataType().ID(); id != arrow.STRING && id != arrow.BINARY {
			continue
		}
		t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: c.DataType()}
		builder := array.NewDictionaryBuilder(alloc, t)
		for row := range c.Len() {
			switch {
			case c.IsNull(row):
				builder.AppendNull()
			default:
				appendBytes(builder, c, row)
			}
		}
		columns[i].Release()
		columns[i], fields[i].Type = builder.NewArray(), t
		builder.Release()
	}
	out := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, b.NumRows())
	for _, c := range columns {
		c.Release()
	}
	return out
}

func appendBytes(b array.DictionaryBuilder, c arrow.Array, row int) {
	var err error
	switch c := c.(type) {
	case *array.String:
		err = b.(*array.BinaryDictionaryBuilder).AppendString(c.Value(row))
	case *array.Binary:
		err = b.(*array.BinaryDictionaryBuilder).Append(c.Value(row))
	}
	if err != nil {
		panic(err)
	}
}
