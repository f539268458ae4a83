package expr

import (
	"fmt"

	"github.com/tidemill/tidemill/core/failure"
)

// node is a compiled expression.
type node interface {
	// eval computes the rows of sel, or all physical rows when it is nil; other
	// rows of the result hold anything. sel may be empty.
	eval(c *run, sel []int32) (*vector, error)
}

// selector is a boolean node that can list the rows where it is true without
// making a boolean of every row.
type selector interface {
	selects(c *run, sel []int32) ([]int32, error)
}

// selectRows lists the rows of sel (nil: all) where n is true.
func selectRows(n node, c *run, sel []int32) ([]int32, error) {
	if s, ok := n.(selector); ok {
		return s.selects(c, sel)
	}
	v, err := n.eval(c, sel)
	if err != nil {
		return nil, err
	}
	return c.trueRows(v, sel), nil
}

// trueRows lists the rows of sel where the boolean v is true.
func (c *run) trueRows(v *vector, sel []int32) []int32 {
	count := len(sel)
	if sel == nil {
		count = c.rows
	}
	switch {
	case v.null || v.constant && !v.truth(0):
		return c.rowBuffer(0)
	case v.constant && sel == nil:
		return c.upTo(c.rows)
	case v.constant:
		return sel
	}
	out := selectBits(v.data, sel, c.rowBuffer(count), c.rows)
	if v.valid != nil {
		out = keepValid(out, v.valid)
	}
	return out
}

// rowsOf turns the selection of all rows into a list.
func (c *run) rowsOf(sel []int32) []int32 {
	if sel == nil {
		return c.upTo(c.rows)
	}
	return sel
}

// columnNode is an input column.
type columnNode struct {
	index  int
	layout layout
}

func (n *columnNode) eval(c *run, _ []int32) (*vector, error) {
	if n.index >= len(c.cols) {
		return nil, failure.Errorf(failure.Internal, "column %d of a batch of %d", n.index, len(c.cols))
	}
	if v := c.loaded[n.index]; v != nil {
		return v, nil
	}
	v, err := c.loadColumn(c.cols[n.index], n.layout)
	if err != nil {
		return nil, fmt.Errorf("column %d: %w", n.index, err)
	}
	c.loaded[n.index] = v
	return v, nil
}

// literalNode is a constant.
type literalNode struct{ v *vector }

func (n *literalNode) eval(*run, []int32) (*vector, error) { return n.v, nil }

// kernel computes k.out from k.args for k.rows().
type kernel func(k *call) error

// call is what a kernel sees of one call and batch.
type call struct {
	*run
	args []*vector
	sel  []int32 // nil: all rows
	n    int     // physical rows; 1 when all arguments are constant
	out  *vector
	// chars is the room for characters, kept between batches.
	chars []byte
}

// rows lists the rows to compute: selected and, in strict functions, not null.
func (k *call) rows() []int32 {
	rows := k.sel
	if rows == nil {
		rows = k.upTo(k.n)
	}
	if k.out.valid == nil {
		return rows
	}
	return keepValid(append(k.rowBuffer(len(rows)), rows...), k.out.valid)
}

// setNull makes row r of the result null.
func (k *call) setNull(r int32, fresh *bool) {
	if !*fresh { // the bitmap may be an argument's
		valid := k.ones(k.n)
		if k.out.valid != nil {
			copy(valid, k.out.valid)
		}
		k.out.valid, *fresh = valid, true
	}
	clearBit(k.out.valid, int(r))
}

// callNode applies a kernel to its arguments.
type callNode struct {
	function string
	args     []node
	kernel   kernel
	out      layout
	strict   bool // null if any argument is
	perRow   bool // not the same for each row of a batch, whatever the arguments
	byValue  bool // a function of one text: may run over its dictionary
	root     bool // its result is the program's
	call     call
}

func (n *callNode) eval(c *run, sel []int32) (*vector, error) {
	k := &n.call
	k.run, k.sel, k.n, k.args = c, sel, c.rows, k.args[:0]
	constant := !n.perRow
	for _, a := range n.args {
		v, err := a.eval(c, sel)
		if err != nil {
			return nil, err
		}
		if n.strict && v.null {
			return c.nullVector(n.out), nil
		}
		k.args = append(k.args, v)
		constant = constant && v.constant
	}
	if constant {
		k.n, k.sel = 1, nil
	} else if n.byValue {
		if v := n.overDictionary(sel); v != nil {
			return v, nil
		}
	}
	return n.compute(constant)
}

func (n *callNode) compute(constant bool) (*vector, error) {
	k := &n.call
	k.out = k.vector(n.out, k.n)
	k.out.constant = constant
	if n.strict {
		k.out.valid = k.andValid(k.args, k.n)
	}
	k.own = n.root
	err := n.kernel(k)
	k.own = false
	if err != nil {
		return nil, err
	}
	if constant && k.out.valid != nil && !bitSet(k.out.valid, 0) {
		k.out.null = true
	}
	return k.out, nil
}

// overDictionary computes a function of one dictionary-encoded text once for each
// value of the dictionary. It returns nil where that does not apply: also when a
// value fails, since the row that has it may not be selected.
func (n *callNode) overDictionary(sel []int32) *vector {
	k := &n.call
	var encoded *vector
	for _, a := range k.args {
		switch {
		case a.constant:
		case a.index == nil || encoded != nil:
			return nil
		default:
			encoded = a
		}
	}
	rows := k.rows0(sel)
	if encoded == nil || encoded.dictionarySize() >= rows {
		return nil
	}
	args, total := k.args, k.run.rows
	values := *encoded
	values.index, values.valid, values.n, values.arr = nil, nil, encoded.dictionarySize(), nil
	inner := make([]*vector, len(args))
	for i, a := range args {
		if inner[i] = a; a == encoded {
			inner[i] = &values
		}
	}
	root := n.root
	k.args, k.n, k.sel, n.root = inner, values.n, nil, false
	byValue, err := n.compute(false)
	k.args, k.n, k.sel, n.root = args, total, sel, root
	if err != nil {
		return nil
	}
	return k.spread(byValue, encoded)
}

// rows0 is the number of rows asked for.
func (k *call) rows0(sel []int32) int {
	if sel == nil {
		return k.n
	}
	return len(sel)
}

// spread gives each row the result of its dictionary value.
func (k *call) spread(byValue, encoded *vector) *vector {
	out := k.vector(byValue.layout, encoded.n)
	out.valid = encoded.valid
	if byValue.layout == textLayout {
		*out = *byValue
		out.n, out.index, out.valid = encoded.n, encoded.index, encoded.valid
		if byValue.index != nil { // the function chose among values: compose
			index := k.rowBuffer(out.n)[:out.n]
			for i, x := range encoded.index {
				index[i] = byValue.index[x]
			}
			out.index = index
		}
	} else {
		spreadFixed(k.run, out, byValue, encoded.index)
	}
	if byValue.valid != nil {
		valid := k.zeros(out.n)
		for i, x := range encoded.index {
			if bitSet(byValue.valid, int(x)) && (encoded.valid == nil || bitSet(encoded.valid, i)) {
				setBit(valid, i)
			}
		}
		out.valid = valid
	}
	return out
}

func spreadFixed(c *run, out, byValue *vector, index []int32) {
	c.allocate(out)
	switch out.layout.width() {
	case 0:
		clear(out.data)
		for i, x := range index {
			if bitSet(byValue.data, int(x)) {
				setBit(out.data, i)
			}
		}
	case 1:
		spreadValues[int8](out, byValue, index)
	case 2:
		spreadValues[int16](out, byValue, index)
	case 4:
		spreadValues[int32](out, byValue, index)
	case 8:
		spreadValues[int64](out, byValue, index)
	case 16:
		spreadDecimals(out, byValue, index)
	}
}
