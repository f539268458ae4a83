package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// maxBoundBytes is where string bounds are cut.
const maxBoundBytes = 64

// bytesWriter encodes strings and binaries. Entries of incoming Arrow
// dictionaries are numbered once per batch, not once per row.
type bytesWriter struct {
	chunkWriter
	text   bool
	dict   bool
	table  byteTable
	idx    list[uint16] // of the pending rows, while there is a dictionary
	paged  int          // values in pages of indexes
	plain  list[byte]   // length-prefixed values of the pending rows, else
	bounds byteBounds
	remap  list[int32] // numbers of an incoming dictionary's entries, -1 where not known yet
}

func newBytesWriter(c chunkWriter, t datatype.Type, dictionary bool) *bytesWriter {
	w := &bytesWriter{chunkWriter: c, text: t.IsString(), dict: dictionary}
	w.table.use(c.alloc)
	w.idx.alloc, w.plain.alloc, w.remap.alloc = c.alloc, c.alloc, c.alloc
	return w
}

// texts are the values of a batch's column: entry i of an array is
// data[offsets[j]:offsets[j+1]] where j is i, or idx[i] of a dictionary.
type texts struct {
	idx     []int32 // nil for none
	offsets []int32
	data    []byte
	entries int
}

func textsOf(a arrow.Array) (t texts, err error) {
	values := a
	if d, ok := a.(*array.Dictionary); ok {
		indexes, ok := d.Indices().(*array.Int32)
		if !ok {
			return t, fmt.Errorf("batch has %s where dictionary<int32, ...> belongs", a.DataType())
		}
		t.idx, values = indexes.Int32Values(), d.Dictionary()
	}
	switch values.DataType().ID() {
	case arrow.STRING, arrow.BINARY:
	default:
		return t, fmt.Errorf("batch has %s where a string or binary belongs", a.DataType())
	}
	if t.entries = values.Len(); t.entries > 0 {
		t.offsets, t.data = entries(values)
	}
	return t, nil
}

func (t *texts) entry(i int) []byte {
	if t.idx != nil {
		i = int(t.idx[i])
	}
	return t.data[t.offsets[i]:t.offsets[i+1]]
}

// bytes is the size of all entries.
func (t *texts) bytes() int {
	if t.entries == 0 {
		return 0
	}
	return int(t.offsets[t.entries] - t.offsets[0])
}

func (w *bytesWriter) chunk() *chunkWriter { return &w.chunkWriter }

// room ends a step where it has a page's bytes.
func (w *bytesWriter) room(a arrow.Array, from, to int) int {
	to = min(to, from+stepRows)
	t, err := textsOf(a)
	if err != nil || t.entries == 0 {
		return to
	}
	if t.idx == nil && int(t.offsets[to]-t.offsets[from]) <= pageBytes || t.idx != nil && t.bytes() <= pageBytes/stepRows {
		return to
	}
	bytes := 0
	for i := from; i < to; i++ {
		if a.IsValid(i) {
			bytes += len(t.entry(i))
		}
		if bytes > pageBytes {
			return i + 1
		}
	}
	return to
}

func (w *bytesWriter) add(s stretch) error {
	if s.count > 0 {
		t, err := textsOf(s.array)
		if err != nil {
			return err
		}
		w.take(s, t)
	}
	if w.pending < pageRows && len(w.plain.v) < pageBytes {
		return nil
	}
	return w.endRows()
}

func (w *bytesWriter) take(s stretch, t texts) {
	if w.dict {
		done := w.addIndexes(s, t)
		if done == s.to && dictionaryPays(w.table.len(), len(w.table.data.v), w.paged+len(w.idx.v)) {
			return
		}
		w.abandonDictionary()
		if s.present != nil {
			s.at += done - s.from
		}
		s.from = done
	}
	for i := s.from; i < s.to; i++ {
		if s.has(i) {
			w.addPlain(t.entry(i))
		}
	}
}

// addIndexes numbers the values, and those of an incoming dictionary of few
// entries once each. It returns how far it came before numbers or room ran out.
func (w *bytesWriter) addIndexes(s stretch, t texts) int {
	w.idx.reserve(s.count)
	idx := w.idx.v
	defer func() { w.idx.v = idx }()
	if t.idx == nil || t.entries > s.to-s.from {
		for i := s.from; i < s.to; i++ {
			if !s.has(i) {
				continue
			}
			if w.full() {
				return i
			}
			at := i
			if t.idx != nil {
				at = int(t.idx[i])
			}
			idx = append(idx, uint16(w.table.indexOf(t.data, t.offsets[at], t.offsets[at+1])))
		}
		return s.to
	}
	remap := w.remap.resize(t.entries)
	fill(remap, -1)
	for i := s.from; i < s.to; i++ {
		if !s.has(i) {
			continue
		}
		x := t.idx[i]
		n := remap[x]
		if n < 0 {
			if w.full() {
				return i
			}
			n = w.table.index(t.data[t.offsets[x]:t.offsets[x+1]])
			remap[x] = n
		}
		idx = append(idx, uint16(n))
	}
	return s.to
}

func (w *bytesWriter) full() bool {
	return w.table.len() >= maxDictEntries || len(w.table.data.v) > maxDictBytes
}

func (w *bytesWriter) addPlain(v []byte) {
	w.plain.reserve(len(v) + 4)
	w.plain.v = append(binary.LittleEndian.AppendUint32(w.plain.v, uint32(len(v))), v...)
	w.bounds.add(v)
	if w.filter.wanted {
		w.filter.hashes.push(xxhash.Sum64(v))
	}
}

// abandonDictionary makes the pending rows plain, and all that come.
func (w *bytesWriter) abandonDictionary() {
	w.dict = false
	for _, x := range w.idx.v {
		w.addPlain(w.table.entry(int(x)))
	}
	w.idx.release()
	w.remap.release()
	if w.paged == 0 {
		w.table.release()
	} else {
		w.table.slots.release()
	}
}

// endRows writes the pending rows.
func (w *bytesWriter) endRows() error {
	if w.dict && w.table.len() > 0 {
		n := w.table.len()
		for i, used := range w.seenEntries(w.idx.v, n) {
			if used != 0 {
				w.bounds.add(w.table.entry(i))
			}
		}
		err := w.indexPage(w.idx.v, n, w.bounds.take(w.text))
		w.paged += len(w.idx.v)
		w.idx.v = w.idx.v[:0]
		return err
	}
	err := w.plainPage(w.plain.v, w.bounds.take(w.text))
	w.plain.v = w.plain.v[:0]
	return err
}

func (w *bytesWriter) size() int {
	return w.pageBytes() + len(w.plain.v) + len(w.table.data.v) + len(w.idx.v)
}

func (w *bytesWriter) held() int {
	return w.heldHere() + w.plain.held() + w.idx.held() + w.table.held() + w.remap.held()
}

func (w *bytesWriter) shrink() {
	w.plain.release()
	w.idx.release()
	w.remap.release()
	w.table.release()
	w.shrinkHere()
}

func (w *bytesWriter) release() {
	w.shrink()
	w.releaseHere()
}

func (w *bytesWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.endRows(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	if w.paged > 0 {
		if err := w.dictionaryPage(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	w.paged = 0
	if w.dict {
		w.table.reset()
	} else {
		w.table.release()
	}
	return w.write(out, offset)
}

func (w *bytesWriter) dictionaryPage() error {
	page := w.page.resize(len(w.table.data.v) + 4*w.table.len())[:0]
	for i := range w.table.len() {
		v := w.table.entry(i)
		page = append(binary.LittleEndian.AppendUint32(page, uint32(len(v))), v...)
		if w.filter.wanted {
			w.filter.hashes.push(xxhash.Sum64(v))
		}
	}
	return w.appendDictionary(page, w.table.len())
}

// byteBounds keeps the least and the greatest string of a page. Their first
// bytes as numbers spare most comparisons.
type byteBounds struct {
	low, high           []byte
	lowFirst, highFirst uint64
	some                bool
}

func (b *byteBounds) add(v []byte) {
	v = v[:min(len(v), maxBoundBytes+1)] // one more tells that it is cut
	first := firstBytes(v)
	if b.some && first > b.lowFirst && first < b.highFirst {
		return
	}
	if !b.some || string(v) < string(b.low) {
		b.low, b.lowFirst = append(b.low[:0], v...), first
	}
	if !b.some || string(v) > string(b.high) {
		b.high, b.highFirst = append(b.high[:0], v...), first
	}
	b.some = true
}

// firstBytes orders as the first eight bytes do, padded with zeros.
func firstBytes(v []byte) (n uint64) {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	for i, b := range v {
		n |= uint64(b) << (56 - 8*i)
	}
	return n
}

// take returns the bounds, cut, and begins anew; nil where there are none.
func (b *byteBounds) take(text bool) pageBounds {
	if !b.some {
		return pageBounds{}
	}
	b.some = false
	return pageBounds{cutLow(b.low, text), cutHigh(b.high, text)}
}

// cutLow shortens a lower bound; a prefix is not greater than the whole. Text is
// cut between characters.
func cutLow(v []byte, text bool) []byte {
	n := len(v)
	if n > maxBoundBytes {
		for n = maxBoundBytes; text && n > 0 && !utf8.RuneStart(v[n]); {
			n--
		}
	}
	return append(make([]byte, 0, n), v[:n]...)
}

// cutHigh shortens an upper bound: the prefix's last byte is raised so that it
// is greater than the whole, for text only where that leaves ASCII. It is nil
// where no such prefix exists.
func cutHigh(v []byte, text bool) []byte {
	if len(v) <= maxBoundBytes {
		return append([]byte{}, v...)
	}
	limit := byte(0xff)
	if text {
		limit = 0x7f
	}
	for n := maxBoundBytes; n > 0; n-- {
		if v[n-1] < limit {
			out := append([]byte{}, v[:n]...)
			out[n-1]++
			return out
		}
	}
	return nil
}
