package parquet

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// A dictionary is given up when it does not pay: when it has more entries than
// this, more bytes, or more than half as many entries as values.
const (
	maxDictEntries = 1 << 16
	maxDictBytes   = 1 << 20
	minDictValues  = 4096 // below, it is too early to tell
)

func dictionaryPays(entries, bytes, values int) bool {
	return entries <= maxDictEntries && bytes <= maxDictBytes && (values < minDictValues || entries <= values/2)
}

// intTable numbers distinct integers in order of appearance.
type intTable struct {
	keys  []uint64
	slots []int32 // index of a key plus one; length is a power of two
	shift uint
}

func (t *intTable) reset() {
	t.keys = t.keys[:0]
	clear(t.slots)
}

// grow makes room for n more keys.
func (t *intTable) grow(n int) {
	if 2*(len(t.keys)+n) <= len(t.slots) {
		return
	}
	size := 1 << bits.Len(uint(2*(len(t.keys)+n)))
	t.slots = make([]int32, size)
	t.shift = uint(64 - bits.Len(uint(size-1)))
	for i, k := range t.keys {
		at := t.find(k)
		t.slots[at] = int32(i + 1)
	}
}

// find returns the slot of k, or the free one where it belongs.
func (t *intTable) find(k uint64) int {
	mask := len(t.slots) - 1
	at := int(k*0x9E3779B97F4A7C15>>t.shift) & mask
	for {
		s := t.slots[at]
		if s == 0 || t.keys[s-1] == k {
			return at
		}
		at = (at + 1) & mask
	}
}

// indexInts appends the number of each value to dst, numbering new ones.
func indexInts[T uint32 | uint64](t *intTable, dst []int32, values []T) []int32 {
	const chunk = 1024 // so that the table grows with what is new, not with all rows
	for len(values) > 0 {
		n := min(chunk, len(values))
		t.grow(n)
		for _, v := range values[:n] {
			at := t.find(uint64(v))
			s := t.slots[at]
			if s == 0 {
				t.keys = append(t.keys, uint64(v))
				s = int32(len(t.keys))
				t.slots[at] = s
			}
			dst = append(dst, s-1)
		}
		values = values[n:]
	}
	return dst
}

// byteTable numbers distinct byte strings in order of appearance.
type byteTable struct {
	data    []byte
	offsets []uint32 // entry i is data[offsets[i]:offsets[i+1]]
	hashes  []uint64
	slots   []int32
}

func (t *byteTable) reset() {
	t.data, t.hashes = t.data[:0], t.hashes[:0]
	t.offsets = append(t.offsets[:0], 0)
	clear(t.slots)
}

func (t *byteTable) len() int { return len(t.hashes) }

func (t *byteTable) entry(i int) []byte { return t.data[t.offsets[i]:t.offsets[i+1]] }

func (t *byteTable) grow() {
	if 2*(len(t.hashes)+1) <= len(t.slots) {
		return
	}
	t.slots = make([]int32, max(256, 4*len(t.slots)))
	for i, h := range t.hashes {
		at := int(h) & (len(t.slots) - 1)
		for t.slots[at] != 0 {
			at = (at + 1) & (len(t.slots) - 1)
		}
		t.slots[at] = int32(i + 1)
	}
}

// index returns the number of v, numbering it if it is new.
func (t *byteTable) index(v []byte) int32 {
	t.grow()
	h := xxh3.Hash(v)
	mask := len(t.slots) - 1
	at := int(h) & mask
	for {
		s := t.slots[at]
		if s == 0 {
			break
		}
		if t.hashes[s-1] == h && string(t.entry(int(s-1))) == string(v) {
			return s - 1
		}
		at = (at + 1) & mask
	}
	t.data = append(t.data, v...)
	t.offsets = append(t.offsets, uint32(len(t.data)))
	t.hashes = append(t.hashes, h)
	t.slots[at] = int32(len(t.hashes))
	return int32(len(t.hashes) - 1)
}
