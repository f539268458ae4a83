package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/parquet-go/parquet-go/format"
)

// bitPacked is the encoding of levels by the oldest writers.
const bitPacked format.Encoding = 4

var errLevelsBeyond = errors.New("levels reach beyond the page")

// splitV1 takes both sections of levels from the front of a decompressed page.
func (p *pages) splitV1(h pageHeader, data []byte) (rep, def hybrid, rest []byte, err error) {
	if rep, data, err = takeSection(data, h.repLevels, p.leaf.maxRep, h.values); err == nil {
		def, data, err = takeSection(data, h.levels, p.leaf.maxDef, h.values)
	}
	return rep, def, data, err
}

// takeSection takes the levels of n entries; there are none where most is 0.
func takeSection(data []byte, e format.Encoding, most, n int) (hybrid, []byte, error) {
	width := bits.Len(uint(most))
	switch {
	case most == 0:
		return hybrid{}, data, nil
	case e == bitPacked:
		size := (n*width + 7) / 8
		if size > len(data) {
			return hybrid{}, nil, errLevelsBeyond
		}
		return newHybrid(repack(data[:size], n, width), uint(width)), data[size:], nil
	case e != format.RLE:
		return hybrid{}, nil, fmt.Errorf("levels encoded as %s, which is not supported", e)
	case len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4):
		return hybrid{}, nil, errLevelsBeyond
	}
	size := int(binary.LittleEndian.Uint32(data))
	return newHybrid(data[4:4+size], uint(width)), data[4+size:], nil
}

// repack turns n values that are packed from the highest bit down, which only
// BIT_PACKED levels are, into one bit-packed run of the hybrid encoding.
func repack(data []byte, n, width int) []byte {
	groups := (n + 7) / 8
	out := make([]byte, 0, binary.MaxVarintLen64+groups*width+padding)
	out = binary.AppendUvarint(out, uint64(groups)<<1|1)
	head := len(out)
	out = out[:head+groups*width]
	for i := range n {
		for b := range width {
			from, to := i*width+b, i*width+width-1-b
			if data[from/8]>>(7-from%8)&1 != 0 {
				out[head+to/8] |= 1 << (to % 8)
			}
		}
	}
	return out
}

// splitV2 finds both sections of levels at the front of a page of version 2.
func (p *pages) splitV2(h pageHeader, body []byte) (rep, def hybrid, err error) {
	if h.repBytes > len(body) || h.defBytes > len(body)-h.repBytes {
		return rep, def, errLevelsBeyond
	}
	rep = newHybrid(body[:h.repBytes], uint(bits.Len(uint(p.leaf.maxRep))))
	def = newHybrid(body[h.repBytes:h.repBytes+h.defBytes], uint(bits.Len(uint(p.leaf.maxDef))))
	return rep, def, nil
}

// openSlots finds the slots of a page of a nested leaf, and which are not null.
// To the leaf's decoder they are the page's rows.
func (p *pages) openSlots(h pageHeader) error {
	if err := checkEntries(h); err != nil {
		return err
	}
	p.left, p.slotAt = h.values, 0
	if p.leaf.maxDef == 0 {
		return nil
	}
	p.slots = grow(p.slots, (h.values+7)/8)
	clear(p.slots)
	p.left = 0
	return p.levels.each(h.values, func(defs []int32) error {
		for _, d := range defs {
			if int(d) > p.leaf.maxDef {
				return fmt.Errorf("definition level %d, the most is %d", d, p.leaf.maxDef)
			}
			if int(d) < p.slotDef {
				continue
			}
			if int(d) == p.leaf.maxDef {
				p.slots[p.left/8] |= 1 << (p.left % 8)
			}
			p.left++
		}
		return nil
	})
}

func checkEntries(h pageHeader) error {
	if h.values > maxPageValues {
		return fmt.Errorf("page of %d nested values, the limit is %d", h.values, maxPageValues)
	}
	return nil
}

// takeSlots is takeLevels for a nested leaf.
func (p *pages) takeSlots(bitmap []byte, at, n int) int {
	bitutil.CopyBitmap(p.slots, p.slotAt, n, bitmap, at)
	valid := bitutil.CountSetBits(p.slots, p.slotAt, n)
	p.slotAt += n
	return valid
}

// each decodes the next n values, some at a time.
func (h *hybrid) each(n int, visit func([]int32) error) error {
	var part [512]int32
	for n > 0 {
		k := min(n, len(part))
		if err := h.read(part[:k]); err != nil {
			return err
		}
		if err := visit(part[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// entries are the levels of a leaf's rows: one entry each for a value, a null
// and an empty list.
type levelEntries struct {
	rep, def []uint8
}

// levelReader reads the levels of a leaf's chunk ahead of its values, for these
// are read by slots, whose number only the levels tell. Pages of version 1 are
// decompressed once more for it.
type levelReader struct {
	pages
	ahead levelEntries // read from pages and not yet taken
	taken int          // of ahead
}

func (r *levelReader) start(group int, c *chunk, data []byte) {
	r.pages.start(group, c, data)
	r.ahead.rep, r.ahead.def, r.taken = r.ahead.rep[:0], r.ahead.def[:0], 0
}

// rows returns the entries of the next n rows, valid until the next call. The
// last row of a chunk ends with it.
func (r *levelReader) rows(n int) (levelEntries, error) {
	rest := copy(r.ahead.rep, r.ahead.rep[r.taken:])
	copy(r.ahead.def, r.ahead.def[r.taken:])
	r.ahead.rep, r.ahead.def, r.taken = r.ahead.rep[:rest], r.ahead.def[:rest], 0
	begun, at := 0, 0 // rows begun before entry at
	for {
		for ; at < len(r.ahead.rep); at++ {
			if r.ahead.rep[at] != 0 {
				if begun == 0 {
					return levelEntries{}, errors.New("column begins in the middle of a row")
				}
				continue
			}
			if begun == n {
				return r.take(at), nil
			}
			begun++
		}
		if r.leaf.maxRep == 0 && begun == n || r.at >= len(r.data) {
			break
		}
		if err := r.nextLevels(); err != nil {
			return levelEntries{}, err
		}
	}
	if begun < n {
		return levelEntries{}, errors.New("column ends before the row group does")
	}
	return r.take(at), nil
}

func (r *levelReader) take(n int) levelEntries {
	r.taken = n
	return levelEntries{rep: r.ahead.rep[:n], def: r.ahead.def[:n]}
}

// nextLevels appends the levels of the next page.
func (r *levelReader) nextLevels() error {
	h, body, err := r.page()
	if err != nil {
		return err
	}
	if err := checkSum(h, body); err != nil {
		return err
	}
	var rep, def hybrid
	switch h.kind {
	case format.DataPage:
		data, err := r.decompress(body, h.uncompressed, true)
		if err != nil {
			return err
		}
		if rep, def, _, err = r.splitV1(h, data); err != nil {
			return err
		}
	case format.DataPageV2:
		if rep, def, err = r.splitV2(h, body); err != nil {
			return err
		}
	default:
		return nil
	}
	if err := checkEntries(h); err != nil {
		return err
	}
	if r.ahead.rep, err = appendLevels(r.ahead.rep, &rep, r.leaf.maxRep, h.values); err == nil {
		r.ahead.def, err = appendLevels(r.ahead.def, &def, r.leaf.maxDef, h.values)
	}
	return err
}

// appendLevels decodes n levels of at most most.
func appendLevels(dst []uint8, h *hybrid, most, n int) ([]uint8, error) {
	if most == 0 {
		return append(dst, make([]uint8, n)...), nil
	}
	err := h.each(n, func(levels []int32) error {
		for _, l := range levels {
			if int(l) > most {
				return fmt.Errorf("level %d, the most is %d", l, most)
			}
			dst = append(dst, uint8(l))
		}
		return nil
	})
	return dst, err
}
