package hashtable

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// store keeps the keys of one form by slot. Calls come in this order for each
// batch: load, first, then find or add for the rows that first returned.
type store interface {
	// load brings the keys of the rows that sel lists into the scratch.
	load(cols []arrow.Array, sel []int32, hashes []uint64, add bool) error
	// first gives every row the slot of the entry that its hash points at and
	// returns, appended to miss, the rows whose key that is not. Rows whose entry
	// is empty are among them only where keys are to be added.
	first(d *directory, hashes []uint64, slots, miss []int32, add bool) []int32
	// reserve makes room for n more keys.
	reserve(n int) error
	// find gives rows their slots, -1 where the key is unknown.
	find(d *directory, hashes []uint64, slots, rows []int32)
	// add gives rows their slots and adds unknown keys.
	add(d *directory, hashes []uint64, slots, rows []int32) error
	// addNull adds a slot that no key finds.
	addNull() error
	size() int
	truncate(n int)
	// arrays returns the key columns of slots [from, to); null is the slot of the
	// null key or -1.
	arrays(mem memory.Allocator, from, to int, null int32) ([]arrow.Array, error)
	// take is arrays of slots in any order.
	take(mem memory.Allocator, slots []int32, null int32) ([]arrow.Array, error)
	// removed tells that a slot has no key any more.
	removed(slot int32)
	// compact gives up what removed keys hold outside their slots, if it is much; free
	// are the slots without a key.
	compact(mem memory.Allocator, free []int32) error
	// view returns a store of the same keys with scratch of its own; see Table.View.
	view(l *ledger) store
	release()
}

// word is a key of a few words; comparing them is comparing keys.
type word interface{ uint64 | several }

// several are keys of more than one word.
type several interface {
	[2]uint64 | [3]uint64 | [4]uint64
}

// words is the part of a store that finds fixed-size keys.
type words[T word] struct {
	ledger *ledger
	keys   []T // by slot
	batch  []T // the batch's, by row
}

func (w *words[T]) size() int { return len(w.keys) }

func (w *words[T]) truncate(n int) { w.keys = w.keys[:n] }

func (w *words[T]) addNull() (err error) {
	var none T
	if w.keys, err = room(w.ledger, w.keys, 1); err == nil {
		w.keys = append(w.keys, none)
	}
	return err
}

func (w *words[T]) reserve(n int) (err error) {
	w.keys, err = room(w.ledger, w.keys, n)
	return err
}

// put stores the key of a slot, which there is room for.
func (w *words[T]) put(slot int, key T) {
	if slot == len(w.keys) {
		w.keys = append(w.keys, key)
	} else {
		w.keys[slot] = key
	}
}

func (w *words[T]) first(d *directory, hashes []uint64, slots, miss []int32, add bool) []int32 {
	entries, mask := d.entries, d.mask
	slots = slots[:len(hashes)]
	for i, h := range hashes {
		slots[i] = slotOf(entries[h&mask])
	}
	keys, batch := w.keys, w.batch[:len(slots)]
	at := len(miss)
	miss = miss[:at+len(slots)]
	if !add {
		for i, s := range slots {
			miss[at] = int32(i)
			if uint(s) < uint(len(keys)) && keys[s] != batch[i] {
				at++
			}
		}
		return miss[:at]
	}
	for i, s := range slots {
		miss[at] = int32(i)
		if uint(s) >= uint(len(keys)) || keys[s] != batch[i] {
			at++
		}
	}
	return miss[:at]
}

func (w *words[T]) find(d *directory, hashes []uint64, slots, rows []int32) {
	for _, r := range rows {
		h, key := hashes[r], w.batch[r]
		at := h & d.mask
		for {
			e := d.entries[at]
			s := slotOf(e)
			if e == 0 || sameHash(e, h) && w.keys[s] == key {
				slots[r] = s
				break
			}
			at = (at + 1) & d.mask
		}
	}
}

func (w *words[T]) add(d *directory, hashes []uint64, slots, rows []int32) (err error) {
	for _, r := range rows {
		h, key := hashes[r], w.batch[r]
		at := h & d.mask
		for {
			e := d.entries[at]
			if e == 0 {
				break
			}
			if s := slotOf(e); sameHash(e, h) && w.keys[s] == key {
				slots[r] = s
				break
			}
			at = (at + 1) & d.mask
		}
		if d.entries[at] != 0 {
			continue
		}
		if len(w.keys) == cap(w.keys) {
			if w.keys, err = room(w.ledger, w.keys, 1); err != nil {
				return err
			}
		}
		slot, err := d.slot(len(w.keys), h)
		if err != nil {
			return err
		}
		w.put(slot, key)
		slots[r] = int32(slot)
		d.set(at, entry(h, slot))
		if d.used++; d.full() {
			if err := d.grow(); err != nil {
				return err
			}
		}
	}
	return nil
}

// strides keeps keys of any number of words.
type strides struct {
	ledger *ledger
	width  int
	n      int
	keys   []uint64 // by slot
	batch  []uint64 // the batch's, by row
}

func (w *strides) size() int { return w.n }

func (w *strides) truncate(n int) { w.n, w.keys = n, w.keys[:n*w.width] }

func (w *strides) addNull() (err error) {
	if w.keys, err = room(w.ledger, w.keys, w.width); err == nil {
		w.keys = w.keys[:len(w.keys)+w.width]
		w.n++
	}
	return err
}

// same compares the key of a slot with that of a row.
func (w *strides) same(slot, row int32) bool {
	a := w.keys[int(slot)*w.width:][:w.width]
	b := w.batch[int(row)*w.width:][:len(a)]
	for i, x := range a {
		if x != b[i] {
			return false
		}
	}
	return true
}

func (w *strides) reserve(n int) (err error) {
	w.keys, err = room(w.ledger, w.keys, n*w.width)
	return err
}

func (w *strides) first(d *directory, hashes []uint64, slots, miss []int32, add bool) []int32 {
	for i, h := range hashes {
		slots[i] = slotOf(d.entries[h&d.mask])
	}
	for i, s := range slots[:len(hashes)] {
		if s < 0 && add || s >= 0 && !w.same(s, int32(i)) {
			miss = append(miss, int32(i))
		}
	}
	return miss
}

func (w *strides) find(d *directory, hashes []uint64, slots, rows []int32) {
	for _, r := range rows {
		h := hashes[r]
		at := h & d.mask
		for {
			e := d.entries[at]
			s := slotOf(e)
			if e == 0 || sameHash(e, h) && w.same(s, r) {
				slots[r] = s
				break
			}
			at = (at + 1) & d.mask
		}
	}
}

func (w *strides) add(d *directory, hashes []uint64, slots, rows []int32) (err error) {
	for _, r := range rows {
		h := hashes[r]
		at := h & d.mask
		e := d.entries[at]
		for e != 0 && !(sameHash(e, h) && w.same(slotOf(e), r)) {
			at = (at + 1) & d.mask
			e = d.entries[at]
		}
		if slots[r] = slotOf(e); e != 0 {
			continue
		}
		if w.keys, err = room(w.ledger, w.keys, w.width); err != nil {
			return err
		}
		slot, err := d.slot(w.n, h)
		if err != nil {
			return err
		}
		if slot == w.n {
			w.keys, w.n = w.keys[:len(w.keys)+w.width], w.n+1
		}
		copy(w.keys[slot*w.width:][:w.width], w.batch[int(r)*w.width:])
		slots[r] = int32(slot)
		d.set(at, entry(h, slot))
		if d.used++; d.full() {
			if err := d.grow(); err != nil {
				return err
			}
		}
	}
	return nil
}
