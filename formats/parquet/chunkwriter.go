package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// pageRows and pageBytes end a page: small enough that a reader's scratch
	// buffers stay in the cache, large enough to compress well.
	pageRows  = 32 << 10
	pageBytes = 512 << 10
	// firstPages is the first size of a chunk's buffer of pages.
	firstPages = 16 << 10
)

// stretch is a piece of a leaf's array: the values of [from, to) that are
// present, which are those whose bit is set.
type stretch struct {
	array    arrow.Array
	from, to int
	present  []byte // bitmap, nil if all are
	at       int    // the bit of from
	count    int    // how many are present
}

// has reports whether value i is present.
func (s *stretch) has(i int) bool {
	return s.present == nil || bitutil.BitIsSet(s.present, s.at+i-s.from)
}

// leafColumn is where in the schema a leaf is.
type leafColumn struct {
	path           []string
	physical       format.Type
	maxDef, maxRep int
	bloom          bool
}

// nested reports whether levels are kept as numbers; those of a flat column are
// a bitmap.
func (l *leafColumn) nested() bool { return len(l.path) > 1 }

// chunkWriter collects the pages of one column chunk. A slot is a value or a
// null; rows of lists have any number of them.
type chunkWriter struct {
	leafColumn
	*scratch
	alloc     memory.Allocator
	valid     list[byte] // bitmap of a flat column's pending rows, if optional
	defs      list[byte] // levels of a nested column's pending slots
	reps      list[byte]
	pending   int            // slots not in a page yet
	rows      int            // that they are
	absent    int            // nulls among them
	slots     int            // of the chunk's pages
	nulls     int            // of the chunk's pages
	pages     *memory.Buffer // finished pages with their headers, nil for none
	front     *memory.Buffer // the dictionary page
	plainSize int64          // of pages before compression
	encodings []format.Encoding
	index     pageIndex
	filter    bloomFilter
}

func newChunkWriter(l leafColumn, s *scratch, alloc memory.Allocator) chunkWriter {
	c := chunkWriter{leafColumn: l, scratch: s, alloc: alloc}
	c.valid.alloc, c.defs.alloc, c.reps.alloc = alloc, alloc, alloc
	c.filter = newBloomFilter(l.bloom, alloc)
	return c
}

// addRows notes which of the rows [from, to) of a flat column are valid.
func (c *chunkWriter) addRows(a arrow.Array, from, to int) (stretch, error) {
	n := to - from
	s := stretch{array: a, from: from, to: to, count: n}
	switch {
	case a.DataType().ID() == arrow.NULL:
		s.count = 0
	case a.NullN() > 0 && len(a.NullBitmapBytes()) > 0:
		s.present, s.at = a.NullBitmapBytes(), a.Data().Offset()+from
		if s.count = bitutil.CountSetBits(s.present, s.at, n); s.count == n {
			s.present = nil
		}
	}
	if c.maxDef == 0 && s.count < n {
		return s, fmt.Errorf("null in a column declared NOT NULL")
	}
	if c.maxDef > 0 {
		for need := (c.pending+n+7)/8 + 1; len(c.valid.v) < need; {
			clear(c.valid.extend(max(need-len(c.valid.v), 512)))
		}
		if s.present != nil {
			bitutil.CopyBitmap(s.present, s.at, n, c.valid.v, c.pending)
		} else {
			bitutil.SetBitsTo(c.valid.v, int64(c.pending), int64(n), s.count > 0)
		}
	}
	c.pending += n
	c.rows += n
	c.absent += n - s.count
	return s, nil
}

// addLevels notes the slots of rows of a nested column.
func (c *chunkWriter) addLevels(defs, reps []byte, rows, present int) {
	if c.maxDef > 0 {
		c.defs.push(defs...)
	}
	if c.maxRep > 0 {
		c.reps.push(reps...)
	}
	c.pending += len(defs)
	c.rows += rows
	c.absent += len(defs) - present
}

// appendLevels encodes the levels of the pending slots, each kind with its
// length in front.
func (c *chunkWriter) appendLevels(dst []byte) ([]byte, error) {
	if !c.nested() {
		if c.maxDef == 0 {
			return dst, nil
		}
		head := len(dst)
		dst = appendBits(append(dst, 0, 0, 0, 0), c.valid.v, 0, c.pending)
		binary.LittleEndian.PutUint32(dst[head:], uint32(len(dst)-head-4))
		return dst, nil
	}
	for _, l := range []struct {
		most   int
		levels []byte
	}{{c.maxRep, c.reps.v}, {c.maxDef, c.defs.v}} {
		if l.most == 0 {
			continue
		}
		width := bits.Len(uint(l.most))
		encoded, err := (&rle.Encoding{BitWidth: width}).EncodeLevels(c.levels.resize(encodedRoom(len(l.levels), width)), l.levels)
		if err != nil {
			return dst, fmt.Errorf("encode levels: %w", err)
		}
		dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(encoded))), encoded...)
	}
	return dst, nil
}

// encodedRoom is what so many values of that width take at most, nearly.
func encodedRoom(values, width int) int { return values*width/8 + values/8 + 256 }

// appendBits encodes bits [from, to) as runs where eight and more bytes are
// alike, and packed elsewhere. from is a multiple of eight.
func appendBits(dst, bitmap []byte, from, to int) []byte {
	whole := bitmap[from/8 : from/8+(to-from)/8]
	packedFrom, i := 0, 0
	flush := func(end int) {
		if end > packedFrom {
			dst = binary.AppendUvarint(dst, uint64(end-packedFrom)<<1|1)
			dst = append(dst, whole[packedFrom:end]...)
		}
	}
	for i < len(whole) {
		j := i + 1
		for j < len(whole) && whole[j] == whole[i] {
			j++
		}
		if j-i >= 8 && (whole[i] == 0 || whole[i] == 0xff) {
			flush(i)
			dst = binary.AppendUvarint(dst, uint64(j-i)*8<<1)
			dst = append(dst, whole[i]&1)
			packedFrom = j
		}
		i = j
	}
	flush(len(whole))
	if rest := (to - from) % 8; rest > 0 {
		dst = append(dst, 1<<1|1, bitmap[from/8+len(whole)]&(1<<rest-1))
	}
	return dst
}

// beginPage returns the scratch for a page with the levels of the pending slots
// in it and room for so many bytes more.
func (c *chunkWriter) beginPage(room int) ([]byte, error) {
	return c.appendLevels(c.page.resize(encodedRoom(c.pending, bits.Len(uint(c.maxDef))+bits.Len(uint(c.maxRep))) + room)[:0])
}

// plainPage writes the pending slots as a page of PLAIN values.
func (c *chunkWriter) plainPage(values []byte, b pageBounds) error {
	if c.maxDef == 0 && c.maxRep == 0 {
		return c.endPage(values, format.Plain, b)
	}
	page, err := c.beginPage(len(values))
	if err != nil {
		return err
	}
	return c.endPage(append(page, values...), format.Plain, b)
}

// endPage writes the pending slots as one data page and forgets them.
func (c *chunkWriter) endPage(page []byte, e format.Encoding, b pageBounds) error {
	header := format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(c.pending), Encoding: e, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
	})}
	if c.pages == nil {
		c.pages = memory.NewResizableBuffer(c.alloc)
	}
	at := c.pages.Len()
	if err := c.appendPage(c.pages, &header, page, e); err != nil {
		return err
	}
	c.index.add(at, c.pages.Len()-at, c.rows, c.absent, c.pending, b)
	c.slots += c.pending
	c.nulls += c.absent
	c.pending, c.rows, c.absent = 0, 0, 0
	clear(c.valid.v)
	c.defs.v, c.reps.v = c.defs.v[:0], c.reps.v[:0]
	return nil
}

// appendDictionary makes the dictionary page of n PLAIN values.
func (c *chunkWriter) appendDictionary(page []byte, n int) error {
	header := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: int32(n), Encoding: format.Plain,
	})}
	c.front = memory.NewResizableBuffer(c.alloc)
	return c.appendPage(c.front, &header, page, format.Plain)
}

func (c *chunkWriter) appendPage(to *memory.Buffer, header *format.PageHeader, page []byte, e format.Encoding) error {
	body, err := c.compress(page)
	if err != nil {
		return fmt.Errorf("compress page: %w", err)
	}
	if max(len(page), len(body)) > math.MaxInt32 {
		return fmt.Errorf("a page of %d bytes: a row may have at most 2 GiB", len(page))
	}
	header.UncompressedPageSize = int32(len(page))
	header.CompressedPageSize = int32(len(body))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), header)
	if err != nil {
		return fmt.Errorf("encode page header: %w", err)
	}
	appendBytes(to, head)
	appendBytes(to, body)
	c.plainSize += int64(len(head) + len(page))
	for _, have := range c.encodings {
		if have == e {
			return nil
		}
	}
	c.encodings = append(c.encodings, e)
	return nil
}

// appendBytes copies p behind what is in the buffer, which doubles when it is full.
func appendBytes(to *memory.Buffer, p []byte) {
	n := to.Len()
	if n+len(p) > to.Cap() {
		to.Reserve(max(n+len(p), 2*to.Cap(), firstPages))
	}
	to.ResizeNoShrink(n + len(p))
	copy(to.Bytes()[n:], p)
}

// indexPage writes the pending slots as a page of dictionary indexes; idx holds
// those of the present values. Each page has the width that its indexes need.
func (c *chunkWriter) indexPage(idx []uint16, entries int, b pageBounds) error {
	width := bits.Len(uint(max(entries-1, 0)))
	page, err := c.beginPage(encodedRoom(len(idx), width))
	if err != nil {
		return err
	}
	page = append(page, byte(width))
	switch {
	case len(idx) == 0:
	case width == 0: // one entry: a run of zeros, whose value takes no byte
		page = binary.AppendUvarint(page, uint64(len(idx))<<1)
	default:
		wide := c.wide.resize(len(idx))
		for i, x := range idx {
			wide[i] = int32(x)
		}
		encoded, err := (&rle.Encoding{BitWidth: width}).EncodeInt32(c.levels.resize(encodedRoom(len(idx), width)), wide)
		if err != nil {
			return fmt.Errorf("encode dictionary indexes: %w", err)
		}
		page = append(page, encoded...)
	}
	return c.endPage(page, format.RLEDictionary, b)
}

// seenEntries marks the entries of a dictionary that a page uses.
func (c *chunkWriter) seenEntries(idx []uint16, entries int) []byte {
	seen := c.seen.resize(entries)
	clear(seen)
	for _, x := range idx {
		seen[x] = 1
	}
	return seen
}

func (c *chunkWriter) pageBytes() (n int) {
	if c.pages != nil {
		n = c.pages.Len()
	}
	return n
}

// heldHere is how many bytes the pages and what is pending take.
func (c *chunkWriter) heldHere() int {
	n := c.valid.held() + c.defs.held() + c.reps.held() + c.filter.hashes.held()
	if c.pages != nil {
		n += c.pages.Cap()
	}
	return n
}

// write writes the pages and says in the footer's terms what they are.
func (c *chunkWriter) write(w io.Writer, offset int64) (format.ColumnMetaData, error) {
	meta := format.ColumnMetaData{
		Type: c.physical, Codec: c.kind, Encoding: append([]format.Encoding{format.RLE}, c.encodings...), PathInSchema: c.path,
		NumValues: int64(c.slots), TotalUncompressedSize: c.plainSize, DataPageOffset: offset,
	}
	b := c.index.bounds(c.physical)
	meta.Statistics.MinValue, meta.Statistics.MaxValue = b.low, b.high
	meta.Statistics.NullCount = int64(c.nulls)
	if c.front != nil {
		meta.DictionaryPageOffset = offset
		meta.DataPageOffset += int64(c.front.Len())
		meta.TotalCompressedSize = int64(c.front.Len())
	}
	meta.TotalCompressedSize += int64(c.pageBytes())
	c.index.placed = meta.DataPageOffset
	var err error
	for _, b := range []*memory.Buffer{c.front, c.pages} {
		if b != nil && err == nil {
			_, err = w.Write(b.Bytes())
		}
	}
	c.drop()
	return meta, err
}

// drop forgets the chunk's pages.
func (c *chunkWriter) drop() {
	release(c.front, c.pages)
	c.front, c.pages, c.encodings = nil, nil, nil
	c.plainSize, c.nulls, c.slots = 0, 0, 0
}

// releaseHere frees everything.
func (c *chunkWriter) releaseHere() {
	c.drop()
	c.shrinkHere()
}

func (c *chunkWriter) shrinkHere() {
	c.valid.release()
	c.defs.release()
	c.reps.release()
	c.filter.hashes.release()
}
