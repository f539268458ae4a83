package expr

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// compareNode is a comparison of two values of one layout. Its kernels list the
// rows where it holds; a boolean column is made from the list when needed.
type compareNode struct {
	op   compareOp
	a, b node
	t    datatype.Type // of the arguments
}

func (n *compareNode) eval(c *run, sel []int32) (*vector, error) {
	a, b, err := n.operands(c, sel)
	if err != nil {
		return nil, err
	}
	if a.null || b.null {
		return c.nullVector(boolLayout), nil
	}
	if a.constant && b.constant {
		sel = c.upTo(1)
	}
	rows, err := n.compare(c, a, b, sel)
	if err != nil {
		return nil, err
	}
	out := c.vector(boolLayout, c.rows)
	if a.constant && b.constant {
		out.n, out.constant = 1, true
	}
	out.data = c.zeros(out.n)
	for _, r := range rows {
		out.data[r>>3] |= 1 << (r & 7)
	}
	out.valid = c.andValid([]*vector{a, b}, c.rows)
	return out, nil
}

func (n *compareNode) selects(c *run, sel []int32) ([]int32, error) {
	a, b, err := n.operands(c, sel)
	if err != nil {
		return nil, err
	}
	switch {
	case a.null || b.null:
		return c.rowBuffer(0), nil
	case a.constant && b.constant:
		rows, err := n.compare(c, a, b, c.upTo(1))
		if err != nil || len(rows) == 0 {
			return rows, err
		}
		return c.rowsOf(sel), nil
	}
	rows, err := n.compare(c, a, b, sel)
	if err != nil {
		return nil, err
	}
	if valid := c.andValid([]*vector{a, b}, c.rows); valid != nil {
		rows = keepValid(rows, valid)
	}
	return rows, nil
}

func (n *compareNode) operands(c *run, sel []int32) (a, b *vector, err error) {
	if a, err = n.a.eval(c, sel); err != nil {
		return nil, nil, err
	}
	b, err = n.b.eval(c, sel)
	return a, b, err
}

// compare lists the rows of sel where a op b, nulls ignored, in a buffer of the
// run that the caller may change.
func (n *compareNode) compare(c *run, a, b *vector, sel []int32) ([]int32, error) {
	op := n.op
	if a.constant && !b.constant {
		a, b, op = b, a, op.swapped()
	}
	count := len(sel)
	if sel == nil {
		count = c.rows
	}
	out := c.rowBuffer(count)
	switch a.layout {
	case int8Layout:
		return compareFixed[int8](op, a, b, sel, out), nil
	case int16Layout:
		return compareFixed[int16](op, a, b, sel, out), nil
	case int32Layout:
		return compareFixed[int32](op, a, b, sel, out), nil
	case int64Layout:
		return compareFixed[int64](op, a, b, sel, out), nil
	case float32Layout:
		return compareFixed[float32](op, a, b, sel, out), nil
	case float64Layout:
		return compareFixed[float64](op, a, b, sel, out), nil
	case decimalLayout:
		rows := c.rowsOf(sel)
		return selectDecimals(op, values[decimal128.Num](a), values[decimal128.Num](b), a.mask(), b.mask(), rows, out), nil
	case boolLayout:
		return compareBools(op, a, b, c.rowsOf(sel), out), nil
	case textLayout:
		return compareText(c, op, a, b, c.rowsOf(sel), out), nil
	default:
		return n.compareNested(c, op, a, b, c.rowsOf(sel), out)
	}
}

func compareFixed[T int8 | int16 | int32 | int64 | float32 | float64](op compareOp, a, b *vector, sel, out []int32) []int32 {
	if b.constant {
		return selectConst(op, values[T](a), values[T](b)[0], sel, out)
	}
	return selectBoth(op, values[T](a), values[T](b), sel, out)
}

func compareBools(op compareOp, a, b *vector, sel, out []int32) []int32 {
	for _, r := range sel {
		x, y := a.truth(int(r)), b.truth(int(r))
		order := 0
		if x != y {
			if order = 1; y {
				order = -1
			}
		}
		if op.holds(order) {
			out = append(out, r)
		}
	}
	return out
}

func compareText(c *run, op compareOp, a, b *vector, sel, out []int32) []int32 {
	x, y := a.text(), b.text()
	if b.constant && a.index != nil && a.dictionarySize() < len(sel) {
		return selectMatches(matchDictionary(c, op, a, y.at(0)), a.index, sel, out)
	}
	if op == eq || op == ne {
		return compareTextEqual(op == eq, x, y, b.constant, sel, out)
	}
	for _, r := range sel {
		if op.holds(bytes.Compare(x.at(int(r)), y.at(int(r)))) {
			out = append(out, r)
		}
	}
	return out
}

// matchDictionary computes the comparison for every dictionary value: 1 or 0.
func matchDictionary(c *run, op compareOp, v *vector, with []byte) []byte {
	match := c.bytes(v.dictionarySize())
	for i := range match {
		match[i] = 0
		if op.holds(bytes.Compare(v.data[v.offsets[i]:v.offsets[i+1]], with)) {
			match[i] = 1
		}
	}
	return match
}

// selectMatches lists the rows whose dictionary value matches.
func selectMatches(match []byte, index, sel, out []int32) []int32 {
	k := 0
	out = out[:len(sel)]
	for _, r := range sel {
		out[k] = r
		k += int(match[index[r]])
	}
	return out[:k]
}

func compareTextEqual(want bool, x, y text, constant bool, sel, out []int32) []int32 {
	if constant {
		with := y.at(0)
		for _, r := range sel {
			if bytes.Equal(x.at(int(r)), with) == want {
				out = append(out, r)
			}
		}
		return out
	}
	for _, r := range sel {
		if bytes.Equal(x.at(int(r)), y.at(int(r))) == want {
			out = append(out, r)
		}
	}
	return out
}

// compareNested compares arrays, rows and, for equality, maps by their entries.
func (n *compareNode) compareNested(c *run, op compareOp, a, b *vector, sel, out []int32) ([]int32, error) {
	order, err := compute.NewComparer(a.arr, b.arr, compute.Order{})
	if err != nil {
		return nil, err
	}
	for _, r := range sel {
		if op.holds(order.Compare(int(r)&a.mask(), int(r)&b.mask())) {
			out = append(out, r)
		}
	}
	return out, nil
}

// distinctNode is IS DISTINCT FROM: never null, and null is equal to null.
type distinctNode struct {
	compare *compareNode
	not     bool // IS NOT DISTINCT FROM
}

func (n *distinctNode) eval(c *run, sel []int32) (*vector, error) {
	a, b, err := n.compare.operands(c, sel)
	if err != nil {
		return nil, err
	}
	rows := c.rowsOf(sel)
	both := c.rowBuffer(len(rows)) // neither side is null
	out := c.vector(boolLayout, c.rows)
	out.data = c.zeros(c.rows)
	for _, r := range rows {
		x, y := a.isNull(int(r)), b.isNull(int(r))
		switch {
		case !x && !y:
			both = append(both, r)
		case (x != y) != n.not:
			setBit(out.data, int(r))
		}
	}
	if len(both) == 0 {
		return out, nil
	}
	different := both
	if !a.constant || !b.constant {
		different, err = n.compare.compare(c, a, b, both)
	} else if one, e := n.compare.compare(c, a, b, c.upTo(1)); e != nil || len(one) == 0 {
		different, err = nil, e
	}
	if err != nil {
		return nil, err
	}
	if n.not {
		different = without(both, different, c.rowBuffer(len(both)))
	}
	for _, r := range different {
		setBit(out.data, int(r))
	}
	return out, nil
}
