package keyfilter

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
)

const (
	// maxSparsity is how many values a bitmap may cover for each row: at 64 it takes
	// eight bytes a row.
	maxSparsity = 64
	// smallSpan is how many it may cover however few rows there are: 1 MiB.
	smallSpan = 8 << 20
)

// Keys is a set of integers. It is immutable and may be used by several
// goroutines.
type Keys struct {
	least, most int64 // least > most: there are none
	base        int64 // value of the first bit, a multiple of 64
	words       []uint64
	rows        int
}

// Of returns the values of integer columns that are not null, or nil where they
// do not lie close enough together.
func Of(columns []arrow.Array) *Keys {
	k := &Keys{least: math.MaxInt64, most: math.MinInt64}
	var buf []int64
	each := func(f func(v int64)) {
		for _, c := range columns {
			var values []int64
			values, buf = compute.Integers(c, nil, buf)
			valid := compute.Validity(c, nil, nil)
			for i, v := range values {
				if valid == nil || valid[i] {
					f(v)
				}
			}
		}
	}
	each(func(v int64) {
		k.least, k.most = min(k.least, v), max(k.most, v)
		k.rows++
	})
	if !k.room() {
		return nil
	}
	each(func(v int64) {
		at := uint64(v - k.base)
		k.words[at>>6] |= 1 << (at & 63)
	})
	return k
}

// room makes the bitmap for the bounds and rows; false: it would be too large.
func (k *Keys) room() bool {
	if k.rows == 0 {
		return true
	}
	k.base = k.least &^ 63
	span := uint64(k.most) - uint64(k.base)
	if span > smallSpan && span/maxSparsity > uint64(k.rows) {
		return false
	}
	k.words = make([]uint64, span>>6+1)
	return true
}

// union is the values of all parts, nil where they lie too far apart.
func union(parts []*Keys) *Keys {
	if len(parts) == 1 {
		return parts[0]
	}
	k := &Keys{least: math.MaxInt64, most: math.MinInt64}
	for _, p := range parts {
		k.least, k.most, k.rows = min(k.least, p.least), max(k.most, p.most), k.rows+p.rows
	}
	if !k.room() {
		return nil
	}
	for _, p := range parts {
		if p.rows == 0 {
			continue
		}
		at := uint64(p.base-k.base) >> 6
		for i, w := range p.words {
			k.words[at+uint64(i)] |= w
		}
	}
	return k
}

// Bytes is the size of the bitmap.
func (k *Keys) Bytes() int64 { return int64(8 * len(k.words)) }

// Between reports whether there is a key from low to high.
func (k *Keys) Between(low, high int64) bool {
	low, high = max(low, k.least), min(high, k.most)
	if k.rows == 0 || low > high {
		return false
	}
	from, to := uint64(low-k.base), uint64(high-k.base)
	first, last := uint64(math.MaxUint64)<<(from&63), uint64(math.MaxUint64)>>(63-to&63)
	if from>>6 == to>>6 {
		return k.words[from>>6]&first&last != 0
	}
	if k.words[from>>6]&first != 0 || k.words[to>>6]&last != 0 {
		return true
	}
	for _, w := range k.words[from>>6+1 : to>>6] {
		if w != 0 {
			return true
		}
	}
	return false
}

// Keep appends to out the rows of an integer column whose value is in the set; no
// null is. buf is scratch, returned for the next call.
func (k *Keys) Keep(column arrow.Array, out []int32, buf []int64) (kept []int32, next []int64) {
	values, buf := compute.Integers(column, nil, buf)
	valid := compute.Validity(column, nil, nil)
	if k.rows == 0 {
		return out, buf
	}
	from := len(out)
	if cap(out)-from < len(values) {
		out = append(make([]int32, 0, from+len(values)), out...)
	}
	out = out[:from+len(values)]
	at, words, base := from, k.words, k.base
	for i, v := range values {
		out[at] = int32(i)
		bit, place := uint64(0), uint64(v-base)
		if place>>6 < uint64(len(words)) {
			bit = words[place>>6] >> (place & 63) & 1
		}
		at += int(bit)
	}
	out = out[:at]
	if valid == nil {
		return out, buf
	}
	some := out[:from]
	for _, i := range out[from:] {
		if valid[i] {
			some = append(some, i)
		}
	}
	return some, buf
}
