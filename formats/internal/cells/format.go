package cells

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
)

// Formatter writes the values of one column as text, for a whole batch at a
// time. It belongs to one column of one writer.
type Formatter struct {
	Type datatype.Type
	// ISO writes timestamps as 2026-01-02T03:04:05Z instead of 2026-01-02 03:04:05Z.
	ISO  bool
	data []byte
	ends []uint32
}

// Text is the formatted column: the value of row i is Data[Ends[i]:Ends[i+1]],
// empty for nulls. It is valid until the next Format.
type Text struct {
	Data []byte
	Ends []uint32
}

// At is the text of row i.
func (t Text) At(i int) []byte { return t.Data[t.Ends[i]:t.Ends[i+1]] }

// Format writes every value of the array.
func (f *Formatter) Format(a arrow.Array) (Text, error) {
	f.data, f.ends = f.data[:0], append(f.ends[:0], 0)
	n := a.Len()
	switch a := a.(type) {
	case *array.Null:
		for range n {
			f.end()
		}
	case *array.Boolean:
		formatAll(f, a, func(i int) { f.data = strconv.AppendBool(f.data, a.Value(i)) })
	case *array.Int8:
		formatAll(f, a, func(i int) { f.data = strconv.AppendInt(f.data, int64(a.Value(i)), 10) })
	case *array.Int16:
		formatAll(f, a, func(i int) { f.data = strconv.AppendInt(f.data, int64(a.Value(i)), 10) })
	case *array.Int32:
		formatAll(f, a, func(i int) { f.data = strconv.AppendInt(f.data, int64(a.Value(i)), 10) })
	case *array.Int64:
		formatAll(f, a, func(i int) { f.data = strconv.AppendInt(f.data, a.Value(i), 10) })
	case *array.Float32:
		formatAll(f, a, func(i int) { f.data = appendFloat(f.data, float64(a.Value(i)), 32) })
	case *array.Float64:
		formatAll(f, a, func(i int) { f.data = appendFloat(f.data, a.Value(i), 64) })
	case *array.Decimal64:
		formatAll(f, a, func(i int) { f.data = append(f.data, a.Value(i).ToString(int32(f.Type.Scale))...) })
	case *array.Decimal128:
		formatAll(f, a, func(i int) { f.data = append(f.data, a.Value(i).ToString(int32(f.Type.Scale))...) })
	case *array.String:
		formatAll(f, a, func(i int) { f.data = append(f.data, a.Value(i)...) })
	case *array.Binary:
		formatAll(f, a, func(i int) { f.data = base64.StdEncoding.AppendEncode(f.data, a.Value(i)) })
	case *array.Date32:
		formatAll(f, a, func(i int) { f.date(int64(a.Value(i))) })
	case *array.Time32:
		formatAll(f, a, func(i int) { f.clock(int64(a.Value(i)) * 1e6) })
	case *array.Time64:
		formatAll(f, a, func(i int) { f.clock(int64(a.Value(i)) * int64(unitOf(a.DataType().(*arrow.Time64Type).Unit))) })
	case *array.Timestamp:
		formatAll(f, a, func(i int) { f.timestamp(int64(a.Value(i)), a.DataType().(*arrow.TimestampType).Unit) })
	case *array.Dictionary:
		return f.dictionary(a)
	default:
		return Text{}, fmt.Errorf("text of %s is not supported", a.DataType())
	}
	return Text{f.data, f.ends}, nil
}

func (f *Formatter) end() { f.ends = append(f.ends, uint32(len(f.data))) }

// IsNull reports whether value i is null. Arrow's arrays of type null have no
// validity bits and say that nothing of them is.
func IsNull(a arrow.Array, i int) bool { return a.DataType().ID() == arrow.NULL || a.IsNull(i) }

// formatAll appends the values that are not null, one after the other.
func formatAll(f *Formatter, a arrow.Array, appendValue func(i int)) {
	nulls := a.NullN() > 0
	for i := range a.Len() {
		if !nulls || a.IsValid(i) {
			appendValue(i)
		}
		f.end()
	}
}

// dictionary formats each entry once.
func (f *Formatter) dictionary(a *array.Dictionary) (Text, error) {
	entries, err := (&Formatter{Type: f.Type, ISO: f.ISO}).Format(a.Dictionary())
	if err != nil {
		return Text{}, err
	}
	formatAll(f, a, func(i int) { f.data = append(f.data, entries.At(a.GetValueIndex(i))...) })
	return Text{f.data, f.ends}, nil
}

// appendFloat writes the shortest text that reads back as the same number.
func appendFloat(dst []byte, v float64, bits int) []byte {
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, v, form, -1, bits)
}

func (f *Formatter) date(days int64) {
	f.data = time.Unix(days*86400, 0).UTC().AppendFormat(f.data, "2006-01-02")
}

func unitOf(u arrow.TimeUnit) time.Duration { return u.Multiplier() }

// clock writes a time of day with as many digits as it needs, up to the type's.
func (f *Formatter) clock(nanos int64) {
	f.data = time.Unix(0, nanos).UTC().AppendFormat(f.data, "15:04:05.999999999")
}

func (f *Formatter) timestamp(v int64, u arrow.TimeUnit) {
	unit := int64(unitOf(u))
	perSecond := int64(time.Second) / unit
	seconds := v / perSecond
	rest := v % perSecond
	if rest < 0 {
		seconds--
		rest += perSecond
	}
	form := "2006-01-02 15:04:05.999999999"
	if f.ISO {
		form = "2006-01-02T15:04:05.999999999"
	}
	f.data = time.Unix(seconds, rest*unit).UTC().AppendFormat(f.data, form)
	if f.Type.Kind == datatype.TimestampLTZ {
		f.data = append(f.data, 'Z')
	}
}
