package process

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// The value columns that a table has before those that were asked for.
const (
	presentColumn = iota // 1: the key has something
	touchedColumn        // when it was written, Unix milliseconds
	ownColumns
)

// sweeps is how often in a lifetime what has outlived it is looked for.
const sweeps = 8

// TableSpec declares keyed state: one of values for each key, or a list of rows, or both.
type TableSpec struct {
	Name   string
	Values datatype.Schema
	List   datatype.Schema
	// Keep is how long, by processing time, a key's state is kept that is not written;
	// zero: until it is cleared.
	Keep time.Duration
}

// Table is keyed state of the key in hand. What fails panics with a StateError.
type Table struct {
	rt    *Runtime
	name  string
	rows  state.Rows
	texts bool // values hold bytes outside the table
	keep  int64
	swept int64

	batch   uint64  // for which slots are known
	slots   []int32 // by number of key; -1: none
	cleared []int32 // numbers of keys
	one     [1]int32
}

// Table declares keyed state. Only Open may call it.
func (r *Runtime) Table(spec TableSpec) (*Table, error) {
	number, err := r.tableID(spec.Name)
	if err != nil {
		return nil, err
	}
	values := append(datatype.Schema{{Name: "present", Type: bigint}, {Name: "touched", Type: bigint}}, spec.Values...)
	table, err := r.backend.Table(state.TableSpec{
		ID: number, Name: spec.Name, Keys: r.keys.schema, Values: values, List: spec.List, Evictable: true, Named: true,
	})
	if err != nil {
		return nil, err
	}
	t := &Table{rt: r, name: spec.Name, keep: spec.Keep.Milliseconds()}
	for _, f := range spec.Values {
		t.texts = t.texts || f.Type.IsString() || f.Type.IsBinary()
	}
	if t.rows, err = table.Namespace(0); err != nil {
		return nil, err
	}
	r.tables = append(r.tables, t)
	return t, nil
}

// Find is the slot of the key in hand, or -1 where it has no state.
func (t *Table) Find() int32 {
	return t.FindKey(t.rt.keys.key())
}

// Key is the number of the key in hand among those of the batch.
func (t *Table) Key() int32 { return t.rt.keys.key() }

// Batch counts what is in hand: numbers of keys are of one batch.
func (t *Table) Batch() uint64 { return t.rt.keys.batch }

// FindKey is Find of a key by its number.
func (t *Table) FindKey(key int32) int32 {
	t.lookup()
	s := t.slots[key]
	if s < 0 || !t.present(s) {
		return -1
	}
	return s
}

// lookup finds the slots of all keys in hand, once.
func (t *Table) lookup() {
	k := &t.rt.keys
	if t.batch == k.batch {
		return
	}
	t.batch = k.batch
	if cap(t.slots) < len(k.heads) {
		t.slots = make([]int32, len(k.heads))
	}
	t.slots = t.slots[:len(k.heads)]
	must(t.rows.Find(k.arrays, k.heads, k.headSum, t.slots))
}

// present says that a slot has state that has not outlived its time.
func (t *Table) present(slot int32) bool {
	v := t.rows.Values()
	if v[presentColumn].Int64[slot] == 0 {
		return false
	}
	return t.keep == 0 || t.rt.now == 0 || v[touchedColumn].Int64[slot] == 0 || v[touchedColumn].Int64[slot] > t.rt.now-t.keep
}

// Put is the slot of the key in hand, for writing; fresh says that it had no state: values
// are whatever they were, and its list is empty.
func (t *Table) Put() (slot int32, fresh bool) { return t.PutKey(t.rt.keys.key()) }

// PutKey is Put of a key by its number.
func (t *Table) PutKey(key int32) (slot int32, fresh bool) {
	t.lookup()
	slot = t.slots[key]
	if slot < 0 {
		k := &t.rt.keys
		must(t.rows.Resolve(k.arrays, k.heads[key:key+1], k.headSum[key:key+1], t.one[:]))
		slot = t.one[0]
		t.slots[key] = slot
		fresh = true
	} else {
		t.one[0] = slot
		t.rows.Touch(t.one[:])
		if fresh = !t.present(slot); fresh {
			t.empty(slot)
		}
	}
	v := t.rows.Values()
	v[presentColumn].Int64[slot], v[presentColumn].Valid[slot] = 1, true
	v[touchedColumn].Int64[slot], v[touchedColumn].Valid[slot] = t.rt.now, true
	return slot, fresh
}

// empty takes the rows out of a slot's list.
func (t *Table) empty(slot int32) {
	if l := t.rows.Lists(); l != nil {
		l.RemoveRows(t.RowsOf(slot, nil))
	}
}

// Clear forgets the state of the key in hand.
func (t *Table) Clear() { t.ClearKey(t.rt.keys.key()) }

// ClearKey is Clear of a key by its number.
func (t *Table) ClearKey(key int32) {
	t.lookup()
	slot := t.slots[key]
	if slot < 0 {
		return
	}
	t.one[0] = slot
	t.rows.Touch(t.one[:])
	t.rows.Values()[presentColumn].Int64[slot] = 0
	t.empty(slot)
	t.cleared = append(t.cleared, key)
}

// Values are the columns that were asked for, by slot. They are valid until the next call.
func (t *Table) Values() []*state.Column { return t.rows.Values()[ownColumns:] }

// Charge notes that texts have grown by n bytes.
func (t *Table) Charge(n int) {
	if t.texts && n != 0 {
		t.rt.charge(int64(n))
	}
}

// Lists are the lists by slot.
func (t *Table) Lists() state.Lists { return t.rows.Lists() }

// RowsOf appends the rows of a slot's list, in their order.
func (t *Table) RowsOf(slot int32, rows []int32) []int32 {
	first, next := t.rows.Lists().Chains()
	for x := first[slot]; x >= 0; x = next[x] {
		rows = append(rows, x)
	}
	return rows
}

// end removes keys that were cleared and not put again.
func (t *Table) end() {
	if len(t.cleared) == 0 {
		return
	}
	var gone []int32
	for _, key := range t.cleared {
		if slot := t.slots[key]; slot >= 0 && t.rows.Values()[presentColumn].Int64[slot] == 0 {
			for _, c := range t.Values() {
				if c.Bytes != nil {
					t.Charge(-len(c.Bytes[slot]))
				}
			}
			gone, t.slots[key] = append(gone, slot), -1
		}
	}
	t.cleared = t.cleared[:0]
	t.rows.Remove(gone)
}

// expire forgets keys that have outlived their time, now and then.
func (t *Table) expire() error {
	now := t.rt.now
	if t.keep == 0 || now-t.swept < max(t.keep/sweeps, 1) {
		return nil
	}
	t.swept = now
	var pieces [][]arrow.Array
	defer func() {
		for _, p := range pieces {
			compute.ReleaseAll(p)
		}
	}()
	err := t.rows.Each(func(v state.View, from, to int) error {
		at := v.Values()[touchedColumn].Int64
		var old []int32
		for x := from; x < to; x++ {
			if at[x] <= now-t.keep {
				old = append(old, int32(x-from))
			}
		}
		if len(old) == 0 {
			return nil
		}
		all, err := v.Keys(from, to)
		if err != nil {
			return err
		}
		defer compute.ReleaseAll(all)
		piece := make([]arrow.Array, 0, len(all))
		for _, c := range all {
			taken, err := compute.Take(t.rt.ctx.Alloc, c, old)
			if err != nil {
				compute.ReleaseAll(piece)
				return err
			}
			piece = append(piece, taken)
		}
		pieces = append(pieces, piece)
		return nil
	})
	if err != nil {
		return err
	}
	return t.forget(pieces)
}

// forget removes keys.
func (t *Table) forget(pieces [][]arrow.Array) error {
	for _, keys := range pieces {
		slots := make([]int32, keys[0].Len())
		if err := t.rows.Find(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
			return err
		}
		t.rows.Remove(slots)
	}
	return nil
}
