package hashtable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// A character key is two words. The topmost byte of the second tells how:
//
//	0..15       that many bytes stand in the words, zeros behind them
//	16..0xFE    16 bytes stand in the words, this being the last one
//	0xFF        longer, or 16 bytes that look like one of the others: the first
//	            word is the hash, the second the length; the bytes are in the arena
const (
	inlineBytes = 16
	longKey     = 0xFF
)

// chars stores keys of a single character or binary column.
type chars struct {
	words[[2]uint64]
	typ    datatype.Type
	buf    [][2]uint64
	texts  compute.Texts
	sel    []int32
	long   []int32 // rows of the batch with long keys
	isLong bool    // there is one in the table
	starts []int64 // by slot, of long keys in the arena
	arena  []byte

	garbage int // bytes of the arena that were removed keys'
}

func (s *chars) load(cols []arrow.Array, sel []int32, hashes []uint64, _ bool) error {
	s.texts, s.sel, s.long = compute.NewTexts(cols[0]), sel, s.long[:0]
	s.buf = sized(s.buf, len(hashes))
	s.batch = s.buf
	if offsets, bytes := s.texts.Plain(); sel == nil && offsets != nil {
		s.loadPlain(offsets, bytes, hashes)
		return nil
	}
	for i := range s.buf {
		text := s.text(int32(i))
		key, ok := inline(text)
		if !ok {
			key = s.longKey(i, len(text), hashes[i])
		}
		s.buf[i] = key
	}
	return nil
}

// loadPlain packs all rows of a plain column. Away from the end of its bytes it
// reads 16 of them for every row and masks those that are not the row's.
func (s *chars) loadPlain(offsets []int32, bytes []byte, hashes []uint64) {
	buf := s.buf
	offsets = offsets[:len(buf)+1]
	start := int(offsets[0])
	for i := range buf {
		end := int(offsets[i+1])
		n := end - start
		if uint(n) <= inlineBytes && start+inlineBytes <= len(bytes) {
			b := bytes[start : start+inlineBytes : start+inlineBytes]
			low, high := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			m := &inlineMasks[n]
			low, high = low&m[0], high&m[1]|m[2]
			if n < inlineBytes || high>>56 >= inlineBytes && high>>56 < longKey {
				buf[i][0], buf[i][1] = low, high
				start = end
				continue
			}
		}
		key, ok := inline(bytes[start:end])
		if !ok {
			key = s.longKey(i, n, hashes[i])
		}
		buf[i] = key
		start = end
	}
}

// inlineMasks are, for each length, what keeps that many bytes of two words, and
// the length as it stands in the second word.
var inlineMasks = func() (m [inlineBytes + 1][3]uint64) {
	for n := range m {
		low, high := min(n, 8), max(n-8, 0)
		m[n][0], m[n][1] = ^uint64(0), ^uint64(0)
		if low < 8 {
			m[n][0] = 1<<(8*low) - 1
		}
		if high < 8 {
			m[n][1] = 1<<(8*high) - 1
		}
		if n < inlineBytes {
			m[n][2] = uint64(n) << 56
		}
	}
	return m
}()

// text is the key of a row of the batch.
func (s *chars) text(row int32) []byte {
	if s.sel != nil {
		row = s.sel[row]
	}
	return s.texts.At(int(row))
}

func (s *chars) longKey(row, n int, hash uint64) [2]uint64 {
	s.long = append(s.long, int32(row))
	return [2]uint64{hash, longKey<<56 | uint64(n)}
}

// inline packs b into two words, if they can hold it.
func inline(b []byte) ([2]uint64, bool) {
	n := len(b)
	switch {
	case n > inlineBytes:
		return [2]uint64{}, false
	case n == inlineBytes:
		last := binary.LittleEndian.Uint64(b[8:])
		return [2]uint64{binary.LittleEndian.Uint64(b), last}, last>>56 >= inlineBytes && last>>56 < longKey
	case n > 8:
		tail := binary.LittleEndian.Uint64(b[n-8:]) >> (8 * (inlineBytes - n))
		return [2]uint64{binary.LittleEndian.Uint64(b), tail | uint64(n)<<56}, true
	case n == 8:
		return [2]uint64{binary.LittleEndian.Uint64(b), uint64(n) << 56}, true
	case n >= 4:
		low, high := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
		return [2]uint64{low | high<<(8*(n-4)), uint64(n) << 56}, true
	default:
		var x uint64
		for i, c := range b {
			x |= uint64(c) << (8 * i)
		}
		return [2]uint64{x, uint64(n) << 56}, true
	}
}

func (s *chars) first(d *directory, hashes []uint64, slots, miss []int32, add bool) []int32 {
	miss = s.words.first(d, hashes, slots, miss, add)
	if len(s.long) == 0 {
		return miss
	}
	for _, r := range s.long { // found by hash and length: look at the bytes
		if at := slots[r]; at >= 0 && s.keys[at] == s.batch[r] && !bytes.Equal(s.stored(at), s.text(r)) {
			miss = append(miss, r)
		}
	}
	return miss
}

// stored is the arena's copy of a long key.
func (s *chars) stored(slot int32) []byte {
	start := s.starts[slot]
	return s.arena[start : start+int64(s.keys[slot][1]&math.MaxUint32)]
}

func (s *chars) find(d *directory, hashes []uint64, slots, rows []int32) {
	if len(s.long) == 0 {
		s.words.find(d, hashes, slots, rows)
		return
	}
	for _, r := range rows {
		slots[r], _ = s.probe(d, hashes[r], r)
	}
}

// probe looks for the key of a row; without it, at is the empty entry that ends
// the search.
func (s *chars) probe(d *directory, h uint64, row int32) (slot int32, at uint64) {
	key := s.batch[row]
	for at = h & d.mask; ; at = (at + 1) & d.mask {
		e := d.entries[at]
		if e == 0 {
			return -1, at
		}
		slot = slotOf(e)
		if sameHash(e, h) && s.keys[slot] == key && (key[1]>>56 != longKey || bytes.Equal(s.stored(slot), s.text(row))) {
			return slot, at
		}
	}
}

func (s *chars) add(d *directory, hashes []uint64, slots, rows []int32) error {
	if len(s.long) == 0 && !s.isLong {
		return s.words.add(d, hashes, slots, rows)
	}
	s.isLong = true
	for _, r := range rows {
		slot, at := s.probe(d, hashes[r], r)
		if slots[r] = slot; slot >= 0 {
			continue
		}
		next, err := s.store(d, hashes[r], r)
		if err != nil {
			return err
		}
		slots[r] = int32(next)
		d.set(at, entry(hashes[r], next))
		if d.used++; d.full() {
			if err := d.grow(); err != nil {
				return err
			}
		}
	}
	return nil
}

// store keeps the key of a row in a slot of its own.
func (s *chars) store(d *directory, hash uint64, row int32) (slot int, err error) {
	if s.starts, err = longer(s.ledger, s.starts, len(s.keys)+1-len(s.starts)); err != nil {
		return 0, err
	}
	if s.keys, err = room(s.ledger, s.keys, 1); err != nil {
		return 0, err
	}
	key := s.batch[row]
	long := key[1]>>56 == longKey
	text := []byte(nil)
	if long {
		text = s.text(row)
		if s.arena, err = room(s.ledger, s.arena, len(text)); err != nil {
			return 0, err
		}
	}
	if slot, err = d.slot(len(s.keys), hash); err != nil {
		return 0, err
	}
	if long {
		s.starts[slot] = int64(len(s.arena))
		s.arena = append(s.arena, text...)
	}
	s.put(slot, key)
	return slot, nil
}

// removed implements store.
func (s *chars) removed(slot int32) {
	if s.keys[slot][1]>>56 == longKey {
		s.garbage += s.length(int(slot))
	}
	s.keys[slot] = [2]uint64{}
}

// leastGarbage is how many bytes of removed texts are worth a compaction.
const leastGarbage = 1 << 20

// compact implements store: it writes the arena anew.
func (s *chars) compact(memory.Allocator, []int32) error {
	if s.garbage < leastGarbage || s.garbage < len(s.arena)/2 {
		return nil
	}
	arena, err := room[byte](s.ledger, nil, len(s.arena)-s.garbage)
	if err != nil {
		return err
	}
	for slot, key := range s.keys {
		if key[1]>>56 == longKey {
			start := int64(len(arena))
			arena = append(arena, s.stored(int32(slot))...)
			s.starts[slot] = start
		}
	}
	s.ledger.shrink(int64(cap(s.arena)))
	s.arena, s.garbage = arena, 0
	return nil
}

// charged is what the store has charged.
func (s *chars) charged() int64 {
	return int64(cap(s.keys))*16 + int64(cap(s.starts))*8 + int64(cap(s.arena))
}

func (s *chars) truncate(n int) {
	s.words.truncate(n)
	s.starts = s.starts[:min(n, len(s.starts))]
}

func (s *chars) arrays(mem memory.Allocator, from, to int, null int32) ([]arrow.Array, error) {
	slots := make([]int32, to-from)
	for i := range slots {
		slots[i] = int32(from + i)
	}
	return s.take(mem, slots, null)
}

// take implements store.
func (s *chars) take(mem memory.Allocator, slots []int32, null int32) ([]arrow.Array, error) {
	a, err := s.column(mem, slots, null)
	if err != nil {
		return nil, err
	}
	return []arrow.Array{a}, nil
}

// column returns the keys of slots, of which null is the null.
func (s *chars) column(mem memory.Allocator, slots []int32, null int32) (arrow.Array, error) {
	n, total, nulls := len(slots), 0, 0
	for _, slot := range slots {
		total += s.length(int(slot))
		if slot == null {
			nulls++
		}
	}
	if total > math.MaxInt32 {
		return nil, fmt.Errorf("%d keys: %w", n, compute.TooLarge("bytes of text", int64(total)))
	}
	var valid *memory.Buffer
	if nulls > 0 {
		valid = memory.NewResizableBuffer(mem)
		defer valid.Release()
		valid.Resize(int(bitutil.BytesForBits(int64(n))))
		clear(valid.Bytes())
	}
	offsets, values := memory.NewResizableBuffer(mem), memory.NewResizableBuffer(mem)
	defer offsets.Release()
	defer values.Release()
	offsets.Resize((n + 1) * 4)
	values.Resize(total)
	ends, out := arrow.GetData[int32](offsets.Bytes()), values.Bytes()
	ends[0] = 0
	at := 0
	for i, slot := range slots {
		at += s.copy(out[at:], int(slot))
		ends[i+1] = int32(at)
		if valid != nil && slot != null {
			bitutil.SetBit(valid.Bytes(), i)
		}
	}
	return wrapTexts(s.typ.Arrow(), n, valid, offsets, values, nulls), nil
}

func (s *chars) length(slot int) int {
	switch top := s.keys[slot][1] >> 56; {
	case top == longKey:
		return int(s.keys[slot][1] & math.MaxUint32)
	case top < inlineBytes:
		return int(top)
	default:
		return inlineBytes
	}
}

// copy writes a key's bytes to out.
func (s *chars) copy(out []byte, slot int) int {
	key := s.keys[slot]
	if key[1]>>56 == longKey {
		return copy(out, s.stored(int32(slot)))
	}
	var b [inlineBytes]byte
	binary.LittleEndian.PutUint64(b[:], key[0])
	binary.LittleEndian.PutUint64(b[8:], key[1])
	return copy(out, b[:s.length(slot)])
}

func (s *chars) release() {}

var _ store = (*chars)(nil)
