package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/parquet-go/bitpack"
)

// padding is how many bytes past its end a buffer must have as capacity, so
// that bit unpacking may load whole vectors.
const padding = 64

var errLevelsEnd = errors.New("run-length encoded values end too early")

// hybrid decodes Parquet's mix of runs and bit-packed groups, a few values at a
// time, so that no page is ever materialised. The capacity of src must exceed
// its length by padding.
type hybrid struct {
	src      []byte
	width    uint
	run      int    // values left of a run
	value    uint32 // the run's value
	packed   int    // values left in the bit-packed groups
	groups   []byte // the bit-packed groups
	consumed int    // values taken from groups
}

func newHybrid(src []byte, width uint) hybrid { return hybrid{src: src, width: width} }

// more makes run or packed positive.
func (h *hybrid) more() error {
	for h.run == 0 && h.packed == 0 {
		var header uint64
		n := 1
		if len(h.src) > 0 && h.src[0] < 0x80 { // most are that short
			header = uint64(h.src[0])
		} else if header, n = binary.Uvarint(h.src); n <= 0 || header>>1 > 1<<31 {
			return errLevelsEnd
		}
		h.src = h.src[n:]
		if header&1 == 0 {
			if err := h.startRun(int(header >> 1)); err != nil {
				return err
			}
			continue
		}
		groups := int(header >> 1)
		size := groups * int(h.width)
		if size > len(h.src) {
			// The last group may be cut after its last value; what is missing reads as zeros
			// only where the page holds no such value.
			size = len(h.src)
			if h.packed = size * 8 / max(int(h.width), 1); h.packed == 0 {
				return errLevelsEnd
			}
		} else {
			h.packed = groups * 8
		}
		h.groups, h.src, h.consumed = h.src[:size], h.src[size:], 0
	}
	return nil
}

func (h *hybrid) startRun(n int) error {
	bytes := int(h.width+7) / 8
	if bytes > len(h.src) {
		return errLevelsEnd
	}
	h.value = 0
	for i := range bytes {
		h.value |= uint32(h.src[i]) << (8 * i)
	}
	if h.width < 32 && h.value >= 1<<h.width {
		return fmt.Errorf("run of value %d in %d bits", h.value, h.width)
	}
	h.src = h.src[bytes:]
	h.run = n
	return nil
}

// read decodes the next len(dst) values.
func (h *hybrid) read(dst []int32) error {
	for len(dst) > 0 {
		if err := h.more(); err != nil {
			return err
		}
		if h.run > 0 {
			n := min(h.run, len(dst))
			fill(dst[:n], int32(h.value))
			h.run -= n
			dst = dst[n:]
			continue
		}
		n := min(h.packed, len(dst))
		h.unpack(dst[:n])
		h.packed -= n
		h.consumed += n
		dst = dst[n:]
	}
	return nil
}

func fill(dst []int32, v int32) {
	for i := range dst {
		dst[i] = v
	}
}

// unpack decodes values of the current groups: singly up to the next group of
// eight, which begins at a byte, then all others at once.
func (h *hybrid) unpack(dst []int32) {
	if h.width == 0 {
		clear(dst)
		return
	}
	at := h.consumed
	for len(dst) > 0 && at%8 != 0 {
		dst[0] = int32(h.one(at))
		dst = dst[1:]
		at++
	}
	if len(dst) > 0 {
		bitpack.Unpack(dst, h.groups[at/8*int(h.width):], h.width)
	}
}

// one returns the value at index i of the groups.
func (h *hybrid) one(i int) uint32 {
	bit := i * int(h.width)
	var buf [8]byte
	copy(buf[:], h.groups[bit/8:])
	return uint32(binary.LittleEndian.Uint64(buf[:]) >> (bit % 8) & (1<<h.width - 1))
}

// readBits decodes the next n values of a width of one bit into a bitmap at
// bit position at, and counts the ones.
func (h *hybrid) readBits(bitmap []byte, at, n int) (ones int, err error) {
	for n > 0 {
		if err := h.more(); err != nil {
			return ones, err
		}
		var k int
		if h.run > 0 {
			k = min(h.run, n)
			h.run -= k
			bitutil.SetBitsTo(bitmap, int64(at), int64(k), h.value != 0)
			if h.value != 0 {
				ones += k
			}
		} else {
			k = min(h.packed, n)
			bitutil.CopyBitmap(h.groups, h.consumed, k, bitmap, at)
			ones += bitutil.CountSetBits(h.groups, h.consumed, k)
			h.packed -= k
			h.consumed += k
		}
		at += k
		n -= k
	}
	return ones, nil
}
