package datatype

import (
	"encoding/hex"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// AppendText appends the text of value i of a column of type t for people: TRUE
// and FALSE, exact decimals, times with as many fraction digits as their
// precision, TIMESTAMP_LTZ in zone (nil: UTC), nested values in brackets with
// their elements in the same form. Null is the word NULL.
func AppendText(dst []byte, column arrow.Array, i int, t Type, zone *time.Location) []byte {
	if column.IsNull(i) || column.DataType().ID() == arrow.NULL {
		return append(dst, "NULL"...)
	}
	switch a := column.(type) {
	case *array.Dictionary:
		return AppendText(dst, a.Dictionary(), a.GetValueIndex(i), t, zone)
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
		return appendTemporalOrNested(dst, column, i, t, zone)
	}
}

func appendTemporalOrNested(dst []byte, column arrow.Array, i int, t Type, zone *time.Location) []byte {
	switch a := column.(type) {
	case *array.Date32:
		return AppendDate(dst, int64(a.Value(i)))
	case *array.Time32:
		return AppendTime(dst, int64(a.Value(i))*int64(time.Millisecond), t.Precision)
	case *array.Time64:
		return AppendTime(dst, int64(a.Value(i))*int64(a.DataType().(*arrow.Time64Type).Unit.Multiplier()), t.Precision)
	case *array.Timestamp:
		at := a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit)
		if t.Kind == TimestampLTZ && zone != nil {
			at = at.In(zone)
		}
		return AppendTimestamp(dst, at, t.Precision)
	case *array.MonthInterval:
		return AppendMonths(dst, int64(a.Value(i)))
	case *array.Duration:
		return AppendMillis(dst, int64(a.Value(i)))
	case *array.Map:
		return appendMap(dst, a, i, t, zone)
	case *array.List:
		from, to := a.ValueOffsets(i)
		return appendList(dst, '[', ']', int(to-from), func(dst []byte, k int) []byte {
			return AppendText(dst, a.ListValues(), int(from)+k, *t.Elem, zone)
		})
	case *array.Struct:
		return appendList(dst, '(', ')', a.NumField(), func(dst []byte, k int) []byte {
			return AppendText(dst, a.Field(k), i, t.Fields[k].Type, zone)
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
	year, month, day := Civil(days)
	if year < 0 || year > 9999 {
		return time.Unix(days*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	}
	dst = appendTwo(appendTwo(dst, year/100), year%100)
	dst = appendTwo(append(dst, '-'), month)
	return appendTwo(append(dst, '-'), day)
}

// AppendTime appends nanoseconds since midnight as HH:MM:SS with that many digits
// of the fraction.
func AppendTime(dst []byte, nanos int64, digits int) []byte {
	seconds := nanos / 1e9
	dst = appendTwo(dst, seconds/3600)
	dst = appendTwo(append(dst, ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	if digits <= 0 {
		return dst
	}
	dst = append(dst, '.')
	for digit, unit := 0, int64(1e8); digit < digits; digit, unit = digit+1, unit/10 {
		dst = append(dst, '0'+byte(nanos%1e9/unit%10))
	}
	return dst
}

// AppendTimestamp appends at, in its own zone, as YYYY-MM-DD HH:MM:SS with that
// many digits of the fraction.
func AppendTimestamp(dst []byte, at time.Time, digits int) []byte {
	_, offset := at.Zone()
	local := at.Unix() + int64(offset)
	days := local / 86400
	if local%86400 < 0 {
		days--
	}
	dst = append(AppendDate(dst, days), ' ')
	return AppendTime(dst, (local-days*86400)*1e9+int64(at.Nanosecond()), digits)
}

// AppendMonths appends an interval as +Y-MM, as Flink prints it.
func AppendMonths(dst []byte, months int64) []byte {
	dst, months = appendSign(dst, months)
	dst = strconv.AppendInt(dst, months/12, 10)
	return appendTwo(append(dst, '-'), months%12)
}

// AppendMillis appends an interval as +D HH:MM:SS.mmm, as Flink prints it.
func AppendMillis(dst []byte, millis int64) []byte {
	dst, millis = appendSign(dst, millis)
	dst = strconv.AppendInt(dst, millis/86_400_000, 10)
	return AppendTime(append(dst, ' '), millis%86_400_000*1e6, 3)
}

func appendSign(dst []byte, x int64) ([]byte, int64) {
	if x < 0 {
		return append(dst, '-'), -x
	}
	return append(dst, '+'), x
}

func appendTwo(dst []byte, x int64) []byte { return append(dst, '0'+byte(x/10%10), '0'+byte(x%10)) }

func appendMap(dst []byte, a *array.Map, i int, t Type, zone *time.Location) []byte {
	from, to := a.ValueOffsets(i)
	key, value := t.Key, t.Elem
	if t.Kind == Multiset {
		count := Of(Int)
		key, value = t.Elem, &count
	}
	return appendList(dst, '{', '}', int(to-from), func(dst []byte, k int) []byte {
		dst = AppendText(dst, a.Keys(), int(from)+k, *key, zone)
		return AppendText(append(dst, '='), a.Items(), int(from)+k, *value, zone)
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
