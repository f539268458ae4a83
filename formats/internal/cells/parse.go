package cells

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
)

// trim drops spaces around a value that is not a string.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func parseBool(b []byte) (value, ok bool) {
	b = trim(b)
	switch len(b) {
	case 1:
		switch b[0] {
		case 't', 'T', '1':
			return true, true
		case 'f', 'F', '0':
			return false, true
		}
	case 4:
		return true, b[0]|32 == 't' && b[1]|32 == 'r' && b[2]|32 == 'u' && b[3]|32 == 'e'
	case 5:
		return false, b[0]|32 == 'f' && b[1]|32 == 'a' && b[2]|32 == 'l' && b[3]|32 == 's' && b[4]|32 == 'e'
	}
	return false, false
}

// parseInteger reads an optionally signed decimal integer.
func parseInteger(b []byte) (int64, bool) {
	b = trim(b)
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	var u uint64
	for i, c := range b {
		d := uint64(c - '0')
		if d > 9 || i >= 18 && (u > math.MaxUint64/10 || u*10 > math.MaxUint64-d) {
			return 0, false
		}
		u = u*10 + d
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

func parseInt64(b []byte, _ *datatype.Type) (int64, bool) { return parseInteger(b) }

func parseInt32(b []byte, _ *datatype.Type) (int32, bool) {
	v, ok := parseInteger(b)
	return int32(v), ok && v == int64(int32(v))
}

func parseInt16(b []byte, _ *datatype.Type) (int16, bool) {
	v, ok := parseInteger(b)
	return int16(v), ok && v == int64(int16(v))
}

func parseInt8(b []byte, _ *datatype.Type) (int8, bool) {
	v, ok := parseInteger(b)
	return int8(v), ok && v == int64(int8(v))
}

var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseFloat64 is exact: digits that fit 53 bits with a small power of ten are
// one rounding away from the value, all else goes to strconv.
func parseFloat64(b []byte, _ *datatype.Type) (float64, bool) {
	b = trim(b)
	i, negative := 0, false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	var mantissa uint64
	digits, exponent, point := 0, 0, false
	for ; i < len(b); i++ {
		c := b[i]
		if c == '.' && !point {
			point = true
			continue
		}
		d := c - '0'
		if d > 9 {
			break
		}
		if digits++; digits > 18 {
			return parseFloatSlow(b)
		}
		mantissa = mantissa*10 + uint64(d)
		if point {
			exponent--
		}
	}
	if i != len(b) || digits == 0 || mantissa > 1<<53 || exponent < -22 {
		return parseFloatSlow(b)
	}
	f := float64(mantissa) / powers[-exponent]
	if negative {
		f = -f
	}
	return f, true
}

// parseFloatSlow also reads exponents, infinities and NaN, but no hexadecimal
// numbers and no underscores.
func parseFloatSlow(b []byte) (float64, bool) {
	for _, c := range b {
		if c == '_' || c == 'x' || c == 'X' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return f, err == nil
}

func parseFloat32(b []byte, t *datatype.Type) (float32, bool) {
	for _, c := range b {
		if c == '_' || c == 'x' || c == 'X' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(trim(b)), 32)
	return float32(f), err == nil
}

// decimalDigits reads digits with a point as an integer scaled by 10^scale,
// rounding half up. It also reads an exponent. false for malformed numbers and
// those of more than 38 digits.
func decimalDigits(b []byte, scale int) (v decimal128.Num, ok bool) {
	b = trim(b)
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	text, exponent, ok := splitExponent(b)
	if !ok {
		return v, false
	}
	point, digits := -1, make([]byte, 0, 48)
	for i, c := range text {
		switch {
		case c == '.' && point < 0:
			point = i
		case c-'0' > 9:
			return v, false
		case len(digits) > 0 || c != '0' || point >= 0:
			digits = append(digits, c-'0')
		}
	}
	if len(text) == 0 || len(text) == 1 && point == 0 {
		return v, false
	}
	fraction := 0
	if point >= 0 {
		fraction = len(text) - point - 1
	}
	return scaleDigits(digits, scale-fraction+exponent, negative)
}

// splitExponent parts 12.5e3 into 12.5 and 3.
func splitExponent(b []byte) (digits []byte, exponent int, ok bool) {
	for i, c := range b {
		if c|32 == 'e' {
			e, ok := parseInteger(b[i+1:])
			return b[:i], int(e), ok && e > -1000 && e < 1000
		}
	}
	return b, 0, true
}

// scaleDigits is digits times 10^shift as a number, rounded half up.
func scaleDigits(digits []byte, shift int, negative bool) (v decimal128.Num, ok bool) {
	up := false
	if shift < 0 {
		keep := len(digits) + shift
		if keep < 0 {
			digits = nil
		} else {
			up = digits[keep] >= 5
			digits = digits[:keep]
		}
		shift = 0
	}
	ten := decimal128.FromI64(10)
	for len(digits) > 0 && digits[0] == 0 {
		digits = digits[1:]
	}
	if len(digits) > 0 && len(digits)+shift > datatype.MaxDecimalPrecision {
		return v, false
	}
	for _, d := range digits {
		v = v.Mul(ten).Add(decimal128.FromI64(int64(d)))
	}
	if len(digits) > 0 {
		for range shift {
			v = v.Mul(ten)
		}
	}
	if up {
		v = v.Add(decimal128.FromI64(1))
	}
	if negative {
		v = v.Negate()
	}
	return v, true
}

func parseDecimal128(b []byte, t *datatype.Type) (decimal128.Num, bool) {
	v, ok := decimalDigits(b, t.Scale)
	return v, ok && v.FitsInPrecision(int32(t.Precision))
}

// parseDecimal64 has a fast way for digits that fit and need no rounding.
func parseDecimal64(b []byte, t *datatype.Type) (int64, bool) {
	b = trim(b)
	i, negative := 0, false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	v, digits, fraction, point := int64(0), 0, 0, false
	for ; i < len(b); i++ {
		if b[i] == '.' && !point {
			point = true
			continue
		}
		d := b[i] - '0'
		if d > 9 || digits == 18 {
			return slowDecimal64(b, t)
		}
		v = v*10 + int64(d)
		digits++
		if point {
			fraction++
		}
	}
	if digits == 0 || fraction > t.Scale || digits+t.Scale-fraction > 18 {
		return slowDecimal64(b, t)
	}
	for ; fraction < t.Scale; fraction++ {
		v *= 10
	}
	if v >= pow10[t.Precision] {
		return 0, false
	}
	if negative {
		v = -v
	}
	return v, true
}

func slowDecimal64(b []byte, t *datatype.Type) (int64, bool) {
	v, ok := decimalDigits(b, t.Scale)
	return int64(v.LowBits()), ok && v.FitsInPrecision(int32(t.Precision))
}

var pow10 = [...]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}
