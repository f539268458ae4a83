package datatype

import (
	"encoding/hex"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// AppendText appends the text of value i of a column of type t, as CAST to
// STRING and the shell print it: TRUE and FALSE, exact decimals, times with as
// many fraction digits as their precision, nested values in brackets with their
// elements in the same form. Null is the word NULL.
func AppendText(dst []byte, column arrow.Array, i int, t Type) []byte {
	if column.IsNull(i) {
		return append(dst, "NULL"...)
	}
	switch a := column.(type) {
	case *array.Dictionary:
		return AppendText(dst, a.Dictionary(), a.GetValueIndex(i), t)
	case *array.String:
		return append(dst, a.Value(i)...)
	case *array.Binary:
		return append(append(dst, "x'"...), hex.EncodeToString(a.Value(i))+"'"...)
	case *array.Boolean:
		if a.Value(i) {
			return append(dst, "TRUE"...)
		}
		return append(dst, "FALSE"...)
	case *array.Int8:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int16:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(i), 10)
	case *array.Float32:
		return AppendFloat(dst, float64(a.Value(i)), 32)
	case *array.Float64:
		return AppendFloat(dst, a.Value(i), 64)
	case *array.Decimal64:
		return append(dst, a.Value(i).ToString(int32(t.Scale))...)
	case *array.Decimal128:
		return append(dst, a.Value(i).ToString(int32(t.Scale))...)
	default:
		return appendTemporalOrNested(dst, column, i, t)
	}
}

func appendTemporalOrNested(dst []byte, column arrow.Array, i int, t Type) []byte {
	switch a := column.(type) {
	case *array.Date32:
		return AppendDate(dst, int64(a.Value(i)))
	case *array.Time32:
		return AppendTime(dst, int64(a.Value(i))*int64(time.Millisecond), t.Precision)
	case *array.Time64:
		return AppendTime(dst, int64(a.Value(i))*int64(a.DataType().(*arrow.Time64Type).Unit.Multiplier()), t.Precision)
	case *array.Timestamp:
		return AppendTimestamp(dst, a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit), t.Precision)
	case *array.MonthInterval:
		return appendMonths(dst, int64(a.Value(i)))
	case *array.Duration:
		return appendMillis(dst, int64(a.Value(i)))
	case *array.Map:
		return appendMap(dst, a, i, t)
	case *array.List:
		from, to := a.ValueOffsets(i)
		return appendList(dst, '[', ']', int(to-from), func(dst []byte, k int) []byte {
			return AppendText(dst, a.ListValues(), int(from)+k, *t.Elem)
		})
	case *array.Struct:
		return appendList(dst, '(', ')', a.NumField(), func(dst []byte, k int) []byte {
			return AppendText(dst, a.Field(k), i, t.Fields[k].Type)
		})
	default:
		return append(dst, column.ValueStr(i)...)
	}
}

// AppendFloat appends the shortest text that reads back as x, always with a
// point or an exponent, as in 3.0; NaN and Infinity are spelled as in Java.
func AppendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, "NaN"...)
	case math.IsInf(x, 0):
		if x < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	}
	format := byte('f')
	if abs := math.Abs(x); abs != 0 && (abs < 1e-3 || abs >= 1e15) {
		format = 'E'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, x, format, -1, bits)
	if format == 'E' {
		return dst
	}
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// AppendDate appends days since the epoch as YYYY-MM-DD.
func AppendDate(dst []byte, days int64) []byte {
	return time.Unix(days*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
}

// AppendTime appends nanoseconds since midnight as HH:MM:SS with fraction digits.
func AppendTime(dst []byte, nanos int64, digits int) []byte {
	at := time.Unix(0, nanos).UTC()
	dst = at.AppendFormat(dst, time.TimeOnly)
	return appendFraction(dst, at.Nanosecond(), digits)
}

// AppendTimestamp appends at, in its own zone, as YYYY-MM-DD HH:MM:SS with
// fraction digits.
func AppendTimestamp(dst []byte, at time.Time, digits int) []byte {
	dst = at.AppendFormat(dst, time.DateTime)
	return appendFraction(dst, at.Nanosecond(), digits)
}

func appendFraction(dst []byte, nanos, digits int) []byte {
	if digits <= 0 {
		return dst
	}
	dst = append(dst, '.')
	scale := 100_000_000
	for range digits {
		dst = append(dst, '0'+byte(nanos/scale%10))
		scale /= 10
	}
	return dst
}

// appendMonths prints +Y-MM, as Flink does.
func appendMonths(dst []byte, months int64) []byte {
	dst, months = appendSign(dst, months)
	dst = strconv.AppendInt(dst, months/12, 10)
	return appendPadded(append(dst, '-'), months%12, 2)
}

// appendMillis prints +D HH:MM:SS.mmm, as Flink does.
func appendMillis(dst []byte, millis int64) []byte {
	dst, millis = appendSign(dst, millis)
	dst = strconv.AppendInt(dst, millis/86_400_000, 10)
	for _, part := range []struct {
		lead      byte
		unit, mod int64
		width     int
	}{{' ', 3_600_000, 24, 2}, {':', 60_000, 60, 2}, {':', 1000, 60, 2}, {'.', 1, 1000, 3}} {
		dst = appendPadded(append(dst, part.lead), millis/part.unit%part.mod, part.width)
	}
	return dst
}

func appendSign(dst []byte, x int64) ([]byte, int64) {
	if x < 0 {
		return append(dst, '-'), -x
	}
	return append(dst, '+'), x
}

func appendPadded(dst []byte, x int64, width int) []byte {
	text := strconv.FormatInt(x, 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

func appendMap(dst []byte, a *array.Map, i int, t Type) []byte {
	from, to := a.ValueOffsets(i)
	key, value := t.Key, t.Elem
	if t.Kind == Multiset {
		count := Of(Int)
		key, value = t.Elem, &count
	}
	return appendList(dst, '{', '}', int(to-from), func(dst []byte, k int) []byte {
		dst = AppendText(dst, a.Keys(), int(from)+k, *key)
		return AppendText(append(dst, '='), a.Items(), int(from)+k, *value)
	})
}

func appendList(dst []byte, open, end byte, n int, element func([]byte, int) []byte) []byte {
	dst = append(dst, open)
	for k := range n {
		if k > 0 {
			dst = append(dst, ", "...)
		}
		dst = element(dst, k)
	}
	return append(dst, end)
}
