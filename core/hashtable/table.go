package hashtable

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/stream"
)

// Table maps keys to slots and holds value columns by slot. It is what
// state.Rows describes, with more: Find, Reserve, Release.
type Table struct {
	keys      store
	directory directory
	values    []*state.Column
	ledger    *ledger
	single    bool  // one key column: its null has a slot of its own
	null      int32 // that slot, -1 while there is none
	dict      dictionary

	miss    []int32
	rows    []int32 // rows without null, when there are nulls
	at      []int32 // their positions
	some    []uint64
	present []int32
	valid   []bool
}

// New returns an empty table for keys and values of these types; account, which
// may be nil, is charged for it. It fails for types that cannot be keys (the
// nested ones) or values.
func New(keys, values datatype.Schema, account stream.Account) (*Table, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("hash table without key columns")
	}
	l := &ledger{account: account}
	if len(keys) == 1 && StorageOf(keys[0].Type) == Chars {
		t := newChars(keys[0], l)
		return t, t.addValues(values)
	}
	p, err := newPacking(keys, l)
	if err != nil {
		return nil, err
	}
	t := newTable(l, len(keys) == 1)
	switch p.width {
	case 1:
		t.keys = &oneWord{words: words[uint64]{ledger: l}, packing: p}
	case 2:
		t.keys = &twoWords{words: words[[2]uint64]{ledger: l}, packing: p}
	default:
		t.keys = &manyWords{strides: strides{ledger: l, width: p.width}, packing: p}
	}
	return t, t.addValues(values)
}

func newTable(l *ledger, single bool) *Table {
	return &Table{ledger: l, directory: directory{ledger: l}, single: single, null: -1}
}

// newChars returns a table of one character column.
func newChars(key datatype.Field, l *ledger) *Table {
	t := newTable(l, true)
	t.keys = &chars{words: words[[2]uint64]{ledger: l}, typ: key.Type}
	return t
}

func (t *Table) addValues(values datatype.Schema) error {
	for _, v := range values {
		c, err := NewColumn(v.Type)
		if err != nil {
			return fmt.Errorf("value %s: %w", v.Name, err)
		}
		t.values = append(t.values, c)
	}
	return nil
}

// Len is the number of keys, and one more than the largest slot.
func (t *Table) Len() int { return t.keys.size() }

// Values gives the value columns by slot; the caller may write to them. They are
// valid until the next Resolve.
func (t *Table) Values() []*state.Column { return t.values }

// Bytes is what the table has charged.
func (t *Table) Bytes() int64 { return t.ledger.used }

// Keys returns the key columns of slots [from, to), owned by the caller.
func (t *Table) Keys(mem memory.Allocator, from, to int) ([]arrow.Array, error) {
	return t.keys.arrays(mem, from, to, t.null)
}

// Reserve makes room for n keys in all, so that adding them costs no growth.
func (t *Table) Reserve(n int) error {
	if err := t.keys.reserve(n - t.Len()); err != nil {
		return err
	}
	return t.directory.reserve(n)
}

// Seal gives back what only Resolve and Find need, which must not be called
// afterwards: what remains is to be read and released.
func (t *Table) Seal() {
	t.ledger.shrink(int64(len(t.directory.entries)) * 8)
	t.directory.entries, t.directory.mask = nil, 0
	t.dict.forget()
}

// Release gives the table's memory back; it must not be used afterwards.
func (t *Table) Release() {
	t.releaseParts()
	t.ledger.release()
	t.values = nil
}

// releaseParts lets go of what Arrow counts.
func (t *Table) releaseParts() {
	t.dict.forget()
	t.keys.release()
}

// Resolve gives each selected row the slot of its key and adds keys that are new,
// with every value zero and null. hashes are those of compute.HashColumns over
// the key columns, for the rows of sel (nil: all), in their order. When memory is
// exhausted it fails and adds nothing.
func (t *Table) Resolve(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	old := t.Len()
	err := t.lookup(keys, sel, hashes, slots, true)
	for i := 0; err == nil && i < len(t.values); i++ {
		err = extend(t.ledger, t.values[i], t.Len())
	}
	if err != nil {
		t.truncate(old)
	}
	return err
}

// Find is Resolve without adding: rows with an unknown key get -1.
func (t *Table) Find(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32) error {
	return t.lookup(keys, sel, hashes, slots, false)
}

// truncate forgets all slots from n on.
func (t *Table) truncate(n int) {
	t.keys.truncate(n)
	t.directory.truncate(n)
	t.dict.forget()
	if int(t.null) >= n {
		t.null = -1
	}
	for _, c := range t.values {
		c.Int64, c.Float64 = cut(c.Int64, n), cut(c.Float64, n)
		c.Dec128, c.Bytes, c.Valid = cut(c.Dec128, n), cut(c.Bytes, n), cut(c.Valid, n)
	}
}

func cut[T any](s []T, n int) []T { return s[:min(n, len(s))] }

// NeedsHashes reports whether Resolve and Find read the hashes of n rows of keys.
// Where they do not, because the only key column is a dictionary, they take a
// slice of n that nobody has filled.
func (t *Table) NeedsHashes(keys []arrow.Array, n int) bool {
	d, ok := keys[0].(*array.Dictionary)
	return !t.single || !ok || d.Dictionary().Len() > 2*n
}

func (t *Table) lookup(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32, add bool) error {
	if len(hashes) == 0 {
		return nil
	}
	if len(t.directory.entries) == 0 {
		if err := t.directory.grow(); err != nil {
			return err
		}
	}
	if t.single {
		if !t.NeedsHashes(keys, len(hashes)) {
			return t.lookupDictionary(keys[0].(*array.Dictionary), sel, slots, add)
		}
		if nulls := keys[0].NullN(); nulls > 0 || keys[0].DataType().ID() == arrow.NULL {
			return t.lookupPresent(keys, sel, hashes, slots, add)
		}
	}
	return t.lookupRows(keys, sel, hashes, slots, add)
}

// lookupRows does the two passes over rows that are not null, or whose nulls are
// part of the key.
func (t *Table) lookupRows(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32, add bool) error {
	if err := t.keys.load(keys, sel, hashes, add); err != nil {
		return err
	}
	// One more than there are rows: the pass writes before it knows whether to.
	t.miss = sized(t.miss, len(hashes)+1)
	miss := t.keys.first(&t.directory, hashes, slots[:len(hashes)], t.miss[:0], add)
	if !add {
		t.keys.find(&t.directory, hashes, slots, miss)
		return nil
	}
	return t.keys.add(&t.directory, hashes, slots, miss)
}

// lookupPresent looks up the rows of a single column that are not null, and gives
// the others the null's slot.
func (t *Table) lookupPresent(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32, add bool) error {
	a, n := keys[0], len(hashes)
	t.rows, t.at, t.some = t.rows[:0], t.at[:0], t.some[:0]
	anyNull := false
	valid := compute.Validity(a, sel, t.valid)
	if valid != nil {
		t.valid = valid
	}
	for i := range n {
		if valid != nil && !valid[i] {
			anyNull = true
			continue
		}
		r := int32(i)
		if sel != nil {
			r = sel[i]
		}
		t.rows, t.at, t.some = append(t.rows, r), append(t.at, int32(i)), append(t.some, hashes[i])
	}
	if anyNull && t.null < 0 && add {
		if err := t.keys.addNull(); err != nil {
			return err
		}
		t.null = int32(t.Len() - 1)
	}
	t.present = sized(t.present, len(t.rows))
	if len(t.rows) > 0 {
		if err := t.lookupRows(keys, t.rows, t.some, t.present, add); err != nil {
			return err
		}
	}
	if anyNull {
		for i := range n {
			slots[i] = t.null
		}
	}
	for i, at := range t.at {
		slots[at] = t.present[i]
	}
	return nil
}

// dictionary remembers the slots of a dictionary's values.
type dictionary struct {
	values arrow.Array // whose slots these are; owned
	slots  []int32     // by dictionary index: slot, unknown or absent
	keys   int         // keys of the table when absent ones were absent
	index  []int32     // of the rows of a batch
	wanted []int32     // dictionary indexes to look up
	found  []int32
	hashes []uint64
}

// In place of a slot.
const (
	absent  = -1 // the table did not have it
	unknown = -2 // not looked up yet
	queued  = -3 // about to be looked up
)

func (d *dictionary) forget() {
	if d.values != nil {
		d.values.Release()
		d.values = nil
	}
}

// use makes d speak of another dictionary, unless it is the same one.
func (d *dictionary) use(values arrow.Array, keys int) {
	if d.values != nil && d.values.Data() == values.Data() {
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
	values.Retain()
	d.values = values
	d.slots = sized(d.slots, values.Len())
	for i := range d.slots {
		d.slots[i] = unknown
	}
}

// lookupDictionary looks up each value that occurs, once for each dictionary.
func (t *Table) lookupDictionary(a *array.Dictionary, sel []int32, slots []int32, add bool) error {
	d := &t.dict
	d.use(a.Dictionary(), t.Len())
	index := d.indexes(a, sel)
	if a.NullN() == 0 {
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
	d.wanted = d.wanted[:0]
	nulls := false
	for _, x := range index {
		if x < 0 {
			nulls = true
		} else if s := d.slots[x]; s == unknown || s == absent && add {
			d.slots[x] = queued
			d.wanted = append(d.wanted, x)
		}
	}
	if len(d.wanted) > 0 {
		if err := t.lookupWanted(add); err != nil {
			d.forget()
			return err
		}
	}
	if nulls && add && t.null < 0 {
		if err := t.keys.addNull(); err != nil {
			return err
		}
		t.null = int32(t.Len() - 1)
	}
	for i, x := range index {
		if slots[i] = t.null; x >= 0 {
			slots[i] = d.slots[x]
		}
	}
	d.keys = t.Len()
	return nil
}

// indexes returns the dictionary index of each row of sel (nil: all), -1 for
// null; they are the array's own where that is possible.
func (d *dictionary) indexes(a *array.Dictionary, sel []int32) []int32 {
	dt := a.DataType().(*arrow.DictionaryType)
	if a.NullN() > 0 || dt.IndexType.ID() != arrow.INT32 {
		return compute.DictionaryRows(a, sel)
	}
	data := a.Data()
	all := arrow.GetData[int32](data.Buffers()[1].Bytes())[data.Offset() : data.Offset()+data.Len()]
	if sel == nil {
		return all
	}
	d.index = sized(d.index, len(sel))
	for i, r := range sel {
		d.index[i] = all[r]
	}
	return d.index
}

// lookupWanted resolves the dictionary values in wanted.
func (t *Table) lookupWanted(add bool) error {
	d := &t.dict
	values := []arrow.Array{d.values}
	d.hashes = compute.HashColumns(values, d.wanted, d.hashes)
	d.found = sized(d.found, len(d.wanted))
	find := t.lookupRows
	if d.values.NullN() > 0 {
		find = t.lookupPresent
	}
	if err := find(values, d.wanted, d.hashes, d.found, add); err != nil {
		return err
	}
	for i, x := range d.wanted {
		d.slots[x] = d.found[i]
	}
	return nil
}

// Rows is a table as state.Rows, for operators that keep their rows either in a
// table of their own or in keyed state.
type Rows struct {
	*Table
	Mem memory.Allocator
}

// Keys implements state.Rows.
func (r Rows) Keys(from, to int) ([]arrow.Array, error) { return r.Table.Keys(r.Mem, from, to) }

var _ state.Rows = Rows{}
