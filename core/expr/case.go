package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

func spreadValues[T int8 | int16 | int32 | int64](out, byValue *vector, index []int32) {
	to, from := values[T](out), values[T](byValue)
	for i, x := range index {
		to[i] = from[x]
	}
}

func spreadDecimals(out, byValue *vector, index []int32) {
	to, from := values[decimal128.Num](out), values[decimal128.Num](byValue)
	for i, x := range index {
		to[i] = from[x]
	}
}

// branch is the outcome of one arm of a conditional: its rows and their values.
type branch struct {
	rows []int32
	v    *vector
}

// caseNode is CASE WHEN, evaluated arm by arm on the rows that are left.
type caseNode struct {
	conditions []node
	values     []node // one more than conditions: the last is ELSE
	t          datatype.Type
	branches   []branch
}

func (n *caseNode) eval(c *run, sel []int32) (*vector, error) {
	left := c.rowsOf(sel)
	n.branches = n.branches[:0]
	for i, value := range n.values {
		rows := left
		if i < len(n.conditions) {
			var err error
			if rows, err = selectRows(n.conditions[i], c, left); err != nil {
				return nil, err
			}
			left = without(left, rows, c.rowBuffer(len(left)))
		}
		if len(rows) == 0 {
			continue
		}
		v, err := value.eval(c, rows)
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{rows, v})
	}
	return c.mergeBranches(n.branches, n.t)
}

// coalesceNode is COALESCE, evaluated on the rows that are still null.
type coalesceNode struct {
	args     []node
	t        datatype.Type
	branches []branch
}

func (n *coalesceNode) eval(c *run, sel []int32) (*vector, error) {
	left := c.rowsOf(sel)
	n.branches = n.branches[:0]
	for i, a := range n.args {
		v, err := a.eval(c, left)
		if err != nil {
			return nil, err
		}
		rows := left
		if v.hasNulls() && i < len(n.args)-1 {
			rows = c.rowBuffer(len(left))
			if !v.null {
				rows = keepValid(append(rows, left...), v.valid)
			}
			left = without(left, rows, c.rowBuffer(len(left)))
		} else {
			left = nil
		}
		if len(rows) > 0 {
			n.branches = append(n.branches, branch{rows, v})
		}
		if len(left) == 0 {
			break
		}
	}
	return c.mergeBranches(n.branches, n.t)
}

// mergeBranches joins arms that share no row into one vector of type t.
func (c *run) mergeBranches(branches []branch, t datatype.Type) (*vector, error) {
	l := layoutOf(t)
	switch {
	case len(branches) == 0:
		return c.nullVector(l), nil
	case len(branches) == 1:
		return branches[0].v, nil
	case l == nestedLayout:
		return c.mergeNested(branches, t)
	case l == textLayout:
		return c.mergeText(branches)
	}
	out := c.vector(l, c.rows)
	out.valid = c.mergeValid(branches)
	c.allocate(out)
	switch l.width() {
	case 0:
		mergeBits(out, branches)
	case 1:
		mergeFixed[int8](out, branches)
	case 2:
		mergeFixed[int16](out, branches)
	case 4:
		mergeFixed[int32](out, branches)
	case 8:
		mergeFixed[int64](out, branches)
	case 16:
		mergeFixed[decimal128.Num](out, branches)
	}
	return out, nil
}

func mergeFixed[T int8 | int16 | int32 | int64 | decimal128.Num](out *vector, branches []branch) {
	to := values[T](out)
	for i, b := range branches {
		switch {
		case b.v.null:
		case i == 0 && !b.v.constant && 2*len(b.rows) > len(to): // the other arms overwrite their rows
			copy(to, values[T](b.v))
		case b.v.constant:
			x := values[T](b.v)[0]
			for _, r := range b.rows {
				to[r] = x
			}
		default:
			from := values[T](b.v)
			for _, r := range b.rows {
				to[r] = from[r]
			}
		}
	}
}

func mergeBits(out *vector, branches []branch) {
	clear(out.data)
	for _, b := range branches {
		if b.v.null {
			continue
		}
		for _, r := range b.rows {
			if b.v.truth(int(r)) {
				setBit(out.data, int(r))
			}
		}
	}
}

// mergeValid is nil when no arm has a null.
func (c *run) mergeValid(branches []branch) []byte {
	var out []byte
	for _, b := range branches {
		if !b.v.hasNulls() {
			continue
		}
		if out == nil {
			out = c.ones(c.rows)
		}
		for _, r := range b.rows {
			if b.v.isNull(int(r)) {
				clearBit(out, int(r))
			}
		}
	}
	return out
}

// mergeText makes a dictionary of the arms' values: those of constants, of
// dictionaries, and every row of plain ones.
func (c *run) mergeText(branches []branch) (*vector, error) {
	out := c.vector(textLayout, c.rows)
	out.valid = c.mergeValid(branches)
	entries, chars := 1, 0
	for _, b := range branches {
		if !b.v.null {
			entries += c.entries(b)
			chars += c.entryBytes(b)
		}
	}
	if err := c.checkText(chars); err != nil {
		return nil, err
	}
	out.offsets = arrow.GetData[int32](c.bytes((entries + 1) * 4))[:1]
	out.offsets[0] = 0
	out.data = c.bytes(chars)[:0]
	out.index = c.rowBuffer(c.rows)[:c.rows]
	clear(out.index)
	for _, b := range branches {
		if !b.v.null {
			appendEntries(out, b)
		}
	}
	if len(out.offsets) == 1 {
		out.offsets = append(out.offsets, 0)
	}
	return out, nil
}

func (c *run) entries(b branch) int {
	switch {
	case b.v.constant:
		return 1
	case b.v.index != nil && b.v.dictionarySize() < len(b.rows):
		return b.v.dictionarySize()
	default:
		return len(b.rows)
	}
}

func (c *run) entryBytes(b branch) int {
	view, total := b.v.text(), 0
	switch {
	case b.v.constant:
		return len(view.at(0))
	case b.v.index != nil && b.v.dictionarySize() < len(b.rows):
		return int(b.v.offsets[len(b.v.offsets)-1] - b.v.offsets[0])
	}
	for _, r := range b.rows {
		if !b.v.isNull(int(r)) {
			total += len(view.at(int(r)))
		}
	}
	return total
}

func appendEntries(out *vector, b branch) {
	view, first := b.v.text(), int32(len(out.offsets)-1)
	add := func(s []byte) {
		out.data = append(out.data, s...)
		out.offsets = append(out.offsets, int32(len(out.data)))
	}
	switch {
	case b.v.constant:
		add(view.at(0))
		for _, r := range b.rows {
			out.index[r] = first
		}
	case b.v.index != nil && b.v.dictionarySize() < len(b.rows):
		for i := range b.v.dictionarySize() {
			add(b.v.data[b.v.offsets[i]:b.v.offsets[i+1]])
		}
		for _, r := range b.rows {
			out.index[r] = first + b.v.index[r]
		}
	default:
		for _, r := range b.rows {
			if b.v.isNull(int(r)) {
				continue
			}
			out.index[r] = int32(len(out.offsets) - 1)
			add(view.at(int(r)))
		}
	}
}

// mergeNested goes through Arrow: arms one after the other, then a gather.
func (c *run) mergeNested(branches []branch, t datatype.Type) (*vector, error) {
	var parts []arrow.Array
	defer func() { compute.ReleaseAll(parts) }()
	at := make([]int32, c.rows)
	for i := range at {
		at[i] = -1
	}
	base := int32(0)
	for _, b := range branches {
		part, err := c.toArrow(b.v, t, c.rows)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		for _, r := range b.rows {
			at[r] = base + r
		}
		base += int32(c.rows)
	}
	all, err := compute.Concat(c.mem, parts)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	out, err := compute.TakeOrNull(c.mem, all, at)
	if err != nil {
		return nil, err
	}
	return c.nestedVector(out), nil
}

// nestedVector takes over an array as an intermediate result.
func (c *run) nestedVector(arr arrow.Array) *vector {
	v := c.vector(nestedLayout, arr.Len())
	v.arr = arr
	if arr.NullN() > 0 {
		v.valid = c.alignBits(arr.NullBitmapBytes(), arr.Data().Offset(), arr.Len())
	}
	c.release = append(c.release, arr)
	return v
}
