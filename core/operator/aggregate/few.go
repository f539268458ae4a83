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
type partials [4][few]int64

// addFew returns the sums of v by slot, for slots below groups, which are few. They
// wrap around; they are valid until the next call.
func (p *partials) addFew(v []int64, slots []int32, groups int) []int64 {
	for lane := range p {
		clear(p[lane][:groups])
	}
	v = v[:len(slots)]
	i := 0
	for ; i+4 <= len(slots); i += 4 {
		s, x := slots[i:i+4:i+4], v[i:i+4:i+4]
		p[0][uint8(s[0])] += x[0]
		p[1][uint8(s[1])] += x[1]
		p[2][uint8(s[2])] += x[2]
		p[3][uint8(s[3])] += x[3]
	}
	for ; i < len(slots); i++ {
		p[0][uint8(slots[i])] += v[i]
	}
	return p.total(groups)
}

// addFewWides is addFew for values that fit 64 bits.
func (p *partials) addFewWides(v []decimal128.Num, slots []int32, groups int) []int64 {
	for lane := range p {
		clear(p[lane][:groups])
	}
	v = v[:len(slots)]
	i := 0
	for ; i+4 <= len(slots); i += 4 {
		s, x := slots[i:i+4:i+4], v[i:i+4:i+4]
		p[0][uint8(s[0])] += int64(x[0].LowBits())
		p[1][uint8(s[1])] += int64(x[1].LowBits())
		p[2][uint8(s[2])] += int64(x[2].LowBits())
		p[3][uint8(s[3])] += int64(x[3].LowBits())
	}
	for ; i < len(slots); i++ {
		p[0][uint8(slots[i])] += int64(v[i].LowBits())
	}
	return p.total(groups)
}

func (p *partials) total(groups int) []int64 {
	out := p[0][:groups]
	for lane := 1; lane < len(p); lane++ {
		for g, x := range p[lane][:groups] {
			out[g] += x
		}
	}
	return out
}

// fitSum reports whether sums of all of v fit 64 bits whatever their order.
func fitSum(v []int64) bool {
	size := uint64(0)
	for _, x := range v {
		size |= uint64(x ^ x>>63)
	}
	return bits.Len64(size)+bits.Len(uint(len(v))) < 64
}

// fitWideSum is fitSum for wide values.
func fitWideSum(v []decimal128.Num) bool {
	size, high := uint64(0), int64(0)
	for _, x := range v {
		low := int64(x.LowBits())
		size |= uint64(low ^ low>>63)
		high |= x.HighBits() ^ low>>63
	}
	return high == 0 && bits.Len64(size)+bits.Len(uint(len(v))) < 64
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
