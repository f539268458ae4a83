package hashtable

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
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
	routed    int // key columns by which rows are routed; 0: all

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
		t.keys = &fewWords[[2]uint64]{words: words[[2]uint64]{ledger: l}, packing: p}
	case 3:
		t.keys = &fewWords[[3]uint64]{words: words[[3]uint64]{ledger: l}, packing: p}
	case 4:
		t.keys = &fewWords[[4]uint64]{words: words[[4]uint64]{ledger: l}, packing: p}
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

// added is how many keys have been added so far.
func (t *Table) added() int { return t.Len() + t.directory.recycled }

// Bytes is what the table has charged.
func (t *Table) Bytes() int64 { return t.ledger.used }

// Capacity is how many keys of a Removable table there is room for.
func (t *Table) Capacity() int { return cap(t.directory.hashes) }

// Keys returns the key columns of slots [from, to), owned by the caller.
func (t *Table) Keys(mem memory.Allocator, from, to int) ([]arrow.Array, error) {
	return t.keys.arrays(mem, from, to, t.null)
}

// Take returns the key columns of slots in use, in any order, owned by the caller.
func (t *Table) Take(mem memory.Allocator, slots []int32) ([]arrow.Array, error) {
	return t.keys.take(mem, slots, t.null)
}

// Removable makes Remove and Hashes possible, of a table that is empty, and has it grow piece by
// piece.
func (t *Table) Removable() { t.directory.hashes, t.ledger.phased = []uint64{}, true }

// Routed says that hashes are those of compute.HashRouted by the first key columns, 0 meaning
// all, of a table that is empty.
func (t *Table) Routed(columns int) { t.routed = columns }

// Hashes gives the hash of each slot in use; it is valid until the next Resolve.
func (t *Table) Hashes() []uint64 { return t.directory.hashes }

// Free lists the slots below Len that are not in use.
func (t *Table) Free() []int32 { return t.directory.free }

// Remove forgets keys by their slots, each of which is in use and comes once. Values
// become zero and null; the slots are used again.
func (t *Table) Remove(slots []int32) {
	if len(slots) == 0 {
		return
	}
	t.dict.forget()
	for _, s := range slots {
		if s == t.null {
			t.null = -1
		} else {
			t.directory.remove(s)
		}
		t.keys.removed(s)
	}
	t.directory.free = append(t.directory.free, slots...)
	for _, c := range t.values {
		reset(c, slots)
	}
}

// Compact gives up memory that removed keys have left, where that is worth while.
// Slots stay.
func (t *Table) Compact(mem memory.Allocator) error { return t.keys.compact(mem, t.directory.free) }

// Reserve makes room for n keys in all, so that adding them costs no growth.
func (t *Table) Reserve(n int) error {
	if err := t.keys.reserve(n - t.Len()); err != nil {
		return err
	}
	for _, c := range t.values {
		if err := reserve(t.ledger, c, n); err != nil {
			return err
		}
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
	old, null := t.Len(), t.null
	t.directory.reused = t.directory.reused[:0]
	err := t.lookup(keys, sel, hashes, slots, true)
	for i := 0; err == nil && i < len(t.values); i++ {
		err = extend(t.ledger, t.values[i], t.Len())
	}
	if err != nil {
		t.giveUp(old, null)
	}
	return err
}

// giveUp forgets what a lookup that failed has added.
func (t *Table) giveUp(old int, null int32) {
	reused := t.directory.reused
	for _, s := range reused {
		if s != t.null {
			t.directory.remove(s)
		}
		t.keys.removed(s)
	}
	t.directory.free = append(t.directory.free, reused...)
	t.truncate(old)
	t.null = null
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
// Where they do not, because all key columns are small dictionaries, they take a
// slice of n that nobody has filled.
func (t *Table) NeedsHashes(keys []arrow.Array, n int) bool { return t.combinations(keys, n) == 0 }

func (t *Table) lookup(keys []arrow.Array, sel []int32, hashes []uint64, slots []int32, add bool) error {
	if len(hashes) == 0 {
		return nil
	}
	if len(t.directory.entries) == 0 {
		if err := t.directory.grow(); err != nil {
			return err
		}
	}
	if add {
		t.directory.ahead(len(hashes))
	}
	if size := t.combinations(keys, len(hashes)); size > 0 {
		return t.lookupDictionary(keys, size, sel, slots, add)
	}
	if t.single {
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
		if err := t.addNull(hashes[slices.Index(valid, false)]); err != nil {
			return err
		}
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

// addNull gives the null of a single key column a slot.
func (t *Table) addNull(hash uint64) (err error) {
	d := &t.directory
	if len(d.free) == 0 {
		if err := t.keys.addNull(); err != nil {
			return err
		}
	}
	slot, err := d.slot(t.Len()-1, hash)
	t.null = int32(slot)
	return err
}

// Runs hands out the slots in use as runs [from, to), each of at most most slots.
func (t *Table) Runs(most int, do func(from, to int) error) error {
	free := slices.Sorted(slices.Values(t.directory.free))
	free = append(free, int32(t.Len()))
	from := 0
	for _, end := range free {
		for ; from < int(end); from += most {
			if err := do(from, min(from+most, int(end))); err != nil {
				return err
			}
		}
		from = int(end) + 1
	}
	return nil
}

// Rows is a table as state.Rows, for operators that keep their rows either in a
// table of their own or in keyed state.
type Rows struct {
	*Table
	Mem memory.Allocator
}

// Keys implements state.View.
func (r Rows) Keys(from, to int) ([]arrow.Array, error) { return r.Table.Keys(r.Mem, from, to) }

// Touch implements state.Rows.
func (r Rows) Touch([]int32) {}

// Each implements state.Rows.
func (r Rows) Each(do func(v state.View, from, to int) error) error {
	return r.Runs(stream.MaxRows, func(from, to int) error { return do(r, from, to) })
}

// Lists implements state.Rows.
func (r Rows) Lists() state.Lists { return nil }

var _ state.Rows = Rows{}
