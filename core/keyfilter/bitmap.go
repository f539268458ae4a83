package keyfilter

import (
	"math"
	"math/bits"
)

const (
	// maxSparsity is how many values a bitmap may cover for each row: at 64 it takes
	// eight bytes a row.
	maxSparsity = 64
	// smallSpan is how many it may cover however few rows there are: 1 MiB.
	smallSpan = 8 << 20
)

// bounds are the least and the largest of some integers; least > most: there are
// none.
type bounds struct{ least, most int64 }

func noBounds() bounds { return bounds{least: math.MaxInt64, most: math.MinInt64} }

func (b *bounds) widen(other bounds) {
	b.least, b.most = min(b.least, other.least), max(b.most, other.most)
}

// bitmap is the set of the integers in its words.
type bitmap struct {
	base  int64 // value of the first bit, a multiple of 64
	words []uint64
}

// newBitmap has room for values within b, of so many rows; nil: it would be too large.
func newBitmap(b bounds, rows int) *bitmap {
	m := &bitmap{base: b.least &^ 63}
	span := uint64(b.most) - uint64(m.base)
	if b.least > b.most || span > smallSpan && span/maxSparsity > uint64(rows) {
		return nil
	}
	m.words = make([]uint64, span>>6+1)
	return m
}

// add puts values in.
func (m *bitmap) add(values []int64, valid []bool) {
	for i, v := range values {
		if valid == nil || valid[i] {
			at := uint64(v - m.base)
			m.words[at>>6] |= 1 << (at & 63)
		}
	}
}

// merge puts the values of other in.
func (m *bitmap) merge(other *bitmap) {
	at := uint64(other.base-m.base) >> 6
	for i, w := range other.words {
		m.words[at+uint64(i)] |= w
	}
}

// values appends all of them to out.
func (m *bitmap) values(out []int64) []int64 {
	for i, w := range m.words {
		for ; w != 0; w &= w - 1 {
			out = append(out, m.base+int64(i)<<6+int64(bits.TrailingZeros64(w)))
		}
	}
	return out
}

// between reports whether there is a value from low to high, which are within the
// bitmap's bounds.
func (m *bitmap) between(low, high int64) bool {
	from, to := uint64(low-m.base), uint64(high-m.base)
	first, last := uint64(math.MaxUint64)<<(from&63), uint64(math.MaxUint64)>>(63-to&63)
	if from>>6 == to>>6 {
		return m.words[from>>6]&first&last != 0
	}
	if m.words[from>>6]&first != 0 || m.words[to>>6]&last != 0 {
		return true
	}
	for _, w := range m.words[from>>6+1 : to>>6] {
		if w != 0 {
			return true
		}
	}
	return false
}

// keep writes to out, which is as long, the places of values that are in the set,
// and returns those written.
func (m *bitmap) keep(values []int64, out []int32) []int32 {
	at, words, base := 0, m.words, m.base
	for i, v := range values {
		out[at] = int32(i)
		bit, place := uint64(0), uint64(v-base)
		if place>>6 < uint64(len(words)) {
			bit = words[place>>6] >> (place & 63) & 1
		}
		at += int(bit)
	}
	return out[:at]
}
