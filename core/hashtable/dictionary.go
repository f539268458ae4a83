package hashtable

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/compute"
)

// dictionary remembers the slots of a dictionary's values or, where all columns of a
// key are dictionaries, of the combinations of their values.
type dictionary struct {
	values []arrow.Array // whose slots these are; owned
	slots  []int32       // by dictionary index or combination: slot, unknown or absent
	keys   int           // keys of the table when absent ones were absent
	index  []int32       // of the rows of a batch
	wanted []int32       // indexes or combinations to look up
	rows   []int32       // of each combination a row that has it
	found  []int32
	hashes []uint64
}

// In place of a slot.
const (
	absent  = -1 // the table did not have it
	unknown = -2 // not looked up yet
	queued  = -3 // about to be looked up
)

// combinations is how many entries dictionary.slots needs for these keys of n rows;
// 0 means that the rows are looked up each on its own.
func (t *Table) combinations(keys []arrow.Array, n int) int {
	size := 1
	for _, k := range keys {
		d, ok := k.(*array.Dictionary)
		if !ok || size*d.Dictionary().Len() > 2*n {
			return 0
		}
		size *= d.Dictionary().Len()
		if !t.single && (d.NullN() > 0 || d.Dictionary().NullN() > 0 || !narrow(d)) {
			return 0
		}
	}
	return size
}

// narrow reports whether a dictionary's indexes have the usual width.
func narrow(a *array.Dictionary) bool {
	return a.DataType().(*arrow.DictionaryType).IndexType.ID() == arrow.INT32
}

func (d *dictionary) forget() {
	for _, v := range d.values {
		v.Release()
	}
	d.values = d.values[:0]
}

// use makes d speak of the dictionaries of these keys, unless it does already.
func (d *dictionary) use(columns []arrow.Array, size, keys int) {
	if d.knows(columns) {
		if d.keys != keys {
			for i, s := range d.slots {
				if s == absent {
					d.slots[i] = unknown
				}
			}
			d.keys = keys
		}
		return
	}
	d.forget()
	for _, c := range columns {
		v := c.(*array.Dictionary).Dictionary()
		v.Retain()
		d.values = append(d.values, v)
	}
	d.slots = sized(d.slots, size)
	for i := range d.slots {
		d.slots[i] = unknown
	}
}

func (d *dictionary) knows(columns []arrow.Array) bool {
	if len(d.values) != len(columns) {
		return false
	}
	for i, c := range columns {
		if d.values[i].Data() != c.(*array.Dictionary).Dictionary().Data() {
			return false
		}
	}
	return true
}

// lookupDictionary looks up each value or combination that occurs, once for each
// dictionary; size is that of combinations.
func (t *Table) lookupDictionary(keys []arrow.Array, size int, sel []int32, slots []int32, add bool) error {
	d := &t.dict
	d.use(keys, size, t.added())
	index := d.indexes(keys, sel)
	if keys[0].NullN() == 0 {
		// Mostly all are known: take what is there and see whether it was slots.
		slots, all := slots[:len(index)], int32(0)
		for i, x := range index {
			s := d.slots[x]
			slots[i] = s
			all |= s
		}
		if all >= 0 {
			return nil
		}
	}
	nulls := d.want(index, sel, add)
	if len(d.wanted) > 0 {
		if err := t.lookupWanted(keys, add); err != nil {
			d.forget()
			return err
		}
	}
	if nulls && add && t.null < 0 {
		if err := t.addNull(hashOfNull(keys, index, sel)); err != nil {
			return err
		}
	}
	for i, x := range index {
		if slots[i] = t.null; x >= 0 {
			slots[i] = d.slots[x]
		}
	}
	d.keys = t.added()
	return nil
}

// hashOfNull is the hash of the first row whose index says null.
func hashOfNull(keys []arrow.Array, index, sel []int32) uint64 {
	r := int32(slices.IndexFunc(index, func(x int32) bool { return x < 0 }))
	if sel != nil {
		r = sel[r]
	}
	return compute.HashColumns(keys, []int32{r}, nil)[0]
}

// indexes returns the dictionary index or combination of each row of sel (nil: all),
// -1 for null; they are an array's own where that is possible.
func (d *dictionary) indexes(keys []arrow.Array, sel []int32) []int32 {
	first := keys[0].(*array.Dictionary)
	if first.NullN() > 0 || !narrow(first) {
		return compute.DictionaryRows(first, sel) // of a single column: see combinations
	}
	all := compute.Indexes(first)
	if sel == nil && len(keys) == 1 {
		return all
	}
	if sel == nil {
		d.index = append(d.index[:0], all...)
	} else {
		d.index = sized(d.index, len(sel))
		for i, r := range sel {
			d.index[i] = all[r]
		}
	}
	for i, k := range keys[1:] {
		d.combine(compute.Indexes(k.(*array.Dictionary)), int32(d.values[i+1].Len()), sel)
	}
	return d.index
}

// combine adds a column of so many values to the combinations.
func (d *dictionary) combine(all []int32, size int32, sel []int32) {
	index := d.index
	if sel == nil {
		all = all[:len(index)]
		for i, x := range index {
			index[i] = x*size + all[i]
		}
		return
	}
	for i, r := range sel[:len(index)] {
		index[i] = index[i]*size + all[r]
	}
}

// want lists what of index is not known, each once, and reports whether there are
// nulls.
func (d *dictionary) want(index, sel []int32, add bool) (nulls bool) {
	d.wanted, d.rows = d.wanted[:0], d.rows[:0]
	for i, x := range index {
		if x < 0 {
			nulls = true
			continue
		}
		if s := d.slots[x]; s == unknown || s == absent && add {
			r := int32(i)
			if sel != nil {
				r = sel[i]
			}
			d.slots[x] = queued
			d.wanted, d.rows = append(d.wanted, x), append(d.rows, r)
		}
	}
	return nulls
}

// lookupWanted resolves what is wanted: values of a single column themselves, else
// rows that have them.
func (t *Table) lookupWanted(keys []arrow.Array, add bool) error {
	d := &t.dict
	columns, rows := keys, d.rows
	if t.single {
		columns, rows = d.values, d.wanted
	}
	d.hashes = compute.HashRouted(columns, t.routed, rows, d.hashes)
	d.found = sized(d.found, len(rows))
	find := t.lookupRows
	if t.single && d.values[0].NullN() > 0 {
		find = t.lookupPresent
	}
	if err := find(columns, rows, d.hashes, d.found, add); err != nil {
		return err
	}
	for i, x := range d.wanted {
		d.slots[x] = d.found[i]
	}
	return nil
}
