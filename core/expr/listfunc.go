package expr

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// lists are the arrays among a call's arguments, and values that go with their
// elements. All elements are in one pool; functions of arrays name elements by
// their positions in it.
type lists struct {
	*call
	pool    arrow.Array
	base    []int32   // where each argument's elements begin in the pool
	offsets [][]int32 // of each array; nil for a value
	same    compute.Comparer
	hashes  []uint64 // of the pool, once asked for
	set     map[uint64][]int32
	taken   []int32 // elements of the result, row after row
}

// newLists pools the first n arguments; arrays have elements of type elem.
func (k *call) newLists(n int, elem datatype.Type) (*lists, error) {
	l := &lists{call: k, set: map[uint64][]int32{}}
	var parts, own []arrow.Array
	defer func() { compute.ReleaseAll(own) }()
	at := 0
	for _, a := range k.args[:n] {
		var part arrow.Array
		var offsets []int32
		if list, ok := a.arr.(*array.List); ok && a.layout == nestedLayout && !isListValue(a, elem) {
			part, offsets = list.ListValues(), listOffsets(list)
		} else {
			rows := k.n
			if a.constant {
				rows = 1
			}
			var err error
			if part, err = k.toArrow(a, elem, rows); err != nil {
				return nil, err
			}
			own = append(own, part)
		}
		parts, l.base, l.offsets = append(parts, part), append(l.base, int32(at)), append(l.offsets, offsets)
		at += part.Len()
	}
	var err error
	if len(parts) == 1 {
		l.pool = parts[0]
		l.pool.Retain()
	} else if l.pool, err = compute.Concat(k.mem, parts); err != nil {
		return nil, err
	}
	if l.same, err = compute.NewComparer(l.pool, l.pool, compute.Order{}); err != nil {
		l.pool.Release()
		return nil, err
	}
	return l, nil
}

// isListValue reports whether a is an element itself, of an array of arrays.
func isListValue(a *vector, elem datatype.Type) bool {
	return elem.Kind == datatype.Array && arrow.TypeEqual(a.arr.DataType(), elem.Arrow())
}

// span is where in the pool the elements of array i are in row r.
func (l *lists) span(i int, r int32) (from, to int32) {
	x := int(r) & l.args[i].mask()
	return l.base[i] + l.offsets[i][x], l.base[i] + l.offsets[i][x+1]
}

// value is where in the pool argument i, which is no array, is in row r.
func (l *lists) value(i int, r int32) int32 { return l.base[i] + r&int32(l.args[i].mask()) }

// equal compares elements; nulls are equal.
func (l *lists) equal(a, b int32) bool { return l.same.Compare(int(a), int(b)) == 0 }

func (l *lists) take(e int32) { l.taken = append(l.taken, e) }

func (l *lists) takeAll(from, to int32) {
	for e := from; e < to; e++ {
		l.taken = append(l.taken, e)
	}
}

// fresh empties the set of elements.
func (l *lists) fresh() {
	if l.hashes == nil {
		l.hashes = compute.HashColumns([]arrow.Array{l.pool}, nil, nil)
	}
	clear(l.set)
}

func (l *lists) has(e int32) bool {
	return slices.ContainsFunc(l.set[l.hashes[e]], func(other int32) bool { return l.equal(e, other) })
}

// add puts an element into the set and reports whether it is new there.
func (l *lists) add(e int32) bool {
	if l.has(e) {
		return false
	}
	l.set[l.hashes[e]] = append(l.set[l.hashes[e]], e)
	return true
}

// listOf is a kernel whose result are arrays of elements of its arguments, which
// f takes for each row. Of the pooled arguments, those from values on may be
// null without making the result null.
func listOf(t datatype.Type, pooled, values int, f func(l *lists, r int32)) kernel {
	return func(k *call) error {
		n := min(pooled, len(k.args))
		strict := slices.Concat(k.args[:min(values, n)], k.args[n:])
		for _, a := range strict {
			if a.null {
				*k.out = *k.nullVector(nestedLayout)
				return nil
			}
		}
		k.out.valid = k.andValid(strict, k.n)
		l, err := k.newLists(n, *t.Elem)
		if err != nil {
			return err
		}
		defer l.pool.Release()
		buffer := memory.NewResizableBuffer(k.mem)
		defer buffer.Release()
		buffer.Resize((k.n + 1) * 4)
		offsets, next := arrow.GetData[int32](buffer.Bytes()), 0
		for _, r := range k.rows() {
			for ; next <= int(r); next++ {
				offsets[next] = int32(len(l.taken))
			}
			f(l, r)
		}
		for ; next <= k.n; next++ {
			offsets[next] = int32(len(l.taken))
		}
		elements, err := compute.Take(k.mem, l.pool, l.taken)
		if err != nil {
			return err
		}
		defer elements.Release()
		return k.setList(t, buffer, elements)
	}
}

// arrayFunction finds the kernels of ARRAY_... functions.
func (c *compiler) arrayFunction(x *Call) (k kernel, strict bool) {
	n := len(x.Args)
	switch x.Function {
	case "ARRAY_APPEND":
		return listOf(x.T, 2, 1, func(l *lists, r int32) {
			l.takeAll(l.span(0, r))
			l.take(l.value(1, r))
		}), false
	case "ARRAY_PREPEND":
		return listOf(x.T, 2, 1, func(l *lists, r int32) {
			l.take(l.value(1, r))
			l.takeAll(l.span(0, r))
		}), false
	case "ARRAY_REMOVE":
		return listOf(x.T, 2, 1, removeValue), false
	case "ARRAY_CONCAT":
		return listOf(x.T, n, n, func(l *lists, r int32) {
			for i := range l.args {
				l.takeAll(l.span(i, r))
			}
		}), true
	case "ARRAY_DISTINCT", "ARRAY_UNION":
		return listOf(x.T, n, n, union), true
	case "ARRAY_EXCEPT":
		return listOf(x.T, n, n, meet(false)), true
	case "ARRAY_INTERSECT":
		return listOf(x.T, n, n, meet(true)), true
	case "ARRAY_REVERSE":
		return listOf(x.T, 1, 1, func(l *lists, r int32) {
			for from, e := l.span(0, r); e > from; e-- {
				l.take(e - 1)
			}
		}), true
	case "ARRAY_SLICE":
		return listOf(x.T, 1, 1, sliceArray), true
	case "ARRAY_SORT":
		return sortKernel(x.T), true
	case "ARRAY_POSITION":
		return positionKernel(*x.Args[0].Type().Elem), true
	case "ARRAY_MAX":
		return extremeElementKernel(x.T, 1), true
	case "ARRAY_MIN":
		return extremeElementKernel(x.T, -1), true
	case "ARRAY_JOIN":
		return joinKernel, true
	default:
		return nil, false
	}
}

func removeValue(l *lists, r int32) {
	v := l.value(1, r)
	for from, to := l.span(0, r); from < to; from++ {
		if !l.equal(from, v) {
			l.take(from)
		}
	}
}

// union takes the elements of all arrays, each once.
func union(l *lists, r int32) {
	l.fresh()
	for i := range l.args {
		for from, to := l.span(i, r); from < to; from++ {
			if l.add(from) {
				l.take(from)
			}
		}
	}
}

// meet takes the elements of the first array, each once, that the second has, or
// has not.
func meet(wanted bool) func(l *lists, r int32) {
	return func(l *lists, r int32) {
		l.fresh()
		for from, to := l.span(1, r); from < to; from++ {
			l.add(from)
		}
		first := len(l.taken)
		for from, to := l.span(0, r); from < to; from++ {
			if l.has(from) == wanted {
				l.take(from)
			}
		}
		found := slices.Clone(l.taken[first:])
		l.taken = l.taken[:first]
		l.fresh()
		for _, e := range found {
			if l.add(e) {
				l.take(e)
			}
		}
	}
}

// sliceArray is ARRAY_SLICE: positions from 1, both ends included, negative ones
// from the end; 0 is 1.
func sliceArray(l *lists, r int32) {
	from, to := l.span(0, r)
	n := int64(to - from)
	position := func(p int64) int64 {
		switch {
		case p < 0:
			return p + n + 1
		case p == 0:
			return 1
		default:
			return p
		}
	}
	a := l.arguments()
	first, last := position(a.n(1, r)), n
	if a.count() > 2 {
		last = position(a.n(2, r))
	}
	first, last = max(first, 1), min(last, n)
	if first <= last {
		l.takeAll(from+int32(first)-1, from+int32(last))
	}
}

// sortKernel is ARRAY_SORT: ascending with nulls first, descending with nulls
// last, unless the arguments say otherwise.
func sortKernel(t datatype.Type) kernel {
	return func(k *call) error {
		var orders [4]compute.Comparer
		var failed error
		err := listOf(t, 1, 1, func(l *lists, r int32) {
			o := compute.Order{}
			if len(l.args) > 1 {
				o.Descending = !l.args[1].truth(int(r))
			}
			if o.NullsFirst = !o.Descending; len(l.args) > 2 {
				o.NullsFirst = l.args[2].truth(int(r))
			}
			at := boolBit(o.Descending) + 2*boolBit(o.NullsFirst)
			if orders[at] == nil {
				if orders[at], failed = compute.NewComparer(l.pool, l.pool, o); failed != nil {
					return
				}
			}
			first := len(l.taken)
			l.takeAll(l.span(0, r))
			slices.SortStableFunc(l.taken[first:], func(a, b int32) int { return orders[at].Compare(int(a), int(b)) })
		})(k)
		if failed != nil {
			return failed
		}
		return err
	}
}

func boolBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// positionKernel is ARRAY_POSITION: from 1, 0 for not found.
func positionKernel(elem datatype.Type) kernel {
	return func(k *call) error {
		l, err := k.newLists(2, elem)
		if err != nil {
			return err
		}
		defer l.pool.Release()
		k.allocate(k.out)
		out := values[int32](k.out)
		for _, r := range k.rows() {
			out[r] = 0
			from, to := l.span(0, r)
			for e := from; e < to; e++ {
				if l.equal(e, l.value(1, r)) {
					out[r] = e - from + 1
					break
				}
			}
		}
		return nil
	}
}

// extremeElementKernel is ARRAY_MAX and ARRAY_MIN; nulls do not count.
func extremeElementKernel(t datatype.Type, sign int) kernel {
	return func(k *call) error {
		l, err := k.newLists(1, t)
		if err != nil {
			return err
		}
		defer l.pool.Release()
		rows := absent(k.n)
		for _, r := range k.rows() {
			for from, to := l.span(0, r); from < to; from++ {
				if l.pool.IsValid(int(from)) && (rows[r] < 0 || l.same.Compare(int(from), int(rows[r]))*sign > 0) {
					rows[r] = from
				}
			}
		}
		return k.gatherElements(l.pool, rows, t)
	}
}

// joinKernel is ARRAY_JOIN; nulls are left out unless there is a text for them.
func joinKernel(k *call) error {
	list := k.args[0].arr.(*array.List)
	elements := list.ListValues()
	texts, offsets, mask := compute.NewTexts(elements), listOffsets(list), k.args[0].mask()
	a, out := k.arguments(), k.textOut()
	for _, r := range k.rows() {
		if !out.begin(r) {
			break
		}
		first := true
		for e := offsets[int(r)&mask]; e < offsets[(int(r)&mask)+1]; e++ {
			null := elements.IsNull(int(e))
			if null && a.count() < 3 {
				continue
			}
			if !first {
				out.data = append(out.data, a.s(1, r)...)
			}
			first = false
			if null {
				out.data = append(out.data, a.s(2, r)...)
			} else {
				out.data = append(out.data, texts.At(int(e))...)
			}
		}
	}
	return out.end()
}
