package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// pages walks the pages of one column chunk after the other and hands out the
// levels and values of the current page. Pages of rare encodings are brought
// to PLAIN as a whole; indexes into a dictionary and levels are decoded as they
// are asked for.
type pages struct {
	leaf  *leaf
	path  string // of the file
	codec *decompressor

	in    formats.Input // where chunks are read from that start was not given
	alloc memory.Allocator
	read  *int64 // counts the bytes of those

	group    int
	chunk    *chunk
	data     []byte         // the chunk; its capacity exceeds its length by padding
	size     int            // of data
	owner    *memory.Buffer // of a chunk that was read here; nil: not yet, or no more
	absent   bool           // the chunk is to be read
	at       int            // next page header
	pageAt   int            // current page header
	behind   int            // rows passed over that pages still have to be
	dictSize int            // entries of the chunk's dictionary, -1 before it was seen

	left    int    // rows of the current page not yet taken
	levels  hybrid // definition levels, if the leaf has any
	indexed bool   // the page holds indexes into the dictionary
	indexes hybrid
	values  []byte // PLAIN values not yet taken
	bits    hybrid // BOOLEAN values in RLE
	rle     bool   // the page's booleans are in bits
	taken   int    // values taken of values: bits for BOOLEAN

	body    *memory.Buffer // the decompressed page
	prepare *memory.Buffer // its values brought to PLAIN
	scratch delta
	rowBits []byte  // validity of rows of which some are wanted
	wanted  []int32 // those rows
	all     []int32 // dictionary indexes of which some are wanted

	nested  bool // the leaf has slots, see levels.go
	slotDef int
	slots   []byte // validity of the current page's slots
	slotAt  int    // slots taken
}

// plainDictionary is what old writers call a dictionary page and the indexes
// into it. Nobody should write it, hence the library calls its name deprecated.
const plainDictionary format.Encoding = 2

// dictionaryFunc receives a chunk's dictionary: n values in PLAIN, valid
// during the call.
type dictionaryFunc func(values []byte, n int) error

func newPages(l *leaf, path string, alloc memory.Allocator, codec *decompressor) pages {
	return pages{
		leaf: l, path: path, codec: codec, alloc: alloc,
		body: memory.NewResizableBuffer(alloc), prepare: memory.NewResizableBuffer(alloc),
	}
}

func (p *pages) close() {
	p.releaseChunk()
	p.body.Release()
	p.prepare.Release()
}

// start begins a chunk. Without data it is read when its first page is wanted.
func (p *pages) start(group int, c *chunk, data []byte) {
	p.releaseChunk()
	p.group, p.chunk, p.data, p.size, p.absent = group, c, data, len(data), false
	if data == nil && c != nil {
		p.size, p.absent = int(c.compressed), true
	}
	p.at, p.pageAt, p.behind, p.left, p.dictSize = 0, 0, 0, 0, -1
}

// fail says where the chunk is bad.
func (p *pages) fail(err error) error {
	if e, ok := errors.AsType[*readError](err); ok {
		return e.error
	}
	if failure.Of(err) == failure.BadData {
		return err
	}
	return failure.Errorf(failure.BadData, "%s: row group %d, column %s, byte %d: %w",
		p.path, p.group, p.leaf.path, p.chunk.start()+int64(p.pageAt), err)
}

// load reads the chunk.
func (p *pages) load() error {
	p.owner = newDirty(p.alloc, p.size+padding)
	p.data = p.owner.Bytes()[:p.size]
	if err := readFull(p.in, p.data, p.chunk.start()); err != nil {
		return &readError{fmt.Errorf("row group %d: %w", p.group, err)}
	}
	p.absent = false
	*p.read += int64(p.size)
	return nil
}

func (p *pages) releaseChunk() {
	if p.owner != nil {
		p.owner.Release()
		p.owner, p.data = nil, nil
	}
}

// readError is an error of the file, not of what it holds.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// page moves on to the next page, of any kind.
func (p *pages) page() (h pageHeader, body []byte, err error) {
	p.pageAt = p.at
	if p.at >= p.size {
		return h, nil, errors.New("column ends before the row group does")
	}
	if p.absent {
		if err := p.load(); err != nil {
			return h, nil, err
		}
	}
	h, n, err := parsePageHeader(p.data[p.at:])
	if err != nil {
		return h, nil, err
	}
	p.at += n
	if h.compressed > len(p.data)-p.at {
		return h, nil, fmt.Errorf("page of %d bytes, %d left in the column", h.compressed, len(p.data)-p.at)
	}
	body = p.data[p.at : p.at+h.compressed]
	p.at += h.compressed
	return h, body, nil
}

// checkSum compares a page with its checksum, if it has one.
func checkSum(h pageHeader, body []byte) error {
	if h.hasCRC && h.crc != crc32.ChecksumIEEE(body) {
		return errors.New("page does not match its checksum")
	}
	return nil
}

// next makes left positive and behind zero, moving on to the next page where
// necessary. Pages of rows to be passed over are not opened.
func (p *pages) next(dictionary dictionaryFunc) error {
	for p.left == 0 || p.behind > 0 {
		if n := min(p.left, p.behind); n > 0 {
			if err := p.drop(n); err != nil {
				return err
			}
			continue
		}
		h, body, err := p.page()
		if err != nil {
			return err
		}
		data := h.kind == format.DataPage || h.kind == format.DataPageV2
		if data && p.behind > 0 && h.values <= p.behind {
			p.behind -= h.values
			continue
		}
		if err := checkSum(h, body); err != nil {
			return err
		}
		switch h.kind {
		case format.DictionaryPage:
			err = p.readDictionary(h, body, dictionary)
		case format.DataPage:
			err = p.readV1(h, body)
		case format.DataPageV2:
			err = p.readV2(h, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) readDictionary(h pageHeader, body []byte, dictionary dictionaryFunc) error {
	if p.dictSize >= 0 {
		return errors.New("second dictionary in one column")
	}
	if h.encoding != format.Plain && h.encoding != plainDictionary {
		return fmt.Errorf("dictionary encoded as %s", h.encoding)
	}
	values, err := p.decompress(body, h.uncompressed, true)
	if err != nil {
		return err
	}
	if p.leaf.physical == format.ByteArray && p.leaf.datatype.Kind == decimalKind {
		if values, err = p.decimalsToFixed(values, h.values); err != nil {
			return err
		}
	}
	p.dictSize = h.values
	if err := dictionary(values, h.values); err != nil {
		return err
	}
	p.body.Resize(0) // the pages with indexes are smaller
	return nil
}

// decompress returns the page's bytes, with padding as capacity.
func (p *pages) decompress(body []byte, size int, compressed bool) ([]byte, error) {
	if p.chunk.codec == format.Uncompressed || !compressed {
		return body, nil
	}
	if err := checkSizes(p.chunk.codec, len(body), size); err != nil {
		return nil, err
	}
	if p.body.Cap() < size+padding {
		p.body.Resize(0) // or its bytes would be copied
	}
	p.body.ResizeNoShrink(size + padding)
	out := p.body.Bytes()[:size]
	return out, p.codec.decode(p.chunk.codec, out, body)
}

// readV1 opens a page whose levels are compressed along with the values.
func (p *pages) readV1(h pageHeader, body []byte) error {
	data, err := p.decompress(body, h.uncompressed, true)
	if err != nil {
		return err
	}
	_, def, data, err := p.splitV1(h, data)
	if err != nil {
		return err
	}
	p.levels = def
	if p.at == p.size && p.chunk.codec != format.Uncompressed {
		p.releaseChunk() // its last page is decompressed
	}
	return p.open(h, data)
}

// readV2 opens a page whose levels stand uncompressed before the values.
func (p *pages) readV2(h pageHeader, body []byte) error {
	var err error
	if _, p.levels, err = p.splitV2(h, body); err != nil {
		return err
	}
	head := h.repBytes + h.defBytes
	if h.uncompressed < head {
		return fmt.Errorf("levels of %d bytes in a page of %d", head, h.uncompressed)
	}
	data, err := p.decompress(body[head:], h.uncompressed-head, !h.plainValues && len(body) > head)
	if err != nil {
		return err
	}
	return p.open(h, data)
}

// open makes data, the values of a page, ready to be taken.
func (p *pages) open(h pageHeader, data []byte) (err error) {
	p.indexed, p.rle, p.taken, p.values = false, false, 0, data
	switch e := h.encoding; {
	case e == format.RLEDictionary || e == plainDictionary:
		if p.dictSize < 0 {
			return errors.New("page refers to a dictionary that the column does not have")
		}
		if len(data) == 0 {
			data = data[:0:0]
			p.indexes = newHybrid(data, 0)
		} else if data[0] > 32 {
			return fmt.Errorf("dictionary indexes of %d bits", data[0])
		} else {
			p.indexes = newHybrid(data[1:], uint(data[0]))
		}
		p.indexed = true
	case e == format.RLE && p.leaf.physical == format.Boolean:
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return errors.New("run-length encoded booleans reach beyond the page")
		}
		p.bits = newHybrid(data[4:4+binary.LittleEndian.Uint32(data)], 1)
		p.rle = true
	default:
		if p.values, err = p.toPlain(e, data, h.values); err != nil {
			return err
		}
	}
	if p.nested {
		return p.openSlots(h)
	}
	p.left = h.values
	return nil
}

// takeLevels writes the validity of the next n rows to bitmap, beginning at bit
// at, and returns how many are valid. bitmap is nil for a required column.
func (p *pages) takeLevels(bitmap []byte, at, n int) (int, error) {
	if bitmap == nil {
		return n, nil
	}
	if p.nested {
		return p.takeSlots(bitmap, at, n), nil
	}
	return p.levels.readBits(bitmap, at, n)
}

// takeIndexes decodes the next len(dst) dictionary indexes and checks them.
func (p *pages) takeIndexes(dst []int32) error {
	if err := p.indexes.read(dst); err != nil {
		return err
	}
	return p.checkIndexes(dst)
}

func (p *pages) checkIndexes(dst []int32) error {
	if uint64(p.dictSize) >= 1<<p.indexes.width && p.indexes.width < 32 {
		return nil
	}
	if most := greatest(dst); len(dst) > 0 && int64(most) >= int64(p.dictSize) {
		return fmt.Errorf("dictionary index %d, the dictionary has %d entries", most, p.dictSize)
	}
	return nil
}

// greatest is the largest of some indexes, 0 of none. Four at a time do not wait for one
// another.
func greatest(index []int32) uint32 {
	var a, b, c, d uint32
	i := 0
	for ; i+4 <= len(index); i += 4 {
		x := index[i : i+4 : i+4]
		a, b, c, d = max(a, uint32(x[0])), max(b, uint32(x[1])), max(c, uint32(x[2])), max(d, uint32(x[3]))
	}
	for _, x := range index[i:] {
		a = max(a, uint32(x))
	}
	return max(a, b, c, d)
}

// takeFixed returns the next n values of width bytes each.
func (p *pages) takeFixed(n, width int) ([]byte, error) {
	if n*width > len(p.values) {
		return nil, fmt.Errorf("page has %d bytes of values where %d are due", len(p.values), n*width)
	}
	v := p.values[:n*width]
	p.values = p.values[n*width:]
	return v, nil
}
