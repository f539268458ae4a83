package expr

import (
	"github.com/tidemill/tidemill/core/datatype"
)

// inNode is value IN (...). Lists of literals become a set; other items are
// compared one by one.
type inNode struct {
	value   node
	t       datatype.Type
	numbers map[int64]struct{}
	texts   map[string]struct{}
	null    bool    // the list holds a NULL: not found is unknown
	others  []*orIn // items that are not in the set
}

// orIn is one comparison with an item; its left side is set for each batch.
type orIn struct {
	value   *fixedNode
	compare *compareNode
}

// fixedNode hands an already computed vector to a node.
type fixedNode struct{ v *vector }

func (n *fixedNode) eval(*run, []int32) (*vector, error) { return n.v, nil }

func newIn(x *Call, args []node) (node, error) {
	n := &inNode{value: args[0], t: x.Args[0].Type()}
	for i, e := range x.Args[1:] {
		if l, ok := e.(*Literal); ok && n.addLiteral(l) {
			continue
		}
		value := &fixedNode{}
		n.others = append(n.others, &orIn{value, &compareNode{op: eq, a: value, b: args[i+1], t: n.t}})
	}
	return n, nil
}

func (n *inNode) addLiteral(l *Literal) bool {
	switch v := l.Value.(type) {
	case nil:
		n.null = true
	case int64:
		if layoutOf(n.t) == decimalLayout {
			return false
		}
		if n.numbers == nil {
			n.numbers = map[int64]struct{}{}
		}
		n.numbers[v] = struct{}{}
	case string:
		n.addText(v)
	case []byte:
		n.addText(string(v))
	default:
		return false
	}
	return true
}

func (n *inNode) addText(s string) {
	if n.texts == nil {
		n.texts = map[string]struct{}{}
	}
	n.texts[s] = struct{}{}
}

func (n *inNode) selects(c *run, sel []int32) ([]int32, error) {
	v, err := n.value.eval(c, sel)
	if err != nil {
		return nil, err
	}
	return n.found(c, v, sel)
}

// found lists the rows whose value is in the list.
func (n *inNode) found(c *run, v *vector, sel []int32) ([]int32, error) {
	if v.null {
		return c.rowBuffer(0), nil
	}
	rows := c.rowsOf(sel)
	out := c.rowBuffer(len(rows))
	switch {
	case n.numbers != nil && v.layout.width() > 0 && v.layout < float32Layout:
		out = n.foundNumbers(v, rows, out)
	case n.texts != nil && v.layout == textLayout:
		out = n.foundTexts(c, v, rows, out)
	}
	if v.valid != nil {
		out = keepValid(out, v.valid)
	}
	for _, o := range n.others {
		o.value.v = v
		left := without(rows, out, c.rowBuffer(len(rows)))
		more, err := o.compare.selects(c, left)
		if err != nil {
			return nil, err
		}
		out = merged(out, more, c.rowBuffer(len(out)+len(more)))
	}
	return out, nil
}

func (n *inNode) foundNumbers(v *vector, rows, out []int32) []int32 {
	in := v.integers()
	const few = 8
	if len(n.numbers) > few {
		for _, r := range rows {
			if _, ok := n.numbers[in.at(r)]; ok {
				out = append(out, r)
			}
		}
		return out
	}
	list := make([]int64, 0, few)
	for x := range n.numbers {
		list = append(list, x)
	}
	for _, r := range rows {
		x := in.at(r)
		for _, y := range list {
			if x == y {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func (n *inNode) foundTexts(c *run, v *vector, rows, out []int32) []int32 {
	if v.index != nil && v.dictionarySize() < len(rows) {
		match := c.bytes(v.dictionarySize())
		for i := range match {
			match[i] = 0
			if _, ok := n.texts[string(v.data[v.offsets[i]:v.offsets[i+1]])]; ok {
				match[i] = 1
			}
		}
		return selectMatches(match, v.index, rows, out)
	}
	in := v.text()
	for _, r := range rows {
		if _, ok := n.texts[string(in.at(int(r)))]; ok {
			out = append(out, r)
		}
	}
	return out
}

func (n *inNode) eval(c *run, sel []int32) (*vector, error) {
	v, err := n.value.eval(c, sel)
	if err != nil {
		return nil, err
	}
	if v.null {
		return c.nullVector(boolLayout), nil
	}
	rows, err := n.found(c, v, sel)
	if err != nil {
		return nil, err
	}
	out := c.vector(boolLayout, c.rows)
	out.data = c.zeros(c.rows)
	for _, r := range rows {
		setBit(out.data, int(r))
	}
	unknown, err := n.unknown(c, v, sel)
	if err != nil || unknown == nil {
		return out, err
	}
	out.valid = unknown
	for i := range out.valid { // found is known, whatever else the list holds
		out.valid[i] |= out.data[i]
	}
	return out, nil
}

// unknown is the bitmap of rows for which not being found means false; nil when
// it always does.
func (n *inNode) unknown(c *run, v *vector, sel []int32) ([]byte, error) {
	if n.null {
		return c.zeros(c.rows), nil
	}
	var out []byte
	clearFrom := func(x *vector) {
		if x.valid == nil && !x.null {
			return
		}
		if out == nil {
			out = c.ones(c.rows)
		}
		for _, r := range c.rowsOf(sel) {
			if x.isNull(int(r)) {
				clearBit(out, int(r))
			}
		}
	}
	clearFrom(v)
	for _, o := range n.others {
		item, err := o.compare.b.eval(c, sel)
		if err != nil {
			return nil, err
		}
		clearFrom(item)
	}
	return out, nil
}
