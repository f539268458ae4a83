package aggregate

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/state"
)

var (
	countType  = datatype.Of(datatype.BigInt).NotNull()
	doubleType = datatype.Of(datatype.Double)
)

// newAccumulator makes the accumulator of a call from its resolved types.
func newAccumulator(c *jobgraph.AggregateCall) (accumulator, error) {
	result, err := datatype.Parse(c.Type)
	if err != nil {
		return nil, fmt.Errorf("type of %s: %w", c.Function, err)
	}
	var arg datatype.Type
	if len(c.ArgTypes) > 0 {
		if arg, err = datatype.Parse(c.ArgTypes[0]); err != nil {
			return nil, fmt.Errorf("argument of %s: %w", c.Function, err)
		}
	} else if c.Function != "COUNT" && c.Function != Seen {
		return nil, fmt.Errorf("%s without an argument", c.Function)
	}
	switch c.Function {
	case "COUNT", "APPROX_COUNT_DISTINCT":
		return &count{}, nil
	case Seen:
		return &seen{}, nil
	case DistinctEstimate:
		return &sketch{}, nil
	case "SUM", "SUM0":
		return newSum(result, c.Function == "SUM0"), nil
	case "AVG":
		return newAverage(arg, result), nil
	case "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP", "STDDEV", "VARIANCE":
		return newMoments(c.Function, arg, result), nil
	case "LISTAGG":
		return &listagg{typ: result}, nil
	case "JSON_ARRAYAGG", "JSON_OBJECTAGG":
		return &jsonAgg{object: c.Function == "JSON_OBJECTAGG", typ: result}, nil
	case "PERCENTILE":
		return &percentile{out: result}, nil
	case "ARRAY_AGG", "COLLECT":
		return newElements(arg, result)
	}
	return newPick(c.Function, arg)
}

// toArrow returns an accumulator column; what the layout calls not null is so.
func toArrow(mem memory.Allocator, c *state.Column, from, to int) (arrow.Array, error) {
	if !c.Type.Nullable {
		for i := from; i < to; i++ {
			c.Valid[i] = true
		}
	}
	return hashtable.ToArrow(mem, c, from, to)
}

// count counts rows.
type count struct{ ints []int64 }

func (*count) types() []datatype.Type { return []datatype.Type{countType} }

func (*count) add(acc []*state.Column, _ []arrow.Array, _, slots []int32) error {
	n := acc[0].Int64
	for _, s := range slots {
		n[s]++
	}
	return nil
}

func (c *count) merge(acc []*state.Column, in []arrow.Array, sel, slots []int32) error {
	var v []int64
	v, c.ints = compute.Integers(in[0], sel, c.ints)
	n := acc[0].Int64
	for i, s := range slots {
		n[s] += v[i]
	}
	return nil
}

func (*count) result(mem memory.Allocator, acc []*state.Column, from, to int) (arrow.Array, error) {
	return toArrow(mem, acc[0], from, to)
}

// present drops the rows whose value is null; nil sel means all rows.
func present(a arrow.Array, sel, slots []int32) ([]int32, []int32) {
	if a.NullN() == 0 && a.DataType().ID() != arrow.NULL {
		return sel, slots
	}
	valid := compute.Validity(a, sel, nil)
	rows, at := make([]int32, 0, len(slots)), make([]int32, 0, len(slots))
	for i, s := range slots {
		if !valid[i] {
			continue
		}
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		rows, at = append(rows, r), append(at, s)
	}
	return rows, at
}
