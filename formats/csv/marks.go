package csv

import (
	"encoding/binary"
	"math/bits"
)

// marks finds the bytes of a text that can end fields, delimiters and line breaks,
// one after the other. It looks at 64 bytes at a time and keeps a bit for each, so
// that the work does not depend on how long fields are: branches that ask where a
// field ends are guessed wrongly once a field.
type marks struct {
	text      []byte
	delimiter uint64 // in each of eight bytes
	base      int    // where the block of bits begins
	bits      uint64 // of the marks in it that are still to come
}

const (
	eachByte = 0x0101010101010101
	lowBits  = 0x7f * eachByte
	breaks   = '\n' * eachByte
)

func newMarks(text []byte, delimiter byte) marks {
	m := marks{text: text, delimiter: uint64(delimiter) * eachByte}
	m.bits = m.block()
	return m
}

// next is the place of the next mark, the text's length if there is none.
func (m *marks) next() int {
	if m.bits == 0 && !m.refill() {
		return len(m.text)
	}
	at := m.base + bits.TrailingZeros64(m.bits)
	m.bits &= m.bits - 1
	return at
}

// refill goes to the next block that has marks.
func (m *marks) refill() bool {
	for m.bits == 0 {
		if m.base+64 >= len(m.text) {
			return false
		}
		m.base += 64
		m.bits = m.block()
	}
	return true
}

// seek passes over the marks before at, which lies ahead.
func (m *marks) seek(at int) {
	if at-m.base < 64 {
		m.bits &= ^uint64(0) << (at - m.base)
		return
	}
	m.base = at
	m.bits = m.block()
}

// block finds the marks of 64 bytes.
func (m *marks) block() uint64 {
	rest := m.text[min(m.base, len(m.text)):]
	if len(rest) >= 64 {
		return blockBits((*[64]byte)(rest), m.delimiter)
	}
	var tail [64]byte
	n := copy(tail[:], rest)
	return blockBits(&tail, m.delimiter) & (1<<n - 1)
}

func blockBits(block *[64]byte, delimiter uint64) (found uint64) {
	for i := 0; i < 64; i += 8 {
		w := binary.LittleEndian.Uint64(block[i:])
		d, b := w^delimiter, w^breaks
		// A byte that is not zero has its high bit set in these, with no carry into
		// the next one: delimiters may stand beside each other.
		d |= d&lowBits + lowBits
		b |= b&lowBits + lowBits
		zero := ^(d & b) & (eachByte << 7)
		found |= zero * 0x0002040810204081 >> 56 << i // the eight high bits together
	}
	return found
}
