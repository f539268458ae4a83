package memstate

import (
	"github.com/tidemill/tidemill/core/stream"
)

// filter says of keys by their hashes that they are certainly not in the store: Bloom
// filters of 64-bit blocks, each four times as large as the one before. Keys that have
// gone stay in it.
type filter struct {
	parts [][]uint64
	room  int  // keys that the last part still takes
	off   bool // memory was refused: every key may be there
}

const (
	firstPart  = 1 << 12 // keys
	bitsOfKey  = 8
	partGrowth = 4
)

// add notes a key.
func (f *filter) add(hash uint64, account stream.Account) {
	if f.off {
		return
	}
	if f.room == 0 {
		keys := firstPart
		for range f.parts {
			keys *= partGrowth
		}
		words := keys * bitsOfKey / 64
		if account.Grow(int64(words)*8) != nil {
			f.release(account)
			f.off = true
			return
		}
		f.parts, f.room = append(f.parts, make([]uint64, words)), keys
	}
	f.room--
	part := f.parts[len(f.parts)-1]
	part[blockOf(hash)&uint64(len(part)-1)] |= bitsOf(hash)
}

// has reports whether a key may be there.
func (f *filter) has(hash uint64) bool {
	if f.off {
		return true
	}
	block, bits := blockOf(hash), bitsOf(hash)
	for _, part := range f.parts {
		if part[block&uint64(len(part)-1)]&bits == bits {
			return true
		}
	}
	return false
}

// blockOf mixes a hash, whose high bits a subtask's keys have in common.
func blockOf(hash uint64) uint64 { return hash * 0x9e3779b97f4a7c15 >> 20 }

// bitsOf are the bits of a key in its block.
func bitsOf(hash uint64) uint64 {
	h := hash * 0xd6e8feb86659fd93
	return 1<<(h>>58) | 1<<(h>>52&63) | 1<<(h>>46&63) | 1<<(h>>40&63) | 1<<(h>>34&63)
}

// bytes is what the filter takes.
func (f *filter) bytes() int64 {
	n := 0
	for _, part := range f.parts {
		n += len(part)
	}
	return int64(n) * 8
}

func (f *filter) release(account stream.Account) {
	account.Shrink(f.bytes())
	f.parts, f.room = nil, 0
}
