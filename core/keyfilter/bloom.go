package keyfilter

import "math/bits"

const (
	// bloomBits is how many bits a bloom filter has for each key at least, before it
	// is rounded up to a power of two: it takes less than one row in a hundred that
	// it should not.
	bloomBits = 16
	// maxHashed is for how many keys there is a bloom filter, of 16 MiB: a larger
	// one would be asked at the price of a join.
	maxHashed = 8 << 20
)

// bloom is a bloom filter that keeps a key's bits in one word, so that asking it is
// one load and a comparison. A Parquet filter's blocks of eight words take fewer rows
// too many, at 1.5 to 2 times the price: the ones that this takes cost less.
//
//	hash = word (from the top) ... | 6 bits | 6 bits | 6 bits | 6 bits
type bloom struct {
	words []uint64
	shift uint // of a hash, to the number of its word
}

// newBloom returns an empty filter for so many keys.
func newBloom(keys int) *bloom {
	n := max(bits.Len(uint(max(keys, 1)*bloomBits-1)), 7) // log2 of its bits; two words at least, or shift is 64
	return &bloom{words: make([]uint64, 1<<(n-6)), shift: uint(64 - (n - 6))}
}

// bloomBytes is the size of newBloom's.
func bloomBytes(keys int) int64 {
	return 1 << (max(bits.Len(uint(max(keys, 1)*bloomBits-1)), 7) - 3)
}

// bitsOf are a key's bits in its word.
func bitsOf(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63)
}

func (b *bloom) add(hashes []uint64) {
	for _, h := range hashes {
		b.words[h>>b.shift] |= bitsOf(h)
	}
}

func (b *bloom) has(hash uint64) bool { return bitsOf(hash)&^b.words[hash>>b.shift] == 0 }

// keep writes to out, which is as long, the places of hashes that may be in the
// set, and returns those written.
func (b *bloom) keep(hashes []uint64, out []int32) []int32 {
	at, words, shift := 0, b.words, b.shift&63
	for i, h := range hashes {
		out[at] = int32(i)
		missing := bitsOf(h) &^ words[h>>shift]
		at += int((missing|-missing)>>63) ^ 1
	}
	return out[:at]
}
