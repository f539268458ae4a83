package expr

import (
	"encoding/binary"
	"math/bits"
)

// Bitmaps have bit i of byte i/8 for row i. Those of the arena are padded to
// whole words, so that loops may run over words.

func bitSet(b []byte, i int) bool { return b[i>>3]>>(i&7)&1 != 0 }

func setBit(b []byte, i int) { b[i>>3] |= 1 << (i & 7) }

func clearBit(b []byte, i int) { b[i>>3] &^= 1 << (i & 7) }

// wordBytes is the size of a padded bitmap of n bits.
func wordBytes(n int) int { return (n + 63) / 64 * 8 }

func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i*8:]) }

func putWord(b []byte, i int, w uint64) { binary.LittleEndian.PutUint64(b[i*8:], w) }

// countBits counts the ones among the first n bits.
func countBits(b []byte, n int) int {
	count, full := 0, n/64
	for i := range full {
		count += bits.OnesCount64(word(b, i))
	}
	for i := full * 64; i < n; i++ {
		if bitSet(b, i) {
			count++
		}
	}
	return count
}

// alignBits returns n bits from offset on as a padded bitmap that starts at bit 0.
func (c *run) alignBits(b []byte, offset, n int) []byte {
	out := c.bytes(wordBytes(n))
	b = b[offset>>3:]
	shift := offset & 7
	used := (n + 7) / 8
	if shift == 0 {
		copied := copy(out, b[:min(used, len(b))])
		clear(out[copied:])
		return out
	}
	for i := range used {
		x := b[i] >> shift
		if i+1 < len(b) {
			x |= b[i+1] << (8 - shift)
		}
		out[i] = x
	}
	clear(out[used:])
	return out
}

// ones returns a bitmap of n set bits.
func (c *run) ones(n int) []byte {
	out := c.bytes(wordBytes(n))
	for i := range out {
		out[i] = 0xff
	}
	return out
}

// zeros returns a bitmap of n clear bits.
func (c *run) zeros(n int) []byte {
	out := c.bytes(wordBytes(n))
	clear(out)
	return out
}

// andValid returns the rows where no argument is null; nil when none is null
// anywhere. Constant arguments must not be null.
func (c *run) andValid(args []*vector, n int) []byte {
	var out []byte
	own := false
	for _, a := range args {
		if a.constant || a.valid == nil {
			continue
		}
		if out == nil {
			out = a.valid
			continue
		}
		to := out
		if !own {
			to, own = c.bytes(wordBytes(n)), true
		}
		for i := range wordBytes(n) / 8 {
			putWord(to, i, word(out, i)&word(a.valid, i))
		}
		out = to
	}
	return out
}
