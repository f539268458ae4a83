package aggregate

import (
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// DistinctEstimate is the function that estimates how many different values there
// are, from a sketch of constant size. Statements cannot call it: it is for ANALYZE.
const DistinctEstimate = "$DISTINCT_ESTIMATE"

const (
	// sketchBits chooses the registers of a sketch: 2 to its power, a byte each. The
	// standard error is 1.04 by the square root of their number, 0.8 percent.
	sketchBits      = 14
	sketchRegisters = 1 << sketchBits
)

// sketch is a HyperLogLog: a register keeps the longest run of zeros among the
// hashes that fall to it, so that adding a value twice changes nothing and merging
// is taking the larger.
type sketch struct {
	parts
	hashes []uint64
}

func (k *sketch) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	k.hashes = compute.HashColumns(args[:1], sel, k.hashes)
	for i, s := range slots {
		registers := k.registers(acc[0], s)
		h := k.hashes[i]
		at := h >> (64 - sketchBits)
		run := uint8(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1))) + 1
		registers[at] = max(registers[at], run)
	}
	return nil
}

// registers are those of a slot, made when it gets its first value.
func (k *sketch) registers(c *state.Column, slot int32) []byte {
	if !c.Valid[slot] {
		c.Bytes[slot], c.Valid[slot] = make([]byte, sketchRegisters), true
		k.kept += sketchRegisters
	}
	return c.Bytes[slot]
}

func (k *sketch) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	sel, slots = present(in[0], sel, slots)
	texts := compute.NewTexts(in[0])
	for i, s := range slots {
		r := i
		if sel != nil {
			r = int(sel[i])
		}
		registers := k.registers(acc[0], s)
		for at, run := range texts.At(r) {
			registers[at] = max(registers[at], run)
		}
	}
	return nil
}

func (*sketch) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	out := hashtable.NullColumn(countType, to-from)
	for i := range out.Valid {
		out.Valid[i] = true
		if s := from + i; acc[0].Valid[s] {
			out.Int64[i] = estimate(acc[0].Bytes[s])
		}
	}
	return hashtable.ToArrow(mem, out, 0, to-from)
}

// estimate is Ertl's estimator ("New cardinality estimation algorithms for
// HyperLogLog sketches", 2017): without bias from no value to as many as there are
// hashes, and without tables.
func estimate(registers []byte) int64 {
	const longest = 64 - sketchBits + 1
	m := float64(sketchRegisters)
	var count [longest + 1]float64
	for _, run := range registers {
		count[run]++
	}
	z := m * tau(1-count[longest]/m)
	for run := longest - 1; run >= 1; run-- {
		z = 0.5 * (z + count[run])
	}
	z += m * sigma(count[0]/m)
	return int64(math.Round(m * m / (2 * math.Ln2) / z))
}

// sigma is what registers that no value fell to say; it is infinite if all are so.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for before := -1.0; z != before; {
		before = z
		x *= x
		z += x * y
		y += y
	}
	return z
}

// tau is what registers at their limit say.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for before := -1.0; z != before; {
		before = z
		x = math.Sqrt(x)
		y /= 2
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}
