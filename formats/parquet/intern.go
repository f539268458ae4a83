package parquet

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/zeebo/xxh3"
)

// A dictionary is given up when it does not pay: when it has more entries than
// this, more bytes, or more than half as many entries as values. Indexes are 16
// bits.
const (
	maxDictEntries = 1 << 16
	maxDictBytes   = 1 << 20
	minDictValues  = 4096 // below, it is too early to tell
)

func dictionaryPays(entries, bytes, values int) bool {
	return entries <= maxDictEntries && bytes <= maxDictBytes && (values < minDictValues || entries <= values/2)
}

// intTable numbers distinct integers in order of appearance.
type intTable[T uint32 | uint64] struct {
	keys  list[T]
	slots list[int32] // index of a key plus one; length is a power of two
	shift uint
}

func (t *intTable[T]) use(alloc memory.Allocator) { t.keys.alloc, t.slots.alloc = alloc, alloc }

func (t *intTable[T]) len() int { return len(t.keys.v) }

func (t *intTable[T]) reset() {
	t.keys.v = t.keys.v[:0]
	clear(t.slots.v)
}

func (t *intTable[T]) held() int { return t.keys.held() + t.slots.held() }

func (t *intTable[T]) release() {
	t.keys.release()
	t.slots.release()
}

// grow makes room for n more keys.
func (t *intTable[T]) grow(n int) {
	t.keys.reserve(n)
	if 2*(t.len()+n) <= len(t.slots.v) {
		return
	}
	size := 1 << bits.Len(uint(2*(t.len()+n)))
	clear(t.slots.resize(size))
	t.shift = uint(64 - bits.Len(uint(size-1)))
	for i, k := range t.keys.v {
		at := t.home(k)
		for t.slots.v[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		t.slots.v[at] = int32(i + 1)
	}
}

// home is the slot where k belongs.
func (t *intTable[T]) home(k T) int { return int(uint64(k) * 0x9E3779B97F4A7C15 >> t.shift) }

// index writes the number of each value to dst, numbering new ones, up to the
// first that finds no number left. It returns how many it wrote.
func (t *intTable[T]) index(dst []uint16, values []T) int {
	const chunk = 1024 // so that the table grows with what is new, not with all rows
	done := 0
	for done < len(values) {
		n := min(chunk, len(values)-done, maxDictEntries-t.len())
		if n == 0 {
			return done
		}
		t.grow(n)
		keys, slots, mask, shift := t.keys.v, t.slots.v, len(t.slots.v)-1, t.shift
		out := dst[done : done+n]
		for i, v := range values[done : done+n] {
			at := int(uint64(v)*0x9E3779B97F4A7C15>>shift) & mask
			for {
				s := slots[at]
				if s == 0 {
					keys = append(keys, v)
					s = int32(len(keys))
					slots[at] = s
				} else if keys[s-1] != v {
					at = (at + 1) & mask
					continue
				}
				out[i] = uint16(s - 1)
				break
			}
		}
		t.keys.v = keys
		done += n
	}
	return done
}

// byteTable numbers distinct byte strings in order of appearance.
type byteTable struct {
	data    list[byte]
	offsets list[uint32] // entry i ends at offsets[i]
	hashes  list[uint64]
	slots   list[int32]
	recent  [recentShort]shortEntry
}

// recentShort is how many strings of up to seven bytes are remembered as words: codes
// and flags, of which a column has few, are found without hashing and comparing them.
const (
	recentBits  = 6
	recentShort = 1 << recentBits
)

// shortEntry is such a string, its length plus one in the highest byte, and its number.
type shortEntry struct {
	word   uint64
	number int32
}

func (t *byteTable) use(alloc memory.Allocator) {
	t.data.alloc, t.offsets.alloc, t.hashes.alloc, t.slots.alloc = alloc, alloc, alloc, alloc
}

func (t *byteTable) reset() {
	t.data.v, t.hashes.v, t.offsets.v = t.data.v[:0], t.hashes.v[:0], t.offsets.v[:0]
	clear(t.slots.v)
	clear(t.recent[:])
}

func (t *byteTable) held() int {
	return t.data.held() + t.offsets.held() + t.hashes.held() + t.slots.held()
}

func (t *byteTable) release() {
	t.data.release()
	t.offsets.release()
	t.hashes.release()
	t.slots.release()
	clear(t.recent[:])
}

func (t *byteTable) len() int { return len(t.hashes.v) }

func (t *byteTable) entry(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = t.offsets.v[i-1]
	}
	return t.data.v[from:t.offsets.v[i]]
}

func (t *byteTable) grow() {
	if 2*(t.len()+1) <= len(t.slots.v) {
		return
	}
	size := max(256, 4*len(t.slots.v))
	clear(t.slots.resize(size))
	for i, h := range t.hashes.v {
		at := int(h) & (size - 1)
		for t.slots.v[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		t.slots.v[at] = int32(i + 1)
	}
}

// indexOf is index of data[from:to].
func (t *byteTable) indexOf(data []byte, from, to int32) int32 {
	n := to - from
	if n > 7 || int(from)+8 > len(data) {
		return t.index(data[from:to])
	}
	word := binary.LittleEndian.Uint64(data[from:])&(1<<(8*n)-1) | uint64(n+1)<<56
	e := &t.recent[word*0x9E3779B97F4A7C15>>(64-recentBits)]
	if e.word != word {
		*e = shortEntry{word, t.index(data[from:to])}
	}
	return e.number
}

// index returns the number of v, numbering it if it is new.
func (t *byteTable) index(v []byte) int32 {
	t.grow()
	h := xxh3.Hash(v)
	slots := t.slots.v
	mask := len(slots) - 1
	at := int(h) & mask
	for {
		s := slots[at]
		if s == 0 {
			break
		}
		if t.hashes.v[s-1] == h && string(t.entry(int(s-1))) == string(v) {
			return s - 1
		}
		at = (at + 1) & mask
	}
	t.data.push(v...)
	t.offsets.push(uint32(len(t.data.v)))
	t.hashes.push(h)
	slots[at] = int32(t.len())
	return int32(t.len() - 1)
}
