package parquet

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
)

// writeNode is a value of the schema on the writing side. Nested values are
// taken apart from the top down: a node gets slots, each of which is a value of
// its array or nothing, because what is around it is null or empty; it raises
// the definition levels of those that are not null, and makes its children's
// slots out of them.
type writeNode struct {
	name     string
	typ      datatype.Type
	rep      int // of a list or map: the repetition level of its elements
	children []*writeNode
	leaf     columnWriter
	slots    shreds // handed to it
	step     int    // rows taken at once, of a column
}

// shreds are slots: the levels of a node's values and where they are in its array, -1 if
// nowhere.
type shreds struct {
	defs, reps list[byte]
	at         list[int32]
}

func (s *shreds) use(alloc memory.Allocator) {
	s.defs.alloc, s.reps.alloc, s.at.alloc = alloc, alloc, alloc
}

func (s *shreds) reset() {
	s.defs.v, s.reps.v, s.at.v = s.defs.v[:0], s.reps.v[:0], s.at.v[:0]
}

func (s *shreds) copyOf(o *shreds) {
	s.reset()
	s.defs.push(o.defs.v...)
	s.reps.push(o.reps.v...)
	s.at.push(o.at.v...)
}

func (n *writeNode) release() {
	n.slots.defs.release()
	n.slots.reps.release()
	n.slots.at.release()
	for _, c := range n.children {
		c.release()
	}
}

// add encodes rows [from, to) of a column.
func (n *writeNode) add(a arrow.Array, from, to int) error {
	for from < to {
		var next int
		var err error
		if n.leaf != nil {
			next = n.leaf.room(a, from, to)
			var s stretch
			if s, err = n.leaf.chunk().addRows(a, from, next); err == nil {
				err = n.leaf.add(s)
			}
		} else {
			next, err = n.addNested(a, from, to)
		}
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// addNested encodes some rows and returns how far it came. How many depends on
// how many slots and bytes the last ones made.
func (n *writeNode) addNested(a arrow.Array, from, to int) (int, error) {
	if n.step == 0 {
		n.step = 256
	}
	to = min(to, from+n.step)
	n.slots.reset()
	clear(n.slots.defs.extend(to - from))
	clear(n.slots.reps.extend(to - from))
	for i, at := 0, n.slots.at.extend(to-from); i < len(at); i++ {
		at[i] = int32(from + i)
	}
	most, err := n.shred(a, to-from)
	if most < stepRows/2 {
		n.step = min(2*n.step, stepRows)
	} else if most > 2*stepRows {
		n.step = max(n.step/2, 1)
	}
	return to, err
}

// shred encodes the array's values in the node's slots, which are so many rows
// of the file. It returns the most slots that a leaf got, where a slot of many
// bytes counts as several.
func (n *writeNode) shred(a arrow.Array, rows int) (most int, err error) {
	if n.typ.Nullable {
		n.dropNulls(a)
	} else if n.hasNull(a) {
		return 0, fmt.Errorf("null in %s, which is declared NOT NULL", n.name)
	}
	var arrays []arrow.Array
	switch n.typ.Kind {
	case datatype.Row:
		s, ok := a.(*array.Struct)
		if !ok || s.NumField() != len(n.children) {
			return 0, fmt.Errorf("batch has %s where %s belongs", a.DataType(), n.typ)
		}
		for i, c := range n.children {
			c.slots.copyOf(&n.slots)
			arrays = append(arrays, s.Field(i))
		}
	case datatype.Array:
		l, ok := a.(*array.List)
		if !ok {
			return 0, fmt.Errorf("batch has %s where %s belongs", a.DataType(), n.typ)
		}
		n.unfold(l.Offsets(), l.Data().Offset())
		arrays = append(arrays, l.ListValues())
	case datatype.Map:
		m, ok := a.(*array.Map)
		if !ok {
			return 0, fmt.Errorf("batch has %s where %s belongs", a.DataType(), n.typ)
		}
		entries := m.ListValues().(*array.Struct)
		n.unfold(m.Offsets(), m.Data().Offset())
		n.children[1].slots.copyOf(&n.children[0].slots)
		arrays = append(arrays, entries.Field(0), entries.Field(1))
	default:
		return n.addLeaf(a, rows)
	}
	for i, c := range n.children {
		got, err := c.shred(arrays[i], rows)
		if err != nil {
			return 0, err
		}
		most = max(most, got)
	}
	return most, nil
}

// dropNulls raises the definition level of the values that are not null.
func (n *writeNode) dropNulls(a arrow.Array) {
	defs, at := n.slots.defs.v, n.slots.at.v
	bitmap, off := a.NullBitmapBytes(), a.Data().Offset()
	switch {
	case a.DataType().ID() == arrow.NULL:
		for i := range at {
			at[i] = -1
		}
	case a.NullN() == 0 || len(bitmap) == 0:
		for i, x := range at {
			defs[i] += byte(^uint32(x) >> 31)
		}
	default:
		for i, x := range at {
			if x < 0 {
				continue
			}
			if bitutil.BitIsSet(bitmap, off+int(x)) {
				defs[i]++
			} else {
				at[i] = -1
			}
		}
	}
}

// hasNull reports whether a slot's value is null.
func (n *writeNode) hasNull(a arrow.Array) bool {
	if a.NullN() == 0 {
		return false
	}
	for _, x := range n.slots.at.v {
		if x >= 0 && a.IsNull(int(x)) {
			return true
		}
	}
	return false
}

// unfold makes the first child's slots of the elements of lists. A list without
// any, and no list at all, is one slot with nothing in it.
func (n *writeNode) unfold(offsets []int32, first int) {
	to := &n.children[0].slots
	to.reset()
	rep := byte(n.rep)
	defs, reps, at := n.slots.defs.v, n.slots.reps.v, n.slots.at.v
	to.reserve(len(at))
	for i, x := range at {
		from, end := int32(0), int32(0)
		if x >= 0 {
			from, end = offsets[first+int(x)], offsets[first+int(x)+1]
		}
		if from == end {
			to.reserve(1)
			to.defs.v, to.reps.v, to.at.v = append(to.defs.v, defs[i]), append(to.reps.v, reps[i]), append(to.at.v, -1)
			continue
		}
		k := int(end - from)
		to.reserve(k)
		d, r, p := to.defs.extend(k), to.reps.extend(k), to.at.extend(k)
		for j := range d {
			d[j] = defs[i] + 1
			r[j] = rep
			p[j] = from + int32(j)
		}
		r[0] = reps[i]
	}
}

func (s *shreds) reserve(k int) {
	s.defs.reserve(k)
	s.reps.reserve(k)
	s.at.reserve(k)
}

// addLeaf hands the present values to the leaf's encoder. Their places ascend, so
// they are a stretch of the array, with a bitmap if some of it is absent.
func (n *writeNode) addLeaf(a arrow.Array, rows int) (int, error) {
	at := n.slots.at.v
	low, high, count := int32(-1), int32(-1), 0
	for _, x := range at {
		if x >= 0 {
			if low < 0 {
				low = x
			}
			high = x
			count++
		}
	}
	c := n.leaf.chunk()
	c.addLevels(n.slots.defs.v, n.slots.reps.v, rows, count)
	s := stretch{array: a, count: count}
	if count > 0 {
		s.from, s.to = int(low), int(high)+1
	}
	if count < s.to-s.from {
		s.present = c.present.resize((s.to - s.from + 7) / 8)
		clear(s.present)
		for _, x := range at {
			if x >= 0 {
				bitutil.SetBit(s.present, int(x-low))
			}
		}
	}
	before := n.leaf.size()
	err := n.leaf.add(s)
	return max(len(at), (n.leaf.size()-before)/(pageBytes/stepRows)), err
}
