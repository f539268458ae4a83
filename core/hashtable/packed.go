package hashtable

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// part is one column's place in a packed key.
type part struct {
	typ      datatype.Type
	storage  Storage
	bits     int // of the value, 128 for wide decimals
	at       int // bit where it begins, counted over all words
	null     int // bit that says null, -1 for none
	interned *Table
}

// packing lays key columns out as bits of words.
type packing struct {
	parts   []part
	width   int // words
	ints    []int64
	reals   []float64
	wides   []decimal128.Num
	valid   []bool
	slots   []int32
	hashes  []uint64
	flatten []uint64
}

// newPacking plans the layout: whole words first, then the rest where it fits.
// A single column needs no null bit, because its null key is a slot of its own.
func newPacking(keys datatype.Schema, l *ledger) (*packing, error) {
	p := &packing{parts: make([]part, len(keys))}
	for i, k := range keys {
		bits, err := keyBits(k.Type)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		p.parts[i] = part{typ: k.Type, storage: StorageOf(k.Type), bits: bits, null: -1}
		if p.parts[i].storage == Chars {
			p.parts[i].interned = newChars(k, l)
		}
	}
	var free []int // bits used of each word
	place := func(bits int) int {
		for w, used := range free {
			if used+bits <= 64 {
				free[w] += bits
				return w*64 + used
			}
		}
		free = append(free, bits)
		return (len(free)-1)*64 + 0
	}
	for i := range p.parts {
		switch p.parts[i].bits {
		case 128:
			p.parts[i].at = len(free) * 64
			free = append(free, 64, 64)
		case 64:
			p.parts[i].at = len(free) * 64
			free = append(free, 64)
		}
	}
	for i := range p.parts {
		if p.parts[i].bits < 64 {
			p.parts[i].at = place(p.parts[i].bits)
		}
	}
	for i := range p.parts {
		if len(keys) > 1 && p.parts[i].interned == nil {
			p.parts[i].null = place(1)
		}
	}
	p.width = len(free)
	return p, nil
}

func keyBits(t datatype.Type) (int, error) {
	switch StorageOf(t) {
	case NoStorage:
		return 0, fmt.Errorf("values of type %s cannot be keys", t)
	case Chars:
		return 32, nil
	case Wide:
		return 128, nil
	}
	switch a := t.Arrow().(type) {
	case *arrow.BooleanType, *arrow.NullType:
		return 1, nil
	case arrow.FixedWidthDataType:
		return a.Bytes() * 8, nil
	default:
		return 64, nil
	}
}

// load packs the rows of sel, row after row.
func (p *packing) load(cols []arrow.Array, sel []int32, n int, add bool) ([]uint64, error) {
	out := sized(p.flatten, n*p.width)
	p.flatten = out
	clear(out)
	for i := range p.parts {
		if err := p.loadPart(&p.parts[i], cols[i], sel, out, add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *packing) loadPart(c *part, a arrow.Array, sel []int32, out []uint64, add bool) error {
	if c.interned != nil {
		column, n := []arrow.Array{a}, len(out)/p.width
		p.hashes, p.slots = sized(p.hashes, n), sized(p.slots, n)
		if c.interned.NeedsHashes(column, n) {
			p.hashes = compute.HashColumns(column, sel, p.hashes)
		}
		if err := c.interned.lookup(column, sel, p.hashes, p.slots, add); err != nil {
			return err
		}
		for i, s := range p.slots {
			out[i*p.width+c.at>>6] |= uint64(uint32(s)) << (c.at & 63)
		}
		return nil
	}
	var valid []bool
	if c.null >= 0 {
		if valid = compute.Validity(a, sel, p.valid); valid != nil {
			p.valid = valid
			word, bit := c.null>>6, uint64(1)<<(c.null&63)
			for i, v := range valid {
				if !v {
					out[i*p.width+word] |= bit
				}
			}
		}
	}
	word, shift := c.at>>6, c.at&63
	switch c.storage {
	case Integer:
		var v []int64
		v, p.ints = compute.Integers(a, sel, p.ints)
		putIntegers(out, v, valid, p.width, word, shift, c.bits)
	case Real:
		var v []float64
		v, p.reals = compute.Reals(a, sel, p.reals)
		for i, x := range v {
			if valid == nil || valid[i] {
				out[i*p.width+word] |= realBits(x, c.bits) << shift
			}
		}
	case Wide:
		var v []decimal128.Num
		v, p.wides = compute.Wides(a, sel, p.wides)
		for i, x := range v {
			if valid == nil || valid[i] {
				out[i*p.width+word], out[i*p.width+word+1] = x.LowBits(), uint64(x.HighBits())
			}
		}
	}
	return nil
}

func putIntegers(out []uint64, v []int64, valid []bool, width, word, shift, bits int) {
	mask := uint64(math.MaxUint64) >> (64 - bits)
	if valid == nil {
		for i, x := range v {
			out[i*width+word] |= uint64(x) & mask << shift
		}
		return
	}
	for i, x := range v {
		if valid[i] {
			out[i*width+word] |= uint64(x) & mask << shift
		}
	}
}

// realBits are x's bits where equal keys have equal bits.
func realBits(x float64, bits int) uint64 {
	if x == 0 {
		x = 0
	}
	if x != x {
		x = math.NaN()
	}
	if bits == 32 {
		return uint64(math.Float32bits(float32(x)))
	}
	return math.Float64bits(x)
}

// arrays unpacks the keys in flat.
func (p *packing) arrays(mem memory.Allocator, flat []uint64, null int) ([]arrow.Array, error) {
	n := len(flat) / p.width
	out := make([]arrow.Array, len(p.parts))
	for i := range p.parts {
		a, err := p.column(mem, &p.parts[i], flat, n, null)
		if err != nil {
			compute.ReleaseAll(out)
			return nil, err
		}
		out[i] = a
	}
	return out, nil
}

func (p *packing) column(mem memory.Allocator, c *part, flat []uint64, n, null int) (arrow.Array, error) {
	word, shift := c.at>>6, c.at&63
	if c.interned != nil {
		rows := make([]int32, n)
		for i := range rows {
			rows[i] = int32(uint32(flat[i*p.width+word] >> shift))
		}
		return c.interned.keys.(*chars).column(mem, rows, c.interned.null)
	}
	col := &state.Column{Type: c.typ, Valid: make([]bool, n)}
	for i := range col.Valid {
		col.Valid[i] = i != null && (c.null < 0 || flat[i*p.width+c.null>>6]>>(c.null&63)&1 == 0)
	}
	switch c.storage {
	case Integer:
		col.Int64 = make([]int64, n)
		up := 64 - c.bits
		for i := range col.Int64 {
			col.Int64[i] = int64(flat[i*p.width+word]>>shift<<up) >> up
		}
		if c.bits == 1 { // booleans have no sign
			for i := range col.Int64 {
				col.Int64[i] &= 1
			}
		}
	case Real:
		col.Float64 = make([]float64, n)
		for i := range col.Float64 {
			x := flat[i*p.width+word] >> shift
			if col.Float64[i] = math.Float64frombits(x); c.bits == 32 {
				col.Float64[i] = float64(math.Float32frombits(uint32(x)))
			}
		}
	case Wide:
		col.Dec128 = make([]decimal128.Num, n)
		for i := range col.Dec128 {
			col.Dec128[i] = decimal128.New(int64(flat[i*p.width+word+1]), flat[i*p.width+word])
		}
	}
	return ToArrow(mem, col, 0, n)
}

// compact makes the tables of character columns anew that hold far more texts than n
// keys, less the free ones, can use. at is a word of a slot's key.
func (p *packing) compact(mem memory.Allocator, n int, free []int32, at func(slot, word int) *uint64) error {
	live := n - len(free)
	var used []bool // by slot
	for i := range p.parts {
		c := &p.parts[i]
		if c.interned == nil || c.interned.Len() < 2*live+leastTexts {
			continue
		}
		if used == nil {
			used = make([]bool, n)
			for s := range used {
				used[s] = true
			}
			for _, s := range free {
				used[s] = false
			}
		}
		if err := c.intern(mem, used, at); err != nil {
			return err
		}
	}
	return nil
}

// leastTexts is how many texts too many are worth a compaction.
const leastTexts = 1 << 12

// intern makes a column's table anew, of the texts that keys of used slots have.
func (c *part) intern(mem memory.Allocator, used []bool, at func(slot, word int) *uint64) error {
	word, shift := c.at>>6, c.at&63
	old := c.interned
	number := make([]int32, old.Len()) // by former number: the new one, plus one
	var texts []int32
	for slot, u := range used {
		if !u {
			continue
		}
		was := int32(uint32(*at(slot, word) >> shift))
		if number[was] == 0 {
			texts = append(texts, was)
			number[was] = int32(len(texts))
		}
	}
	column, err := old.keys.(*chars).column(mem, texts, old.null)
	if err != nil {
		return err
	}
	defer column.Release()
	next := newChars(datatype.Field{Type: c.typ}, old.ledger)
	columns, slots := []arrow.Array{column}, make([]int32, len(texts))
	if err := next.lookup(columns, nil, compute.HashColumns(columns, nil, nil), slots, true); err != nil {
		next.giveBack()
		return err
	}
	for slot, u := range used {
		if !u {
			continue
		}
		w := at(slot, word)
		was := uint32(*w >> shift)
		*w = *w&^(math.MaxUint32<<shift) | uint64(uint32(slots[number[was]-1]))<<shift
	}
	c.interned = next
	old.giveBack()
	return nil
}

// giveBack gives up a table of texts that is part of another.
func (t *Table) giveBack() {
	t.releaseParts()
	t.ledger.shrink(t.keys.(*chars).charged() + int64(len(t.directory.entries))*8)
}

func (p *packing) release() {
	for i := range p.parts {
		if t := p.parts[i].interned; t != nil {
			t.releaseParts()
		}
	}
}

// oneWord stores keys that pack into a word.
type oneWord struct {
	words[uint64]
	*packing
}

func (s *oneWord) load(cols []arrow.Array, sel []int32, hashes []uint64, add bool) (err error) {
	if p := &s.parts[0]; sel == nil && len(s.parts) == 1 && p.storage == Integer && p.bits == 64 {
		d := cols[0].Data()
		s.batch = arrow.GetData[uint64](d.Buffers()[1].Bytes())[d.Offset() : d.Offset()+d.Len()]
		return nil
	}
	s.batch, err = s.packing.load(cols, sel, len(hashes), add)
	return err
}

func (s *oneWord) arrays(mem memory.Allocator, from, to int, null int32) ([]arrow.Array, error) {
	return s.packing.arrays(mem, s.keys[from:to], int(null)-from)
}

func (s *oneWord) take(mem memory.Allocator, slots []int32, null int32) ([]arrow.Array, error) {
	flat := make([]uint64, len(slots))
	for i, slot := range slots {
		flat[i] = s.keys[slot]
	}
	return s.packing.arrays(mem, flat, slices.Index(slots, null))
}

func (s *oneWord) removed(slot int32) { s.keys[slot] = 0 }

func (s *oneWord) compact(mem memory.Allocator, free []int32) error {
	return s.packing.compact(mem, len(s.keys), free, func(slot int, _ int) *uint64 { return &s.keys[slot] })
}

// fewWords stores keys that pack into so many words.
type fewWords[T several] struct {
	words[T]
	*packing
	buf []T
}

func (s *fewWords[T]) load(cols []arrow.Array, sel []int32, hashes []uint64, add bool) error {
	flat, err := s.packing.load(cols, sel, len(hashes), add)
	if err != nil {
		return err
	}
	s.buf = sized(s.buf, len(hashes))
	for i := range s.buf {
		k := &s.buf[i]
		for j, word := range flat[:len(*k)] {
			(*k)[j] = word
		}
		flat = flat[len(*k):]
	}
	s.batch = s.buf
	return nil
}

func (s *fewWords[T]) arrays(mem memory.Allocator, from, to int, null int32) ([]arrow.Array, error) {
	flat := make([]uint64, 0, s.width*(to-from))
	for _, k := range s.keys[from:to] {
		for i := range s.width {
			flat = append(flat, k[i])
		}
	}
	return s.packing.arrays(mem, flat, int(null)-from)
}

func (s *fewWords[T]) take(mem memory.Allocator, slots []int32, null int32) ([]arrow.Array, error) {
	flat := make([]uint64, 0, s.width*len(slots))
	for _, slot := range slots {
		k := s.keys[slot]
		for i := range s.width {
			flat = append(flat, k[i])
		}
	}
	return s.packing.arrays(mem, flat, slices.Index(slots, null))
}

func (s *fewWords[T]) removed(slot int32) {
	var none T
	s.keys[slot] = none
}

func (s *fewWords[T]) compact(mem memory.Allocator, free []int32) error {
	return s.packing.compact(mem, len(s.keys), free, func(slot, word int) *uint64 { return &s.keys[slot][word] })
}

// manyWords stores longer keys.
type manyWords struct {
	strides
	*packing
}

func (s *manyWords) load(cols []arrow.Array, sel []int32, hashes []uint64, add bool) (err error) {
	s.batch, err = s.packing.load(cols, sel, len(hashes), add)
	return err
}

func (s *manyWords) arrays(mem memory.Allocator, from, to int, null int32) ([]arrow.Array, error) {
	return s.packing.arrays(mem, s.keys[from*s.strides.width:to*s.strides.width], int(null)-from)
}

func (s *manyWords) take(mem memory.Allocator, slots []int32, null int32) ([]arrow.Array, error) {
	width := s.strides.width
	flat := make([]uint64, 0, width*len(slots))
	for _, slot := range slots {
		flat = append(flat, s.keys[int(slot)*width:][:width]...)
	}
	return s.packing.arrays(mem, flat, slices.Index(slots, null))
}

func (s *manyWords) removed(slot int32) { clear(s.keys[int(slot)*s.strides.width:][:s.strides.width]) }

func (s *manyWords) compact(mem memory.Allocator, free []int32) error {
	return s.packing.compact(mem, s.n, free, func(slot, word int) *uint64 { return &s.keys[slot*s.strides.width+word] })
}

var (
	_ store = (*oneWord)(nil)
	_ store = (*fewWords[[2]uint64])(nil)
	_ store = (*manyWords)(nil)
)
