package expr

import (
	"math/big"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/datatype"
)

// dec is a decimal's unscaled value.
type dec = decimal128.Num

// decimals reads a decimal vector of either width.
type decimals struct {
	short []int64
	long  []dec
	mask  int
}

func (v *vector) decimals() decimals {
	if v.layout == decimalLayout {
		return decimals{long: values[dec](v), mask: v.mask()}
	}
	return decimals{short: values[int64](v), mask: v.mask()}
}

func (d *decimals) at(r int32) dec {
	if d.short != nil {
		return decimal128.FromI64(d.short[int(r)&d.mask])
	}
	return d.long[int(r)&d.mask]
}

// decimalOut writes decimals of type t; what does not fit becomes null.
type decimalOut struct {
	k     *call
	short []int64
	long  []dec
	t     datatype.Type
	fresh bool
}

func (k *call) decimalOut(t datatype.Type) decimalOut {
	k.allocate(k.out)
	o := decimalOut{k: k, t: t}
	if k.out.layout == decimalLayout {
		o.long = values[dec](k.out)
	} else {
		o.short = values[int64](k.out)
	}
	return o
}

func (o *decimalOut) put(r int32, x dec, ok bool) {
	if !ok || !fitsPrecision(x, o.t.Precision) {
		o.k.setNull(r, &o.fresh)
		return
	}
	if o.short != nil {
		o.short[r] = int64(x.LowBits())
		return
	}
	o.long[r] = x
}

func fitsInt64(x dec) bool { return x.HighBits() == int64(x.LowBits())>>63 }

// fitInt64 is fitsInt64 for all of x.
func fitInt64(x []dec) bool {
	differ := int64(0)
	for i := range x {
		differ |= x[i].HighBits() ^ int64(x[i].LowBits())>>63
	}
	return differ == 0
}

// fitsPrecision reports whether |x| < 10^precision.
func fitsPrecision(x dec, precision int) bool {
	if precision >= 19 && fitsInt64(x) {
		return true
	}
	return x.FitsInPrecision(int32(precision))
}

// pow10 is 10^n for n up to 18.
func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func bigPow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// fromBig is false when x exceeds 38 digits.
func fromBig(x *big.Int) (dec, bool) {
	if x.BitLen() > 127 {
		return dec{}, false
	}
	return decimal128.FromBigInt(x), true
}

// rescale moves x from one scale to another, rounding half away from zero.
func rescale(x dec, from, to int) (dec, bool) {
	switch {
	case from == to:
		return x, true
	case to > from && to-from <= 18 && fitsInt64(x):
		return x.Mul(decimal128.FromI64(pow10(to - from))), true
	case to > from:
		return fromBig(new(big.Int).Mul(x.BigInt(), bigPow10(to-from)))
	case from-to <= 18 && fitsInt64(x):
		return decimal128.FromI64(divideRound(int64(x.LowBits()), pow10(from-to))), true
	default:
		return fromBig(divideRoundBig(x.BigInt(), bigPow10(from-to)))
	}
}

// divideRound divides by a positive number, rounding half away from zero.
func divideRound(x, by int64) int64 {
	q, rest := x/by, x%by
	if rest < 0 {
		rest = -rest
	}
	if rest >= by-rest {
		if x < 0 {
			return q - 1
		}
		return q + 1
	}
	return q
}

func divideRoundBig(x, by *big.Int) *big.Int {
	q, rest := new(big.Int).QuoRem(x, by, new(big.Int))
	if rest.Abs(rest).Lsh(rest, 1).CmpAbs(by) >= 0 {
		if x.Sign()*by.Sign() < 0 {
			return q.Sub(q, big.NewInt(1))
		}
		return q.Add(q, big.NewInt(1))
	}
	return q
}

// decimalKernel is an operator on two decimals. Where all values are 64 bits
// wide and nothing can overflow, it is a loop over integers.
func decimalKernel(op string, a, b, ret datatype.Type) kernel {
	short := layoutOf(a) == int64Layout && layoutOf(b) == int64Layout
	shortOut := layoutOf(ret) == int64Layout
	switch op {
	case "+", "-":
		if short && shortOut && a.Scale == b.Scale && ret.Scale == a.Scale {
			return plainKernel[int64](op)
		}
		if short && shortOut {
			return shortSum(op == "-", pow10(ret.Scale-a.Scale), pow10(ret.Scale-b.Scale))
		}
		return generalDecimal(op, a.Scale, ret, sumDecimals(op == "-", a.Scale, b.Scale, ret.Scale))
	case "*":
		if short && ret.Scale == a.Scale+b.Scale {
			if shortOut {
				return plainKernel[int64](op)
			}
			return longProduct
		}
		general := generalDecimal(op, a.Scale, ret, multiplyDecimals(a.Scale+b.Scale, ret.Scale))
		// 63 bits times a short value has at most 37 digits.
		if layoutOf(a) != layoutOf(b) && ret.Scale == a.Scale+b.Scale && ret.Precision >= 37 {
			return mixedProduct(general)
		}
		return general
	case "/":
		return generalDecimal(op, a.Scale, ret, divideDecimals(a.Scale, b.Scale, ret.Scale))
	case "%":
		return generalDecimal(op, a.Scale, ret, moduloDecimals(a.Scale, b.Scale, ret.Scale))
	default:
		return nil
	}
}

// shortSum adds or subtracts after bringing both sides to one scale.
func shortSum(minus bool, fa, fb int64) kernel {
	if minus {
		fb = -fb
	}
	return func(k *call) error {
		k.allocate(k.out)
		out, a, b := values[int64](k.out), values[int64](k.args[0]), values[int64](k.args[1])
		switch am, bm := k.args[0].mask(), k.args[1].mask(); {
		case len(a) < len(out):
			b, c := b[:len(out)], a[0]*fa
			for i, x := range b {
				out[i] = c + x*fb
			}
		case len(b) < len(out):
			a, c := a[:len(out)], b[0]*fb
			for i, x := range a {
				out[i] = x*fa + c
			}
		default:
			for i := range out {
				out[i] = a[i&am]*fa + b[i&bm]*fb
			}
		}
		return nil
	}
}

// longProduct multiplies 64-bit decimals into 128 bits.
func longProduct(k *call) error {
	k.allocate(k.out)
	out, a, b := values[dec](k.out), values[int64](k.args[0]), values[int64](k.args[1])
	if len(a) == len(out) && len(b) == len(out) {
		a, b := a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = product(a[i], b[i])
		}
		return nil
	}
	am, bm := k.args[0].mask(), k.args[1].mask()
	for i := range out {
		out[i] = product(a[i&am], b[i&bm])
	}
	return nil
}

// mixedProduct multiplies a long decimal by a short one where the long one's values
// are short, too; else general does it.
func mixedProduct(general kernel) kernel {
	return func(k *call) error {
		long, short := k.args[0], k.args[1]
		if long.layout != decimalLayout {
			long, short = short, long
		}
		a, b := values[dec](long), values[int64](short)
		if !fitInt64(a) {
			return general(k)
		}
		k.allocate(k.out)
		out, am, bm := values[dec](k.out), long.mask(), short.mask()
		if len(a) == len(out) && len(b) == len(out) {
			a, b := a[:len(out)], b[:len(out)]
			for i := range out {
				out[i] = product(int64(a[i].LowBits()), b[i])
			}
			return nil
		}
		for i := range out {
			out[i] = product(int64(a[i&am].LowBits()), b[i&bm])
		}
		return nil
	}
}

// product is x * y in 128 bits.
func product(x, y int64) dec {
	high, low := bits.Mul64(uint64(x), uint64(y))
	high -= uint64(x>>63)&uint64(y) + uint64(y>>63)&uint64(x)
	return decimal128.New(int64(high), low)
}

// generalDecimal applies f row by row; scale is that of the first argument.
func generalDecimal(op string, scale int, ret datatype.Type, f func(x, y dec) (dec, bool)) kernel {
	failing := op == "/" || op == "%"
	return func(k *call) error {
		out := k.decimalOut(ret)
		a, b := k.args[0].decimals(), k.args[1].decimals()
		for _, r := range k.rows() {
			x, y := a.at(r), b.at(r)
			if failing && y == (dec{}) {
				return k.atRow(r, errDivideByZero(op, string(appendDecimal(nil, x, scale))))
			}
			z, ok := f(x, y)
			out.put(r, z, ok)
		}
		return nil
	}
}

func sumDecimals(minus bool, sa, sb, sr int) func(x, y dec) (dec, bool) {
	s := max(sa, sb)
	return func(x, y dec) (dec, bool) {
		if minus {
			y = y.Negate()
		}
		if s-sa <= 18 && s-sb <= 18 && fitsInt64(x) && fitsInt64(y) {
			sum := x.Mul(decimal128.FromI64(pow10(s - sa))).Add(y.Mul(decimal128.FromI64(pow10(s - sb))))
			return rescale(sum, s, sr)
		}
		p := new(big.Int).Mul(x.BigInt(), bigPow10(s-sa))
		q := new(big.Int).Mul(y.BigInt(), bigPow10(s-sb))
		return rescaleBig(p.Add(p, q), s, sr)
	}
}

func rescaleBig(x *big.Int, from, to int) (dec, bool) {
	if to < from {
		x = divideRoundBig(x, bigPow10(from-to))
	} else if to > from {
		x = new(big.Int).Mul(x, bigPow10(to-from))
	}
	return fromBig(x)
}

func multiplyDecimals(from, to int) func(x, y dec) (dec, bool) {
	return func(x, y dec) (dec, bool) {
		if fitsInt64(x) && fitsInt64(y) {
			return rescale(x.Mul(y), from, to)
		}
		return rescaleBig(new(big.Int).Mul(x.BigInt(), y.BigInt()), from, to)
	}
}

func divideDecimals(sa, sb, sr int) func(x, y dec) (dec, bool) {
	shift := sr + sb - sa
	short := shift >= 0 && shift <= 18
	return func(x, y dec) (dec, bool) {
		if short && fitsInt64(x) && fitsInt64(y) {
			return divideShort(int64(x.LowBits()), pow10(shift), int64(y.LowBits())), true
		}
		n, d := x.BigInt(), y.BigInt()
		if shift >= 0 {
			n.Mul(n, bigPow10(shift))
		} else {
			d.Mul(d, bigPow10(-shift))
		}
		return fromBig(divideRoundBig(n, d))
	}
}

// divideShort is x * by / y in 128 bits, rounding half away from zero.
func divideShort(x, by, y int64) dec {
	negative := (x < 0) != (y < 0)
	d := magnitude(y)
	high, low := bits.Mul64(magnitude(x), uint64(by))
	qh, rest := high/d, high%d
	ql, rest := bits.Div64(rest, low, d)
	if rest >= d-rest {
		var carry uint64
		ql, carry = bits.Add64(ql, 1, 0)
		qh += carry
	}
	q := decimal128.New(int64(qh), ql)
	if negative {
		return q.Negate()
	}
	return q
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

func moduloDecimals(sa, sb, sr int) func(x, y dec) (dec, bool) {
	s := max(sa, sb)
	return func(x, y dec) (dec, bool) {
		n := new(big.Int).Mul(x.BigInt(), bigPow10(s-sa))
		d := new(big.Int).Mul(y.BigInt(), bigPow10(s-sb))
		return rescaleBig(n.Rem(n, d), s, sr)
	}
}

func negateDecimal(k *call) error {
	k.allocate(k.out)
	out := values[dec](k.out)
	for i, x := range values[dec](k.args[0]) {
		out[i] = x.Negate()
	}
	return nil
}

// appendDecimal writes x with scale digits after the point.
func appendDecimal(b []byte, x dec, scale int) []byte {
	digits := x.BigInt()
	negative := digits.Sign() < 0
	text := digits.Abs(digits).String()
	if negative {
		b = append(b, '-')
	}
	for len(text) <= scale {
		text = "0" + text
	}
	b = append(b, text[:len(text)-scale]...)
	if scale > 0 {
		b = append(b, '.')
		b = append(b, text[len(text)-scale:]...)
	}
	return b
}

// parseDecimal reads digits with an optional point and exponent, rounded half
// away from zero to scale.
func parseDecimal(s string, scale int) (dec, bool) {
	var r big.Rat
	if len(s) == 0 || len(s) > 400 || hasRatSyntax(s) {
		return dec{}, false
	}
	if _, ok := r.SetString(s); !ok {
		return dec{}, false
	}
	n := new(big.Int).Mul(r.Num(), bigPow10(scale))
	return fromBig(divideRoundBig(n, r.Denom()))
}

// hasRatSyntax finds what math/big reads and SQL does not, and exponents whose
// expansion would not end.
func hasRatSyntax(s string) bool {
	exponent := -1
	for i := range len(s) {
		switch c := s[i]; {
		case c == 'e' || c == 'E':
			exponent = i
		case (c < '0' || c > '9') && c != '.' && c != '+' && c != '-':
			return true
		}
	}
	return exponent >= 0 && len(s)-exponent > 5
}
