package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/format"
)

// wideWriter encodes decimals of more than 18 digits, plain and big-endian.
type wideWriter struct {
	chunkWriter
	plain     list[byte]
	some      bool
	low, high decimal128.Num // of the pending rows
}

func (w *wideWriter) chunk() *chunkWriter { return &w.chunkWriter }

func (w *wideWriter) room(_ arrow.Array, from, to int) int { return min(to, from+stepRows) }

func (w *wideWriter) add(s stretch) error {
	if s.count > 0 {
		if s.array.DataType().ID() != arrow.DECIMAL128 {
			return fmt.Errorf("batch has %s where decimal128 belongs", s.array.DataType())
		}
		off := s.array.Data().Offset()
		all := arrow.Decimal128Traits.CastFromBytes(s.array.Data().Buffers()[1].Bytes())[off:]
		w.plain.reserve(16 * s.count)
		for i := s.from; i < s.to; i++ {
			if s.has(i) {
				w.addValue(all[i])
			}
		}
	}
	if w.pending < pageRows {
		return nil
	}
	return w.endRows()
}

func (w *wideWriter) addValue(v decimal128.Num) {
	at := len(w.plain.v)
	w.plain.v = appendWide(w.plain.v, v)
	if !w.some || v.Less(w.low) {
		w.low = v
	}
	if !w.some || w.high.Less(v) {
		w.high = v
	}
	w.some = true
	if w.filter.wanted {
		w.filter.hashes.push(xxhash.Sum64Uint128([16]byte(w.plain.v[at:])))
	}
}

func appendWide(dst []byte, v decimal128.Num) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(v.HighBits())), v.LowBits())
}

func (w *wideWriter) endRows() error {
	var b pageBounds
	if w.some {
		b = pageBounds{appendWide(nil, w.low), appendWide(nil, w.high)}
	}
	err := w.plainPage(w.plain.v, b)
	w.plain.v, w.some = w.plain.v[:0], false
	return err
}

func (w *wideWriter) size() int { return w.pageBytes() + len(w.plain.v) }

func (w *wideWriter) held() int { return w.heldHere() + w.plain.held() }

func (w *wideWriter) shrink() {
	w.plain.release()
	w.shrinkHere()
}

func (w *wideWriter) release() {
	w.shrink()
	w.releaseHere()
}

func (w *wideWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.endRows(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	return w.write(out, offset)
}

// boolWriter encodes booleans, plain.
type boolWriter struct {
	chunkWriter
	plain list[byte] // bitmap of the pending rows
	n     int        // its bits
}

func (w *boolWriter) chunk() *chunkWriter { return &w.chunkWriter }

func (w *boolWriter) room(_ arrow.Array, from, to int) int { return min(to, from+stepRows) }

func (w *boolWriter) add(s stretch) error {
	if s.count > 0 {
		if s.array.DataType().ID() != arrow.BOOL {
			return fmt.Errorf("batch has %s where bool belongs", s.array.DataType())
		}
		if need := (w.n + s.count + 7) / 8; need > len(w.plain.v) {
			clear(w.plain.extend(need - len(w.plain.v)))
		}
		bits, off := s.array.Data().Buffers()[1].Bytes(), s.array.Data().Offset()
		if s.present == nil {
			bitutil.CopyBitmap(bits, off+s.from, s.count, w.plain.v, w.n)
			w.n += s.count
		} else {
			for i := s.from; i < s.to; i++ {
				if s.has(i) {
					bitutil.SetBitTo(w.plain.v, w.n, bitutil.BitIsSet(bits, off+i))
					w.n++
				}
			}
		}
	}
	if w.pending < pageRows {
		return nil
	}
	return w.endRows()
}

func (w *boolWriter) endRows() error {
	bytes := w.plain.v[:(w.n+7)/8]
	var b pageBounds
	if ones := bitutil.CountSetBits(bytes, 0, w.n); w.n > 0 {
		b = pageBounds{[]byte{0}, []byte{0}}
		if ones == w.n {
			b.low[0] = 1
		}
		if ones > 0 {
			b.high[0] = 1
		}
	}
	err := w.plainPage(bytes, b)
	w.plain.v, w.n = w.plain.v[:0], 0
	return err
}

func (w *boolWriter) size() int { return w.pageBytes() + len(w.plain.v) }

func (w *boolWriter) held() int { return w.heldHere() + w.plain.held() }

func (w *boolWriter) shrink() {
	w.plain.release()
	w.shrinkHere()
}

func (w *boolWriter) release() {
	w.shrink()
	w.releaseHere()
}

func (w *boolWriter) flush(out io.Writer, offset int64) (format.ColumnMetaData, error) {
	if w.pending > 0 {
		if err := w.endRows(); err != nil {
			return format.ColumnMetaData{}, err
		}
	}
	return w.write(out, offset)
}
