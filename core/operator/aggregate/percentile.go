package aggregate

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/state"
)

// percentile is PERCENTILE: exact, and between two values the share of both. An
// accumulator is the percentages of the group's first row, whose number comes
// first, then value and frequency of each row, 16 bytes a row.
type percentile struct {
	parts
	out datatype.Type
}

func (p *percentile) add(acc []*state.Column, args []arrow.Array, sel, slots []int32) error {
	c := acc[0]
	values, _ := compute.Reals(args[0], sel, nil)
	var frequencies []int64
	if len(args) > 2 {
		frequencies, _ = compute.Integers(args[2], sel, nil)
	}
	for i, s := range slots {
		times := int64(1)
		if frequencies != nil {
			times = frequencies[i]
		}
		if times < 0 {
			return failure.Errorf(failure.UserCode, "a frequency of %d", times)
		}
		before := len(c.Bytes[s])
		if !c.Valid[s] {
			r := i
			if sel != nil {
				r = int(sel[i])
			}
			head, err := percentages(compute.ValueAt(args[1], r))
			if err != nil {
				return err
			}
			c.Bytes[s], c.Valid[s] = head, true
		}
		if times > 0 {
			c.Bytes[s] = binary.LittleEndian.AppendUint64(c.Bytes[s], math.Float64bits(values[i]))
			c.Bytes[s] = binary.LittleEndian.AppendUint64(c.Bytes[s], uint64(times))
		}
		p.kept += int64(len(c.Bytes[s]) - before)
	}
	return nil
}

// percentages encodes one percentage or an array of them.
func percentages(v any) ([]byte, error) {
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(all)))
	for _, x := range all {
		f, ok := x.(float64)
		if !ok || !(f >= 0 && f <= 1) {
			return nil, failure.Errorf(failure.UserCode, "a percentage of %v is not between 0 and 1", x)
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b, nil
}

// headBytes is the size of the percentages at the front of an accumulator.
func headBytes(b []byte) int { return 8 + 8*int(binary.LittleEndian.Uint64(b)) }

func (p *percentile) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	p.mergeParts(acc[0], in[0], sel, slots, headBytes)
	return nil
}

func (p *percentile) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	b := array.NewBuilder(mem, p.out.Arrow())
	defer b.Release()
	for s := from; s < to; s++ {
		found := percentilesOf(acc[0].Bytes[s])
		if found == nil {
			b.AppendNull()
			continue
		}
		v := found[0]
		if p.out.Kind == datatype.Array {
			v = found
		}
		if err := compute.AppendValue(b, v); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// weighed is a value with how often it counts.
type weighed struct {
	value float64
	times int64
}

// percentilesOf returns a value for each percentage, nil without rows.
func percentilesOf(b []byte) []any {
	if len(b) == 0 || len(b) == headBytes(b) {
		return nil
	}
	le, head := binary.LittleEndian, headBytes(b)
	rows, total := make([]weighed, 0, (len(b)-head)/16), int64(0)
	for i := head; i < len(b); i += 16 {
		w := weighed{math.Float64frombits(le.Uint64(b[i:])), int64(le.Uint64(b[i+8:]))}
		rows = append(rows, w)
		total += w.times
	}
	slices.SortFunc(rows, func(a, b weighed) int { return cmp.Compare(a.value, b.value) })
	out := []any{}
	for i := 8; i < head; i += 8 {
		at := float64(total-1) * math.Float64frombits(le.Uint64(b[i:]))
		low, high := valueAt(rows, int64(math.Floor(at))), valueAt(rows, int64(math.Ceil(at)))
		if low != high {
			low += (at - math.Floor(at)) * (high - low)
		}
		out = append(out, low)
	}
	return out
}

// valueAt is the value at a position of the sorted rows, each counted as often
// as it says.
func valueAt(rows []weighed, position int64) float64 {
	for _, r := range rows {
		if position -= r.times; position < 0 {
			return r.value
		}
	}
	return rows[len(rows)-1].value
}
