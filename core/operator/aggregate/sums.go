package aggregate

import (
	"math"
	"math/big"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// adder adds values of a column to a column of sums.
type adder struct {
	ints  []int64
	reals []float64
	wides []decimal128.Num
	sums  *partials // nil until there is use for them
}

// short reports whether sums by group are worth making first: groups are few for
// the rows.
func (a *adder) short(groups int, slots []int32) bool {
	if groups > few || 4*groups > len(slots) {
		return false
	}
	if a.sums == nil {
		a.sums = new(partials)
	}
	return true
}

// add adds rows without null; integers wrap around, as Flink's do.
func (a *adder) add(to *state.Column, in arrow.Array, sel, slots []int32) {
	switch hashtable.StorageOf(to.Type) {
	case hashtable.Integer:
		touch(to.Valid, slots)
		sum := to.Int64
		if a.short(len(sum), slots) {
			sums, _ := a.addFew(in, sel, slots, len(sum))
			for g, x := range sums {
				sum[g] += x
			}
			return
		}
		for i, x := range a.integers(in, sel) {
			sum[slots[i]] += x
		}
	case hashtable.Real:
		a.addReals(to, in, sel, slots)
	default:
		a.addWides(to, in, sel, slots)
	}
}

func (a *adder) integers(in arrow.Array, sel []int32) (v []int64) {
	v, a.ints = compute.Integers(in, sel, a.ints)
	return v
}

// addFew returns the sums by slot of a column of integers, as partials do. The rows of
// 64-bit values are read where they are.
func (a *adder) addFew(in arrow.Array, sel, slots []int32, groups int) (sums []int64, fits bool) {
	if t, ok := in.DataType().(arrow.FixedWidthDataType); ok && t.Bytes() == 8 {
		return a.sums.add(a.integers(in, nil), sel, slots, groups)
	}
	return a.sums.add(a.integers(in, sel), nil, slots, groups)
}

func (a *adder) addReals(to *state.Column, in arrow.Array, sel, slots []int32) {
	var v []float64
	v, a.reals = compute.Reals(in, sel, a.reals)
	sum, valid := to.Float64, to.Valid
	for i, s := range slots {
		sum[s] += v[i]
		valid[s] = true
	}
}

// addWides adds decimals of either width.
func (a *adder) addWides(to *state.Column, in arrow.Array, sel, slots []int32) {
	touch(to.Valid, slots)
	sum := to.Dec128
	wide := in.DataType().ID() == arrow.DECIMAL128
	if a.short(len(sum), slots) {
		var sums []int64
		var fits bool
		if wide {
			v, _ := compute.Wides(in, nil, nil)
			sums, fits = a.sums.addWides(v, sel, slots, len(sum))
		} else {
			sums, fits = a.addFew(in, sel, slots, len(sum))
		}
		if fits {
			addAll(sum, sums)
			return
		}
	}
	if !wide {
		for i, x := range a.integers(in, sel) {
			sum[slots[i]] = addWide(sum[slots[i]], x)
		}
		return
	}
	var v []decimal128.Num
	v, a.wides = compute.Wides(in, sel, a.wides)
	for i, s := range slots {
		sum[s] = sum[s].Add(v[i])
	}
}

func addAll(to []decimal128.Num, x []int64) {
	for i := range to {
		to[i] = addWide(to[i], x[i])
	}
}

// sum is SUM, and SUM0, which is 0 over no rows.
type sum struct {
	adder
	typ  datatype.Type
	zero bool
}

func newSum(result datatype.Type, zero bool) *sum {
	return &sum{typ: result.WithNull(!zero), zero: zero}
}

func (s *sum) types() []datatype.Type { return []datatype.Type{s.typ} }

func (s *sum) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	s.adder.add(acc[0], args[0], sel, slots)
	return nil
}

func (s *sum) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	sel, slots = present(in[0], sel, slots)
	s.adder.add(acc[0], in[0], sel, slots)
	return nil
}

func (s *sum) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	return toArrow(mem, withoutOverflows(acc[0], from, to), from, to)
}

// withoutOverflows has sums of more than 38 digits null, as in Flink, without a change of c:
// what is added or taken back later may bring them into range.
func withoutOverflows(c *state.Column, from, to int) *state.Column {
	fits, own := c, false
	for i := from; i < to && c.Dec128 != nil; i++ {
		if !c.Valid[i] || c.Dec128[i].FitsInPrecision(datatype.MaxDecimalPrecision) {
			continue
		}
		if !own {
			copied := *c
			copied.Valid, own = slices.Clone(c.Valid), true
			fits = &copied
		}
		fits.Valid[i] = false
	}
	return fits
}

// average is AVG.
type average struct {
	sum    adder
	counts count
	typ    datatype.Type // of the sum
	out    datatype.Type
}

func newAverage(arg, result datatype.Type) *average {
	a := &average{out: result, typ: datatype.Of(datatype.BigInt)}
	switch {
	case arg.Is(datatype.Float, datatype.Double):
		a.typ = doubleType
	case arg.Kind == datatype.Decimal:
		a.typ = datatype.DecimalOf(datatype.MaxDecimalPrecision, arg.Scale)
	}
	return a
}

func (a *average) types() []datatype.Type { return []datatype.Type{a.typ, countType} }

func (a *average) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	a.sum.add(acc[0], args[0], sel, slots)
	return a.counts.add(acc[1:], nil, nil, slots)
}

func (a *average) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	if err := a.counts.merge(acc[1:], in[1:], sel, slots); err != nil {
		return err
	}
	sel, slots = present(in[0], sel, slots)
	a.sum.add(acc[0], in[0], sel, slots)
	return nil
}

func (a *average) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(a.out, to-from)
	for i := range out.Valid {
		s := from + i
		n := acc[1].Int64[s]
		if n == 0 {
			continue
		}
		switch out.Valid[i] = true; {
		case acc[0].Float64 != nil:
			setReal(out, i, acc[0].Float64[s]/float64(n))
		case acc[0].Dec128 != nil:
			a.decimal(out, i, acc[0].Dec128[s], n)
		default:
			out.Int64[i] = acc[0].Int64[s] / n
		}
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// decimal sets sum / n at the result's scale, rounded half up; null when it has
// too many digits.
func (a *average) decimal(out *state.Column, i int, total decimal128.Num, n int64) {
	up := a.out.Scale - a.typ.Scale
	var q decimal128.Num
	if up >= 0 && up <= 18 && total.Abs().FitsInPrecision(int32(37-up)) {
		var rest decimal128.Num
		q, rest = total.IncreaseScaleBy(int32(up)).Div(decimal128.FromI64(n))
		if twice := rest.Abs().Add(rest.Abs()); !twice.Less(decimal128.FromI64(n)) {
			q = q.Add(decimal128.FromI64(int64(total.Sign())))
		}
	} else {
		b := total.BigInt()
		b.Mul(b, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(up, 0))), nil))
		d := big.NewInt(2 * n)
		b.Mul(b, big.NewInt(2)).Add(b, big.NewInt(int64(b.Sign())*n)).Quo(b, d)
		if b.BitLen() > 127 {
			out.Valid[i] = false
			return
		}
		q = decimal128.FromBigInt(b)
	}
	setDecimal(out, i, q)
}

// setReal converts x to the column's type: integers truncate, decimals round.
func setReal(c *state.Column, i int, x float64) {
	switch {
	case c.Type.Kind == datatype.Decimal:
		d, err := decimal128.FromFloat64(x, int32(c.Type.Precision), int32(c.Type.Scale))
		if err != nil {
			c.Valid[i] = false
			return
		}
		setDecimal(c, i, d)
	case c.Float64 != nil:
		c.Float64[i] = x
	default:
		c.Int64[i] = int64(math.Trunc(x))
	}
}

// setDecimal stores d, which has the column's scale, or null if it has too many
// digits.
func setDecimal(c *state.Column, i int, d decimal128.Num) {
	switch {
	case !d.FitsInPrecision(int32(c.Type.Precision)):
		c.Valid[i] = false
	case c.Dec128 != nil:
		c.Dec128[i] = d
	default:
		c.Int64[i] = int64(d.LowBits())
	}
}
