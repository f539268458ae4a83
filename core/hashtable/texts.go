package hashtable

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
)

// texts is a column of texts by row.
type texts struct {
	ledger  *ledger
	typ     datatype.Type
	places  []uint64 // by row: page and offset; meaningless where there are no bytes
	lengths []int32  // by row, noText: null
	pages   []page
	current int   // the page that texts are added to, if there is any
	spare   []int // numbers of pages that were given back
	held    int64 // bytes in pages
	garbage int64
}

// page holds texts behind one another.
type page struct {
	bytes []byte
	live  int // bytes of texts in use
}

const (
	noText    = -1
	pageBytes = 1 << 18
)

func (t *texts) extend(n int) (err error) {
	if t.places, err = longer(t.ledger, t.places, n-len(t.places)); err != nil {
		return err
	}
	old := len(t.lengths)
	if t.lengths, err = longer(t.ledger, t.lengths, n-old); err != nil {
		return err
	}
	for i := old; i < n; i++ {
		t.lengths[i] = noText
	}
	return nil
}

// at is a row's text; ok is false for a null.
func (t *texts) at(row int32) (text []byte, ok bool) {
	n := t.lengths[row]
	if n <= 0 {
		return nil, n == 0
	}
	place := t.places[row]
	return t.pages[place>>32].bytes[uint32(place):][:n], true
}

// load writes rows of a, which are copied.
func (t *texts) load(a arrow.Array, sel, rows []int32) error {
	from := compute.NewTexts(a)
	t.remove(rows)
	for i, r := range rows {
		at := i
		if sel != nil {
			at = int(sel[i])
		}
		if a.IsNull(at) {
			continue
		}
		if err := t.put(r, from.At(at)); err != nil {
			return err
		}
	}
	return nil
}

// put gives a row without a text one.
func (t *texts) put(row int32, text []byte) error {
	if len(text) > 0 {
		p, err := t.room(len(text))
		if err != nil {
			return err
		}
		to := &t.pages[p]
		t.places[row] = uint64(p)<<32 | uint64(len(to.bytes))
		to.bytes = append(to.bytes, text...)
		to.live += len(text)
		t.held += int64(len(text))
	}
	t.lengths[row] = int32(len(text))
	return nil
}

// room is a page with room for n bytes: the last one, or a new one.
func (t *texts) room(n int) (int, error) {
	if len(t.pages) > 0 {
		if b := t.pages[t.current].bytes; cap(b)-len(b) >= n {
			return t.current, nil
		}
	}
	size := pageBytes
	if t.held < pageBytes { // small tables stay small
		size = max(int(t.held), 256)
	}
	size = max(size, n)
	if err := t.ledger.grow(int64(size)); err != nil {
		return 0, err
	}
	fresh := page{bytes: make([]byte, 0, size)}
	if last := len(t.spare) - 1; last >= 0 {
		t.current, t.spare = t.spare[last], t.spare[:last]
		t.pages[t.current] = fresh
	} else {
		t.current, t.pages = len(t.pages), append(t.pages, fresh)
	}
	return t.current, nil
}

// remove makes rows null.
func (t *texts) remove(rows []int32) {
	for _, r := range rows {
		if n := int(t.lengths[r]); n > 0 {
			at := int(t.places[r] >> 32)
			p := &t.pages[at]
			p.live -= n
			t.garbage += int64(n)
			if p.live == 0 && at != t.current {
				t.giveBack(at)
			}
		}
		t.lengths[r] = noText
	}
}

// giveBack gives the memory of a page without texts back; its number is used again.
func (t *texts) giveBack(at int) {
	p := &t.pages[at]
	t.ledger.shrink(int64(cap(p.bytes)))
	t.held -= int64(len(p.bytes))
	t.garbage -= int64(len(p.bytes))
	p.bytes = nil
	t.spare = append(t.spare, at)
}

// compact copies what is in use to new pages, where half of all is not.
func (t *texts) compact() error {
	if t.garbage < pageBytes || 2*t.garbage < t.held {
		return nil
	}
	next := &texts{ledger: t.ledger, typ: t.typ, places: t.places, lengths: t.lengths}
	places := slices.Clone(t.places)
	for r, n := range t.lengths {
		if n <= 0 {
			continue
		}
		place := places[r]
		if err := next.put(int32(r), t.pages[place>>32].bytes[uint32(place):][:n]); err != nil {
			next.giveAllBack()
			copy(t.places, places)
			return err
		}
	}
	t.giveAllBack()
	t.pages, t.current, t.spare, t.held, t.garbage = next.pages, next.current, nil, next.held, 0
	return nil
}

func (t *texts) giveAllBack() {
	for i := range t.pages {
		t.ledger.shrink(int64(cap(t.pages[i].bytes)))
	}
}

// take returns the texts of rows, -1 giving a null, as a new array.
func (t *texts) take(mem memory.Allocator, rows []int32) (arrow.Array, error) {
	total, valid := 0, make([]bool, len(rows))
	for i, r := range rows {
		if valid[i] = r >= 0 && t.lengths[r] >= 0; valid[i] {
			total += int(t.lengths[r])
		}
	}
	if total > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows: %w", len(rows), compute.TooLarge("bytes of text", int64(total)))
	}
	nulls, count := bitmap(mem, valid)
	if nulls != nil {
		defer nulls.Release()
	}
	offsets, chars := memory.NewResizableBuffer(mem), memory.NewResizableBuffer(mem)
	defer offsets.Release()
	defer chars.Release()
	offsets.Resize((len(rows) + 1) * 4)
	chars.Resize(total)
	to, out, at := arrow.GetData[int32](offsets.Bytes()), chars.Bytes(), 0
	to[0] = 0
	for i, r := range rows {
		if valid[i] {
			text, _ := t.at(r)
			at += copy(out[at:], text)
		}
		to[i+1] = int32(at)
	}
	return wrapTexts(t.typ.Arrow(), len(rows), nulls, offsets, chars, count), nil
}
