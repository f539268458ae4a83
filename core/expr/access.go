package expr

import (
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// integers reads a vector of any integer width. It costs a switch for each row:
// for kernels whose work is larger than that.
type integers struct {
	i8   []int8
	i16  []int16
	i32  []int32
	i64  []int64
	mask int
}

func (v *vector) integers() integers {
	in := integers{mask: v.mask()}
	switch v.layout {
	case int8Layout:
		in.i8 = values[int8](v)
	case int16Layout:
		in.i16 = values[int16](v)
	case int32Layout:
		in.i32 = values[int32](v)
	default:
		in.i64 = values[int64](v)
	}
	return in
}

func (in *integers) at(row int32) int64 {
	r := int(row) & in.mask
	switch {
	case in.i64 != nil:
		return in.i64[r]
	case in.i32 != nil:
		return int64(in.i32[r])
	case in.i16 != nil:
		return int64(in.i16[r])
	default:
		return int64(in.i8[r])
	}
}

// floats reads a vector of either float width.
type floats struct {
	f32  []float32
	f64  []float64
	mask int
}

func (v *vector) floats() floats {
	if v.layout == float32Layout {
		return floats{f32: values[float32](v), mask: v.mask()}
	}
	return floats{f64: values[float64](v), mask: v.mask()}
}

func (in *floats) at(row int32) float64 {
	r := int(row) & in.mask
	if in.f64 != nil {
		return in.f64[r]
	}
	return float64(in.f32[r])
}

// writer writes numbers of any layout.
type writer struct {
	integers
	floats
}

func (v *vector) writer() writer {
	if v.layout == float32Layout || v.layout == float64Layout {
		return writer{floats: v.floats()}
	}
	return writer{integers: v.integers()}
}

// putInteger wraps around, as casts do.
func (w *writer) putInteger(r int32, x int64) {
	switch {
	case w.i64 != nil:
		w.i64[r] = x
	case w.i32 != nil:
		w.i32[r] = int32(x)
	case w.i16 != nil:
		w.i16[r] = int16(x)
	default:
		w.i8[r] = int8(x)
	}
}

func (w *writer) putFloat(r int32, x float64) {
	if w.f64 != nil {
		w.f64[r] = x
	} else {
		w.f32[r] = float32(x)
	}
}

func decFrom(x int64) dec { return decimal128.FromI64(x) }

func decimalToFloat(x dec, scale int) float64 {
	if fitsInt64(x) && scale <= 18 {
		return float64(int64(x.LowBits())) / float64(pow10(scale))
	}
	f, _ := new(big.Rat).SetFrac(x.BigInt(), bigPow10(scale)).Float64()
	return f
}

// truncateDecimal drops the digits after the point; the rest wraps around.
func truncateDecimal(x dec, scale int) int64 {
	if fitsInt64(x) && scale <= 18 {
		return int64(x.LowBits()) / pow10(scale)
	}
	q := new(big.Int).Quo(x.BigInt(), bigPow10(scale))
	return int64(new(big.Int).And(q, new(big.Int).SetUint64(math.MaxUint64)).Uint64())
}

// textOut writes text in the order of rows.
type textOut struct {
	k       *call
	offsets []int32
	next    int
	data    []byte
	room    int // of data, that was looked at
}

func (k *call) textOut() *textOut {
	return &textOut{k: k, offsets: arrow.GetData[int32](k.bytes((k.n + 1) * 4)), data: k.chars[:0], room: cap(k.chars)}
}

// begin moves on to row r; what is appended to data then is its text. It returns
// false when there is too much text for a batch already, which end reports.
func (o *textOut) begin(r int32) bool {
	if cap(o.data) != o.room && !o.grown() {
		return false
	}
	for ; o.next <= int(r); o.next++ {
		o.offsets[o.next] = int32(len(o.data))
	}
	return true
}

// grown charges for what data has grown, and reports whether an array can hold it.
func (o *textOut) grown() bool {
	if room := cap(o.data); room > keptBytes {
		o.k.charge(room - max(o.room, keptBytes))
	}
	o.room = cap(o.data)
	return len(o.data) <= o.k.textLimit
}

// end hands the text to the call's result.
func (o *textOut) end() error {
	if err := o.k.checkText(len(o.data)); err != nil {
		return err
	}
	o.begin(int32(o.k.n))
	if o.k.chars = o.data; cap(o.data) > keptBytes {
		o.k.chars = nil
	}
	o.k.out.offsets, o.k.out.data = o.offsets, o.data
	return nil
}

// textKernel maps the first argument's text row by row; f appends the result.
func textKernel(f func(b, s []byte) []byte) kernel {
	return func(k *call) error {
		in, out := k.args[0].text(), k.textOut()
		for _, r := range k.rows() {
			if !out.begin(r) {
				break
			}
			out.data = f(out.data, in.at(int(r)))
		}
		return out.end()
	}
}
