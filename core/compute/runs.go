package compute

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Runs finds neighbours that are equal in all of cols, among the rows of sel (nil:
// all): run[i] is the number, from 0, of the run that the i-th of them is in, and
// heads are the rows that runs begin with. Rows of one run are equal; equal
// neighbours may be in two runs (nested values always are, and others that have
// several forms). Both results are the buffers given, made larger if need be.
func Runs(cols []arrow.Array, sel, run, heads []int32) (runs, firsts []int32) {
	n := rowCount(cols[0], sel)
	run, heads = sized(run, n), heads[:0]
	if n == 0 {
		return run, heads
	}
	clear(run)
	for _, c := range cols {
		markChanges(c, sel, run)
	}
	run[0] = 1
	number := int32(-1)
	for i, begins := range run {
		if begins != 0 {
			number++
			heads = append(heads, rowAt(sel, i))
		}
		run[i] = number
	}
	return run, heads
}

func rowAt(sel []int32, i int) int32 {
	if sel == nil {
		return int32(i)
	}
	return sel[i]
}

// markChanges sets those of changed to 1 whose row differs from the one before.
func markChanges(a arrow.Array, sel, changed []int32) {
	if a.NullN() > 0 {
		markNulls(a, sel, changed)
	}
	if d, ok := a.(*array.Dictionary); ok {
		a = d.Indices()
	}
	switch t := a.DataType().(type) {
	case *arrow.NullType:
	case *arrow.StringType, *arrow.BinaryType:
		markTexts(charsOf(a.Data()), sel, changed)
	case *arrow.BooleanType:
		b := a.(*array.Boolean)
		for i := 1; i < len(changed); i++ {
			if b.Value(int(rowAt(sel, i))) != b.Value(int(rowAt(sel, i-1))) {
				changed[i] = 1
			}
		}
	case arrow.FixedWidthDataType:
		switch t.Bytes() {
		case 1:
			markFixed(fixed[int8](a), sel, changed)
		case 2:
			markFixed(fixed[int16](a), sel, changed)
		case 4:
			markFixed(fixed[int32](a), sel, changed)
		case 8:
			markFixed(fixed[int64](a), sel, changed)
		default:
			markFixed(fixed[decimal128.Num](a), sel, changed)
		}
	default:
		for i := range changed {
			changed[i] = 1
		}
	}
}

func markFixed[T comparable](v []T, sel, changed []int32) {
	if sel == nil {
		v = v[:len(changed)]
		for i := 1; i < len(v); i++ {
			if v[i] != v[i-1] {
				changed[i] = 1
			}
		}
		return
	}
	sel = sel[:len(changed)]
	last := v[sel[0]]
	for i, r := range sel {
		x := v[r]
		if x != last {
			changed[i] = 1
		}
		last = x
	}
}

func markTexts(v chars, sel, changed []int32) {
	last := v.at(int(rowAt(sel, 0)))
	for i := range changed {
		x := v.at(int(rowAt(sel, i)))
		if !bytes.Equal(x, last) {
			changed[i] = 1
		}
		last = x
	}
}

// markNulls marks where values begin or end to be null.
func markNulls(a arrow.Array, sel, changed []int32) {
	last := a.IsNull(int(rowAt(sel, 0)))
	for i := range changed {
		null := a.IsNull(int(rowAt(sel, i)))
		if null != last {
			changed[i] = 1
		}
		last = null
	}
}
