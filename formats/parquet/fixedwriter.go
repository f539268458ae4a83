package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// newColumnWriter picks the encoder of a leaf; its type is one that
// schemaElement accepts.
func newColumnWriter(t datatype.Type, l leafColumn, s *scratch, dictionary bool, alloc memory.Allocator) columnWriter {
	chunk := newChunkWriter(l, s, alloc)
	switch l.physical {
	case format.Boolean:
		w := &boolWriter{chunkWriter: chunk}
		w.plain.alloc = alloc
		return w
	case format.ByteArray:
		return newBytesWriter(chunk, t, dictionary)
	case format.FixedLenByteArray:
		w := &wideWriter{chunkWriter: chunk}
		w.plain.alloc = alloc
		return w
	case format.Int32, format.Float:
		return newFixedWriter(chunk, t, dictionary, &s.ints)
	default:
		return newFixedWriter(chunk, t, dictionary, &s.longs)
	}
}

// fixedWriter encodes values of 4 or 8 bytes: with a dictionary while that
// pays, else plain. Once it did not pay, later row groups do not try again.
type fixedWriter[T uint32 | uint64] struct {
	chunkWriter
	width int // bytes of a value in a batch
	dict  bool
	table intTable[T]
	idx   list[uint16] // of the pending rows, while there is a dictionary
	paged int          // values in pages of indexes
	plain list[T]      // of the pending rows, else
	dense *list[T]     // scratch
	// bounds are those of the pending rows, if they are plain.
	bounds bounds
}

func newFixedWriter[T uint32 | uint64](c chunkWriter, t datatype.Type, dictionary bool, dense *list[T]) *fixedWriter[T] {
	w := &fixedWriter[T]{chunkWriter: c, dict: dictionary, dense: dense}
	if t.Kind != datatype.Null {
		w.width = t.Arrow().(arrow.FixedWidthDataType).BitWidth() / 8
	}
	w.table.use(c.alloc)
	w.idx.alloc, w.plain.alloc = c.alloc, c.alloc
	w.bounds.kind = c.physical
	return w
}

func (w *fixedWriter[T]) chunk() *chunkWriter { return &w.chunkWriter }

func (w *fixedWriter[T]) room(_ arrow.Array, from, to int) int { return min(to, from+stepRows) }

func (w *fixedWriter[T]) add(s stretch) error {
	if s.count > 0 {
		have, ok := s.array.DataType().(arrow.FixedWidthDataType)
		if !ok || have.BitWidth() != 8*w.width {
			return fmt.Errorf("batch has %s where values of %d bytes belong", s.array.DataType(), w.width)
		}
		w.take(w.load(s))
	}
	if w.pending < pageRows {
		return nil
	}
	return w.endRows()
}

// take encodes values.
func (w *fixedWriter[T]) take(values []T) {
	if w.dict {
		before := len(w.idx.v)
		n := w.table.index(w.idx.extend(len(values)), values)
		if n == len(values) && dictionaryPays(w.table.len(), w.table.len()*sizeOf[T](), w.paged+len(w.idx.v)) {
			return
		}
		w.idx.v = w.idx.v[:before+n]
		values = values[n:]
		w.abandonDictionary()
	}
	w.takePlain(values)
}

func (w *fixedWriter[T]) takePlain(values []T) {
	addBounds(&w.bounds, values)
	w.plain.push(values...)
	if w.filter.wanted {
		addHashes(&w.filter.hashes, values)
	}
}

func sizeOf[T uint32 | uint64]() int {
	if uint64(^T(0)) == math.MaxUint32 {
		return 4
	}
	return 8
}

func addHashes[T uint32 | uint64](to *list[uint64], values []T) {
	hashes := to.extend(len(values))
	if sizeOf[T]() == 4 {
		for i, v := range values {
			hashes[i] = xxhash.Sum64Uint32(uint32(v))
		}
		return
	}
	for i, v := range values {
		hashes[i] = xxhash.Sum64Uint64(uint64(v))
	}
}

// load returns the present values, widened to T; they are the batch's own memory
// where that has them as they are.
func (w *fixedWriter[T]) load(s stretch) []T {
	off := s.array.Data().Offset()
	raw := s.array.Data().Buffers()[1].Bytes()[(off+s.from)*w.width : (off+s.to)*w.width]
	if w.width == sizeOf[T]() {
		values := arrow.GetData[T](raw)
		if s.present == nil {
			return values
		}
		return compact(w.dense.resize(len(values)), values, s.present, s.at)
	}
	values := w.dense.resize(s.to - s.from)
	le := binary.LittleEndian
	switch w.width {
	case 1:
		for i := range values {
			values[i] = T(int32(int8(raw[i])))
		}
	case 2:
		for i := range values {
			values[i] = T(int32(int16(le.Uint16(raw[2*i:]))))
		}
	default: // decimals of few digits
		for i := range values {
			values[i] = T(le.Uint64(raw[8*i:]))
		}
	}
	if s.present == nil {
		return values
	}
	return compact(values, values, s.present, s.at)
}

// compact copies the values whose bit is set to dst, which may be values itself.
func compact[T any](dst, values []T, bitmap []byte, at int) []T {
	n := 0
	for i, v := range values {
		dst[n] = v
		n += int(bitmap[(at+i)>>3] >> ((at + i) & 7) & 1)
	}
	return dst[:n]
}

// abandonDictionary makes the pending rows plain, and all that come.
func (w *fixedWriter[T]) abandonDictionary() {
	w.dict = false
	values := w.dense.alloc.Allocate(len(w.idx.v) * sizeOf[T]())
	defer w.dense.alloc.Free(values)
	known := arrow.GetData[T](values)
	for i, x := range w.idx.v {
		known[i] = w.table.keys.v[x]
	}
	w.idx.release()
	if w.paged == 0 {
		w.table.release()
	} else {
		w.table.slots.release()
	}
	w.takePlain(known)
}

// endRows writes the pending rows.
func (w *fixedWriter[T]) endRows() error {
	if w.dict && w.table.len() > 0 {
		n := w.table.len()
		seen := w.seenEntries(w.idx.v, n)
		used := w.dense.resize(n)[:0]
		for i, k := range w.table.keys.v {
			if seen[i] != 0 {
				used = append(used, k)
			}
		}
		addBounds(&w.bounds, used)
		err := w.indexPage(w.idx.v, n, w.bounds.take())
		w.paged += len(w.idx.v)
		w.idx.v = w.idx.v[:0]
		return err
	}
	err := w.plainPage(arrow.GetBytes(w.plain.v), w.bounds.take())
	w.plain.v = w.plain.v[:0]
	return err
}

func (w *fixedWriter[T]) size() int {
	return w.pageBytes() + len(w.plain.v)*sizeOf[T]() + len(w.idx.v) + w.table.len()*sizeOf[T]()
}

func (w *fixedWriter[T]) held() int {
	return w.heldHere() + w.plain.held() + w.idx.held() + w.table.held()
}

func (w *fixedWriter[T]) shrink() {
	w.plain.release()
	w.idx.release()
	w.table.release()
	w.shrinkHere()
}

func (w *fixedWriter[T]) release() {
	w.shrink()
	w.releaseHere()
}

func (w *fixedWriter[T]) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.endRows(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	if w.paged > 0 {
		if err := w.appendDictionary(arrow.GetBytes(w.table.keys.v), w.table.len()); err != nil {
			return format.ColumnMetaData{}, err
		}
		if w.filter.wanted {
			addHashes(&w.filter.hashes, w.table.keys.v)
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

// bounds keeps the least and the greatest number of a page, compared as its
// physical type is. NaN makes them unknown: readers disagree on its place.
type bounds struct {
	kind      format.Type
	some, nan bool
	low, high int64
	min, max  float64
}

func addBounds[T uint32 | uint64](b *bounds, values []T) {
	if len(values) == 0 || b.nan {
		return
	}
	if b.kind == format.Float || b.kind == format.Double {
		for _, v := range values {
			b.addFloat(floatOf(v))
		}
		return
	}
	low, high := signedOf(values[0]), signedOf(values[0])
	for _, v := range values {
		x := signedOf(v)
		low, high = min(low, x), max(high, x)
	}
	if b.some {
		low, high = min(low, b.low), max(high, b.high)
	}
	b.low, b.high, b.some = low, high, true
}

func signedOf[T uint32 | uint64](v T) int64 {
	if uint64(^T(0)) == math.MaxUint32 {
		return int64(int32(v))
	}
	return int64(v)
}

func floatOf[T uint32 | uint64](v T) float64 {
	if uint64(^T(0)) == math.MaxUint32 {
		return float64(math.Float32frombits(uint32(v)))
	}
	return math.Float64frombits(uint64(v))
}

func (b *bounds) addFloat(f float64) {
	switch {
	case math.IsNaN(f):
		b.nan = true
	case !b.some:
		b.min, b.max, b.some = f, f, true
	default:
		b.min, b.max = min(b.min, f), max(b.max, f)
	}
}

// take returns the bounds in PLAIN and begins anew; nil where there are none.
// Zeros are signed so that both zeros lie between the bounds.
func (b *bounds) take() pageBounds {
	kept := *b
	*b = bounds{kind: b.kind}
	if !kept.some || kept.nan {
		return pageBounds{}
	}
	if kept.min == 0 {
		kept.min = math.Copysign(0, -1)
	}
	if kept.max == 0 {
		kept.max = 0
	}
	le := binary.LittleEndian
	switch b.kind {
	case format.Int32:
		return pageBounds{le.AppendUint32(nil, uint32(kept.low)), le.AppendUint32(nil, uint32(kept.high))}
	case format.Int64:
		return pageBounds{le.AppendUint64(nil, uint64(kept.low)), le.AppendUint64(nil, uint64(kept.high))}
	case format.Float:
		return pageBounds{le.AppendUint32(nil, math.Float32bits(float32(kept.min))), le.AppendUint32(nil, math.Float32bits(float32(kept.max)))}
	default:
		return pageBounds{le.AppendUint64(nil, math.Float64bits(kept.min)), le.AppendUint64(nil, math.Float64bits(kept.max))}
	}
}
