package expr

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// formatKernel casts a type to text, cut or padded to the target's length.
func formatKernel(from, to datatype.Type, env *environment) kernel {
	appendRow := rowFormatter(from, env)
	if appendRow == nil {
		return nil
	}
	exact := to.Kind == datatype.Char || to.Precision < datatype.MaxLength
	return func(k *call) error {
		format, out := appendRow(k.args[0]), k.textOut()
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			at := len(out.data)
			out.data = format(out.data, r)
			if exact {
				s := string(out.data[at:])
				out.data = appendFitted(out.data[:at], []byte(s), to)
			}
		}
		return out.end()
	}
}

// padded refuses to fill values up to a length beyond maxText.
func padded(to datatype.Type, of kernel) kernel {
	if of == nil || to.Kind != datatype.Char && to.Kind != datatype.Binary {
		return of
	}
	return func(k *call) error {
		if to.Precision > min(maxText, k.textLimit) {
			return tooLong("CAST to " + to.String())
		}
		return of(k)
	}
}

// appendFitted writes s with at most the type's length, padding CHAR to it.
func appendFitted(b, s []byte, to datatype.Type) []byte {
	n, cut := 0, len(s)
	for i := 0; i < len(s); n++ {
		if n == to.Precision {
			cut = i
			break
		}
		_, size := utf8.DecodeRune(s[i:])
		i += size
	}
	b = append(b, s[:cut]...)
	for ; to.Kind == datatype.Char && n < to.Precision; n++ {
		b = append(b, ' ')
	}
	return b
}

type rowFormat = func(b []byte, r int32) []byte

// rowFormatter opens a vector of a type for formatting.
func rowFormatter(t datatype.Type, env *environment) func(v *vector) rowFormat {
	switch {
	case t.Kind == datatype.Boolean:
		return func(v *vector) rowFormat {
			return func(b []byte, r int32) []byte { return appendBool(b, v.truth(int(r))) }
		}
	case t.Kind == datatype.Decimal:
		return func(v *vector) rowFormat {
			in := v.decimals()
			return func(b []byte, r int32) []byte { return appendDecimal(b, in.at(r), t.Scale) }
		}
	case t.Kind == datatype.Float || t.Kind == datatype.Double:
		return func(v *vector) rowFormat {
			in := v.floats()
			return func(b []byte, r int32) []byte { return appendFloat(b, in.at(r), t.Kind == datatype.Float) }
		}
	case t.IsBinary():
		return func(v *vector) rowFormat {
			in := v.text()
			return func(b []byte, r int32) []byte { return append(b, in.at(int(r))...) }
		}
	case t.IsInteger(), t.IsTemporal(), t.IsInterval():
		return func(v *vector) rowFormat {
			in := v.integers()
			return func(b []byte, r int32) []byte { return appendScalar(b, in.at(r), t, env) }
		}
	case layoutOf(t) == nestedLayout:
		return func(v *vector) rowFormat {
			return func(b []byte, r int32) []byte { return appendNested(b, v.arr, int(r)&v.mask(), t, env) }
		}
	default:
		return nil
	}
}

func appendBool(b []byte, x bool) []byte {
	if x {
		return append(b, "TRUE"...)
	}
	return append(b, "FALSE"...)
}

// appendFloat writes a float as Java does: at least one digit after the point,
// an exponent from 10^7 on and below 10^-3.
func appendFloat(b []byte, x float64, single bool) []byte {
	bits := 64
	if single {
		bits = 32
	}
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return append(b, "NaN"...)
	case math.IsInf(x, 1):
		return append(b, "Infinity"...)
	case math.IsInf(x, -1):
		return append(b, "-Infinity"...)
	case a != 0 && (a < 1e-3 || a >= 1e7):
		return appendExponent(b, strconv.AppendFloat(nil, x, 'E', -1, bits))
	}
	at := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, bits)
	for _, c := range b[at:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// appendExponent turns Go's 1E+07 into Java's 1.0E7.
func appendExponent(b, s []byte) []byte {
	point, i := false, 0
	for ; s[i] != 'E'; i++ {
		point = point || s[i] == '.'
		b = append(b, s[i])
	}
	if !point {
		b = append(b, ".0"...)
	}
	b = append(b, 'E')
	if i++; s[i] == '-' {
		b = append(b, '-')
	}
	for i++; i < len(s)-1 && s[i] == '0'; i++ {
	}
	return append(b, s[i:]...)
}

// appendScalar writes an integer, time or interval in its physical form.
func appendScalar(b []byte, x int64, t datatype.Type, env *environment) []byte {
	switch t.Kind {
	case datatype.Date:
		return datatype.AppendDate(b, x)
	case datatype.Time:
		return datatype.AppendTime(b, x*nanosPer(timeUnit(t)), t.Precision)
	case datatype.Timestamp:
		return datatype.AppendTimestamp(b, timestampOf(x, t), t.Precision)
	case datatype.TimestampLTZ:
		return datatype.AppendTimestamp(b, timestampOf(x, t).In(env.location), t.Precision)
	case datatype.IntervalMonth:
		return datatype.AppendMonths(b, x)
	case datatype.IntervalSecond:
		return datatype.AppendMillis(b, x)
	default:
		return strconv.AppendInt(b, x, 10)
	}
}

// appendNested writes [a, b], {k=v, ...} or (a, b), as Flink casts nested values.
func appendNested(b []byte, arr arrow.Array, i int, t datatype.Type, env *environment) []byte {
	if arr.IsNull(i) {
		return append(b, "NULL"...)
	}
	switch a := arr.(type) {
	case *array.Map:
		return appendMap(b, a, i, t, env)
	case *array.List:
		from, to := a.ValueOffsets(i)
		b = append(b, '[')
		for e := from; e < to; e++ {
			if e > from {
				b = append(b, ", "...)
			}
			b = appendNested(b, a.ListValues(), int(e), *t.Elem, env)
		}
		return append(b, ']')
	case *array.Struct:
		b = append(b, '(')
		for f := range a.NumField() {
			if f > 0 {
				b = append(b, ", "...)
			}
			b = appendNested(b, a.Field(f), i, t.Fields[f].Type, env)
		}
		return append(b, ')')
	}
	return appendValue(b, compute.ValueAt(arr, i), t, env)
}

func appendMap(b []byte, a *array.Map, i int, t datatype.Type, env *environment) []byte {
	from, to := a.ValueOffsets(i)
	key, value := t.Key, t.Elem
	if t.Kind == datatype.Multiset {
		count := datatype.Of(datatype.Int)
		key, value = t.Elem, &count
	}
	b = append(b, '{')
	for e := from; e < to; e++ {
		if e > from {
			b = append(b, ", "...)
		}
		b = appendNested(b, a.Keys(), int(e), *key, env)
		b = append(b, '=')
		b = appendNested(b, a.Items(), int(e), *value, env)
	}
	return append(b, '}')
}

// appendValue writes a physical value that is not null.
func appendValue(b []byte, value any, t datatype.Type, env *environment) []byte {
	switch x := value.(type) {
	case bool:
		return appendBool(b, x)
	case int64:
		if t.Kind == datatype.Decimal {
			return appendDecimal(b, decFrom(x), t.Scale)
		}
		return appendScalar(b, x, t, env)
	case float64:
		return appendFloat(b, x, t.Kind == datatype.Float)
	case string:
		return append(b, x...)
	case []byte:
		return append(b, x...)
	case dec:
		return appendDecimal(b, x, t.Scale)
	default:
		return append(b, "NULL"...)
	}
}
