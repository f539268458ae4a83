package aggregate

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// A sum of doubles that values are taken back from must be exact, or errors of values
// that are long gone stay. It is kept as an expansion (Shewchuk, "Adaptive precision
// floating-point arithmetic", 1997): doubles of which none overlaps the next larger
// one and whose sum is the exact one, mostly one to three. What is no number cannot be
// taken back from a sum: NaN and infinities are counted apart.
//
// As bytes: three varints, how many NaN, +Inf and -Inf; then the doubles, least first.
// No bytes are 0. A sum that leaves the range of doubles is infinite for good.

// expansion is an exact sum, decoded.
type expansion struct {
	odd   [3]int64 // NaN, +Inf, -Inf
	terms []float64
}

func (e *expansion) decode(b []byte) {
	e.odd, e.terms = [3]int64{}, e.terms[:0]
	if len(b) == 0 {
		return
	}
	for i := range e.odd {
		n, skip := binary.Varint(b)
		e.odd[i], b = n, b[skip:]
	}
	for ; len(b) >= 8; b = b[8:] {
		e.terms = append(e.terms, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
}

// encode returns e in bytes of their own.
func (e *expansion) encode() []byte {
	b := make([]byte, 0, 3+8*len(e.terms))
	for _, n := range e.odd {
		b = binary.AppendVarint(b, n)
	}
	for _, t := range e.terms {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(t))
	}
	return b
}

// add adds x times, 1 or -1.
func (e *expansion) add(x float64, times int64) {
	switch {
	case x != x:
		e.odd[0] += times
	case math.IsInf(x, 1):
		e.odd[1] += times
	case math.IsInf(x, -1):
		e.odd[2] += times
	default:
		e.grow(x * float64(times))
	}
}

// grow adds a number: at each term the sum rounded goes on, what rounding took stays.
func (e *expansion) grow(x float64) {
	kept := 0
	for _, y := range e.terms {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if math.IsInf(high, 0) {
			e.add(high, 1)
			e.terms = e.terms[:0]
			return
		}
		if low := y - (high - x); low != 0 {
			e.terms[kept] = low
			kept++
		}
		x = high
	}
	e.terms = e.terms[:kept]
	if x != 0 {
		e.terms = append(e.terms, x)
	}
}

func (e *expansion) merge(o *expansion) {
	for i := range e.odd {
		e.odd[i] += o.odd[i]
	}
	for _, t := range o.terms {
		e.grow(t)
	}
}

// value is the sum rounded.
func (e *expansion) value() float64 {
	switch {
	case e.odd[0] > 0 || e.odd[1] > 0 && e.odd[2] > 0:
		return math.NaN()
	case e.odd[1] > 0:
		return math.Inf(1)
	case e.odd[2] > 0:
		return math.Inf(-1)
	}
	sum := 0.0
	for _, t := range e.terms {
		sum += t
	}
	return sum
}

// exactBits is the precision in which moments are finished: sums of squares of doubles
// of the same size cancel in less than half of it.
const exactBits = 512

// float is the sum, which is a number.
func (e *expansion) float() *big.Float {
	sum := new(big.Float).SetPrec(exactBits)
	for _, t := range e.terms {
		sum.Add(sum, new(big.Float).SetFloat64(t))
	}
	return sum
}

// exact changes a column of expansions.
type exact struct {
	kept int64
	one  expansion
	more expansion
}

// grown implements keeper.
func (x *exact) grown() int64 {
	n := x.kept
	x.kept = 0
	return n
}

// open decodes the sum of a slot.
func (x *exact) open(c *state.Column, slot int32) *expansion {
	x.one.decode(c.Bytes[slot])
	return &x.one
}

// set writes back what open has given.
func (x *exact) set(c *state.Column, slot int32) {
	b := x.one.encode()
	x.kept += int64(len(b) - len(c.Bytes[slot]))
	c.Bytes[slot], c.Valid[slot] = b, true
}

// addAll adds values times, 1 or -1. The rows of a slot that follow each other are
// added at once.
func (x *exact) addAll(c *state.Column, values []float64, slots []int32, times int64, also func(e *expansion, v float64)) {
	for i := 0; i < len(slots); {
		s := slots[i]
		e := x.open(c, s)
		for ; i < len(slots) && slots[i] == s; i++ {
			if also == nil {
				e.add(values[i], times)
			} else {
				also(e, values[i])
			}
		}
		x.set(c, s)
	}
}

// mergeAll adds expansions.
func (x *exact) mergeAll(c *state.Column, in arrow.Array, sel, slots []int32) {
	sel, slots = present(in, sel, slots)
	texts := compute.NewTexts(in)
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		x.more.decode(texts.At(r))
		x.open(c, s).merge(&x.more)
		x.set(c, s)
	}
}

var bytesType = datatype.Of(datatype.Varbinary)

// exactSum is SUM, SUM0 and AVG of doubles from rows that may be taken back.
type exactSum struct {
	exact
	counts  count
	out     datatype.Type
	zero    bool
	average bool
	reals   []float64
}

func (s *exactSum) types() []datatype.Type { return []datatype.Type{bytesType, countType} }

func (s *exactSum) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	var v []float64
	v, s.reals = compute.Reals(args[0], sel, s.reals)
	s.addAll(acc[0], v, slots, 1, nil)
	return s.counts.add(acc[1:], nil, nil, slots)
}

func (s *exactSum) retract(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	var v []float64
	v, s.reals = compute.Reals(args[0], sel, s.reals)
	s.addAll(acc[0], v, slots, -1, nil)
	return s.counts.retract(acc[1:], nil, nil, slots)
}

func (s *exactSum) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	s.mergeAll(acc[0], in[0], sel, slots)
	return s.counts.merge(acc[1:], in[1:], sel, slots)
}

func (s *exactSum) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(s.out, to-from)
	for i := range out.Valid {
		n := acc[1].Int64[from+i]
		if out.Valid[i] = n > 0 || s.zero; n <= 0 {
			continue
		}
		x := s.open(acc[0], int32(from+i)).value()
		if s.average {
			x /= float64(n)
		}
		setReal(out, i, x)
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// exactMoments are variances and deviations from rows that may be taken back: exact
// sums of the values and of their squares.
type exactMoments struct {
	*moments
	exact
	counts count
}

func (m *exactMoments) types() []datatype.Type {
	return []datatype.Type{bytesType, bytesType, countType}
}

func (m *exactMoments) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	m.change(acc, args[0], sel, slots, 1)
	return m.counts.add(acc[2:], nil, nil, slots)
}

func (m *exactMoments) retract(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	m.change(acc, args[0], sel, slots, -1)
	return m.counts.retract(acc[2:], nil, nil, slots)
}

func (m *exactMoments) change(acc []*state.Column, a arrow.Array, sel, slots []int32, times int64) {
	v := m.values(a, sel)
	m.addAll(acc[0], v, slots, times, nil)
	m.addAll(acc[1], v, slots, times, func(e *expansion, x float64) {
		high := x * x
		e.add(high, times)
		if low := math.FMA(x, x, -high); !math.IsInf(high, 0) && low == low {
			e.add(low, times)
		}
	})
}

func (m *exactMoments) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	m.mergeAll(acc[0], in[0], sel, slots)
	m.mergeAll(acc[1], in[1], sel, slots)
	return m.counts.merge(acc[2:], in[2:], sel, slots)
}

func (m *exactMoments) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(m.out, to-from)
	for i := range out.Valid {
		s := int32(from + i)
		n := acc[2].Int64[s]
		if n <= 0 || m.sample && n == 1 {
			continue
		}
		x := m.variance(acc, s, n)
		if m.root {
			x = math.Sqrt(x)
		}
		out.Valid[i] = true
		setReal(out, i, x)
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// variance is (n * squares - sum^2) / (n * n), of a sample with n - 1.
func (m *exactMoments) variance(acc []*state.Column, slot int32, n int64) float64 {
	e := m.open(acc[0], slot)
	if x := e.value(); math.IsInf(x, 0) || x != x {
		return math.NaN()
	}
	sum := e.float()
	if e = m.open(acc[1], slot); math.IsInf(e.value(), 0) || e.value() != e.value() {
		return e.value()
	}
	count := new(big.Float).SetInt64(n)
	squares := e.float()
	squares.Mul(squares, count).Sub(squares, sum.Mul(sum, sum))
	if squares.Sign() <= 0 {
		return 0
	}
	divisor := n
	if m.sample {
		divisor--
	}
	squares.Quo(squares, count.Mul(count, new(big.Float).SetInt64(divisor)))
	x, _ := squares.Float64()
	return x
}
