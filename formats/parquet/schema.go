package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// leaf is a column of values: a primitive node of the schema.
type leaf struct {
	element
	index    int // among the leaves: its place in each row group
	maxDef   int
	maxRep   int
	path     string
	ordered  bool // min_value and max_value have the type's order
	datatype datatype.Type
}

// primitiveType is the SQL type that a leaf's values naturally have.
func primitiveType(e *element) (datatype.Type, error) {
	if e.logical.kind == logicalNull {
		return datatype.Of(datatype.Null), nil
	}
	switch e.physical {
	case format.Boolean:
		return datatype.Of(datatype.Boolean), nil
	case format.Int32, format.Int64:
		return integerType(e)
	case format.Int96:
		return datatype.Of(datatype.Timestamp).WithPrecision(6), nil
	case format.Float:
		return datatype.Of(datatype.Float), nil
	case format.Double:
		return datatype.Of(datatype.Double), nil
	case format.ByteArray:
		switch {
		case isDecimal(e):
			return decimalType(e)
		case isText(e):
			return datatype.Of(datatype.Varchar), nil
		}
		return datatype.Of(datatype.Varbinary), nil
	case format.FixedLenByteArray:
		return fixedType(e)
	default:
		return datatype.Type{}, fmt.Errorf("unknown physical type %d", e.physical)
	}
}

func isText(e *element) bool {
	switch e.logical.kind {
	case logicalString, logicalEnum, logicalJSON:
		return true
	}
	return e.converted == deprecated.UTF8 || e.converted == deprecated.Enum || e.converted == deprecated.Json
}

func isDecimal(e *element) bool {
	return e.logical.kind == logicalDecimal || e.converted == deprecated.Decimal
}

func decimalType(e *element) (datatype.Type, error) {
	p, s := e.precision, e.scale
	if e.logical.kind == logicalDecimal {
		p, s = e.logical.precision, e.logical.scale
	}
	most := map[format.Type]int{format.Int32: 9, format.Int64: 18}[e.physical]
	if most == 0 {
		most = datatype.MaxDecimalPrecision
	}
	if p < 1 || p > most || s < 0 || s > p {
		return datatype.Type{}, fmt.Errorf("DECIMAL(%d, %d) on %s is not supported: at most %d digits", p, s, e.physical, most)
	}
	return datatype.DecimalOf(p, s), nil
}

func fixedType(e *element) (datatype.Type, error) {
	switch {
	case e.length < 1 || e.length > maxFixedLength:
		return datatype.Type{}, fmt.Errorf("FIXED_LEN_BYTE_ARRAY(%d): length must be 1 to %d", e.length, maxFixedLength)
	case isDecimal(e):
		return decimalType(e)
	case e.logical.kind == logicalUUID && e.length == 16:
		return datatype.Of(datatype.Char).WithPrecision(36), nil
	case e.logical.kind == logicalFloat16 && e.length == 2:
		return datatype.Of(datatype.Float), nil
	default:
		return datatype.Of(datatype.Binary).WithPrecision(e.length), nil
	}
}

// maxFixedLength bounds FIXED_LEN_BYTE_ARRAY.
const maxFixedLength = 1 << 20

// integerType is the type of INT32 and INT64 leaves. Unsigned integers become
// the next wider signed type.
func integerType(e *element) (datatype.Type, error) {
	unit := timeUnit(e)
	switch {
	case isDecimal(e):
		return decimalType(e)
	case e.logical.kind == logicalDate || e.converted == deprecated.Date:
		if e.physical != format.Int32 {
			return datatype.Type{}, fmt.Errorf("DATE on %s", e.physical)
		}
		return datatype.Of(datatype.Date), nil
	case unit != 0 && isTime(e):
		return datatype.Of(datatype.Time).WithPrecision(3 * unit), nil
	case unit != 0 && isUTC(e):
		return datatype.Of(datatype.TimestampLTZ).WithPrecision(3 * unit), nil
	case unit != 0:
		return datatype.Of(datatype.Timestamp).WithPrecision(3 * unit), nil
	}
	bits, signed := integerWidth(e)
	switch {
	case bits == 8 && signed:
		return datatype.Of(datatype.TinyInt), nil
	case bits == 16 && signed, bits == 8:
		return datatype.Of(datatype.SmallInt), nil
	case bits == 32 && signed, bits == 16:
		return datatype.Of(datatype.Int), nil
	case bits == 64 && signed, bits == 32:
		return datatype.Of(datatype.BigInt), nil
	default:
		return datatype.DecimalOf(20, 0), nil
	}
}

// integerWidth returns the logical width and sign of a plain integer column.
func integerWidth(e *element) (bits int, signed bool) {
	natural := 32
	if e.physical == format.Int64 {
		natural = 64
	}
	if e.logical.kind == logicalInteger {
		if b := e.logical.bits; b == 8 || b == 16 || b == 32 || b == 64 {
			return min(b, natural), e.logical.signed
		}
		return natural, true
	}
	switch c := e.converted; {
	case c >= deprecated.Uint8 && c <= deprecated.Uint64:
		return min(8<<(c-deprecated.Uint8), natural), false
	case c >= deprecated.Int8 && c <= deprecated.Int64:
		return min(8<<(c-deprecated.Int8), natural), true
	default:
		return natural, true
	}
}

// timeUnit is 1, 2 or 3 for milliseconds, microseconds, nanoseconds of a TIME
// or TIMESTAMP column, and 0 for all others.
func timeUnit(e *element) int {
	switch {
	case e.logical.kind == logicalTime || e.logical.kind == logicalTimestamp:
		if u := e.logical.unit; u >= 1 && u <= 3 {
			return u
		}
	case e.logical.kind != 0:
	case e.converted == deprecated.TimeMillis || e.converted == deprecated.TimestampMillis:
		return 1
	case e.converted == deprecated.TimeMicros || e.converted == deprecated.TimestampMicros:
		return 2
	}
	return 0
}

func isTime(e *element) bool {
	return e.logical.kind == logicalTime ||
		e.logical.kind == 0 && (e.converted == deprecated.TimeMillis || e.converted == deprecated.TimeMicros)
}

// isUTC reports whether a timestamp is an instant; the converted types always are.
func isUTC(e *element) bool { return e.logical.kind != logicalTimestamp || e.logical.utc }
