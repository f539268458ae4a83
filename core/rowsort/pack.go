package rowsort

import (
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/compute"
)

// pack writes an entry for each row, whose prefix has the keys one behind the
// other in as few bits as their values need, as far as 64 bits go. It returns how
// many keys are decided by it. spare is as long as entries, and scratch.
func pack(entries, spare []entry, record arrow.RecordBatch, keys []Key) int {
	used, decided := 0, 0
	for i, k := range keys {
		a := record.Column(k.Column)
		into := entries
		if i > 0 {
			into = spare
		}
		exact := fill(into, a, k.Order) || short(into, a, k.Order)
		width, whole := narrow(into, a, k.Order)
		exact = exact && whole
		if i > 0 {
			room := 64 - used
			shift := max(width-room, 0)
			width -= shift
			exact = exact && shift == 0
			for j := range entries {
				entries[j].prefix = entries[j].prefix<<width | spare[j].prefix>>shift
			}
		}
		if !exact {
			break
		}
		decided++
		if used += width; used == 64 {
			break
		}
	}
	return decided
}

// short makes the last byte of texts' prefixes their lengths, if no text has eight
// bytes: that tells texts apart which end in zeros.
func short(entries []entry, a arrow.Array, o compute.Order) bool {
	switch a.DataType().ID() {
	case arrow.STRING, arrow.BINARY, arrow.DICTIONARY:
	default:
		return false
	}
	texts := compute.NewTexts(a)
	for i := range entries {
		if a.IsValid(i) && len(texts.At(i)) >= 8 {
			return false
		}
	}
	for i := range entries {
		if a.IsValid(i) {
			n := uint64(len(texts.At(i)))
			if o.Descending {
				n = ^n & 0xff
			}
			entries[i].prefix = entries[i].prefix&^0xff | n
		}
	}
	return true
}

// narrow makes prefixes as small as their order allows, nulls included, and
// returns their bits. It is not whole where nulls share a prefix with values.
func narrow(entries []entry, a arrow.Array, o compute.Order) (width int, whole bool) {
	nulls := a.NullN() > 0 || a.DataType().ID() == arrow.NULL
	least, most, differ, first := uint64(math.MaxUint64), uint64(0), uint64(0), -1
	for i := range entries {
		if nulls && a.IsNull(i) {
			continue
		}
		if first < 0 {
			first = i
		}
		p := entries[i].prefix
		least, most, differ = min(least, p), max(most, p), differ|(p^entries[first].prefix)
	}
	if first < 0 { // nothing but nulls
		for i := range entries {
			entries[i].prefix = 0
		}
		return 0, true
	}
	low := bits.TrailingZeros64(differ) // bits that all share; 64 where all are equal
	span := (most - least) >> low
	whole = !nulls || span < math.MaxUint64
	shift := uint64(0) // of values behind nulls
	end := span
	if nulls && whole {
		end++
		if o.NullsFirst {
			shift = 1
		}
	}
	for i := range entries {
		entries[i].prefix = (entries[i].prefix-least)>>low + shift
	}
	if nulls {
		at := end
		if o.NullsFirst {
			at = 0
		}
		for i := range entries {
			if a.IsNull(i) {
				entries[i].prefix = at
			}
		}
	}
	return bits.Len64(end), whole
}
