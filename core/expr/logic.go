package expr

// andNode is AND of two or more. Later arguments see only the rows where the
// earlier ones are not false.
type andNode struct{ args []node }

func (n *andNode) selects(c *run, sel []int32) ([]int32, error) {
	for _, a := range n.args {
		rows, err := selectRows(a, c, sel)
		if err != nil || len(rows) == 0 {
			return rows, err
		}
		sel = rows
	}
	return sel, nil
}

func (n *andNode) eval(c *run, sel []int32) (*vector, error) {
	return connect(n.args, c, sel, false)
}

// orNode is OR of two or more. Later arguments see only the rows where the
// earlier ones are not true.
type orNode struct{ args []node }

func (n *orNode) selects(c *run, sel []int32) ([]int32, error) {
	left := c.rowsOf(sel)
	var found []int32
	for i, a := range n.args {
		rows, err := selectRows(a, c, left)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			found = rows
		} else {
			found = merged(found, rows, c.rowBuffer(len(found)+len(rows)))
		}
		if i < len(n.args)-1 {
			if left = without(left, rows, c.rowBuffer(len(left))); len(left) == 0 {
				break
			}
		}
	}
	if found == nil {
		found = c.rowBuffer(0)
	}
	return found, nil
}

func (n *orNode) eval(c *run, sel []int32) (*vector, error) {
	return connect(n.args, c, sel, true)
}

// connect computes AND, or OR when decisive is true: the outcome that settles a
// row at once.
func connect(args []node, c *run, sel []int32, decisive bool) (*vector, error) {
	out := c.vector(boolLayout, c.rows)
	out.valid, out.data = c.ones(c.rows), c.zeros(c.rows)
	if !decisive {
		copy(out.data, out.valid)
	}
	for i, a := range args {
		v, err := a.eval(c, sel)
		if err != nil {
			return nil, err
		}
		if v.constant {
			v = c.expandBool(v)
		}
		connectWords(out, v, decisive)
		if i == len(args)-1 {
			break
		}
		rows := c.rowsOf(sel)
		settled := out.valid // of all valid rows, those with the decisive value
		left := c.rowBuffer(len(rows))
		for _, r := range rows {
			if !bitSet(settled, int(r)) || bitSet(out.data, int(r)) != decisive {
				left = append(left, r)
			}
		}
		if len(left) == 0 {
			break
		}
		if len(left) < len(rows) {
			sel = left
		}
	}
	return out, nil
}

// connectWords combines v into acc by Kleene's logic. Rows of v that were not
// computed hold anything, but are settled in acc.
func connectWords(acc, v *vector, decisive bool) {
	for i := range len(acc.data) / 8 {
		x, xv := word(acc.data, i), word(acc.valid, i)
		y, yv := word(v.data, i), ^uint64(0)
		if v.valid != nil {
			yv = word(v.valid, i)
		}
		var yes, no uint64
		if decisive {
			yes, no = x&xv|y&yv, ^x&xv&^y&yv
		} else {
			yes, no = x&xv&y&yv, ^x&xv|^y&yv
		}
		putWord(acc.data, i, yes)
		putWord(acc.valid, i, yes|no)
	}
}

// expandBool writes a boolean constant for every row.
func (c *run) expandBool(v *vector) *vector {
	out := c.vector(boolLayout, c.rows)
	switch {
	case v.null:
		out.data = c.zeros(c.rows)
		out.valid = out.data
	case v.truth(0):
		out.data = c.ones(c.rows)
	default:
		out.data = c.zeros(c.rows)
	}
	return out
}

// notKernel is NOT: strict.
func notKernel(k *call) error {
	k.allocate(k.out)
	from := k.args[0].data
	if k.out.constant {
		k.out.data[0] = ^from[0]
		return nil
	}
	for i := range wordBytes(k.n) / 8 {
		putWord(k.out.data, i, ^word(from, i))
	}
	return nil
}

// truthTest is what IS NULL, IS TRUE and the like ask.
type truthTest struct {
	nulls bool // the answer for null
	yes   bool // the answer for true, and for any value where isNull
	no    bool // the answer for false
	any   bool // looks at nulls only
}

func truthTestOf(name string) (truthTest, bool) {
	switch name {
	case "IS NULL":
		return truthTest{nulls: true, any: true}, true
	case "IS NOT NULL":
		return truthTest{yes: true, no: true, any: true}, true
	case "IS TRUE":
		return truthTest{yes: true}, true
	case "IS FALSE":
		return truthTest{no: true}, true
	case "IS NOT TRUE":
		return truthTest{no: true, nulls: true}, true
	case "IS NOT FALSE":
		return truthTest{yes: true, nulls: true}, true
	default:
		return truthTest{}, false
	}
}

// kernel answers for every row; it is not strict.
func (t truthTest) kernel(k *call) error {
	k.allocate(k.out)
	v := k.args[0]
	if k.out.constant {
		k.out.data[0] = 0
		if v.null && t.nulls || !v.null && (t.any || v.truth(0)) && t.yes || !v.null && !t.any && !v.truth(0) && t.no {
			k.out.data[0] = 1
		}
		return nil
	}
	all := func(b bool) uint64 {
		if b {
			return ^uint64(0)
		}
		return 0
	}
	nulls, yes, no := all(t.nulls), all(t.yes), all(t.no)
	for i := range wordBytes(k.n) / 8 {
		valid, x := ^uint64(0), ^uint64(0)
		if v.valid != nil {
			valid = word(v.valid, i)
		}
		if !t.any {
			x = word(v.data, i)
		}
		putWord(k.out.data, i, ^valid&nulls|valid&(x&yes|^x&no))
	}
	return nil
}
