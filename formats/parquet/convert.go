package parquet

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/float16"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// converter turns values as the file stores them (PLAIN, dense) into values as
// a batch lays them out. It belongs to one column of one reader. Dictionaries
// are converted once, so the cost falls on plain pages only.
type converter struct {
	in, out int // bytes of a value in the file and in the batch
	load    loading
	store   storing
	mul     int64 // scale factor, 1 for none; never both this and div
	div     int64
	wideMul decimal128.Num
	ints    []int64 // scratch
	wide    []decimal128.Num
}

// loading is how a stored value is read.
type loading uint8

const (
	loadInvalid   loading = iota
	loadSame              // the batch's own layout: copied
	loadInt32             // signed
	loadUint32            // unsigned, also 8 and 16 bits wide
	loadInt64             // signed
	loadUint64            // unsigned, into a decimal
	loadInt96             // Julian day and nanoseconds, as microseconds
	loadInt96Nano         // the same as nanoseconds
	loadBig               // big-endian two's complement, up to 8 bytes
	loadBigWide           // the same, longer
	loadFloat
	loadHalf
)

// storing is how a value is laid out in the batch.
type storing uint8

const (
	storeInvalid storing = iota
	storeInt8
	storeInt16
	storeInt32
	storeInt64
	storeWide // decimal128
	storeFloat
	storeDouble
)

// fixedConverter plans how the leaf's values become values of the wanted type,
// which has a fixed width and is not BOOLEAN. It errs where that loses anything.
func fixedConverter(l *leaf, want datatype.Type) (*converter, error) {
	c := &converter{mul: 1, div: 1, in: physicalWidth(l), store: storingOf(want), load: loadingOf(l)}
	c.out = [...]int{storeInt8: 1, storeInt16: 2, storeInt32: 4, storeInt64: 8, storeWide: 16, storeFloat: 4, storeDouble: 8}[c.store]
	if c.load == loadInvalid || c.store == storeInvalid || !c.scale(l, want) {
		return nil, fmt.Errorf("it is %s in the file, which cannot be read as %s", l.datatype, want)
	}
	if c.load == loadInt32 && c.store == storeInt32 && c.plain() || c.load == loadInt64 && c.store == storeInt64 && c.plain() ||
		c.load == loadFloat && (c.in == c.out) {
		c.load = loadSame
	}
	return c, nil
}

func (c *converter) plain() bool { return c.mul == 1 && c.div == 1 }

func physicalWidth(l *leaf) int {
	switch l.physical {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	case format.Int96:
		return 12
	case format.ByteArray: // decimals only: the page is brought to this length
		return 16
	default:
		return l.length
	}
}

func loadingOf(l *leaf) loading {
	bits, signed := integerWidth(&l.element)
	integer := l.datatype.IsInteger() || l.datatype.Equal(datatype.DecimalOf(20, 0)) && l.physical == format.Int64
	switch l.physical {
	case format.Int32:
		if integer && !signed && bits <= 32 {
			return loadUint32
		}
		return loadInt32
	case format.Int64:
		if integer && !signed {
			if bits == 64 {
				return loadUint64
			}
		}
		return loadInt64
	case format.Int96:
		return loadInt96
	case format.Float, format.Double:
		return loadFloat
	case format.ByteArray, format.FixedLenByteArray:
		switch {
		case l.datatype.Kind == datatype.Float:
			return loadHalf
		case l.datatype.Kind == datatype.Decimal && physicalWidth(l) <= 8:
			return loadBig
		case l.datatype.Kind == datatype.Decimal:
			return loadBigWide
		}
	}
	return loadInvalid
}

func storingOf(want datatype.Type) storing {
	switch want.Kind {
	case datatype.TinyInt:
		return storeInt8
	case datatype.SmallInt:
		return storeInt16
	case datatype.Int, datatype.Date:
		return storeInt32
	case datatype.BigInt, datatype.Timestamp, datatype.TimestampLTZ:
		return storeInt64
	case datatype.Time:
		if want.Precision <= 3 {
			return storeInt32
		}
		return storeInt64
	case datatype.Decimal:
		if want.Precision <= datatype.MaxDecimal64Precision {
			return storeInt64
		}
		return storeWide
	case datatype.Float:
		return storeFloat
	case datatype.Double:
		return storeDouble
	default:
		return storeInvalid
	}
}

// scale sets the factor between the leaf's unit and the wanted one, and reports
// whether the two types go together at all.
func (c *converter) scale(l *leaf, want datatype.Type) bool {
	have := l.datatype
	switch {
	case have.IsInteger() && want.IsInteger():
		return have.Kind <= want.Kind
	case have.Is(datatype.Float, datatype.Double) && want.Is(datatype.Float, datatype.Double):
		return have.Kind <= want.Kind
	case have.Kind == datatype.Decimal && want.Kind == datatype.Decimal:
		by := want.Scale - have.Scale
		if by < 0 || want.Precision-want.Scale < have.Precision-have.Scale {
			return false
		}
		c.wideMul = decimal128.GetScaleMultiplier(by)
		if by <= 18 {
			c.mul = int64(c.wideMul.LowBits())
		}
		return true
	case have.Kind == datatype.Date && want.Kind == datatype.Date:
		return true
	case have.Kind == datatype.Time && want.Kind == datatype.Time, have.IsTimestamp() && have.Kind == want.Kind:
		c.scaleTime(have.Precision, want.Precision)
		return true
	default:
		return false
	}
}

func (c *converter) scaleTime(have, want int) {
	unit := func(p int) int { return max(p+2, 3) / 3 } // 1 ms, 2 us, 3 ns
	from, to := unit(have), unit(want)
	if c.load == loadInt96 && to == 3 {
		c.load, from = loadInt96Nano, 3
	}
	for ; from < to; from++ {
		c.mul *= 1000
	}
	for ; from > to; from-- {
		c.div *= 1000
	}
}

// run converts n values. The error says which value does not fit.
func (c *converter) run(dst, src []byte, n int) error {
	src = src[:n*c.in]
	switch c.load {
	case loadSame:
		copy(dst, src)
		return nil
	case loadFloat: // into a double
		for i := range n {
			f := math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(f)))
		}
		return nil
	case loadHalf:
		c.storeHalves(dst, src, n)
		return nil
	case loadUint64, loadBigWide:
		return c.runWide(dst, src, n)
	}
	c.ints = grow(c.ints, n)
	if err := c.loadInts(src, c.ints); err != nil {
		return err
	}
	if c.store == storeWide {
		c.wide = grow(c.wide, n)
		for i, v := range c.ints {
			c.wide[i] = decimal128.FromI64(v)
		}
		return c.storeWides(dst)
	}
	if err := c.scaleInts(); err != nil {
		return err
	}
	c.storeInts(dst)
	return nil
}

// grow returns s with length n, its old content not kept.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (c *converter) loadInts(src []byte, dst []int64) error {
	le := binary.LittleEndian
	switch c.load {
	case loadInt32:
		for i := range dst {
			dst[i] = int64(int32(le.Uint32(src[4*i:])))
		}
	case loadUint32:
		for i := range dst {
			dst[i] = int64(le.Uint32(src[4*i:]))
		}
	case loadInt64:
		for i := range dst {
			dst[i] = int64(le.Uint64(src[8*i:]))
		}
	case loadBig:
		for i := range dst {
			v := src[i*c.in : (i+1)*c.in]
			x := int64(int8(v[0]))
			for _, b := range v[1:] {
				x = x<<8 | int64(b)
			}
			dst[i] = x
		}
	default:
		return c.loadInt96s(src, dst)
	}
	return nil
}

// julianEpoch is 1970-01-01 as a Julian day number.
const julianEpoch = 2440588

func (c *converter) loadInt96s(src []byte, dst []int64) error {
	for i := range dst {
		nanos := int64(binary.LittleEndian.Uint64(src[12*i:]))
		days := int64(binary.LittleEndian.Uint32(src[12*i+8:])) - julianEpoch
		if c.load == loadInt96 {
			dst[i] = days*86_400_000_000 + floorDiv(nanos, 1000)
			continue
		}
		const dayNanos = 86_400_000_000_000
		if days > math.MaxInt64/dayNanos-1 || days < math.MinInt64/dayNanos+1 {
			return fmt.Errorf("day %d since 1970 does not fit a timestamp of nanoseconds; declare TIMESTAMP(6)", days)
		}
		dst[i] = days*dayNanos + nanos
	}
	return nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// scaleInts applies the factor. A timestamp is only made coarser if nothing is
// lost by it.
func (c *converter) scaleInts() error {
	if c.mul > 1 {
		limit := math.MaxInt64 / c.mul
		for i, v := range c.ints {
			if v > limit || v < -limit {
				return fmt.Errorf("value %d times %d does not fit 64 bits", v, c.mul)
			}
			c.ints[i] = v * c.mul
		}
	}
	if c.div > 1 {
		for i, v := range c.ints {
			q := v / c.div
			if q*c.div != v {
				return fmt.Errorf("value %d is finer than the wanted precision (1/%d of it)", v, c.div)
			}
			c.ints[i] = q
		}
	}
	return nil
}

func (c *converter) storeInts(dst []byte) {
	le := binary.LittleEndian
	switch c.store {
	case storeInt8:
		for i, v := range c.ints {
			dst[i] = byte(v)
		}
	case storeInt16:
		for i, v := range c.ints {
			le.PutUint16(dst[2*i:], uint16(v))
		}
	case storeInt32:
		for i, v := range c.ints {
			le.PutUint32(dst[4*i:], uint32(v))
		}
	default:
		for i, v := range c.ints {
			le.PutUint64(dst[8*i:], uint64(v))
		}
	}
}

// runWide converts values that need more than 64 bits on the way.
func (c *converter) runWide(dst, src []byte, n int) error {
	c.wide = grow(c.wide, n)
	for i := range c.wide {
		if c.load == loadUint64 {
			c.wide[i] = decimal128.New(0, binary.LittleEndian.Uint64(src[8*i:]))
			continue
		}
		v, ok := bigEndian(src[i*c.in : (i+1)*c.in])
		if !ok {
			return fmt.Errorf("decimal of %d bytes does not fit 128 bits", c.in)
		}
		c.wide[i] = v
	}
	return c.storeWides(dst)
}

// bigEndian reads a two's complement number; false if it needs over 128 bits.
func bigEndian(b []byte) (decimal128.Num, bool) {
	sign := byte(0)
	if len(b) > 0 && b[0]&0x80 != 0 {
		sign = 0xff
	}
	for len(b) > 16 {
		if b[0] != sign {
			return decimal128.Num{}, false
		}
		b = b[1:]
	}
	if len(b) > 0 && b[0]&0x80 != sign&0x80 {
		return decimal128.Num{}, false
	}
	var full [16]byte
	for i := range 16 - len(b) {
		full[i] = sign
	}
	copy(full[16-len(b):], b)
	return decimal128.New(int64(binary.BigEndian.Uint64(full[:])), binary.BigEndian.Uint64(full[8:])), true
}

func (c *converter) storeWides(dst []byte) error {
	scaled := c.wideMul.LowBits() > 1 || c.wideMul.HighBits() != 0
	for i, v := range c.wide {
		if scaled {
			v = v.Mul(c.wideMul)
		}
		if c.store == storeWide {
			binary.LittleEndian.PutUint64(dst[16*i:], v.LowBits())
			binary.LittleEndian.PutUint64(dst[16*i+8:], uint64(v.HighBits()))
			continue
		}
		low := int64(v.LowBits())
		if v.HighBits() != low>>63 {
			return fmt.Errorf("decimal %s does not fit its declared precision", v.BigInt())
		}
		binary.LittleEndian.PutUint64(dst[8*i:], uint64(low))
	}
	return nil
}

func (c *converter) storeHalves(dst, src []byte, n int) {
	for i := range n {
		f := float16.FromBits(binary.LittleEndian.Uint16(src[2*i:])).Float32()
		if c.store == storeFloat {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
		} else {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(f)))
		}
	}
}
