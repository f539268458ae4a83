package compute

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
)

// fixed returns the values of a fixed-width array from its first row on.
func fixed[T arrow.FixedWidthType](a arrow.Array) []T { return values[T](a.Data()) }

// Integers returns the values of a BOOLEAN, integer, date, time,
// timestamp, interval or narrow decimal column for the rows of sel
// (nil: all). They are a's own memory where that is possible, else buf's, made
// larger if need be; next is the buffer to pass the next time. What stands at
// nulls is undefined.
func Integers(a arrow.Array, sel []int32, buf []int64) (values, next []int64) {
	switch a := a.(type) {
	case *array.Boolean:
		buf = booleans(a, sel, buf)
		return buf, buf
	case *array.Null:
		buf = sized(buf, rowCount(a, sel))
		clear(buf)
		return buf, buf
	}
	switch a.DataType().(arrow.FixedWidthDataType).Bytes() {
	case 1:
		buf = convert(fixed[int8](a), sel, buf)
	case 2:
		buf = convert(fixed[int16](a), sel, buf)
	case 4:
		buf = convert(fixed[int32](a), sel, buf)
	default:
		if sel == nil {
			return fixed[int64](a), buf
		}
		buf = convert(fixed[int64](a), sel, buf)
	}
	return buf, buf
}

// rowCount is the number of rows of a that sel means.
func rowCount(a arrow.Array, sel []int32) int {
	if sel == nil {
		return a.Len()
	}
	return len(sel)
}

// Reals is Integers for a FLOAT or DOUBLE column.
func Reals(a arrow.Array, sel []int32, buf []float64) (values, next []float64) {
	switch {
	case a.DataType().ID() == arrow.FLOAT32:
		buf = convert(fixed[float32](a), sel, buf)
	case sel == nil:
		return fixed[float64](a), buf
	default:
		buf = convert(fixed[float64](a), sel, buf)
	}
	return buf, buf
}

// Wides is Integers for a column of decimals of more than 18 digits.
func Wides(a arrow.Array, sel []int32, buf []decimal128.Num) (values, next []decimal128.Num) {
	v := fixed[decimal128.Num](a)
	if sel == nil {
		return v, buf
	}
	buf = sized(buf, len(sel))
	for i, r := range sel {
		buf[i] = v[r]
	}
	return buf, buf
}

// sized returns buf with length n.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

func convert[T int8 | int16 | int32 | int64 | float32 | float64, O int64 | float64](v []T, sel []int32, buf []O) []O {
	if sel == nil {
		buf = sized(buf, len(v))
		for i, x := range v {
			buf[i] = O(x)
		}
		return buf
	}
	buf = sized(buf, len(sel))
	for i, r := range sel {
		buf[i] = O(v[r])
	}
	return buf
}

func booleans(a *array.Boolean, sel []int32, buf []int64) []int64 {
	buf = sized(buf, rowCount(a, sel))
	for i := range buf {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		buf[i] = 0
		if a.Value(r) {
			buf[i] = 1
		}
	}
	return buf
}

// NotNull selects those rows of sel (nil: all) that have a null in none of cols: sel
// itself when that is all of them.
func NotNull(cols []arrow.Array, sel []int32) []int32 {
	var all []bool
	for _, c := range cols {
		valid := Validity(c, sel, nil)
		if all == nil {
			all = valid
			continue
		}
		for i, v := range valid {
			all[i] = all[i] && v
		}
	}
	if all == nil {
		return sel
	}
	out := make([]int32, 0, len(all))
	for i, v := range all {
		if v {
			out = append(out, rowAt(sel, i))
		}
	}
	return out
}

// Validity tells which rows of sel (nil: all) are not null; it is nil when none
// is null.
func Validity(a arrow.Array, sel []int32, buf []bool) []bool {
	if a.DataType().ID() == arrow.NULL {
		buf = sized(buf, rowCount(a, sel))
		clear(buf)
		return buf
	}
	if a.NullN() == 0 {
		return nil
	}
	bits, offset := a.NullBitmapBytes(), a.Data().Offset()
	if sel == nil {
		buf = sized(buf, a.Len())
		for i := range buf {
			at := i + offset
			buf[i] = bits[at>>3]>>(at&7)&1 != 0
		}
		return buf
	}
	buf = sized(buf, len(sel))
	for i, r := range sel {
		at := int(r) + offset
		buf[i] = bits[at>>3]>>(at&7)&1 != 0
	}
	return buf
}

// Indexes returns the indexes of a dictionary column, its own memory; nil where they are
// not 32 bits wide. What stands at nulls is undefined.
func Indexes(a *array.Dictionary) []int32 {
	if a.DataType().(*arrow.DictionaryType).IndexType.ID() != arrow.INT32 {
		return nil
	}
	return values[int32](a.Data())
}

// Texts reads a character or binary column, plain or dictionary-encoded.
type Texts struct {
	offsets []int32
	chars   []byte
	index   *array.Dictionary
	narrow  []int32 // the indexes, where they have the usual width
}

// NewTexts returns a reader of a; it is valid for as long as a is.
func NewTexts(a arrow.Array) Texts {
	if d, ok := a.(*array.Dictionary); ok {
		t := NewTexts(d.Dictionary())
		t.index, t.narrow = d, Indexes(d)
		return t
	}
	d := a.Data()
	if d.Len() == 0 {
		return Texts{}
	}
	t := Texts{offsets: arrow.GetData[int32](d.Buffers()[1].Bytes())[d.Offset():]}
	if d.Buffers()[2] != nil {
		t.chars = d.Buffers()[2].Bytes()
	}
	return t
}

// Plain returns the offsets and bytes of a column without a dictionary, from its
// first row on; nil offsets for others.
func (t Texts) Plain() (offsets []int32, chars []byte) {
	if t.index != nil {
		return nil, nil
	}
	return t.offsets, t.chars
}

// At returns the bytes of physical row i, which is not null. They are the
// column's own memory.
func (t Texts) At(i int) []byte {
	switch {
	case t.narrow != nil:
		i = int(t.narrow[i])
	case t.index != nil:
		i = t.index.GetValueIndex(i)
	}
	return t.chars[t.offsets[i]:t.offsets[i+1]]
}

// Millis converts a timestamp of type t from its physical unit to milliseconds,
// downwards.
func Millis(t datatype.Type, v int64) int64 {
	per := int64(time.Millisecond / datatype.TimestampUnit(t.Precision).Multiplier())
	if v%per < 0 {
		return v/per - 1
	}
	return v / per
}
