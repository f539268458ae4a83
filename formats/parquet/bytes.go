package parquet

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// bytesDecoder reads strings and binaries. While a chunk's pages hold indexes,
// batches are Arrow dictionaries that share one array of the chunk's entries;
// a batch that meets a plain page is plain.
type bytesDecoder struct {
	pages
	want   datatype.Type
	plain  arrow.DataType
	alloc  memory.Allocator
	width  int  // FIXED_LEN_BYTE_ARRAY, else 0
	uuid   bool // 16 bytes become their text
	verify bool // nobody said that the bytes are text
	keep   bool // hand out dictionaries
	idx    []int32
	dict   arrow.Array // the chunk's entries
}

func newBytesDecoder(p pages, want datatype.Type, alloc memory.Allocator) (decoder, error) {
	l := p.leaf
	d := &bytesDecoder{pages: p, want: want, plain: want.Arrow(), alloc: alloc, keep: l.physical == format.ByteArray}
	text := l.datatype.IsString()
	switch {
	case !text && !l.datatype.IsBinary(), text && want.IsBinary() && l.physical == format.ByteArray:
		return nil, fmt.Errorf("it is %s in the file, which cannot be read as %s", l.datatype, want)
	case l.physical == format.FixedLenByteArray:
		d.width = l.length
		d.uuid = text && want.IsString()
		d.verify = !text && want.IsString()
	default:
		d.verify = !text && want.IsString()
	}
	return d, nil
}

func (d *bytesDecoder) close() {
	d.dropDictionary()
	d.pages.close()
}

func (d *bytesDecoder) start(group int, c *chunk, data []byte) {
	d.dropDictionary()
	d.pages.start(group, c, data)
}

func (d *bytesDecoder) dropDictionary() {
	if d.dict != nil {
		d.dict.Release()
		d.dict = nil
	}
}

// setDictionary makes the array of the chunk's entries.
func (d *bytesDecoder) setDictionary(values []byte, n int) error {
	if n > len(values) && d.dictSizeImpossible(values, n) {
		return fmt.Errorf("dictionary of %d values in %d bytes", n, len(values))
	}
	s := newStrings(d.alloc, n)
	defer s.release()
	saved := d.pages.values
	d.pages.values = values
	err := d.takePlain(s, n)
	d.pages.values = saved
	if err != nil {
		return err
	}
	d.dict = s.finish(d.plain, 0, nil)
	return nil
}

// dictSizeImpossible tells counts that the bytes cannot back.
func (d *bytesDecoder) dictSizeImpossible(values []byte, n int) bool {
	return n > len(values)/max(d.width, 4)
}

func (d *bytesDecoder) read(n int) (arrow.Array, error) {
	a, nulls, err := d.readAny(n)
	if err == nil {
		if err = checkNulls(d.want, nulls); err == nil {
			return a, nil
		}
		a.Release()
	}
	return nil, d.fail(err)
}

func (d *bytesDecoder) readAny(n int) (arrow.Array, int, error) {
	if n > 0 { // lists that are all empty have no value, perhaps not even a page
		if err := d.next(d.setDictionary); err != nil {
			return nil, 0, err
		}
	}
	valid := d.validity(n, d.alloc)
	if d.keep && d.indexed {
		return d.readIndexes(valid, n)
	}
	s := newStrings(d.alloc, n)
	defer s.release()
	nulls, err := d.readStrings(s, valid, 0, n)
	if err != nil {
		release(valid)
		return nil, 0, err
	}
	return s.finish(d.plain, nulls, valid), nulls, nil
}

// readIndexes reads n rows as a dictionary array, or, if a plain page comes in
// between, as a plain one.
func (d *bytesDecoder) readIndexes(valid *memory.Buffer, n int) (arrow.Array, int, error) {
	out := newDirty(d.alloc, 4*n)
	idx := arrow.Int32Traits.CastFromBytes(out.Bytes())[:n]
	nulls, at := 0, 0
	fail := func(err error) (arrow.Array, int, error) {
		release(valid, out)
		return nil, 0, err
	}
	for at < n {
		if err := d.next(d.setDictionary); err != nil {
			return fail(err)
		}
		if !d.indexed {
			break
		}
		k := min(d.left, n-at)
		m, err := d.takeLevels(bitsOf(valid), at, k)
		if err == nil {
			err = d.takeIndexes(idx[at : at+m])
		}
		if err != nil {
			return fail(err)
		}
		if m < k {
			spread(idx[at:at+k], bitsOf(valid), at, m)
		}
		d.left -= k
		at += k
		nulls += k - m
	}
	if at == n {
		t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: d.plain}
		return finish(t, n, nulls, d.dict.Data(), valid, out), nulls, nil
	}
	s := newStrings(d.alloc, n)
	defer s.release()
	if err := s.appendFrom(d.dict, idx[:at]); err != nil {
		return fail(err)
	}
	if nulls > 0 {
		s.clearNulls(bitsOf(valid), at)
	}
	more, err := d.readStrings(s, valid, at, n)
	if err != nil {
		return fail(err)
	}
	out.Release()
	return s.finish(d.plain, nulls+more, valid), nulls + more, nil
}

// readStrings reads rows at to n as plain strings.
func (d *bytesDecoder) readStrings(s *stringsBuilder, valid *memory.Buffer, at, n int) (nulls int, err error) {
	for at < n {
		if err := d.next(d.setDictionary); err != nil {
			return 0, err
		}
		k := min(d.left, n-at)
		m, err := d.takeLevels(bitsOf(valid), at, k)
		if err != nil {
			return 0, err
		}
		if d.indexed {
			d.idx = grow(d.idx, m)
			if err = d.takeIndexes(d.idx); err == nil {
				err = s.appendFrom(d.dict, d.idx)
			}
		} else {
			err = d.takePlain(s, m)
		}
		if err != nil {
			return 0, err
		}
		s.spread(bitsOf(valid), at, k, m)
		d.left -= k
		at += k
		nulls += k - m
	}
	return nulls, nil
}

// takePlain appends the next n PLAIN values.
func (d *bytesDecoder) takePlain(s *stringsBuilder, n int) error {
	first := s.n
	switch {
	case d.uuid:
		v, err := d.takeFixed(n, d.width)
		if err != nil {
			return err
		}
		s.appendUUIDs(v, n)
		return nil
	case d.width > 0:
		v, err := d.takeFixed(n, d.width)
		if err != nil {
			return err
		}
		if err := s.appendFixed(v, n, d.width); err != nil {
			return err
		}
	default:
		used, err := s.appendPlain(d.pages.values, n)
		if err != nil {
			return err
		}
		d.pages.values = d.pages.values[used:]
	}
	if d.verify && !utf8.Valid(s.since(first)) {
		return errors.New("bytes that are not UTF-8 in a column wanted as text; declare it BYTES")
	}
	return nil
}

// stringsBuilder collects the offsets and bytes of a known number of rows.
type stringsBuilder struct {
	offsetsBuffer *memory.Buffer
	dataBuffer    *memory.Buffer
	offsets       []int32
	data          []byte // all bytes of dataBuffer; used are those up to offsets[n]
	n             int
}

func newStrings(alloc memory.Allocator, rows int) *stringsBuilder {
	s := &stringsBuilder{offsetsBuffer: newDirty(alloc, 4*(rows+1)), dataBuffer: memory.NewResizableBuffer(alloc)}
	s.offsets = arrow.Int32Traits.CastFromBytes(s.offsetsBuffer.Bytes())
	s.offsets[0] = 0
	return s
}

// release drops the buffers unless finish took them.
func (s *stringsBuilder) release() { release(s.offsetsBuffer, s.dataBuffer) }

// finish makes the array of all rows; it takes the buffers and valid.
func (s *stringsBuilder) finish(t arrow.DataType, nulls int, valid *memory.Buffer) arrow.Array {
	s.dataBuffer.Resize(int(s.offsets[s.n]))
	s.offsetsBuffer.Retain()
	s.dataBuffer.Retain()
	return finish(t, s.n, nulls, nil, valid, s.offsetsBuffer, s.dataBuffer)
}

// since returns the bytes of the rows from first on.
func (s *stringsBuilder) since(first int) []byte { return s.data[s.offsets[first]:s.offsets[s.n]] }

// reserve makes room for more bytes.
func (s *stringsBuilder) reserve(more int) error {
	used := int(s.offsets[s.n])
	if used+more > math.MaxInt32 {
		return fmt.Errorf("values of more than %d bytes in one batch", math.MaxInt32)
	}
	if used+more > len(s.data) {
		s.dataBuffer.Resize(max(used+more+shortText, min(2*len(s.data), math.MaxInt32)))
		s.data = s.dataBuffer.Bytes()
	}
	return nil
}

// appendPlain appends n length-prefixed values and says how long they were.
func (s *stringsBuilder) appendPlain(src []byte, n int) (used int, err error) {
	at, total := 0, int(s.offsets[s.n])
	ends := s.offsets[s.n+1 : s.n+1+n]
	for i := range ends {
		if len(src)-at < 4 {
			return 0, fmt.Errorf("value %d of %d reaches beyond the page", i, n)
		}
		length := int(binary.LittleEndian.Uint32(src[at:]))
		if at += 4; length > len(src)-at {
			return 0, fmt.Errorf("value %d of %d has %d bytes, %d left in the page", i, n, length, len(src)-at)
		}
		at += length
		total += length
		ends[i] = int32(total)
	}
	if err := s.reserve(at - 4*n); err != nil {
		return 0, err
	}
	copyPlain(s.data, src, int(s.offsets[s.n]), ends)
	s.n += n
	return at, nil
}

// shortText is how many bytes are copied of a shorter text: moving so many always costs
// less than to ask how many there are.
const shortText = 48

// copyPlain copies length-prefixed values, which end at ends in data, the first of them
// to data[to:]. It may write up to shortText bytes behind the last one.
func copyPlain(data, src []byte, to int, ends []int32) {
	more := src[:cap(src)] // what is behind the values may be read
	from := 0
	for _, end := range ends {
		from += 4
		n := int(end) - to
		if n <= shortText && len(data)-to >= shortText && len(more)-from >= shortText {
			*(*[shortText]byte)(data[to:]) = *(*[shortText]byte)(more[from:])
		} else {
			copy(data[to:end], src[from:])
		}
		from += n
		to = int(end)
	}
}

func (s *stringsBuilder) appendFixed(src []byte, n, width int) error {
	if err := s.reserve(len(src)); err != nil {
		return err
	}
	to := s.offsets[s.n]
	copy(s.data[to:], src)
	for i := range n {
		to += int32(width)
		s.offsets[s.n+1+i] = to
	}
	s.n += n
	return nil
}

func (s *stringsBuilder) appendUUIDs(src []byte, n int) {
	if s.reserve(36*n) != nil {
		return // 36 bytes times the rows of a page never come near the limit
	}
	for i := range n {
		to := s.data[s.offsets[s.n]:]
		u := src[16*i:]
		hex.Encode(to, u[:4])
		to[8] = '-'
		hex.Encode(to[9:], u[4:6])
		to[13] = '-'
		hex.Encode(to[14:], u[6:8])
		to[18] = '-'
		hex.Encode(to[19:], u[8:10])
		to[23] = '-'
		hex.Encode(to[24:], u[10:16])
		s.offsets[s.n+1] = s.offsets[s.n] + 36
		s.n++
	}
}

// appendFrom appends the dictionary's entries at idx.
func (s *stringsBuilder) appendFrom(dict arrow.Array, idx []int32) error {
	offsets, bytes := entries(dict)
	total := int(s.offsets[s.n])
	for _, x := range idx {
		total += int(offsets[x+1] - offsets[x])
	}
	if err := s.reserve(total - int(s.offsets[s.n])); err != nil {
		return err
	}
	to, ends := int(s.offsets[s.n]), s.offsets[s.n+1:s.n+1+len(idx)]
	for i, x := range idx {
		from, end := int(offsets[x]), int(offsets[x+1])
		if end-from <= shortText && len(s.data)-to >= shortText && len(bytes)-from >= shortText {
			*(*[shortText]byte)(s.data[to:]) = *(*[shortText]byte)(bytes[from:])
		} else {
			copy(s.data[to:], bytes[from:end])
		}
		to += end - from
		ends[i] = int32(to)
	}
	s.n += len(idx)
	return nil
}

// entries returns the offsets and bytes of a string or binary array.
func entries(a arrow.Array) ([]int32, []byte) {
	switch a := a.(type) {
	case *array.String:
		return a.ValueOffsets(), bytesOf(a.Data())
	case *array.Binary:
		return a.ValueOffsets(), bytesOf(a.Data())
	default:
		panic(fmt.Sprintf("parquet: dictionary of %s", a.DataType()))
	}
}

func bytesOf(d arrow.ArrayData) []byte {
	if b := d.Buffers()[2]; b != nil {
		return b.Bytes()
	}
	return nil
}

// spread turns the last m rows, which are dense, into k rows of which those
// that are not valid are empty; bit at of the bitmap belongs to the first.
func (s *stringsBuilder) spread(bitmap []byte, at, k, m int) {
	if m == k {
		return
	}
	first := s.n - m
	ends := s.offsets[first : first+k+1]
	j := m
	for i := k; i > 0; i-- {
		ends[i] = ends[j]
		if isSet(bitmap, at+i-1) {
			j--
		}
	}
	s.n = first + k
}

func isSet(bitmap []byte, i int) bool { return bitmap[i/8]&(1<<(i%8)) != 0 }

// clearNulls empties rows below n that are null but were taken from a
// dictionary's first entry.
func (s *stringsBuilder) clearNulls(bitmap []byte, n int) {
	at := int32(0)
	from := int32(0)
	for i := range n {
		end := s.offsets[i+1]
		if isSet(bitmap, i) {
			at += int32(copy(s.data[at:], s.data[from:end]))
		}
		s.offsets[i+1] = at
		from = end
	}
}
