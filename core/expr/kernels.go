package expr

import "github.com/apache/arrow-go/v18/arrow/decimal128"

// ordered are the element types that Go compares; number those it computes with.
type ordered interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~float32 | ~float64
}

type number = ordered

// compareOp is a comparison that kernels know.
type compareOp uint8

const (
	noCompare compareOp = iota
	eq
	ne
	lt
	le
	gt
	ge
)

// compareOpOf returns the comparison called name, or noCompare.
func compareOpOf(name string) compareOp {
	switch name {
	case "=":
		return eq
	case "<>":
		return ne
	case "<":
		return lt
	case "<=":
		return le
	case ">":
		return gt
	case ">=":
		return ge
	default:
		return noCompare
	}
}

// swapped is the comparison with its sides exchanged.
func (op compareOp) swapped() compareOp {
	switch op {
	case lt:
		return gt
	case le:
		return ge
	case gt:
		return lt
	case ge:
		return le
	default:
		return op
	}
}

// holds reports whether an order of two values satisfies op.
func (op compareOp) holds(order int) bool {
	switch op {
	case eq:
		return order == 0
	case ne:
		return order != 0
	case lt:
		return order < 0
	case le:
		return order <= 0
	case gt:
		return order > 0
	case ge:
		return order >= 0
	default:
		return false
	}
}

// selectDecimals lists the rows of sel where a op b.
func selectDecimals(op compareOp, a, b []decimal128.Num, am, bm int, sel, out []int32) []int32 {
	for _, r := range sel {
		if op.holds(a[int(r)&am].Cmp(b[int(r)&bm])) {
			out = append(out, r)
		}
	}
	return out
}

// keepValid drops the rows that are null from rows, in place.
func keepValid(rows []int32, valid []byte) []int32 {
	k := 0
	for _, r := range rows {
		rows[k] = r
		k += int(valid[r>>3] >> (r & 7) & 1)
	}
	return rows[:k]
}

// selectBits lists the rows of sel (nil: the first n) whose bit is set.
func selectBits(bits []byte, sel, out []int32, n int) []int32 {
	k := 0
	if sel != nil {
		out = out[:len(sel)]
		for _, r := range sel {
			out[k] = r
			k += int(bits[r>>3] >> (r & 7) & 1)
		}
		return out[:k]
	}
	out = out[:n]
	for i := range out {
		out[k] = int32(i)
		k += int(bits[i>>3] >> (i & 7) & 1)
	}
	return out[:k]
}

// without lists the rows of all that are not in some; both ascend.
func without(all, some, out []int32) []int32 {
	k := 0
	for _, r := range all {
		if k < len(some) && some[k] == r {
			k++
			continue
		}
		out = append(out, r)
	}
	return out
}

// merged lists the rows of two ascending lists that share none.
func merged(a, b, out []int32) []int32 {
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
