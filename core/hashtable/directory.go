package hashtable

// Sizes of the directory, in entries.
const (
	minDirectory   = 1 << 10
	quickDirectory = 1 << 20 // up to here it grows fourfold, then twofold
	// aheadDirectory is from where on the next one of a Removable table is filled ahead.
	aheadDirectory = 1 << 18
)

// aheadStep is how many entries are filled in ahead for each row that is looked up: from
// three quarters of what there is room for until it is used up, it takes 8.
const aheadStep = 16

// directory is the open-addressing index from hashes to slots. An entry is zero
// when empty, else the low half of the hash above and the slot plus one below.
type directory struct {
	entries []uint64
	mask    uint64
	used    int
	ledger  *ledger

	// next is the larger directory that takes the place of this one once it is full, nil:
	// none yet. It has the entries that lie before moved.
	next  []uint64
	moved uint64
	late  bool // memory for it was refused: it is made once it must be

	// Of tables that keys are removed from:
	hashes   []uint64 // by slot; nil where no key can be removed
	free     []int32  // slots without a key
	reused   []int32  // those that the lookup under way has taken
	recycled int      // how many were taken in all
}

func entry(hash uint64, slot int) uint64 { return hash<<32 | uint64(slot+1) }

// slotOf is the entry's slot, -1 for an empty one.
func slotOf(e uint64) int32 { return int32(uint32(e)) - 1 }

// sameHash reports whether e was made of hash, as far as e tells.
func sameHash(e, hash uint64) bool { return uint32(e>>32) == uint32(hash) }

// reserve makes room for n entries in all.
func (d *directory) reserve(n int) (err error) {
	if d.hashes != nil {
		if d.hashes, err = room(d.ledger, d.hashes, n-len(d.hashes)); err != nil {
			return err
		}
	}
	size := max(len(d.entries), minDirectory)
	for 2*n > size || d.nearlyFull(n, size) && !d.ledger.tight() {
		size *= 2
	}
	if size == len(d.entries) {
		return nil
	}
	d.forgetNext()
	return d.resize(size)
}

// full reports whether another entry needs a larger directory.
func (d *directory) full() bool { return 2*d.used >= len(d.entries) }

// larger is the size of the next directory.
func (d *directory) larger() int {
	size := 2 * len(d.entries)
	if size < quickDirectory {
		size *= 2
	}
	return max(size, minDirectory)
}

func (d *directory) grow() error {
	if d.next != nil {
		d.fill(len(d.entries))
		return nil
	}
	return d.resize(d.larger())
}

// ahead fills the next directory while rows are looked up to be added, so that nobody waits
// for all of it. Where memory is tight the present one may do: it can be used up to the end.
func (d *directory) ahead(rows int) {
	switch {
	case d.next != nil:
		d.fill(rows * aheadStep)
	case d.late || !d.nearlyFull(d.used, len(d.entries)) || d.ledger.tight():
	case d.ledger.grow(int64(d.larger())*8) != nil:
		d.late = true
	default:
		d.next = make([]uint64, d.larger())
	}
}

// nearlyFull reports whether with n entries a directory of that size has the next one filled
// ahead, if memory is not tight.
func (d *directory) nearlyFull(n, size int) bool {
	return d.hashes != nil && size >= aheadDirectory && 8*n >= 3*size
}

// fill puts n more entries into the next directory, which with the last of them takes the
// place of this one.
func (d *directory) fill(n int) {
	to := min(d.moved+uint64(n), uint64(len(d.entries)))
	for _, e := range d.entries[d.moved:to] {
		if e != 0 {
			put(d.next, e)
		}
	}
	if d.moved = to; to < uint64(len(d.entries)) {
		return
	}
	d.ledger.shrink(int64(len(d.entries)) * 8)
	d.entries, d.mask = d.next, uint64(len(d.next)-1)
	d.next, d.moved = nil, 0
}

// forgetNext gives the next directory up.
func (d *directory) forgetNext() {
	d.ledger.shrink(int64(len(d.next)) * 8)
	d.next, d.moved = nil, 0
}

func (d *directory) resize(size int) error {
	if err := d.ledger.grow(int64(size) * 8); err != nil {
		return err
	}
	old := d.entries
	d.entries, d.mask, d.late = make([]uint64, size), uint64(size-1), false
	for _, e := range old {
		if e != 0 {
			put(d.entries, e)
		}
	}
	d.ledger.shrink(int64(len(old)) * 8)
	return nil
}

// put stores an entry at the first empty place of its run.
func put(entries []uint64, e uint64) {
	mask := uint64(len(entries) - 1)
	at := e >> 32 & mask
	for entries[at] != 0 {
		at = (at + 1) & mask
	}
	entries[at] = e
}

// set stores a new entry at a place that a look-up has found empty.
func (d *directory) set(at, e uint64) {
	d.entries[at] = e
	if at < d.moved {
		put(d.next, e)
	}
}

// place is where the entry of a slot lies.
func place(entries []uint64, hash uint64, slot int32) uint64 {
	mask := uint64(len(entries) - 1)
	at := hash & mask
	for slotOf(entries[at]) != slot {
		at = (at + 1) & mask
	}
	return at
}

// slot is where the next new key goes, n being the number of slots that there are.
func (d *directory) slot(n int, hash uint64) (int, error) {
	if d.hashes == nil {
		return n, nil
	}
	if last := len(d.free) - 1; last >= 0 {
		s := d.free[last]
		d.free, d.reused = d.free[:last], append(d.reused, s)
		d.hashes[s] = hash
		d.recycled++
		return int(s), nil
	}
	var err error
	if d.hashes, err = room(d.ledger, d.hashes, 1); err == nil {
		d.hashes = append(d.hashes, hash)
	}
	return n, err
}

// remove takes a slot's entry out.
func (d *directory) remove(slot int32) {
	at := place(d.entries, d.hashes[slot], slot)
	if at < d.moved {
		d.close(d.next, place(d.next, d.hashes[slot], slot), 0)
	}
	d.close(d.entries, at, d.moved)
	d.used--
}

// close closes a gap: entries behind it that would be found from before it move up. Those
// that lie before moved are in the next directory, too.
func (d *directory) close(entries []uint64, hole, moved uint64) {
	mask := uint64(len(entries) - 1)
	for at := (hole + 1) & mask; entries[at] != 0; at = (at + 1) & mask {
		e := entries[at]
		if home := e >> 32 & mask; (at-home)&mask < (at-hole)&mask {
			continue
		}
		switch {
		case at >= moved && hole < moved:
			put(d.next, e)
		case at < moved && hole >= moved: // from the beginning to the end
			slot := slotOf(e)
			d.close(d.next, place(d.next, d.hashes[slot], slot), 0)
		}
		entries[hole], hole = e, at
	}
	entries[hole] = 0
}

// truncate forgets all slots from n on. It is slow: only failures need it.
func (d *directory) truncate(n int) {
	d.forgetNext()
	var keep []uint64
	for _, e := range d.entries {
		if e != 0 && int(slotOf(e)) < n {
			keep = append(keep, e)
		}
	}
	clear(d.entries)
	for _, e := range keep {
		put(d.entries, e)
	}
	d.used = len(keep)
	d.hashes = d.hashes[:min(n, len(d.hashes))]
}
