package hashtable

// Sizes of the directory, in entries.
const (
	minDirectory   = 1 << 10
	quickDirectory = 1 << 20 // up to here it grows fourfold, then twofold
)

// directory is the open-addressing index from hashes to slots. An entry is zero
// when empty, else the low half of the hash above and the slot plus one below.
type directory struct {
	entries []uint64
	mask    uint64
	used    int
	ledger  *ledger

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
func (d *directory) reserve(n int) error {
	size := max(len(d.entries), minDirectory)
	for 2*n > size {
		size *= 2
	}
	if size == len(d.entries) {
		return nil
	}
	return d.resize(size)
}

// full reports whether another entry needs a larger directory.
func (d *directory) full() bool { return 2*d.used >= len(d.entries) }

func (d *directory) grow() error {
	size := 2 * len(d.entries)
	if size < quickDirectory {
		size *= 2
	}
	return d.resize(max(size, minDirectory))
}

func (d *directory) resize(size int) error {
	if err := d.ledger.grow(int64(size) * 8); err != nil {
		return err
	}
	old := d.entries
	d.entries, d.mask = make([]uint64, size), uint64(size-1)
	for _, e := range old {
		if e != 0 {
			d.put(e)
		}
	}
	d.ledger.shrink(int64(len(old)) * 8)
	return nil
}

// put stores an entry at the first empty place of its run.
func (d *directory) put(e uint64) {
	at := e >> 32 & d.mask
	for d.entries[at] != 0 {
		at = (at + 1) & d.mask
	}
	d.entries[at] = e
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

// remove takes a slot's entry out and closes the gap: entries behind it that would be
// found from before it move up.
func (d *directory) remove(slot int32) {
	at := d.hashes[slot] & d.mask
	for slotOf(d.entries[at]) != slot {
		at = (at + 1) & d.mask
	}
	hole := at
	for {
		at = (at + 1) & d.mask
		e := d.entries[at]
		if e == 0 {
			break
		}
		if home := e >> 32 & d.mask; (at-home)&d.mask >= (at-hole)&d.mask {
			d.entries[hole], hole = e, at
		}
	}
	d.entries[hole] = 0
	d.used--
}

// truncate forgets all slots from n on. It is slow: only failures need it.
func (d *directory) truncate(n int) {
	var keep []uint64
	for _, e := range d.entries {
		if e != 0 && int(slotOf(e)) < n {
			keep = append(keep, e)
		}
	}
	clear(d.entries)
	for _, e := range keep {
		d.put(e)
	}
	d.used = len(keep)
	d.hashes = d.hashes[:min(n, len(d.hashes))]
}
