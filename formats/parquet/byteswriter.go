package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// maxBoundBytes is where string bounds are cut.
const maxBoundBytes = 64

// bytesWriter encodes strings and binaries. Entries of incoming Arrow
// dictionaries are numbered once per batch, not once per row.
type bytesWriter struct {
	chunkWriter
	text  bool
	dict  bool
	table byteTable
	idx   []int32
	plain []byte // length-prefixed values not in a page yet
	low   []byte
	high  []byte
	some  bool
	remap []int32 // numbers of an incoming dictionary's entries, -1 where not known yet
}

func newBytesWriter(c chunkWriter, t datatype.Type, dictionary bool) *bytesWriter {
	w := &bytesWriter{chunkWriter: c, text: t.IsString(), dict: dictionary}
	w.table.reset()
	return w
}

func (w *bytesWriter) add(a arrow.Array, from, to int) error {
	valid, err := w.addLevels(a, from, to)
	if err != nil || valid == 0 {
		return err
	}
	var idx []int32
	values := a
	if d, ok := a.(*array.Dictionary); ok {
		indexes, ok := d.Indices().(*array.Int32)
		if !ok {
			return fmt.Errorf("batch has %s where dictionary<int32, ...> belongs", a.DataType())
		}
		idx, values = indexes.Int32Values(), d.Dictionary()
	}
	switch values.DataType().ID() {
	case arrow.STRING, arrow.BINARY:
	default:
		return fmt.Errorf("batch has %s where a string or binary belongs", a.DataType())
	}
	offsets, data := entries(values)
	switch {
	case w.dict && idx != nil && values.Len() <= to-from:
		w.addIndexes(a, idx, values, offsets, data, from, to)
	case w.dict:
		for i := from; i < to; i++ {
			if a.IsValid(i) {
				j := i
				if idx != nil {
					j = int(idx[i])
				}
				w.idx = append(w.idx, w.table.index(data[offsets[j]:offsets[j+1]]))
			}
		}
	default:
		for i := from; i < to; i++ {
			if a.IsValid(i) {
				j := i
				if idx != nil {
					j = int(idx[i])
				}
				w.addPlain(data[offsets[j]:offsets[j+1]])
			}
		}
	}
	if w.dict && !dictionaryPays(w.table.len(), len(w.table.data), len(w.idx)) {
		w.abandonDictionary()
	}
	if !w.dict && (w.pending >= pageRows || len(w.plain) >= pageBytes) {
		return w.plainPage()
	}
	return nil
}

// addIndexes translates the indexes of an incoming dictionary.
func (w *bytesWriter) addIndexes(a arrow.Array, idx []int32, values arrow.Array, offsets []int32, data []byte, from, to int) {
	w.remap = grow(w.remap, values.Len())
	fill(w.remap, -1)
	nulls := a.NullN() > 0
	for i := from; i < to; i++ {
		if nulls && a.IsNull(i) {
			continue
		}
		x := idx[i]
		n := w.remap[x]
		if n < 0 {
			n = w.table.index(data[offsets[x]:offsets[x+1]])
			w.remap[x] = n
		}
		w.idx = append(w.idx, n)
	}
}

func (w *bytesWriter) addPlain(v []byte) {
	w.plain = append(binary.LittleEndian.AppendUint32(w.plain, uint32(len(v))), v...)
	w.addBound(v)
}

func (w *bytesWriter) addBound(v []byte) {
	if !w.some || string(v) < string(w.low) {
		w.low = append(w.low[:0], v...)
	}
	if !w.some || string(v) > string(w.high) {
		w.high = append(w.high[:0], v...)
	}
	w.some = true
}

// abandonDictionary turns the chunk so far into plain values.
func (w *bytesWriter) abandonDictionary() {
	w.dict = false
	for _, x := range w.idx {
		w.addPlain(w.table.entry(int(x)))
	}
	w.idx, w.table = nil, byteTable{}
}

// plainPage writes the pending rows as one page.
func (w *bytesWriter) plainPage() error {
	w.page = append(w.appendLevels(w.page[:0], 0, w.pending), w.plain...)
	err := w.appendPage(w.pending, format.Plain)
	w.plain = w.plain[:0]
	w.dropPending()
	return err
}

func (w *bytesWriter) size() int {
	return w.pageBytes() + len(w.plain) + len(w.table.data) + 2*len(w.idx)
}

func (w *bytesWriter) held() int {
	return w.pageBytes() + cap(w.plain) + cap(w.table.data) + 20*cap(w.table.hashes) + 4*cap(w.idx)
}

func (w *bytesWriter) shrink() {
	w.plain, w.idx, w.remap, w.table = nil, nil, nil, byteTable{}
	w.table.reset()
}

func (w *bytesWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	var err error
	switch {
	case w.dict && w.table.len() > 0:
		w.page = w.page[:0]
		for i := range w.table.len() {
			v := w.table.entry(i)
			w.page = append(binary.LittleEndian.AppendUint32(w.page, uint32(len(v))), v...)
			w.addBound(v)
		}
		if err = w.appendDictionary(w.table.len()); err == nil {
			err = w.appendIndexPages(w.idx, w.table.len())
		}
	case w.pending > 0:
		err = w.plainPage()
	}
	if err != nil {
		return format.ColumnMetaData{}, err
	}
	meta, err := w.write(out, offset, format.ByteArray)
	if w.some {
		meta.Statistics.MinValue = cutLow(w.low)
		meta.Statistics.MaxValue = cutHigh(w.high, w.text)
	}
	w.some, w.idx = false, w.idx[:0]
	if w.dict {
		w.table.reset()
	}
	return meta, err
}

// cutLow shortens a lower bound; a prefix is not greater than the whole.
func cutLow(v []byte) []byte {
	return append(make([]byte, 0, maxBoundBytes), v[:min(len(v), maxBoundBytes)]...)
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
