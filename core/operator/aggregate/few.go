package aggregate

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// few is up to how many groups partial sums are kept for: with more, rows next to
// each other rarely are of one group.
const few = 256

// partials are sums of a batch by group, in several lanes: rows next to each other
// that are of one group do not wait for each other's sum to be stored.
type partials struct {
	lanes [4][few]int64
	every []int32 // 0, 1, 2, ...: the rows where none are selected
}

// rows is sel, or the first n rows where that is nil.
func (p *partials) rows(sel []int32, n int) []int32 {
	if sel != nil {
		return sel[:n]
	}
	for i := len(p.every); i < n; i++ {
		p.every = append(p.every, int32(i))
	}
	return p.every[:n]
}

// add returns the sums of v's rows in sel (nil: all) by slot, for slots below groups,
// which are few; they are valid until the next call. They wrap around unless fits.
func (p *partials) add(v []int64, sel, slots []int32, groups int) (sums []int64, fits bool) {
	switch {
	case groups > 1:
		return p.addGroups(v, p.rows(sel, len(slots)), slots, groups)
	case sel == nil:
		return p.addAll(v[:len(slots)])
	default:
		return p.addOne(v, sel)
	}
}

// addGroups is add for several groups.
func (p *partials) addGroups(v []int64, sel, slots []int32, groups int) (sums []int64, fits bool) {
	p.clear(groups)
	size, i := int64(0), 0
	a, b, c, d := &p.lanes[0], &p.lanes[1], &p.lanes[2], &p.lanes[3]
	for ; i+4 <= len(slots); i += 4 {
		s, r := slots[i:i+4:i+4], sel[i:i+4:i+4]
		x0, x1, x2, x3 := v[r[0]], v[r[1]], v[r[2]], v[r[3]]
		a[uint8(s[0])] += x0
		b[uint8(s[1])] += x1
		c[uint8(s[2])] += x2
		d[uint8(s[3])] += x3
		size |= x0 ^ x0>>63 | x1 ^ x1>>63 | x2 ^ x2>>63 | x3 ^ x3>>63
	}
	for ; i < len(slots); i++ {
		x := v[sel[i]]
		a[uint8(slots[i])] += x
		size |= x ^ x>>63
	}
	return p.total(groups), sumsFit(size, len(slots))
}

// addOne is add for one group.
func (p *partials) addOne(v []int64, sel []int32) (sums []int64, fits bool) {
	size, sum := int64(0), int64(0)
	for _, r := range sel {
		x := v[r]
		sum += x
		size |= x ^ x>>63
	}
	p.lanes[0][0] = sum
	return p.lanes[0][:1], sumsFit(size, len(sel))
}

// addAll is add of all rows for one group.
func (p *partials) addAll(v []int64) (sums []int64, fits bool) {
	size, sum, more := int64(0), int64(0), int64(0)
	i := 0
	for ; i+4 <= len(v); i += 4 {
		x := v[i : i+4 : i+4]
		sum += x[0] + x[1]
		more += x[2] + x[3]
		size |= x[0] ^ x[0]>>63 | x[1] ^ x[1]>>63 | x[2] ^ x[2]>>63 | x[3] ^ x[3]>>63
	}
	for _, x := range v[i:] {
		sum += x
		size |= x ^ x>>63
	}
	p.lanes[0][0] = sum + more
	return p.lanes[0][:1], sumsFit(size, len(v))
}

// addWides is add for long decimals; where it does not say fits, the sums are void.
func (p *partials) addWides(v []decimal128.Num, sel, slots []int32, groups int) (sums []int64, fits bool) {
	p.clear(groups)
	sel = p.rows(sel, len(slots))
	size, differ, i := int64(0), int64(0), 0
	a, b := &p.lanes[0], &p.lanes[1]
	for ; i+2 <= len(slots); i += 2 {
		s, r := slots[i:i+2:i+2], sel[i:i+2:i+2]
		x0, x1 := &v[r[0]], &v[r[1]]
		low0, low1 := int64(x0.LowBits()), int64(x1.LowBits())
		a[uint8(s[0])] += low0
		b[uint8(s[1])] += low1
		size |= low0 ^ low0>>63 | low1 ^ low1>>63
		differ |= x0.HighBits() ^ low0>>63 | x1.HighBits() ^ low1>>63
	}
	for ; i < len(slots); i++ {
		x := v[sel[i]]
		low := int64(x.LowBits())
		a[uint8(slots[i])] += low
		size |= low ^ low>>63
		differ |= x.HighBits() ^ low>>63
	}
	return p.total(groups), differ == 0 && sumsFit(size, len(slots))
}

func (p *partials) clear(groups int) {
	for lane := range p.lanes {
		clear(p.lanes[lane][:groups])
	}
}

// total adds the lanes up.
func (p *partials) total(groups int) []int64 {
	out := p.lanes[0][:groups]
	for _, lane := range p.lanes[1:] {
		for g, x := range lane[:groups] {
			out[g] += x
		}
	}
	return out
}

// sumsFit reports whether sums of n values fit 64 bits whatever their order; size has
// the bits that are not the sign's of all of them.
func sumsFit(size int64, n int) bool {
	return bits.Len64(uint64(size))+bits.Len(uint(n)) < 64
}

// addWide is n + x.
func addWide(n decimal128.Num, x int64) decimal128.Num {
	low, carry := bits.Add64(n.LowBits(), uint64(x), 0)
	return decimal128.New(n.HighBits()+x>>63+int64(carry), low)
}

// touch notes that slots have values.
func touch(valid []bool, slots []int32) {
	if len(valid) <= few {
		all := true
		for _, v := range valid {
			all = all && v
		}
		if all {
			return
		}
	}
	for _, s := range slots {
		valid[s] = true
	}
}
