package updateagg

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/state"
)

// bag is the different values of a call in all groups: a table of (group, value).
//
//	group --first--> value <--> value <--> value <--last-- group
//
// The chains are not state: they follow from it. They are in the order in which values
// came.
type bag struct {
	rows   state.Rows
	linked bool // chains are needed
	next   int64

	first, last []int32 // by group, -1: none
	after, prev []int32 // by value, -1: none
}

// valueColumns are those of a bag's table.
func valueColumns() datatype.Schema {
	number := datatype.Of(datatype.BigInt).NotNull()
	return datatype.Schema{{Name: "rows", Type: number}, {Name: "sequence", Type: number}}
}

// linked reports whether the values of a group are ever gone through.
func (a *Aggregate) linked(i int) bool {
	return a.spec.KeepMillis > 0 || a.retracting && !a.acc.Retractable(i)
}

// counting is scratch of counting values.
type counting struct {
	hashes []uint64
	slots  []int32
	seen   stamps
	turns  []turn
	came   part
	went   part
	gone   []int32
}

// turn is a value that a batch touches: its slot, a row that has it, the slot of its
// group, and how many rows had it before.
type turn struct {
	value, row, group int32
	before            int64
}

// count takes the rows of the batch into the bag of a call, and the values that come and
// go into its accumulator.
func (a *Aggregate) count(s *space, i int) error {
	r, c, b := &a.batch, &a.batch.counting, s.bags[i]
	args, sel, slots := a.acc.Wanted(i, r.in, r.sel, r.slots)
	if len(slots) == 0 {
		return nil
	}
	if err := a.countRows(b, args, sel, slots); err != nil {
		return err
	}
	if err := a.turnValues(s, b); err != nil {
		return err
	}
	defer func() { b.rows.Remove(c.gone) }()
	values := s.rows.Values()
	again := a.lost(i, values, args)
	if len(again) > 0 && !picks(a.spec.Calls[i]) {
		c.came.leaveOut(&r.again)
	}
	if err := a.acc.AddArgs(i, values, args, c.came.sel, c.came.slots); err != nil {
		return err
	}
	if a.retracting && a.acc.Retractable(i) {
		return a.acc.RetractArgs(i, values, args, c.went.sel, c.went.slots)
	}
	return a.recount(s, i, again)
}

// countRows changes the numbers of rows by value.
func (a *Aggregate) countRows(b *bag, args []arrow.Array, sel, slots []int32) error {
	r, c := &a.batch, &a.batch.counting
	keys := r.keys
	if a.global {
		zeros, err := a.zeroKeys(args[0].Len())
		if err != nil {
			return err
		}
		defer zeros.Release()
		keys = []arrow.Array{zeros}
	}
	columns := append(keys[:len(keys):len(keys)], args...)
	c.hashes = compute.HashRouted(columns, len(keys), sel, c.hashes)
	c.slots = sized(c.slots, len(slots))
	if err := b.rows.Resolve(columns, sel, c.hashes, c.slots); err != nil {
		return err
	}
	number := b.rows.Values()[0]
	c.seen.begin(b.rows.Len())
	c.turns = c.turns[:0]
	for i, value := range c.slots {
		row := rowAt(sel, i)
		if c.seen.first(value) {
			c.turns = append(c.turns, turn{value: value, row: row, group: slots[i], before: number.Int64[value]})
			number.Valid[value] = true
		}
		if a.retracting && r.kinds != nil && r.kinds[row].Retracts() {
			number.Int64[value]--
		} else {
			number.Int64[value]++
		}
	}
	return nil
}

// turnValues tells the values that came and went from the others, and chains them.
func (a *Aggregate) turnValues(s *space, b *bag) error {
	c := &a.batch.counting
	c.came.reset()
	c.went.reset()
	c.gone = c.gone[:0]
	if b.linked {
		if err := a.reach(s, b); err != nil {
			return err
		}
	}
	number, sequence := b.rows.Values()[0], b.rows.Values()[1]
	for _, t := range c.turns {
		n := number.Int64[t.value]
		switch {
		case t.before <= 0 && n > 0:
			c.came.append(t.row, t.group)
			sequence.Int64[t.value], sequence.Valid[t.value] = b.next, true
			b.next++
			if b.linked {
				b.link(t.group, t.value)
			}
		case t.before > 0 && n <= 0:
			c.went.append(t.row, t.group)
			if b.linked {
				b.unlink(t.group, t.value)
			}
		}
		if n == 0 || n < 0 && a.spec.KeepMillis > 0 {
			c.gone = append(c.gone, t.value)
		}
	}
	return nil
}

// lost are the groups whose accumulator must be computed anew for values that went.
func (a *Aggregate) lost(i int, values []*state.Column, args []arrow.Array) []int32 {
	r, c := &a.batch, &a.batch.counting
	if len(c.went.slots) == 0 || a.acc.Retractable(i) {
		return nil
	}
	matters := make([]bool, len(c.went.slots))
	if picks(a.spec.Calls[i]) {
		equal(matters, a.acc.CallValues(i, values)[0], args[0], c.went)
	} else {
		for k := range matters {
			matters[k] = true
		}
	}
	r.again.begin(len(values[0].Valid))
	r.groups = r.groups[:0]
	for k, slot := range c.went.slots {
		if matters[k] && r.again.first(slot) {
			r.groups = append(r.groups, slot)
		}
	}
	return r.groups
}

// leaveOut drops the rows of groups that are noted.
func (p *part) leaveOut(groups *stamps) {
	n := 0
	for i, slot := range p.slots {
		if !groups.has(slot) {
			p.sel[n], p.slots[n] = p.sel[i], slot
			n++
		}
	}
	p.sel, p.slots = p.sel[:n], p.slots[:n]
}

// equal flags the rows whose value is that in the column.
func equal(flags []bool, c *state.Column, a arrow.Array, p part) {
	switch hashtable.StorageOf(c.Type) {
	case hashtable.Integer:
		v, _ := compute.Integers(a, p.sel, nil)
		for i, s := range p.slots {
			flags[i] = c.Int64[s] == v[i]
		}
	case hashtable.Real:
		v, _ := compute.Reals(a, p.sel, nil)
		for i, s := range p.slots {
			x := c.Float64[s]
			flags[i] = x == v[i] || x != x && v[i] != v[i]
		}
	case hashtable.Wide:
		v, _ := compute.Wides(a, p.sel, nil)
		for i, s := range p.slots {
			flags[i] = c.Dec128[s] == v[i]
		}
	default:
		texts := compute.NewTexts(a)
		for i, s := range p.slots {
			flags[i] = bytes.Equal(c.Bytes[s], texts.At(int(p.sel[i])))
		}
	}
}

// stretch is how many values or rows are added to accumulators at a time when these are
// computed anew.
const stretch = 1 << 13

// recount computes the accumulators of groups from the values that they have.
func (a *Aggregate) recount(s *space, i int, groups []int32) error {
	if len(groups) == 0 {
		return nil
	}
	if err := a.reset(s, i, groups); err != nil {
		return err
	}
	b := s.bags[i]
	var slots, values []int32
	flush := func() error {
		if len(values) == 0 {
			return nil
		}
		columns, err := a.takeKeys(b.rows, values)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(columns)
		err = a.acc.AddArgs(i, s.rows.Values(), columns[len(a.keyTypes):], nil, slots)
		slots, values = slots[:0], values[:0]
		return err
	}
	for _, group := range groups {
		for v := b.first[group]; v >= 0; v = b.after[v] {
			slots, values = append(slots, group), append(values, v)
			if len(values) == stretch {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// reach makes room for the chains of all groups and values.
func (a *Aggregate) reach(s *space, b *bag) error {
	groups, values := s.rows.Len()-len(b.first), b.rows.Len()-len(b.after)
	const bytesEach = 2 * 4
	for _, more := range []struct {
		n      int
		chains [2]*[]int32
	}{{groups, [2]*[]int32{&b.first, &b.last}}, {values, [2]*[]int32{&b.after, &b.prev}}} {
		if more.n <= 0 {
			continue
		}
		n := max(more.n, len(*more.chains[0]), 64)
		if err := a.charge(s, int64(n)*bytesEach); err != nil {
			return err
		}
		for _, chain := range more.chains {
			bigger := make([]int32, len(*chain)+n)
			for i := copy(bigger, *chain); i < len(bigger); i++ {
				bigger[i] = -1
			}
			*chain = bigger
		}
	}
	return nil
}

// link puts a value at the end of its group's chain.
func (b *bag) link(group, value int32) {
	last := b.last[group]
	b.prev[value], b.after[value] = last, -1
	if last < 0 {
		b.first[group] = value
	} else {
		b.after[last] = value
	}
	b.last[group] = value
}

func (b *bag) unlink(group, value int32) {
	before, after := b.prev[value], b.after[value]
	if before < 0 {
		b.first[group] = after
	} else {
		b.after[before] = after
	}
	if after < 0 {
		b.last[group] = before
	} else {
		b.prev[after] = before
	}
}

// forget drops all values of groups.
func (b *bag) forget(groups []int32) {
	var values []int32
	for _, g := range groups {
		if int(g) >= len(b.first) {
			continue
		}
		for v := b.first[g]; v >= 0; v = b.after[v] {
			values = append(values, v)
		}
		b.first[g], b.last[g] = -1, -1
	}
	b.rows.Remove(values)
}

// relink chains the values of a restored bag.
func (a *Aggregate) relink(s *space, b *bag) error {
	if err := a.reach(s, b); err != nil {
		return err
	}
	type found struct {
		sequence     int64
		group, value int32
	}
	var all []found
	err := b.rows.Each(func(v state.View, from, to int) error {
		keys, err := v.Keys(from, to)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(keys)
		of, groups := keys[:len(a.keyTypes)], make([]int32, to-from)
		if err := s.rows.Find(of, nil, compute.HashColumns(of, nil, nil), groups); err != nil {
			return err
		}
		number, sequence := v.Values()[0].Int64, v.Values()[1].Int64
		for i, g := range groups {
			if at := from + i; g >= 0 && number[at] > 0 {
				all = append(all, found{sequence[at], g, int32(at)})
				b.next = max(b.next, sequence[at]+1)
			}
		}
		return nil
	})
	slices.SortFunc(all, func(x, y found) int { return cmp.Compare(x.sequence, y.sequence) })
	for _, f := range all {
		b.link(f.group, f.value)
	}
	return err
}
