package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
)

// newColumnWriter picks the encoder of a column; its type is one that
// schemaElement accepts.
func newColumnWriter(f datatype.Field, physical format.Type, c *compressor, dictionary bool, alloc memory.Allocator) columnWriter {
	chunk := chunkWriter{compressor: c, alloc: alloc, optional: f.Type.Nullable}
	switch physical {
	case format.Boolean:
		return &boolWriter{chunkWriter: chunk}
	case format.ByteArray:
		return newBytesWriter(chunk, f.Type, dictionary)
	case format.FixedLenByteArray:
		return &wideWriter{chunkWriter: chunk}
	case format.Int32, format.Float:
		return newFixedWriter[uint32](chunk, f.Type, physical, dictionary)
	default:
		return newFixedWriter[uint64](chunk, f.Type, physical, dictionary)
	}
}

// fixedWriter encodes values of 4 or 8 bytes: with a dictionary while that
// pays, else plain. Once it did not pay, later row groups do not try again.
type fixedWriter[T uint32 | uint64] struct {
	chunkWriter
	physical format.Type
	width    int // bytes of a value in a batch
	dict     bool
	table    intTable
	idx      []int32
	values   []T    // scratch: the batch's values, dense
	plain    []byte // values not in a page yet
	bounds   bounds
}

func newFixedWriter[T uint32 | uint64](c chunkWriter, t datatype.Type, physical format.Type, dictionary bool) *fixedWriter[T] {
	w := &fixedWriter[T]{chunkWriter: c, physical: physical, dict: dictionary}
	if t.Kind != datatype.Null {
		w.width = t.Arrow().(arrow.FixedWidthDataType).BitWidth() / 8
	}
	w.bounds.kind = physical
	return w
}

func (w *fixedWriter[T]) add(a arrow.Array, from, to int) error {
	valid, err := w.addLevels(a, from, to)
	if err != nil || valid == 0 {
		return err
	}
	if have := a.DataType().(arrow.FixedWidthDataType); have.BitWidth() != 8*w.width {
		return fmt.Errorf("batch has %s where values of %d bytes belong", have, w.width)
	}
	w.load(a, from, to)
	if valid < to-from {
		w.values = compact(w.values, a.NullBitmapBytes(), a.Data().Offset()+from)
	}
	if w.dict {
		w.idx = indexInts(&w.table, w.idx, w.values)
		if dictionaryPays(len(w.table.keys), len(w.table.keys)*w.size1(), len(w.idx)) {
			return nil
		}
		return w.abandonDictionary()
	}
	addBounds(&w.bounds, w.values)
	w.plain = appendPlain(w.plain, w.values)
	return w.maybePage()
}

// size1 is the bytes of one value in the file.
func (w *fixedWriter[T]) size1() int {
	if w.physical == format.Int32 || w.physical == format.Float {
		return 4
	}
	return 8
}

// load reads the batch's values, widened to T.
func (w *fixedWriter[T]) load(a arrow.Array, from, to int) {
	w.values = grow(w.values, to-from)
	off := a.Data().Offset()
	raw := a.Data().Buffers()[1].Bytes()[(off+from)*w.width : (off+to)*w.width]
	le := binary.LittleEndian
	switch w.width {
	case 1:
		for i := range w.values {
			w.values[i] = T(int32(int8(raw[i])))
		}
	case 2:
		for i := range w.values {
			w.values[i] = T(int32(int16(le.Uint16(raw[2*i:]))))
		}
	case 4:
		for i := range w.values {
			w.values[i] = T(le.Uint32(raw[4*i:]))
		}
	default:
		for i := range w.values {
			w.values[i] = T(le.Uint64(raw[8*i:]))
		}
	}
}

// compact keeps the values whose bit is set.
func compact[T any](values []T, bitmap []byte, at int) []T {
	n := 0
	for i, v := range values {
		values[n] = v
		if bitutil.BitIsSet(bitmap, at+i) {
			n++
		}
	}
	return values[:n]
}

func appendPlain[T uint32 | uint64](dst []byte, values []T) []byte {
	if _, narrow := any(T(0)).(uint32); narrow {
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		}
		return dst
	}
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

// abandonDictionary turns the chunk so far into plain pages.
func (w *fixedWriter[T]) abandonDictionary() error {
	w.dict = false
	w.values = grow(w.values, len(w.idx))
	for i, x := range w.idx {
		w.values[i] = T(w.table.keys[x])
	}
	addBounds(&w.bounds, w.values)
	w.plain = appendPlain(w.plain, w.values)
	w.idx, w.table = nil, intTable{}
	return w.maybePage()
}

func (w *fixedWriter[T]) maybePage() error {
	if w.pending < pageRows {
		return nil
	}
	return w.plainPage()
}

// plainPage writes the pending rows as one page.
func (w *fixedWriter[T]) plainPage() error {
	w.page = append(w.appendLevels(w.page[:0], 0, w.pending), w.plain...)
	if err := w.appendPage(w.pending, format.Plain); err != nil {
		return err
	}
	w.plain = w.plain[:0]
	w.dropPending()
	return nil
}

func (w *fixedWriter[T]) size() int { return w.pageBytes() + len(w.plain) + 2*len(w.idx) }

func (w *fixedWriter[T]) held() int {
	return w.pageBytes() + cap(w.plain) + 4*cap(w.idx) + 12*cap(w.table.keys)
}

func (w *fixedWriter[T]) shrink() { w.plain, w.idx, w.values, w.table = nil, nil, nil, intTable{} }

func (w *fixedWriter[T]) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	var err error
	switch {
	case w.dict && len(w.table.keys) > 0:
		keys := grow(w.values, len(w.table.keys))
		for i, k := range w.table.keys {
			keys[i] = T(k)
		}
		addBounds(&w.bounds, keys)
		w.page = appendPlain(w.page[:0], keys)
		if err = w.appendDictionary(len(keys)); err == nil {
			err = w.appendIndexPages(w.idx, len(keys))
		}
	case w.pending > 0:
		err = w.plainPage()
	}
	if err != nil {
		return format.ColumnMetaData{}, err
	}
	meta, err := w.write(out, offset, w.physical)
	meta.Statistics.MinValue, meta.Statistics.MaxValue = w.bounds.take()
	w.idx = w.idx[:0]
	w.table.reset()
	return meta, err
}

// bounds keeps the least and the greatest number of a chunk, compared as its
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
func (b *bounds) take() (low, high []byte) {
	kept := *b
	*b = bounds{kind: b.kind}
	if !kept.some || kept.nan {
		return nil, nil
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
		return le.AppendUint32(nil, uint32(kept.low)), le.AppendUint32(nil, uint32(kept.high))
	case format.Int64:
		return le.AppendUint64(nil, uint64(kept.low)), le.AppendUint64(nil, uint64(kept.high))
	case format.Float:
		return le.AppendUint32(nil, math.Float32bits(float32(kept.min))), le.AppendUint32(nil, math.Float32bits(float32(kept.max)))
	default:
		return le.AppendUint64(nil, math.Float64bits(kept.min)), le.AppendUint64(nil, math.Float64bits(kept.max))
	}
}

// wideWriter encodes decimals of more than 18 digits, plain and big-endian.
type wideWriter struct {
	chunkWriter
	plain     []byte
	some      bool
	low, high decimal128.Num
}

func (w *wideWriter) add(a arrow.Array, from, to int) error {
	valid, err := w.addLevels(a, from, to)
	if err != nil || valid == 0 {
		return err
	}
	if a.DataType().ID() != arrow.DECIMAL128 {
		return fmt.Errorf("batch has %s where decimal128 belongs", a.DataType())
	}
	off := a.Data().Offset()
	all := arrow.Decimal128Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())
	for i := from; i < to; i++ {
		if valid < to-from && a.IsNull(i) {
			continue
		}
		v := all[off+i]
		w.plain = appendWide(w.plain, v)
		if !w.some || v.Less(w.low) {
			w.low = v
		}
		if !w.some || w.high.Less(v) {
			w.high = v
		}
		w.some = true
	}
	if w.pending >= pageRows {
		return w.plainPage()
	}
	return nil
}

func appendWide(dst []byte, v decimal128.Num) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(v.HighBits())), v.LowBits())
}

func (w *wideWriter) plainPage() error {
	w.page = append(w.appendLevels(w.page[:0], 0, w.pending), w.plain...)
	err := w.appendPage(w.pending, format.Plain)
	w.plain = w.plain[:0]
	w.dropPending()
	return err
}

func (w *wideWriter) size() int { return w.pageBytes() + len(w.plain) }

func (w *wideWriter) held() int { return w.pageBytes() + cap(w.plain) }

func (w *wideWriter) shrink() { w.plain = nil }

func (w *wideWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.plainPage(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	meta, err := w.write(out, offset, format.FixedLenByteArray)
	if w.some {
		meta.Statistics.MinValue, meta.Statistics.MaxValue = appendWide(nil, w.low), appendWide(nil, w.high)
	}
	w.some = false
	return meta, err
}

// boolWriter encodes booleans, plain.
type boolWriter struct {
	chunkWriter
	plain []byte // bitmap
	n     int    // its bits
	ones  int
	all   int
}

func (w *boolWriter) add(a arrow.Array, from, to int) error {
	valid, err := w.addLevels(a, from, to)
	if err != nil || valid == 0 {
		return err
	}
	if a.DataType().ID() != arrow.BOOL {
		return fmt.Errorf("batch has %s where bool belongs", a.DataType())
	}
	for need := (w.n + to - from + 7) / 8; len(w.plain) < need; {
		w.plain = append(w.plain, 0)
	}
	bits, off := a.Data().Buffers()[1].Bytes(), a.Data().Offset()
	before := w.n
	if valid == to-from {
		bitutil.CopyBitmap(bits, off+from, valid, w.plain, w.n)
		w.n += valid
	} else {
		for i := from; i < to; i++ {
			if a.IsValid(i) {
				bitutil.SetBitTo(w.plain, w.n, bitutil.BitIsSet(bits, off+i))
				w.n++
			}
		}
	}
	w.ones += bitutil.CountSetBits(w.plain, before, valid)
	w.all += valid
	if w.pending >= pageRows {
		return w.plainPage()
	}
	return nil
}

func (w *boolWriter) plainPage() error {
	w.page = append(w.appendLevels(w.page[:0], 0, w.pending), w.plain[:(w.n+7)/8]...)
	err := w.appendPage(w.pending, format.Plain)
	clear(w.plain)
	w.n = 0
	w.dropPending()
	return err
}

func (w *boolWriter) size() int { return w.pageBytes() + len(w.plain) }

func (w *boolWriter) held() int { return w.pageBytes() + cap(w.plain) }

func (w *boolWriter) shrink() { w.plain = nil }

func (w *boolWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.plainPage(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	meta, err := w.write(out, offset, format.Boolean)
	if w.all > 0 {
		low, high := byte(0), byte(0)
		if w.ones == w.all {
			low = 1
		}
		if w.ones > 0 {
			high = 1
		}
		meta.Statistics.MinValue, meta.Statistics.MaxValue = []byte{low}, []byte{high}
	}
	w.ones, w.all = 0, 0
	return meta, err
}
