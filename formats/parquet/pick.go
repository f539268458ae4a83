package parquet

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

// This file reads some rows of many: what a filter left. Pages without any are not
// opened; of the others only the wanted values are decoded.

// sparse is the share of values, one in so many, below which dictionary indexes are
// unpacked one by one.
const sparse = 8

// skip passes over the next n rows.
func (p *pages) skip(n int) { p.behind += n }

// drop passes over the next n rows of the current page.
func (p *pages) drop(n int) error {
	m := n
	if p.leaf.maxDef > 0 {
		p.rowBits = grow(p.rowBits, (n+7)/8)
		var err error
		if m, err = p.takeLevels(p.rowBits, 0, n); err != nil {
			return err
		}
	}
	p.left -= n
	p.behind -= n
	return p.dropValues(m)
}

// dropValues passes over the next n values of the current page.
func (p *pages) dropValues(n int) error {
	switch {
	case p.indexed:
		return p.indexes.skip(n)
	case p.rle:
		return p.bits.skip(n)
	case p.leaf.physical == format.Boolean:
		p.taken += n
		return nil
	case p.leaf.physical == format.ByteArray && p.leaf.datatype.Kind != decimalKind:
		at, err := passPlain(p.values, 0, n)
		p.values = p.values[at:]
		return err
	default:
		_, err := p.takeFixed(n, physicalWidth(p.leaf))
		return err
	}
}

// passPlain returns where the n length-prefixed values end that begin at at.
func passPlain(src []byte, at, n int) (int, error) {
	for i := range n {
		if len(src)-at < 4 {
			return 0, fmt.Errorf("value %d of %d reaches beyond the page", i, n)
		}
		length := int(binary.LittleEndian.Uint32(src[at:]))
		if at += 4; length > len(src)-at {
			return 0, fmt.Errorf("value %d of %d has %d bytes, %d left in the page", i, n, length, len(src)-at)
		}
		at += length
	}
	return at, nil
}

// walk visits the pages that have some of rows, which are ascending among the next
// n. visit takes k rows from the current page and wants some of them, counted from
// the first of the k; at is how many it wanted before.
func (p *pages) walk(n int, rows []int32, dictionary dictionaryFunc, visit func(at int, some []int32, k int) error) error {
	from := 0 // the row that the page is at
	for at := 0; at < len(rows); {
		first := int(rows[at])
		p.behind += first - from
		if err := p.next(dictionary); err != nil {
			return err
		}
		end, limit := at+1, first+p.left
		if int(rows[len(rows)-1]) < limit {
			end = len(rows)
		}
		for end < len(rows) && int(rows[end]) < limit {
			end++
		}
		k := int(rows[end-1]) + 1 - first
		p.wanted = grow(p.wanted, end-at)
		for i, r := range rows[at:end] {
			p.wanted[i] = r - int32(first)
		}
		if err := visit(at, p.wanted, k); err != nil {
			return err
		}
		p.left -= k
		from, at = first+k, end
	}
	p.behind += n - from
	return nil
}

// locate finds the values of some of the next k rows of the current page: places are
// their places among the m values that these rows have. Rows that are null have
// none; the others' bits are set in valid, beginning at bit at.
func (p *pages) locate(valid []byte, at int, some []int32, k int) (places []int32, m int, err error) {
	if valid == nil {
		return some, k, nil
	}
	p.rowBits = grow(p.rowBits, (k+63)/64*8)
	clear(p.rowBits[len(p.rowBits)-8:])
	if m, err = p.takeLevels(p.rowBits, 0, k); err != nil {
		return nil, 0, err
	}
	places = some[:0] // never overtakes some
	word, before := 0, 0
	now := binary.LittleEndian.Uint64(p.rowBits)
	for i, r := range some {
		for ; word < int(r)>>6; word++ {
			before += bits.OnesCount64(now)
			now = binary.LittleEndian.Uint64(p.rowBits[8*word+8:])
		}
		bit := uint64(1) << (r & 63)
		to := at + i
		valid[to/8] &^= 1 << (to % 8)
		if now&bit != 0 {
			valid[to/8] |= 1 << (to % 8)
			places = append(places, int32(before+bits.OnesCount64(now&(bit-1))))
		}
	}
	return places, m, nil
}

// pickIndexes decodes the dictionary indexes at places among the next m; they are not
// checked.
func (p *pages) pickIndexes(dst, places []int32, m int) error {
	if len(places)*sparse <= m {
		return p.indexes.pick(dst, places, m)
	}
	p.all = grow(p.all, m)
	if err := p.indexes.read(p.all); err != nil {
		return err
	}
	for i, x := range places {
		dst[i] = p.all[x]
	}
	return nil
}

// pick decodes the values at places, ascending, among the next m.
func (h *hybrid) pick(dst, places []int32, m int) error {
	for from := 0; from < m; {
		if err := h.more(); err != nil {
			return err
		}
		if h.run > 0 {
			k := min(h.run, m-from)
			for len(places) > 0 && int(places[0]) < from+k {
				dst[0], dst, places = int32(h.value), dst[1:], places[1:]
			}
			h.run -= k
			from += k
			continue
		}
		k := min(h.packed, m-from)
		for len(places) > 0 && int(places[0]) < from+k {
			dst[0], dst = int32(h.one(h.consumed+int(places[0])-from)), dst[1:]
			places = places[1:]
		}
		h.packed -= k
		h.consumed += k
		from += k
	}
	return nil
}

// skip passes over the next n values.
func (h *hybrid) skip(n int) error {
	for n > 0 {
		if err := h.more(); err != nil {
			return err
		}
		if k := min(h.run, n); k > 0 {
			h.run -= k
			n -= k
			continue
		}
		k := min(h.packed, n)
		h.packed -= k
		h.consumed += k
		n -= k
	}
	return nil
}

func (d *fixedDecoder[T]) take(n int, rows []int32) (arrow.Array, error) {
	valid := d.validity(len(rows), d.alloc)
	out := newDirty(d.alloc, len(rows)*d.convert.out)
	nulls := 0
	err := d.walk(n, rows, d.setDictionary, func(at int, some []int32, k int) error {
		places, m, err := d.locate(bitsOf(valid), at, some, k)
		if err != nil {
			return err
		}
		if err := d.pick(out.Bytes()[at*d.convert.out:], places, m); err != nil {
			return err
		}
		if len(places) < len(some) {
			spread(d.cast(out.Bytes())[at:at+len(some)], bitsOf(valid), at, len(places))
		}
		nulls += len(some) - len(places)
		return nil
	})
	if err == nil {
		err = checkNulls(d.want, nulls)
	}
	if err != nil {
		release(valid, out)
		return nil, d.fail(err)
	}
	return finish(d.arrow, len(rows), nulls, nil, valid, out), nil
}

// pick writes the values at places among the next m densely.
func (d *fixedDecoder[T]) pick(out []byte, places []int32, m int) error {
	if d.indexed {
		d.idx = grow(d.idx, len(places))
		if err := d.pickIndexes(d.idx, places, m); err != nil {
			return err
		}
		return d.lookUp(out, d.idx)
	}
	v, err := d.takeFixed(m, d.convert.in)
	if err != nil {
		return err
	}
	if d.convert.load == loadSame {
		pickBytes(out, v, places, d.convert.in)
		return nil
	}
	d.some = grow(d.some, len(places)*d.convert.in)
	pickBytes(d.some, v, places, d.convert.in)
	return d.convert.run(out, d.some, len(places))
}

// pickBytes copies the values of width bytes at places.
func pickBytes(dst, src []byte, places []int32, width int) {
	le := binary.LittleEndian
	switch width {
	case 4:
		for i, x := range places {
			le.PutUint32(dst[4*i:], le.Uint32(src[4*int(x):]))
		}
	case 8:
		for i, x := range places {
			le.PutUint64(dst[8*i:], le.Uint64(src[8*int(x):]))
		}
	default:
		for i, x := range places {
			copy(dst[i*width:(i+1)*width], src[int(x)*width:])
		}
	}
}

func (d *bytesDecoder) take(n int, rows []int32) (arrow.Array, error) {
	t := taking{d: d, valid: d.validity(len(rows), d.alloc)}
	defer t.release()
	err := d.walk(n, rows, d.setDictionary, func(at int, some []int32, k int) error {
		return t.page(len(rows), at, some, k)
	})
	if err == nil {
		err = checkNulls(d.want, t.nulls)
	}
	if err != nil {
		return nil, d.fail(err)
	}
	return t.finish(len(rows)), nil
}

// taking is one take of a bytesDecoder: indexes, until a plain page has it go on
// with strings.
type taking struct {
	d       *bytesDecoder
	valid   *memory.Buffer
	indexes *memory.Buffer  // nil: none yet, or strings instead
	strings *stringsBuilder // nil: none yet, or indexes instead
	nulls   int
}

func (t *taking) release() {
	release(t.valid, t.indexes)
	if t.strings != nil {
		t.strings.release()
	}
}

// page takes some of the next k rows of the current page as rows at on, of n in all.
func (t *taking) page(n, at int, some []int32, k int) error {
	d := t.d
	if t.indexes == nil && t.strings == nil {
		if d.keep && d.indexed {
			t.indexes = newDirty(d.alloc, 4*n)
		} else {
			t.strings = newStrings(d.alloc, n)
		}
	}
	if t.indexes != nil && !d.indexed {
		if err := t.turnPlain(n, at); err != nil {
			return err
		}
	}
	places, m, err := d.locate(bitsOf(t.valid), at, some, k)
	if err != nil {
		return err
	}
	t.nulls += len(some) - len(places)
	if t.indexes != nil {
		idx := arrow.Int32Traits.CastFromBytes(t.indexes.Bytes())[at : at+len(some)]
		err := d.pickIndexes(idx[:len(places)], places, m)
		if err == nil {
			err = d.checkIndexes(idx[:len(places)])
		}
		if err == nil && len(places) < len(some) {
			spread(idx, bitsOf(t.valid), at, len(places))
		}
		return err
	}
	if err := t.d.pickStrings(t.strings, places, m); err != nil {
		return err
	}
	t.strings.spread(bitsOf(t.valid), at, len(some), len(places))
	return nil
}

// turnPlain makes strings of the at rows taken so far.
func (t *taking) turnPlain(n, at int) error {
	t.strings = newStrings(t.d.alloc, n)
	idx := arrow.Int32Traits.CastFromBytes(t.indexes.Bytes())[:at]
	if err := t.strings.appendFrom(t.d.dict, idx); err != nil {
		return err
	}
	if t.nulls > 0 {
		t.strings.clearNulls(bitsOf(t.valid), at)
	}
	release(t.indexes)
	t.indexes = nil
	return nil
}

func (t *taking) finish(n int) arrow.Array {
	valid, indexes := t.valid, t.indexes
	t.valid, t.indexes = nil, nil
	if indexes != nil {
		dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: t.d.plain}
		return finish(dt, n, t.nulls, t.d.dict.Data(), valid, indexes)
	}
	if t.strings == nil {
		t.strings = newStrings(t.d.alloc, n)
	}
	return t.strings.finish(t.d.plain, t.nulls, valid)
}

// pickStrings appends the values at places among the next m.
func (d *bytesDecoder) pickStrings(s *stringsBuilder, places []int32, m int) error {
	if d.indexed {
		d.idx = grow(d.idx, len(places))
		if err := d.pickIndexes(d.idx, places, m); err != nil {
			return err
		}
		if err := d.checkIndexes(d.idx); err != nil {
			return err
		}
		return s.appendFrom(d.dict, d.idx)
	}
	next := 0 // the first value not passed
	for i := 0; i < len(places); {
		run := 1 // of wanted values side by side
		for i+run < len(places) && places[i+run] == places[i]+int32(run) {
			run++
		}
		if err := d.dropValues(int(places[i]) - next); err != nil {
			return err
		}
		if err := d.takePlain(s, run); err != nil {
			return err
		}
		next = int(places[i]) + run
		i += run
	}
	return d.dropValues(m - next)
}
