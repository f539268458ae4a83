package datagen

import (
	"math/bits"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// random is splitmix64's finalizer over the row and the column: the only source
// of randomness, so that a row's values depend on nothing else.
func random(row int64, salt uint64) uint64 {
	x := uint64(row)*0x9e3779b97f4a7c15 + (salt+1)*0xd1b54a32d192ed03
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// share maps a random number to [0, 1).
func share(x uint64) float64 { return float64(x>>11) / (1 << 53) }

func (f field) salt() uint64 { return f.index * 4 }

// generate makes the column's values of rows first, first+step, ...
func (f field) generate(alloc memory.Allocator, first, step int64, n int, now time.Time) arrow.Array {
	valid := f.validity(first, step, n)
	switch t := f.column.Type; {
	case t.IsString() || t.IsBinary():
		return f.texts(alloc, first, step, n, valid)
	case t.Kind == datatype.Boolean:
		b := array.NewBooleanBuilder(alloc)
		defer b.Release()
		v := make([]bool, n)
		for i := range v {
			v[i] = random(first+int64(i)*step, f.salt())&1 == 1
		}
		b.AppendValues(v, valid)
		return b.NewArray()
	case t.Is(datatype.Float, datatype.Double):
		return f.reals(alloc, first, step, n, valid)
	default:
		return f.numbers(alloc, first, step, n, valid, now)
	}
}

func (f field) validity(first, step int64, n int) []bool {
	if f.nullRate == 0 {
		return nil
	}
	valid := make([]bool, n)
	for i := range valid {
		valid[i] = share(random(first+int64(i)*step, f.salt()+1)) >= f.nullRate
	}
	return valid
}

func (f field) reals(alloc memory.Allocator, first, step int64, n int, valid []bool) arrow.Array {
	v := make([]float64, n)
	for i := range v {
		v[i] = f.low + share(random(first+int64(i)*step, f.salt()))*(f.up-f.low)
	}
	if f.column.Type.Kind == datatype.Double {
		b := array.NewFloat64Builder(alloc)
		defer b.Release()
		b.AppendValues(v, valid)
		return b.NewArray()
	}
	return fixed(array.NewFloat32Builder(alloc), v, valid, func(x float64) float32 { return float32(x) })
}

func (f field) numbers(alloc memory.Allocator, first, step int64, n int, valid []bool, now time.Time) arrow.Array {
	v := make([]int64, n)
	switch t := f.column.Type; {
	case f.sequence:
		span := uint64(f.max-f.min) + 1 // 0: all of int64
		for i := range v {
			at := uint64(first + int64(i)*step)
			if span != 0 {
				at %= span
			}
			v[i] = f.min + int64(at)
		}
	case t.IsTimestamp() || t.Kind == datatype.Date:
		for i := range v {
			past := time.Duration(share(random(first+int64(i)*step, f.salt())) * float64(f.maxPast))
			v[i] = instant(now.Add(-past), t)
		}
	default:
		span := uint64(f.max-f.min) + 1
		for i := range v {
			x := random(first+int64(i)*step, f.salt())
			if span != 0 {
				x, _ = bits.Mul64(x, span)
			}
			v[i] = f.min + int64(x)
		}
	}
	return integers(alloc, f.column.Type, v, valid)
}

func instant(at time.Time, t datatype.Type) int64 {
	if t.Kind == datatype.Date {
		return at.Unix() / 86400
	}
	switch datatype.TimestampUnit(t.Precision) {
	case arrow.Millisecond:
		return at.UnixMilli()
	case arrow.Microsecond:
		return at.UnixMicro()
	default:
		return at.UnixNano()
	}
}

func integers(alloc memory.Allocator, t datatype.Type, v []int64, valid []bool) arrow.Array {
	switch t.Kind {
	case datatype.TinyInt:
		return fixed(array.NewInt8Builder(alloc), v, valid, func(x int64) int8 { return int8(x) })
	case datatype.SmallInt:
		return fixed(array.NewInt16Builder(alloc), v, valid, func(x int64) int16 { return int16(x) })
	case datatype.Int:
		return fixed(array.NewInt32Builder(alloc), v, valid, func(x int64) int32 { return int32(x) })
	case datatype.Date:
		return fixed(array.NewDate32Builder(alloc), v, valid, func(x int64) arrow.Date32 { return arrow.Date32(x) })
	case datatype.Decimal:
		b := array.NewDecimal64Builder(alloc, t.Arrow().(*arrow.Decimal64Type))
		return fixed(b, v, valid, func(x int64) decimal.Decimal64 { return decimal.Decimal64(x) })
	case datatype.Timestamp, datatype.TimestampLTZ:
		b := array.NewTimestampBuilder(alloc, t.Arrow().(*arrow.TimestampType))
		return fixed(b, v, valid, func(x int64) arrow.Timestamp { return arrow.Timestamp(x) })
	default:
		b := array.NewInt64Builder(alloc)
		defer b.Release()
		b.AppendValues(v, valid)
		return b.NewArray()
	}
}

type builder[T any] interface {
	AppendValues(v []T, valid []bool)
	NewArray() arrow.Array
	Release()
}

func fixed[F, T any](b builder[T], from []F, valid []bool, convert func(F) T) arrow.Array {
	defer b.Release()
	v := make([]T, len(from))
	for i, x := range from {
		v[i] = convert(x)
	}
	b.AppendValues(v, valid)
	return b.NewArray()
}

const digits = "0123456789abcdef"

func (f field) texts(alloc memory.Allocator, first, step int64, n int, valid []bool) arrow.Array {
	kind, _ := f.column.Type.Arrow().(arrow.BinaryDataType)
	b := array.NewBinaryBuilder(alloc, kind)
	defer b.Release()
	text := make([]byte, f.length)
	for i := range n {
		if valid != nil && !valid[i] {
			b.AppendNull()
			continue
		}
		row, size := first+int64(i)*step, f.length
		if f.varLen {
			over, _ := bits.Mul64(random(row, f.salt()+2), uint64(f.length))
			size = 1 + int(over)
		}
		for j := 0; j < size; j++ {
			text[j] = digits[random(row, f.salt()+uint64(j/16)<<32)>>(4*(j%16))&15]
		}
		b.Append(text[:size])
	}
	return b.NewArray()
}
