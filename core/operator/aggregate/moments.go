package aggregate

import (
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// moments keeps count, mean and sum of squared distances (Welford), which stays
// exact where a sum of squares cancels.
type moments struct {
	arg, out datatype.Type
	sample   bool
	root     bool
	ints     []int64
	reals    [3][]float64
	wides    []decimal128.Num
}

func newMoments(function string, arg, result datatype.Type) *moments {
	return &moments{
		arg: arg, out: result,
		sample: !strings.HasSuffix(function, "_POP"),
		root:   strings.HasPrefix(function, "STDDEV"),
	}
}

func (*moments) types() []datatype.Type {
	return []datatype.Type{countType, doubleType.NotNull(), doubleType.NotNull()}
}

func (m *moments) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	n, mean, squares := acc[0].Int64, acc[1].Float64, acc[2].Float64
	for i, x := range m.values(args[0], sel) {
		s := slots[i]
		n[s]++
		d := x - mean[s]
		mean[s] += d / float64(n[s])
		squares[s] += d * (x - mean[s])
	}
	return nil
}

// values reads any numeric column as doubles.
func (m *moments) values(a arrow.Array, sel []int32) (v []float64) {
	scale := math.Pow10(-m.arg.Scale)
	buf := m.reals[0][:0]
	switch hashtable.StorageOf(m.arg) {
	case hashtable.Real:
		v, m.reals[0] = compute.Reals(a, sel, m.reals[0])
		return v
	case hashtable.Wide:
		var w []decimal128.Num
		w, m.wides = compute.Wides(a, sel, m.wides)
		for _, x := range w {
			buf = append(buf, x.ToFloat64(int32(m.arg.Scale)))
		}
	default:
		var w []int64
		w, m.ints = compute.Integers(a, sel, m.ints)
		for _, x := range w {
			buf = append(buf, float64(x)*scale)
		}
	}
	m.reals[0] = buf
	return buf
}

func (m *moments) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	n, mean, squares := acc[0].Int64, acc[1].Float64, acc[2].Float64
	var counts []int64
	counts, m.ints = compute.Integers(in[0], sel, m.ints)
	var means, sums []float64
	means, m.reals[1] = compute.Reals(in[1], sel, m.reals[1])
	sums, m.reals[2] = compute.Reals(in[2], sel, m.reals[2])
	for i, s := range slots {
		if counts[i] == 0 {
			continue
		}
		a, b := float64(n[s]), float64(counts[i])
		d := means[i] - mean[s]
		n[s] += counts[i]
		mean[s] += d * b / (a + b)
		squares[s] += sums[i] + d*d*a*b/(a+b)
	}
	return nil
}

func (m *moments) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(m.out, to-from)
	for i := range out.Valid {
		n := acc[0].Int64[from+i]
		if m.sample {
			n--
		}
		if n <= 0 {
			continue
		}
		x := acc[2].Float64[from+i] / float64(n)
		if m.root {
			x = math.Sqrt(x)
		}
		out.Valid[i] = true
		setReal(out, i, x)
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}
