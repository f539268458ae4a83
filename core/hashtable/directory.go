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
}
