package join

import (
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
)

// maxSparsity is how many values a dense index may cover for each row: at 64 it
// takes 16 bytes a row, which is less than a hash table.
const maxSparsity = 64

// dense is the index of a single integer key whose values lie close together, as
// those of most tables do: a bitmap of the values that occur and, beside every 32
// bits, how many come before them.
//
//	word = count of keys before << 32 | bits
//
// The rank of a key is its slot. Nothing is hashed or compared, tables of millions
// of rows fit the cache, and probing in the order of the key walks along it.
type dense struct {
	least int64
	words []uint64 // the last one is empty: it answers for all larger values
	keys  int
}

// limits are the least and the largest of the values that are not null.
type limits struct {
	least, most int64
	some        bool
}

// widen takes in the values of a column; valid may be nil.
func (l *limits) widen(values []int64, valid []bool) {
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	if valid == nil {
		for _, v := range values {
			least, most = min(least, v), max(most, v)
		}
		l.join(least, most, len(values) > 0)
		return
	}
	some := false
	for i, v := range values {
		if valid[i] {
			least, most, some = min(least, v), max(most, v), true
		}
	}
	l.join(least, most, some)
}

func (l *limits) join(least, most int64, some bool) {
	switch {
	case !some:
	case !l.some:
		*l = limits{least: least, most: most, some: true}
	default:
		l.least, l.most = min(l.least, least), max(l.most, most)
	}
}

// denseWords is how many words an index over l needs, or 0 where it would be too
// sparse for this many rows.
func (l *limits) denseWords(rows int) int {
	span := uint64(l.most) - uint64(l.least)
	if !l.some || span/maxSparsity > uint64(rows) || span > 1<<37 {
		return 0
	}
	return int(span>>5) + 2
}

// put notes values.
func (d *dense) put(values []int64, valid []bool) {
	for i, v := range values {
		if valid == nil || valid[i] {
			at := uint64(v - d.least)
			d.words[at>>5] |= 1 << (at & 31)
		}
	}
}

// count sets the ranks, after the last put.
func (d *dense) count() {
	n := uint64(0)
	for i, w := range d.words {
		d.words[i] = n<<32 | w
		n += uint64(bits.OnesCount32(uint32(w)))
	}
	d.keys = int(n)
}

// find gives each value its slot, -1 where it does not occur.
func (d *dense) find(values []int64, slots []int32) {
	words, least, last := d.words, d.least, uint64(len(d.words)-1)
	slots = slots[:len(values)]
	for i, v := range values {
		at := uint64(v - least)
		w, bit := words[min(at>>5, last)], at&31
		there := int32(w>>bit) & 1
		rank := int32(w>>32) + int32(bits.OnesCount32(uint32(w)&(1<<bit-1)))
		slots[i] = rank&-there | (there - 1)
	}
}

// findIn is find for the rows of a column that sel lists (nil: all); what it
// gives rows with nulls is undefined.
func (d *dense) findIn(a arrow.Array, sel []int32, buf []int64, slots []int32) []int64 {
	values, buf := compute.Integers(a, sel, buf)
	d.find(values, slots)
	return buf
}
