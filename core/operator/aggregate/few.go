package aggregate

import (
	"math/bits"
	"slices"

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

// narrowSum returns v in 64 bits, in buf, if fitSum holds for it.
func narrowSum(v []decimal128.Num, buf []int64) (narrow []int64, fits bool) {
	buf = slices.Grow(buf[:0], len(v))[:len(v)]
	differ := int64(0)
	for i, x := range v {
		low := int64(x.LowBits())
		buf[i] = low
		differ |= x.HighBits() ^ low>>63
	}
	return buf, differ == 0 && fitSum(buf)
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
