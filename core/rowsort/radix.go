package rowsort

import (
	"cmp"
	"math/bits"
	"slices"
)

const (
	// fewEntries are sorted by comparing them.
	fewEntries = 256
	// cachedEntries and as many spare ones stay in a core's cache: it takes little to
	// move them once for each byte of the prefix.
	cachedEntries = 1 << 14
)

// radix sorts entries by prefix, stably; spare is as long.
func radix(entries, spare []entry) { sortBits(entries, spare, 64, false) }

// sortBits sorts entries, which differ in the lowest width bits of their prefixes at
// most, stably. It leaves them in spare, which is as long, if moved. More than the
// cache holds are first dealt out by the highest byte that tells them apart.
func sortBits(entries, spare []entry, width int, moved bool) {
	switch {
	case len(entries) < fewEntries:
		slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.prefix, b.prefix) })
		width = 0
	case len(entries) <= cachedEntries:
		if sortBytes(entries, spare, width) == moved {
			return
		}
		if !moved {
			entries, spare = spare, entries
		}
		copy(spare, entries)
		return
	default:
		width = min(width, differing(entries))
	}
	if width == 0 {
		if moved {
			copy(spare, entries)
		}
		return
	}
	shift := max(width-8, 0)
	var ends [256]int32
	countByte(&ends, entries, shift)
	deal(&ends, entries, spare, shift)
	from := int32(0)
	for _, to := range ends {
		if to > from {
			sortBits(spare[from:to], entries[from:to], shift, !moved)
		}
		from = to
	}
}

// differing is how many bits of the prefixes tell entries apart.
func differing(entries []entry) int {
	differ, first := uint64(0), entries[0].prefix
	for _, e := range entries {
		differ |= e.prefix ^ first
	}
	return bits.Len64(differ)
}

// sortBytes sorts entries byte by byte, least significant first, and reports whether
// they are in spare then.
func sortBytes(entries, spare []entry, width int) (moved bool) {
	for shift := 0; shift < width; shift += 8 {
		var places [256]int32
		countByte(&places, entries, shift)
		if places[byte(entries[0].prefix>>shift)] == int32(len(entries)) {
			continue
		}
		deal(&places, entries, spare, shift)
		entries, spare, moved = spare, entries, !moved
	}
	return moved
}

func countByte(counts *[256]int32, entries []entry, shift int) {
	for i := range entries {
		counts[byte(entries[i].prefix>>(shift&63))]++
	}
}

// deal moves entries to to, ordered by a byte whose values' counts it is given and turns
// into the places where their entries end.
func deal(counts *[256]int32, entries, to []entry, shift int) {
	at := int32(0)
	for i, n := range counts {
		counts[i] = at
		at += n
	}
	for _, e := range entries {
		p := &counts[byte(e.prefix>>(shift&63))]
		to[*p] = e
		*p++
	}
}
